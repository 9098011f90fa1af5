#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::app {

// Writes the bytes of a small ELF64 shared object for x86-64 or AArch64, whichever runs the test,
// with program headers only. Nothing in it is code; the dynamic loader is never given one.
class ElfBuilder {
 public:
  struct Symbol {
    std::string name;
    unsigned type = STT_FUNC;
    unsigned binding = STB_GLOBAL;
    unsigned visibility = STV_DEFAULT;
    bool defined = true;
  };

  std::uint16_t type = ET_DYN;
#if defined(__aarch64__)
  std::uint16_t machine = EM_AARCH64;
#else
  std::uint16_t machine = EM_X86_64;
#endif
  std::vector<Symbol> symbols;
  std::vector<std::string> needed;
  struct VersionNeed {
    std::string library;
    std::string version;
    bool weak = false;
  };
  std::vector<VersionNeed> needed_versions;
  std::vector<std::string> defined_versions;
  std::string soname;
  std::string rpath;
  std::string runpath;
  std::string interpreter;
  std::uint64_t flags = 0;
  std::uint64_t flags_1 = 0;
  bool stack_header = true;
  std::uint32_t stack_flags = PF_R | PF_W;
  std::string notes;  // of one PT_NOTE segment

  ElfBuilder& function(std::string name) {
    symbols.push_back({std::move(name)});
    return *this;
  }

  ElfBuilder& note(std::string_view name, std::uint32_t note_type, std::string_view content) {
    const Elf64_Nhdr header{static_cast<Elf64_Word>(name.size() + 1),
                            static_cast<Elf64_Word>(content.size()), note_type};
    append(notes, header);
    notes += padded(std::string(name) + '\0');
    notes += padded(std::string(content));
    return *this;
  }

  ElfBuilder& mark(std::string_view json = "", std::uint32_t abi_major = 1,
                   std::uint32_t abi_minor = 0) {
    std::string content;
    append(content, abi_major);
    append(content, abi_minor);
    return note("Sonicorn", 1, padded(content + std::string(json) + '\0'));
  }

  std::string build() const {
    std::string strings(1, '\0');
    const std::string table = symbol_table(strings);
    std::vector<Elf64_Dyn> dynamic = text_entries(strings);
    const std::string version_needs = version_need_table(strings);
    const std::string version_definitions = version_definition_table(strings);
    const std::uint32_t count = static_cast<std::uint32_t>(symbols.size()) + 1;
    const std::uint32_t hash[] = {1, count, 0};
    std::string interp = interpreter.empty() ? "" : interpreter + '\0';

    const auto headers = std::uint16_t(3 + (stack_header ? 1 : 0) + (interp.empty() ? 0 : 1));
    const std::uint64_t dynamic_at = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr);
    const std::uint64_t dynamic_size = (dynamic.size() + 9) * sizeof(Elf64_Dyn);
    const std::uint64_t table_at = dynamic_at + dynamic_size;
    const std::uint64_t hash_at = table_at + table.size();
    const std::uint64_t notes_at = hash_at + sizeof(hash);
    const std::uint64_t version_needs_at = notes_at + notes.size();
    const std::uint64_t version_definitions_at = version_needs_at + version_needs.size();
    const std::uint64_t strings_at = version_definitions_at + version_definitions.size();
    const std::uint64_t interp_at = strings_at + strings.size();
    const std::uint64_t end = interp_at + interp.size();
    dynamic.push_back(entry(DT_SYMTAB, table_at));
    dynamic.push_back(entry(DT_HASH, hash_at));
    dynamic.push_back(entry(DT_STRTAB, strings_at));
    dynamic.push_back(entry(DT_STRSZ, strings.size()));
    dynamic.push_back(entry(DT_VERNEED, version_needs.empty() ? 0 : version_needs_at));
    dynamic.push_back(entry(DT_VERDEF, version_definitions.empty() ? 0 : version_definitions_at));
    dynamic.push_back(entry(DT_FLAGS, flags));
    dynamic.push_back(entry(DT_FLAGS_1, flags_1));
    dynamic.push_back(entry(DT_NULL, 0));

