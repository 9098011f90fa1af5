#include "app/elf_header.hpp"

#include <fmt/format.h>

#include <bit>
#include <optional>
#include <string>

#include "app/byte_view.hpp"

namespace sonicorn::app {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
constexpr std::uint32_t kThreadOffset = R_X86_64_TPOFF64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
constexpr std::uint32_t kThreadOffset = R_AARCH64_TLS_TPREL;
#elif defined(__riscv)
constexpr std::uint16_t kMachine = EM_RISCV;
constexpr std::uint32_t kThreadOffset = R_RISCV_TLS_TPREL64;
#else
#error "Name this machine's ELF number here"
#endif

constexpr unsigned char kByteOrder =
    std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

std::string machine_name(std::uint16_t machine) {
  switch (machine) {
    case EM_386:
      return "32-bit x86";
    case EM_X86_64:
      return "x86-64";
    case EM_ARM:
      return "32-bit ARM";
    case EM_AARCH64:
      return "AArch64";
    case EM_RISCV:
      return "RISC-V";
    case EM_PPC64:
      return "PowerPC-64";
    case EM_S390:
      return "S/390";
    default:
      return fmt::format("ELF machine {}", machine);
  }
}

std::optional<core::Error> check_kind(const Elf64_Ehdr& header) {
  const unsigned char word = header.e_ident[EI_CLASS];
  if (word != ELFCLASS64 || header.e_ident[EI_DATA] != kByteOrder) {
    return core::app_error(
        "app.wrong_class",
        fmt::format(
            "is a {}-bit ELF file of {}-endian byte order and this server is a 64-bit {}-endian "
            "program: build the app for {}",
            word == ELFCLASS32 ? 32 : 64, header.e_ident[EI_DATA] == ELFDATA2MSB ? "big" : "little",
            kByteOrder == ELFDATA2MSB ? "big" : "little", machine_name(kMachine)));
  }
  if (header.e_machine != kMachine) {
    return core::app_error(
        "app.wrong_machine",
        fmt::format("is built for {} and this server runs on {}: build the app for {}",
                    machine_name(header.e_machine), machine_name(kMachine),
                    machine_name(kMachine)));
  }
  if (header.e_type == ET_DYN) return std::nullopt;
  const char* kind = "an ELF file of an unknown kind";
  if (header.e_type == ET_REL) kind = "an object file (.o) that is not linked yet";
  if (header.e_type == ET_EXEC) kind = "an executable";
  if (header.e_type == ET_CORE) kind = "a core dump";
  return core::app_error(
      "app.not_shared_object",
      fmt::format("is {}, not a shared object: link the app with -shared", kind));
}

}  // namespace

const std::uint32_t kStaticTlsRelocation = kThreadOffset;

core::Error truncated_elf(std::uint64_t wanted, std::size_t size) {
  return core::app_error(
      "app.truncated",
      fmt::format(
          "is truncated: its headers speak of {} bytes and it has {}; build or copy it again",
          wanted, size));
}

core::Error malformed_elf(std::string_view what) {
  return core::app_error("app.malformed_elf",
                         fmt::format("is damaged: {}; build or copy it again", what));
}

core::Result<Elf64_Ehdr> read_elf_header(std::string_view bytes) {
  if (!bytes.starts_with(std::string_view(ELFMAG, SELFMAG))) {
    return core::app_error("app.not_elf",
                           "is not an ELF file, so not a shared object: build the app with "
                           "-shared -fPIC and give the .so file that comes out");
  }
  const auto header = read_at<Elf64_Ehdr>(bytes, 0);
  if (!header) return truncated_elf(sizeof(Elf64_Ehdr), bytes.size());
  if (auto error = check_kind(*header)) return *std::move(error);
  if (header->e_phnum == 0 || header->e_phnum == PN_XNUM ||
      header->e_phentsize != sizeof(Elf64_Phdr)) {
    return malformed_elf("its program headers are missing or of a wrong size");
  }
  // Linkers write the section headers last, so they show best that the end of a file is missing.
  const std::uint64_t sections = std::uint64_t{header->e_shnum} * header->e_shentsize;
  if (header->e_shoff != 0 && !slice(bytes, header->e_shoff, sections)) {
    return truncated_elf(header->e_shoff + sections, bytes.size());
  }
  return *header;
}

}  // namespace sonicorn::app
