// SPDX-License-Identifier: Apache-2.0
#include "manifest.hpp"

#include <elf.h>
#include <sonicorn/manifest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sonicorn/testing/error.hpp>

namespace sonicorn::testing::detail {
namespace {

using nlohmann::json;

constexpr std::size_t kLargestNotes = 1024 * 1024;  // bytes

// A struct at `at` of `bytes`; nullopt when it is not all there.
template <class T>
std::optional<T> read_at(std::string_view bytes, std::size_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::string read_part(std::ifstream& file, std::uint64_t at, std::size_t size) {
  std::string bytes(size, '\0');
  file.clear();
  file.seekg(static_cast<std::streamoff>(at));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return bytes;
}

std::string version(std::uint32_t major, std::uint32_t minor) {
  return std::to_string(major) + "." + std::to_string(minor);
}

void check_abi(std::uint32_t abi_major, std::uint32_t abi_minor, const std::string& name) {
  if (abi_major == SONICORN_ABI_MAJOR && abi_minor <= SONICORN_ABI_MINOR) return;
  throw Refused(name + " was built for Sonicorn ABI " + version(abi_major, abi_minor) +
                " and this test host speaks ABI " +
                version(SONICORN_ABI_MAJOR, SONICORN_ABI_MINOR) +
                ": build both with one version of the SDK");
}

// Adds the Sonicorn notes of one PT_NOTE segment to `texts`.
void take_notes(std::string_view all, std::uint64_t alignment, const std::string& name,
                std::vector<std::string>& texts) {
  const auto aligned = [alignment](std::uint64_t size) {
    return (size + alignment - 1) & ~(alignment - 1);
  };
  std::uint64_t at = 0;
  while (const auto note = read_at<Elf64_Nhdr>(all, at)) {
    // Sanitizers leave padding between notes.
    if (note->n_namesz == 0) {
      at += sizeof(Elf64_Word);
      continue;
    }
    const std::uint64_t content_at = at + aligned(sizeof(Elf64_Nhdr) + note->n_namesz);
    if (content_at > all.size() || note->n_descsz > all.size() - content_at) return;
    std::string_view note_name = all.substr(at + sizeof(Elf64_Nhdr), note->n_namesz);
    note_name = note_name.substr(0, note_name.find('\0'));
    const std::string_view content = all.substr(content_at, note->n_descsz);
    at = content_at + aligned(note->n_descsz);
    if (note_name != SONICORN_NOTE_NAME || note->n_type != SONICORN_NOTE_TYPE_MANIFEST) continue;
    const auto abi_major = read_at<std::uint32_t>(content, 0);
    const auto abi_minor = read_at<std::uint32_t>(content, 4);
    if (!abi_major || !abi_minor) {
      throw Refused(name +
                    " has a manifest that is wrong: the note is too short for an ABI version");
    }
    check_abi(*abi_major, *abi_minor, name);
    const std::string_view text = content.substr(8);
    texts.emplace_back(text.substr(0, text.find_last_not_of('\0') + 1));
  }
}

[[noreturn]] void refuse(const std::string& name, const std::string& what) {
  throw Refused(name + " has a manifest that is wrong: " + what);
}

// nlohmann would take the last of two; a server refuses them.
json parse_object(const std::string& text, const std::string& name) {
  std::vector<std::string> keys;
  std::string doubled;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event != json::parse_event_t::key || depth != 1) return true;
    std::string key = parsed.get<std::string>();
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) doubled = key;
    keys.push_back(std::move(key));
    return true;
  };
  json object = json::parse(text, watch, false);
  if (!object.is_object()) refuse(name, "it must be one JSON object, not " + text);
  if (!doubled.empty()) refuse(name, "the key \"" + doubled + "\" is given twice; give it once");
  return object;
}

bool is_capability_list(const json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const json& entry) {
           return entry.is_string() &&
                  entry.get_ref<const std::string&>().find('/') != std::string::npos;
         });
}

// Why the value of a key is wrong, or "".
std::string fault_of(const std::string& key, const json& value) {
  if (key == "name" || key == "version" || key == "description" || key == "state_schema") {
    return value.is_string() ? "" : "must be a string";
  }
  if (key == "requires" || key == "uses") {
    return is_capability_list(value) ? "" : "must be an array of ids such as [\"shutdown/1\"]";
  }
  if (key == "threads") {
    return value == "concurrent" || value == "serial" ? "" : "must be \"concurrent\" or \"serial\"";
  }
  if (key == "overlap") {
    return value == "allowed" || value == "exclusive" ? "" : "must be \"allowed\" or \"exclusive\"";
  }
  if (key == "blocking") return value.is_boolean() ? "" : "must be true or false";
  return "";
}

}  // namespace

std::optional<std::vector<std::string>> read_notes(const std::string& path,
                                                   const std::string& name) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Refused(name + " cannot be read: is the path " + path + " right?");
  const std::string start = read_part(file, 0, sizeof(Elf64_Ehdr));
  const auto header = read_at<Elf64_Ehdr>(start, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr)) {
    throw Refused(name + " is not an ELF file for a 64-bit machine: link the app with -shared");
  }
  const std::string segments =
      read_part(file, header->e_phoff, std::size_t{header->e_phnum} * sizeof(Elf64_Phdr));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = read_at<Elf64_Phdr>(segments, i * sizeof(Elf64_Phdr));
    if (!segment) throw Refused(name + " is cut off: build it again");
    if (segment->p_type != PT_NOTE || segment->p_filesz > kLargestNotes) continue;
    const std::string notes = read_part(file, segment->p_offset, segment->p_filesz);
    take_notes(notes, segment->p_align == 8 ? 8 : 4, name, texts);
  }
  if (texts.empty()) return std::nullopt;
  return texts;
}

Manifest parse_manifest(const std::vector<std::string>& texts, const std::string& name) {
  json merged = json::object();
  for (const std::string& text : texts) {
    if (text.empty()) continue;
    const json object = parse_object(text, name);
    for (const auto& [key, value] : object.items()) {
      const auto [existing, added] = merged.emplace(key, value);
      if (!added && *existing != value) {
        refuse(name, "two manifests disagree on the key \"" + key + "\": " + existing->dump() +
                         " and " + value.dump() + "; remove one of them");
      }
    }
  }
  for (const auto& [key, value] : merged.items()) {
    const std::string fault = fault_of(key, value);
    if (!fault.empty()) refuse(name, "\"" + key + "\" " + fault + ", not " + value.dump());
  }
  Manifest manifest;
  manifest.name = merged.value("name", "");
  manifest.requires_ = merged.value("requires", std::vector<std::string>());
  manifest.blocking = merged.value("blocking", true);
  return manifest;
}

bool is_json(std::string_view text) { return json::accept(text); }

bool is_json_object(std::string_view text) { return json::parse(text, nullptr, false).is_object(); }

}  // namespace sonicorn::testing::detail