    std::string bytes;
    append(bytes, elf_header(headers));
    append(bytes, segment(PT_LOAD, 0, end));
    append(bytes, segment(PT_DYNAMIC, dynamic_at, dynamic_size));
    append(bytes, segment(PT_NOTE, notes_at, notes.size()));
    if (stack_header) append(bytes, segment(PT_GNU_STACK, 0, 0, stack_flags));
    if (!interp.empty()) append(bytes, segment(PT_INTERP, interp_at, interp.size()));
    for (const Elf64_Dyn& each : dynamic) append(bytes, each);
    bytes += table;
    append(bytes, hash);
    return bytes + notes + version_needs + version_definitions + strings + interp;
  }

 private:
  template <class T>
  static void append(std::string& to, const T& value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  static std::string padded(std::string text) {
    text.resize((text.size() + 3) / 4 * 4, '\0');
    return text;
  }

  static Elf64_Dyn entry(std::int64_t tag, std::uint64_t value) {
    Elf64_Dyn result{};
    result.d_tag = tag;
    result.d_un.d_val = value;
    return result;
  }

  static Elf64_Phdr segment(std::uint32_t kind, std::uint64_t at, std::uint64_t size,
                            std::uint32_t access = PF_R) {
    return {kind, access, at, at, at, size, size, 4};
  }

  Elf64_Ehdr elf_header(std::uint16_t headers) const {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = type;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof(Elf64_Ehdr);
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = headers;
    return header;
  }

  static std::uint32_t add(std::string& strings, const std::string& text) {
    const auto at = static_cast<std::uint32_t>(strings.size());
    strings += text + '\0';
    return at;
  }

  std::string symbol_table(std::string& strings) const {
    std::string table(sizeof(Elf64_Sym), '\0');
    for (const Symbol& symbol : symbols) {
      Elf64_Sym raw{};
      raw.st_name = add(strings, symbol.name);
      raw.st_info = static_cast<unsigned char>(ELF64_ST_INFO(symbol.binding, symbol.type));
      raw.st_other = static_cast<unsigned char>(symbol.visibility);
      raw.st_shndx = symbol.defined ? 1 : SHN_UNDEF;
      append(table, raw);
    }
    return table;
  }

  std::string version_need_table(std::string& strings) const {
    std::string table;
    for (const VersionNeed& need : needed_versions) {
      constexpr unsigned kSize = sizeof(Elf64_Verneed) + sizeof(Elf64_Vernaux);
      append(table,
             Elf64_Verneed{VER_NEED_CURRENT, 1, add(strings, need.library), sizeof(Elf64_Verneed),
                           &need == &needed_versions.back() ? 0 : kSize});
      append(table, Elf64_Vernaux{0, static_cast<Elf64_Half>(need.weak ? VER_FLG_WEAK : 0), 2,
                                  add(strings, need.version), 0});
    }
    return table;
  }

  std::string version_definition_table(std::string& strings) const {
    std::string table;
    for (const std::string& version : defined_versions) {
      constexpr unsigned kSize = sizeof(Elf64_Verdef) + sizeof(Elf64_Verdaux);
      append(table, Elf64_Verdef{VER_DEF_CURRENT, 0, 2, 1, 0, sizeof(Elf64_Verdef),
                                 &version == &defined_versions.back() ? 0 : kSize});
      append(table, Elf64_Verdaux{add(strings, version), 0});
    }
    return table;
  }

  std::vector<Elf64_Dyn> text_entries(std::string& strings) const {
    std::vector<Elf64_Dyn> entries;
    for (const std::string& name : needed) entries.push_back(entry(DT_NEEDED, add(strings, name)));
    if (!soname.empty()) entries.push_back(entry(DT_SONAME, add(strings, soname)));
    if (!rpath.empty()) entries.push_back(entry(DT_RPATH, add(strings, rpath)));
    if (!runpath.empty()) entries.push_back(entry(DT_RUNPATH, add(strings, runpath)));
    return entries;
  }
};

}  // namespace sonicorn::app
