#include "app/inspection.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>
#include <sonicorn/manifest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "app/elf_image.hpp"
#include "config/wording.hpp"

namespace sonicorn::app {
namespace {

// The first few of a list, and how many more there are.
std::string some_of(std::span<const std::string> names) {
  constexpr std::size_t kShown = 5;
  const std::size_t shown = std::min(names.size(), kShown);
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::string demangled(std::string_view symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(std::string(symbol).c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 && text ? std::string(text.get()) : std::string(symbol);
}

// "sonicorn_stop" of "_Z13sonicorn_stopPv": a function of that name with C++ linkage.
std::optional<std::string_view> name_with_cpp_linkage(std::string_view symbol) {
  if (!symbol.starts_with("_Z")) return std::nullopt;
  symbol.remove_prefix(2);
  std::size_t length = 0;
  while (!symbol.empty() && symbol.front() >= '0' && symbol.front() <= '9' && length < 1000) {
    length = length * 10 + static_cast<std::size_t>(symbol.front() - '0');
    symbol.remove_prefix(1);
  }
  if (length == 0 || length > symbol.size()) return std::nullopt;
  return symbol.substr(0, length);
}

// Fills an inspection, one question after the other.
class Inspector {
 public:
  Inspector(const std::filesystem::path& file, const Offer& offer) : offer_(offer) {
    result_.file = file;
    result_.name = file.stem().string();
  }

  Inspection inspect(std::string_view bytes, Scope scope) && {
    const auto image = ElfImage::parse(bytes);
    if (!image) {
      refuse(image.error().message);
      return std::move(result_);
    }
    result_.build_id = image->build_id();
    if (image->is_executable() || (!image->interpreter().empty() && image->soname().empty())) {
      refuse("is an executable program, not a shared object: link the app with -shared");
    }
    read_notes(*image);
    for (const ElfSymbol& symbol : image->symbols()) {
      if (symbol.is_exported()) read_symbol(symbol);
    }
    hint_at_unprefixed(*image);
    if (!result_.abi.empty() && result_.attributes.size() == 0) {
      warn(
          "declares no attribute, so nothing in it is ever called: define one of "
          "sonicorn/attributes.h, and see that it is exported");
    }
    note_hazards(*image);
    if (scope == Scope::with_libraries) read_dependencies(*image);
    return std::move(result_);
  }

 private:
  // `what` is the rest of a sentence that begins with the file's name.
  void refuse(std::string_view what) {
    result_.reasons.push_back(fmt::format("{} {}", result_.file.filename().string(), what));
  }
  void warn(std::string text) { result_.warnings.push_back(std::move(text)); }
  void add_hazard(std::string id, std::string detail) {
    result_.hazards.push_back({std::move(id), std::move(detail)});
  }

  void read_notes(const ElfImage& image);
  bool check_abi(std::span<const ManifestNote> notes);
  void take_manifest(Manifest manifest);
  void read_symbol(const ElfSymbol& symbol);
  void hint_at_unprefixed(const ElfImage& image);
  void note_hazards(const ElfImage& image);
  void read_dependencies(const ElfImage& image);

  const Offer& offer_;
  Inspection result_;
};

void Inspector::read_notes(const ElfImage& image) {
  std::vector<ManifestNote> notes;
  for (const ElfNote& note : image.notes()) {
    if (note.name != SONICORN_NOTE_NAME || note.type != SONICORN_NOTE_TYPE_MANIFEST) continue;
    const auto decoded = ManifestNote::decode(note.content);
    if (!decoded) {
      refuse(fmt::format("has a manifest that is wrong: {}", decoded.error().message));
      return;
    }
    notes.push_back(*decoded);
  }
  if (notes.empty()) {
    refuse(
        "has no Sonicorn ABI mark: write SONICORN_MANIFEST({...}) or SONICORN_ABI_MARK (C), or "
        "SONICORN_APP(...) (C++), once in the app's source and build it again");
    return;
  }
  if (!check_abi(notes)) return;
  auto manifest = parse_manifest(notes);
  if (!manifest) {
    refuse(fmt::format("has a manifest that is wrong: {}", manifest.error().message));
    return;
  }
  take_manifest(*std::move(manifest));
}

bool Inspector::check_abi(std::span<const ManifestNote> notes) {
  const auto newer = [](const ManifestNote& a, const ManifestNote& b) {
    return std::pair(a.abi_major != SONICORN_ABI_MAJOR, a.abi_minor) <
           std::pair(b.abi_major != SONICORN_ABI_MAJOR, b.abi_minor);
  };
  const ManifestNote& newest = *std::max_element(notes.begin(), notes.end(), newer);
  result_.abi = fmt::format("{}.{}", newest.abi_major, newest.abi_minor);
  if (newest.abi_major != SONICORN_ABI_MAJOR) {
    refuse(
        fmt::format("was built for Sonicorn ABI {} and this server speaks ABI {}.{}: build it with "
                    "the SDK of this server, or serve it with a server of ABI {}",
                    result_.abi, SONICORN_ABI_MAJOR, SONICORN_ABI_MINOR, newest.abi_major));
    return false;
  }
  if (newest.abi_minor > SONICORN_ABI_MINOR) {
    refuse(fmt::format(
        "was built for Sonicorn ABI {}, which is newer than this server's {}.{}: update "
        "the server, or build the app with an older SDK",
        result_.abi, SONICORN_ABI_MAJOR, SONICORN_ABI_MINOR));
    return false;
  }
  return true;
}

void Inspector::take_manifest(Manifest manifest) {
  if (!manifest.name.empty()) result_.name = std::move(manifest.name);
  result_.version = std::move(manifest.version);
  result_.description = std::move(manifest.description);
  result_.requires_ = std::move(manifest.requires_);
  result_.uses = std::move(manifest.uses);
  result_.threads = manifest.threads;
  result_.blocking = manifest.blocking;
  result_.overlap = manifest.overlap;
  result_.state_schema = std::move(manifest.state_schema);
  for (std::string& warning : manifest.warnings) warn(std::move(warning));
  for (const std::string& id : result_.requires_) {
    if (offer_.has(id)) continue;
    if (offer_.is_withheld(id)) {
      refuse(
          fmt::format("requires the capability {}, which the operator withholds: take it off "
                      "\"without\" (--without), or move it from \"requires\" to \"uses\" and do "
                      "without",
                      id));
      continue;
    }
    refuse(
        fmt::format("requires the capability {}, which this server does not offer: use a server "
                    "that does, or move it from \"requires\" to \"uses\" and do without",
                    id));
  }
}

void Inspector::read_symbol(const ElfSymbol& symbol) {
  const auto cpp_name = name_with_cpp_linkage(symbol.name);
  const std::string_view name = cpp_name.value_or(symbol.name);
  if (!name.starts_with(kSymbolPrefix)) return;
  const std::string_view rest = name.substr(kSymbolPrefix.size());
  const auto attribute = attribute_from(rest);
  if (attribute && !cpp_name) {
    if (symbol.is_function()) {
      result_.attributes.add(*attribute);
    } else {
      refuse(
          fmt::format("exports {} as data, not as a function: define the function that "
                      "sonicorn/attributes.h declares (BOOST_DLL_ALIAS makes an object, "
                      "extern \"C\" a function)",
                      name));
    }
    return;
  }
  result_.unknown_attributes.emplace_back(name);
  if (attribute) {
    warn(
        fmt::format("exports {} with C++ linkage, so it is never called: include "
                    "<sonicorn/sonicorn.h>, or write extern \"C\" before it",
                    name));
    return;
  }
  const std::string_view near = config::nearest(rest, kAttributeNames);
  warn(near.empty()
           ? fmt::format("exports {}, which is no attribute, so it is never called", name)
           : fmt::format("exports {}, which is no attribute, so it is never called: did you mean "
                         "{}{}?",
                         name, kSymbolPrefix, near));
}

void Inspector::hint_at_unprefixed(const ElfImage& image) {
  for (const ElfSymbol& symbol : image.symbols()) {
    if (!symbol.is_exported() || !symbol.is_function()) continue;
    const auto attribute = attribute_from(symbol.name);
    if (!attribute || result_.attributes.has(*attribute)) continue;
    warn(fmt::format(
        "exports a function {}, which is not called under that name: did you mean {}{}?",
        symbol.name, kSymbolPrefix, symbol.name));
  }
}

void Inspector::note_hazards(const ElfImage& image) {
  std::vector<std::string> unique;
  for (const ElfSymbol& symbol : image.symbols()) {
    if (symbol.defined && symbol.binding == STB_GNU_UNIQUE)
      unique.push_back(demangled(symbol.name));
  }
  if (!unique.empty()) {
    add_hazard("unique_symbols",
               fmt::format("{} unique symbol{} ({}): after a reload the new code runs on the old "
                           "code's variables and neither is unloaded; compile with -fno-gnu-unique",
                           unique.size(), unique.size() == 1 ? "" : "s", some_of(unique)));
  }
  if (image.no_delete()) {
    add_hazard("nodelete",
               "linked with -z nodelete: its code stays in the process after every reload");
  }
  if (image.static_tls()) {
    add_hazard("static_tls",
               "uses static thread-local storage (initial-exec): a process has room for few such "
               "objects, so a later load may fail; compile with -ftls-model=global-dynamic");
  }
  if (image.executable_stack()) {
    add_hazard(
        "executable_stack",
        "asks for an executable stack in the whole process: link with -z noexecstack (a source "
        "in assembly needs a .note.GNU-stack section)");
  }
}

void Inspector::read_dependencies(const ElfImage& image) {
  Dependencies dependencies = find_dependencies(image, result_.file);
  for (const Dependencies::Missing& missing : dependencies.missing) {
    if (missing.lacks_soname) {
      add_hazard("missing_library", fmt::format("{} has no DT_SONAME", missing.library));
      refuse(
          fmt::format("needs the library {} from its own folder, and that does not carry its name: "
                      "link the library with -Wl,-soname,{}",
                      missing.library, missing.library));
      continue;
    }
    add_hazard("missing_library",
               fmt::format("{}, needed by {}", missing.library, missing.needed_by));
    refuse(
        fmt::format("needs the library {} (through {}), which is not found: install it, or link "
                    "the app with -Wl,-rpath and its folder",
                    missing.library, missing.needed_by));
  }
  for (const Dependencies::MissingVersion& missing : dependencies.missing_versions) {
    add_hazard("undefined_symbols", fmt::format("version {} of {}, needed by {}", missing.version,
                                                missing.library, missing.needed_by));
    refuse(
        fmt::format("needs version {} of {} (through {}), and {} does not have it: install a {} "
                    "that does, or build against this one",
                    missing.version, missing.library, missing.needed_by, missing.file.string(),
                    missing.library));
  }
  if (!dependencies.undefined.empty()) {
    std::vector<std::string> names;
    for (const std::string& name : dependencies.undefined) names.push_back(demangled(name));
    add_hazard("undefined_symbols", some_of(names));
    refuse(fmt::format(
        "uses {}, which neither it, nor its libraries, nor the server defines: link the "
        "library or the source that does",
        some_of(names)));
  }
  result_.libraries = std::move(dependencies.libraries);
  result_.libraries_beside = std::move(dependencies.beside);
}

}  // namespace

Inspection inspect(std::string_view bytes, const std::filesystem::path& file, const Offer& offer,
                   Scope scope) {
  return Inspector(file, offer).inspect(bytes, scope);
}

}  // namespace sonicorn::app
