#include "app/elf_image.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "app/byte_view.hpp"
#include "app/elf_header.hpp"

namespace sonicorn::app {
namespace {

// A name that is longer than this is no name.
constexpr std::size_t kLongestSymbol = 64 * 1024;

// A symbol names its version with 15 bits. Ends chains that are made to run over themselves.
constexpr std::size_t kMostVersions = 1U << 15U;

std::string_view text_at(std::string_view strings, std::uint64_t offset) {
  if (offset >= strings.size()) return {};
  const std::string_view rest = strings.substr(offset, kLongestSymbol);
  const auto end = rest.find('\0');
  return end == std::string_view::npos ? std::string_view{} : rest.substr(0, end);
}

}  // namespace

bool ElfSymbol::is_function() const { return type == STT_FUNC || type == STT_GNU_IFUNC; }

bool ElfSymbol::is_exported() const {
  return defined && (binding == STB_GLOBAL || binding == STB_WEAK || binding == STB_GNU_UNIQUE) &&
         (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

bool ElfSymbol::is_required() const { return !defined && binding == STB_GLOBAL && !name.empty(); }

// Fills an image from the bytes, one table after the other.
class ElfImage::Reader {
 public:
  Reader(std::string_view bytes, const Elf64_Ehdr& header, ElfImage& image)
      : bytes_(bytes), header_(header), image_(image) {}

  std::optional<core::Error> read() {
    if (auto error = read_segments()) return error;
    read_notes();
    if (auto error = read_dynamic()) return error;
    read_relocations();
    read_needed_versions();
    read_defined_versions();
    return read_symbols();
  }

 private:
  std::optional<core::Error> read_segments();
  void read_notes();
  void read_notes_of(const Elf64_Phdr& segment);
  std::optional<core::Error> read_dynamic();
  void take_dynamic(const Elf64_Dyn& entry);
  void read_relocations();
  void read_needed_versions();
  void read_defined_versions();
  std::optional<core::Error> read_symbols();
  std::uint64_t count_by_hash() const;
  std::uint64_t count_by_gnu_hash() const;
  // The bytes from a virtual address to the end of what the file holds of its segment.
  std::string_view at_address(std::uint64_t address) const;

  std::string_view bytes_;
  Elf64_Ehdr header_;
  ElfImage& image_;
  std::vector<Elf64_Phdr> segments_;
  std::string_view strings_;
  std::uint64_t string_table_ = 0;
  std::uint64_t string_table_size_ = 0;
  std::uint64_t symbol_table_ = 0;
  std::uint64_t hash_ = 0;
  std::uint64_t gnu_hash_ = 0;
  std::uint64_t version_needs_ = 0;
  std::uint64_t version_definitions_ = 0;
  std::uint64_t relocations_ = 0;
  std::uint64_t relocations_size_ = 0;
  std::uint64_t plt_relocations_ = 0;
  std::uint64_t plt_relocations_size_ = 0;
  std::uint64_t highest_symbol_ = 0;  // that a relocation names
};

core::Result<ElfImage> ElfImage::parse(std::string_view bytes) {
  const auto header = read_elf_header(bytes);
  if (!header) return header.error();
  ElfImage image;
  if (auto error = Reader(bytes, *header, image).read()) return *std::move(error);
  return image;
}

std::string ElfImage::build_id() const {
  const auto note = std::find_if(notes_.begin(), notes_.end(), [](const ElfNote& candidate) {
    return candidate.name == ELF_NOTE_GNU && candidate.type == NT_GNU_BUILD_ID;
  });
  if (note == notes_.end()) return {};
  std::string digits;
  for (const char c : note->content.substr(0, 64)) {
    digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return digits;
}

std::optional<core::Error> ElfImage::Reader::read_segments() {
  for (std::uint64_t i = 0; i < header_.e_phnum; ++i) {
    // Wraps only for offsets that then lie outside, or inside where no harm is done.
    const auto segment = read_at<Elf64_Phdr>(bytes_, header_.e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment) {
      return truncated_elf(header_.e_phoff + header_.e_phnum * sizeof(Elf64_Phdr), bytes_.size());
    }
    if (segment->p_type == PT_GNU_STACK) {
      image_.executable_stack_ = (segment->p_flags & PF_X) != 0;
      continue;
    }
    const auto content = slice(bytes_, segment->p_offset, segment->p_filesz);
    if (!content) {
      const bool held = segment->p_type == PT_LOAD || segment->p_type == PT_DYNAMIC ||
                        segment->p_type == PT_NOTE || segment->p_type == PT_INTERP;
      if (held) return truncated_elf(segment->p_offset + segment->p_filesz, bytes_.size());
      continue;
    }
    if (segment->p_type == PT_INTERP) image_.interpreter_ = content->substr(0, content->find('\0'));
    segments_.push_back(*segment);
  }
  return std::nullopt;
}

void ElfImage::Reader::read_notes() {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type == PT_NOTE) read_notes_of(segment);
  }
}

void ElfImage::Reader::read_notes_of(const Elf64_Phdr& segment) {
  const std::uint64_t alignment = segment.p_align == 8 ? 8 : 4;
  const auto aligned = [alignment](std::uint64_t size) {
    return (size + alignment - 1) & ~(alignment - 1);
  };
  const std::string_view all = bytes_.substr(segment.p_offset, segment.p_filesz);
  std::uint64_t at = 0;
  while (const auto note = read_at<Elf64_Nhdr>(all, at)) {
    // Padding between notes, as sanitizers leave it: word by word, because a note may begin at any.
    if (note->n_namesz == 0) {
      at += sizeof(Elf64_Word);
      continue;
    }
    const std::uint64_t content_at = at + aligned(sizeof(Elf64_Nhdr) + note->n_namesz);
    const auto name = slice(all, at + sizeof(Elf64_Nhdr), note->n_namesz);
    const auto content = slice(all, content_at, note->n_descsz);
    if (!name || !content) return;
    image_.notes_.push_back({name->substr(0, name->find('\0')), note->n_type, *content});
    at = content_at + aligned(note->n_descsz);
  }
}

std::string_view ElfImage::Reader::at_address(std::uint64_t address) const {
  for (const Elf64_Phdr& segment : segments_) {
    if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
    const std::uint64_t inside = address - segment.p_vaddr;
    if (inside < segment.p_filesz) {
      return bytes_.substr(segment.p_offset + inside, segment.p_filesz - inside);
    }
  }
  return {};
}

std::optional<core::Error> ElfImage::Reader::read_dynamic() {
  const auto segment =
      std::find_if(segments_.begin(), segments_.end(),
                   [](const Elf64_Phdr& candidate) { return candidate.p_type == PT_DYNAMIC; });
  if (segment == segments_.end()) {
    return core::app_error("app.not_shared_object",
                           "has no dynamic section, so it is not a shared object (a file of debug "
                           "information has none either): link the app with -shared");
  }
  const std::string_view all = bytes_.substr(segment->p_offset, segment->p_filesz);
  std::vector<Elf64_Dyn> entries;
  for (std::uint64_t at = 0; const auto entry = read_at<Elf64_Dyn>(all, at);
       at += sizeof(Elf64_Dyn)) {
    if (entry->d_tag == DT_NULL) break;
    take_dynamic(*entry);
    entries.push_back(*entry);
  }
  strings_ = at_address(string_table_).substr(0, string_table_size_);
  if (strings_.empty()) return malformed_elf("its dynamic section names no string table");
  // Second, because the string table may be named after the strings.
  for (const Elf64_Dyn& entry : entries) {
    const std::string_view text = text_at(strings_, entry.d_un.d_val);
    if (entry.d_tag == DT_NEEDED && !text.empty()) image_.needed_.push_back(text);
    if (entry.d_tag == DT_SONAME) image_.soname_ = text;
    if (entry.d_tag == DT_RPATH) image_.rpath_ = text;
    if (entry.d_tag == DT_RUNPATH) image_.runpath_ = text;
  }
  return std::nullopt;
}

void ElfImage::Reader::take_dynamic(const Elf64_Dyn& entry) {
  const std::uint64_t value = entry.d_un.d_val;
  switch (entry.d_tag) {
    case DT_STRTAB:
      string_table_ = value;
      break;
    case DT_STRSZ:
      string_table_size_ = value;
      break;
    case DT_SYMTAB:
      symbol_table_ = value;
      break;
    case DT_HASH:
      hash_ = value;
      break;
    case DT_GNU_HASH:
      gnu_hash_ = value;
      break;
    case DT_VERNEED:
      version_needs_ = value;
      break;
    case DT_VERDEF:
      version_definitions_ = value;
      break;
    case DT_RELA:
      relocations_ = value;
      break;
    case DT_RELASZ:
      relocations_size_ = value;
      break;
    case DT_JMPREL:
      plt_relocations_ = value;
      break;
    case DT_PLTRELSZ:
      plt_relocations_size_ = value;
      break;
    case DT_FLAGS:
      image_.static_tls_ = image_.static_tls_ || (value & DF_STATIC_TLS) != 0;
      break;
    case DT_FLAGS_1:
      image_.no_delete_ = (value & DF_1_NODELETE) != 0;
      image_.pie_ = (value & DF_1_PIE) != 0;
      break;
    default:
      break;
  }
}

void ElfImage::Reader::read_relocations() {
  const std::string_view tables[] = {
      at_address(relocations_).substr(0, relocations_size_),
      at_address(plt_relocations_).substr(0, plt_relocations_size_),
  };
  for (const std::string_view table : tables) {
    for (std::uint64_t at = 0; const auto relocation = read_at<Elf64_Rela>(table, at);
         at += sizeof(Elf64_Rela)) {
      highest_symbol_ = std::max(highest_symbol_, std::uint64_t{ELF64_R_SYM(relocation->r_info)});
      if (ELF64_R_TYPE(relocation->r_info) == kStaticTlsRelocation) image_.static_tls_ = true;
    }
  }
}

void ElfImage::Reader::read_needed_versions() {
  if (version_needs_ == 0) return;
  const std::string_view table = at_address(version_needs_);
  std::uint64_t at = 0;
  while (const auto library = read_at<Elf64_Verneed>(table, at)) {
    std::uint64_t version_at = at + library->vn_aux;
    for (unsigned left = library->vn_cnt; left > 0; --left) {
      const auto version = read_at<Elf64_Vernaux>(table, version_at);
      if (!version || image_.needed_versions_.size() == kMostVersions) return;
      image_.needed_versions_.push_back({text_at(strings_, library->vn_file),
                                         text_at(strings_, version->vna_name),
                                         (version->vna_flags & VER_FLG_WEAK) != 0});
      if (version->vna_next == 0) break;
      version_at += version->vna_next;
    }
    if (library->vn_next == 0) return;
    at += library->vn_next;
  }
}

void ElfImage::Reader::read_defined_versions() {
  if (version_definitions_ == 0) return;
  const std::string_view table = at_address(version_definitions_);
  std::uint64_t at = 0;
  while (const auto version = read_at<Elf64_Verdef>(table, at)) {
    const auto name = read_at<Elf64_Verdaux>(table, at + version->vd_aux);
    if (!name || image_.defined_versions_.size() == kMostVersions) return;
    image_.defined_versions_.push_back(text_at(strings_, name->vda_name));
    if (version->vd_next == 0) return;
    at += version->vd_next;
  }
}

std::uint64_t ElfImage::Reader::count_by_hash() const {
  if (hash_ == 0) return 0;
  const auto chains = read_at<std::uint32_t>(at_address(hash_), sizeof(std::uint32_t));
  return chains.value_or(0);
}

// The table does not hold a count: the last symbol is the end of the chain that begins highest.
std::uint64_t ElfImage::Reader::count_by_gnu_hash() const {
  if (gnu_hash_ == 0) return 0;
  struct Head {
    std::uint32_t buckets;
    std::uint32_t first_symbol;
    std::uint32_t bloom_words;
    std::uint32_t bloom_shift;
  };
  const std::string_view table = at_address(gnu_hash_);
  const auto head = read_at<Head>(table, 0);
  if (!head) return 0;
  const std::uint64_t buckets_at = sizeof(Head) + std::uint64_t{head->bloom_words} * 8;
  const std::uint64_t chains_at = buckets_at + std::uint64_t{head->buckets} * 4;
  if (chains_at > table.size()) return 0;
  std::uint32_t last = 0;
  for (std::uint64_t at = buckets_at; at < chains_at; at += 4) {
    last = std::max(last, read_at<std::uint32_t>(table, at).value_or(0));
  }
  if (last < head->first_symbol) return head->first_symbol;
  std::uint64_t symbol = last;
  while (const auto link =
             read_at<std::uint32_t>(table, chains_at + (symbol - head->first_symbol) * 4)) {
    ++symbol;
    if ((*link & 1U) != 0) return symbol;
  }
  return 0;
}

std::optional<core::Error> ElfImage::Reader::read_symbols() {
  const std::string_view table = at_address(symbol_table_);
  // Undefined symbols need not be in a hash table (GNU ld leaves an object that exports nothing
  // with an empty one), but a relocation names each that matters.
  const std::uint64_t count = std::max({count_by_hash(), count_by_gnu_hash(), highest_symbol_ + 1});
  if (count > table.size() / sizeof(Elf64_Sym) && count > 1) {
    return malformed_elf("its symbol table reaches past its end");
  }
  image_.symbols_.reserve(count);
  for (std::uint64_t i = 1; i < count; ++i) {
    const auto symbol = read_at<Elf64_Sym>(table, i * sizeof(Elf64_Sym));
    if (!symbol) break;
    image_.symbols_.push_back({
        .name = text_at(strings_, symbol->st_name),
        .type = static_cast<std::uint8_t>(ELF64_ST_TYPE(symbol->st_info)),
        .binding = static_cast<std::uint8_t>(ELF64_ST_BIND(symbol->st_info)),
        .visibility = static_cast<std::uint8_t>(ELF64_ST_VISIBILITY(symbol->st_other)),
        .defined = symbol->st_shndx != SHN_UNDEF,
    });
  }
  return std::nullopt;
}

}  // namespace sonicorn::app
