#include "app/manifest.hpp"

#include <fmt/format.h>
#include <sonicorn/manifest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "app/byte_view.hpp"
#include "app/capabilities.hpp"
#include "config/wording.hpp"

namespace sonicorn::app {
namespace {

using nlohmann::json;
using Failure = std::optional<core::Error>;

constexpr std::size_t kLargestManifest = 64 * 1024;  // bytes
constexpr std::size_t kDeepestJson = 16;
constexpr std::size_t kMostNotes = 64;
constexpr std::size_t kMostCapabilities = 64;
constexpr std::size_t kLongestText = 128;  // bytes
constexpr std::size_t kLongestDescription = 4096;

constexpr std::string_view kKeys[] = {"name",    "version",  "description", "requires",    "uses",
                                      "threads", "blocking", "overlap",     "state_schema"};

core::Error bad(std::string message) {
  return core::app_error("app.bad_manifest", std::move(message));
}

// How an error shows a value: as JSON, on one line, not too long.
std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  constexpr std::size_t kLongest = 80;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '{' || c == '[')) {
      if (++depth > kDeepestJson) return true;
    } else if (!in_string && (c == '}' || c == ']')) {
      if (depth > 0) --depth;
    }
  }
  return false;
}

core::Result<json> parse_object(std::string_view text) {
  if (text.size() > kLargestManifest) {
    return bad(
        fmt::format("it has {} bytes; at most {} are allowed", text.size(), kLargestManifest));
  }
  if (too_deep(text)) {
    return bad(fmt::format("it is nested deeper than {} levels", kDeepestJson));
  }
  std::set<std::string> keys;
  std::string doubled;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 &&
        !keys.insert(parsed.get<std::string>()).second) {
      doubled = parsed.get<std::string>();
    }
    return true;
  };
  json object;
  try {
    object = json::parse(text, watch);
  } catch (const json::parse_error& error) {
    return bad(
        fmt::format("it is not valid JSON at byte {}; give one JSON object in UTF-8, such as "
                    "{{\"name\": \"hello\"}}",
                    error.byte));
  } catch (const json::exception&) {
    return bad("it holds a number that is out of range; no key needs one");
  }
  if (!object.is_object()) {
    return bad(fmt::format("it must be one JSON object, not {}", shown(object)));
  }
  if (!doubled.empty()) {
    return bad(fmt::format("the key {} is given twice; give it once", config::in_quotes(doubled)));
  }
  return object;
}

Failure merge(const json& from, json& into) {
  for (const auto& [key, value] : from.items()) {
    const auto [existing, added] = into.emplace(key, value);
    if (!added && *existing != value) {
      return bad(
          fmt::format("two manifests in the file disagree on the key {}: {} and {}; remove one "
                      "of them",
                      config::in_quotes(key), shown(*existing), shown(value)));
    }
  }
  return std::nullopt;
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

Failure read_text(const json& manifest, const char* key, std::size_t longest, std::string& to) {
  const auto found = manifest.find(key);
  if (found == manifest.end()) return std::nullopt;
  if (!found->is_string()) {
    return bad(fmt::format("\"{}\" must be a string, not {}", key, shown(*found)));
  }
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > longest) {
    return bad(
        fmt::format("\"{}\" has {} bytes; at most {} are allowed", key, text.size(), longest));
  }
  if (has_control_character(text)) {
    return bad(
        fmt::format("\"{}\" holds a control character ({}); only text on one line is allowed", key,
                    shown(*found)));
  }
  to = text;
  return std::nullopt;
}

Failure read_name(const json& manifest, std::string& to) {
  if (auto failure = read_text(manifest, "name", kLongestText, to)) return failure;
  if (manifest.contains("name") && to.empty()) {
    return bad(
        "\"name\" is empty; name the app, or leave the key out and the file's name is taken");
  }
  return std::nullopt;
}

Failure read_capabilities(const json& manifest, const char* key, std::vector<std::string>& to) {
  const auto found = manifest.find(key);
  if (found == manifest.end()) return std::nullopt;
  if (!found->is_array()) {
    return bad(
        fmt::format("\"{}\" must be an array of capability ids such as [\"shutdown/1\"], not {}",
                    key, shown(*found)));
  }
  if (found->size() > kMostCapabilities) {
    return bad(fmt::format("\"{}\" has {} entries; at most {} are allowed", key, found->size(),
                           kMostCapabilities));
  }
  for (const json& entry : *found) {
    const bool right = entry.is_string() &&
                       entry.get_ref<const std::string&>().size() <= kLongestText &&
                       well_formed_capability(entry.get_ref<const std::string&>());
    if (!right) {
      return bad(
          fmt::format("\"{}\" holds {}; a capability id reads NAME/REVISION, such as "
                      "\"shutdown/1\" or \"com.example.cache/2\"",
                      key, shown(entry)));
    }
    const auto& id = entry.get_ref<const std::string&>();
    if (std::find(to.begin(), to.end(), id) == to.end()) to.push_back(id);
  }
  return std::nullopt;
}

template <class T>
Failure read_choice(const json& manifest, const char* key, T first, T second, T& to) {
  const auto found = manifest.find(key);
  if (found == manifest.end()) return std::nullopt;
  for (const T choice : {first, second}) {
    if (found->is_string() && found->get_ref<const std::string&>() == name_of(choice)) {
      to = choice;
      return std::nullopt;
    }
  }
  return bad(fmt::format("\"{}\" must be \"{}\" or \"{}\", not {}", key, name_of(first),
                         name_of(second), shown(*found)));
}

Failure read_flag(const json& manifest, const char* key, bool& to) {
  const auto found = manifest.find(key);
  if (found == manifest.end()) return std::nullopt;
  if (!found->is_boolean()) {
    return bad(fmt::format("\"{}\" must be true or false, not {}", key, shown(*found)));
  }
  to = found->get<bool>();
  return std::nullopt;
}

Failure read_keys(const json& from, Manifest& to) {
  if (auto failure = read_name(from, to.name)) return failure;
  if (auto failure = read_text(from, "version", kLongestText, to.version)) return failure;
  if (auto failure = read_text(from, "description", kLongestDescription, to.description)) {
    return failure;
  }
  if (auto failure = read_capabilities(from, "requires", to.requires_)) return failure;
  if (auto failure = read_capabilities(from, "uses", to.uses)) return failure;
  if (auto failure =
          read_choice(from, "threads", Threads::concurrent, Threads::serial, to.threads)) {
    return failure;
  }
  if (auto failure = read_flag(from, "blocking", to.blocking)) return failure;
  if (auto failure =
          read_choice(from, "overlap", Overlap::allowed, Overlap::exclusive, to.overlap)) {
    return failure;
  }
  return read_text(from, "state_schema", kLongestText, to.state_schema);
}

void warn_of_unknown_keys(const json& manifest, std::vector<std::string>& warnings) {
  constexpr std::size_t kMostWarnings = 20;
  for (const auto& [key, value] : manifest.items()) {
    if (std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys)) continue;
    if (warnings.size() == kMostWarnings) return;
    warnings.push_back(
        fmt::format("the manifest's key {} is unknown to this server and ignored; {}",
                    config::in_quotes(key), config::suggestion(key, kKeys)));
  }
}

}  // namespace

core::Result<ManifestNote> ManifestNote::decode(std::string_view content) {
  const auto abi_major = read_at<std::uint32_t>(content, 0);
  const auto abi_minor = read_at<std::uint32_t>(content, 4);
  if (!abi_major || !abi_minor) {
    return bad(
        fmt::format("the note \"{}\" has {} bytes and its ABI version alone needs 8; write it "
                    "with SONICORN_MANIFEST or SONICORN_ABI_MARK",
                    SONICORN_NOTE_NAME, content.size()));
  }
  std::string_view text = content.substr(8);
  text = text.substr(0, text.find_last_not_of('\0') + 1);
  return ManifestNote{*abi_major, *abi_minor, text};
}

std::string_view name_of(Threads threads) {
  return threads == Threads::serial ? "serial" : "concurrent";
}

std::string_view name_of(Overlap overlap) {
  return overlap == Overlap::exclusive ? "exclusive" : "allowed";
}

core::Result<Manifest> parse_manifest(std::span<const ManifestNote> notes) {
  if (notes.size() > kMostNotes) {
    return bad(
        fmt::format("the file holds {} of them; at most {} are allowed", notes.size(), kMostNotes));
  }
  Manifest manifest;
  json merged = json::object();
  for (const ManifestNote& note : notes) {
    manifest.abi_major = note.abi_major;
    manifest.abi_minor = std::max(manifest.abi_minor, note.abi_minor);
    if (note.json.empty()) continue;
    const auto object = parse_object(note.json);
    if (!object) return object.error();
    if (auto failure = merge(*object, merged)) return *std::move(failure);
  }
  if (auto failure = read_keys(merged, manifest)) return *std::move(failure);
  warn_of_unknown_keys(merged, manifest.warnings);
  return manifest;
}

}  // namespace sonicorn::app
