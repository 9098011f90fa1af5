#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "config/load.hpp"

namespace sonicorn::config {
namespace {

using Json = nlohmann::json;

// Every flag that has a text of its own, with its name in the JSON object.
struct Text {
  const char* name;
  std::optional<std::string> Flags::*member;
};

constexpr Text kTexts[] = {
    {"workers", &Flags::workers},
    {"threads", &Flags::threads},
    {"blocking_threads", &Flags::blocking_threads},
    {"grace", &Flags::grace},
    {"log_level", &Flags::log_level},
    {"log_format", &Flags::log_format},
    {"access_log_format", &Flags::access_log_format},
    {"health", &Flags::health},
    {"health_path", &Flags::health_path},
    {"user", &Flags::user},
    {"group", &Flags::group},
};

struct Path {
  const char* name;
  std::optional<std::filesystem::path> Flags::*member;
};

constexpr Path kPaths[] = {{"file", &Flags::file},         {"control", &Flags::control},
                           {"pid_file", &Flags::pid_file}, {"journal", &Flags::journal},
                           {"log_file", &Flags::log_file}, {"access_log", &Flags::access_log}};

struct List {
  const char* name;
  std::vector<std::string> Flags::*member;
};

constexpr List kLists[] = {
    {"apps", &Flags::apps}, {"binds", &Flags::binds}, {"without", &Flags::without}};

// Paths are bytes and JSON is text, so each byte goes as the character of its number.
std::string text_of(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

std::string bytes_of(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80 || i + 1 == text.size()) {
      bytes += text[i];
    } else {
      const auto next = static_cast<unsigned char>(text[++i]);
      bytes += static_cast<char>((byte & 0x03) << 6 | (next & 0x3f));
    }
  }
  return bytes;
}

}  // namespace

std::string to_json(const Flags& flags) {
  Json json = Json::object();
  for (const Text& each : kTexts) {
    if (flags.*each.member) json[each.name] = text_of(*(flags.*each.member));
  }
  for (const Path& each : kPaths) {
    if (flags.*each.member) json[each.name] = text_of((flags.*each.member)->string());
  }
  for (const List& each : kLists) {
    json[each.name] = Json::array();
    for (const std::string& one : flags.*each.member) json[each.name].push_back(text_of(one));
  }
  json["skip_broken"] = flags.skip_broken;
  json["reload"] = flags.reload;
  if (flags.check_owners) json["check_owners"] = *flags.check_owners;
  return json.dump();
}

Flags flags_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  Flags flags;
  if (!json.is_object()) return flags;
  for (const Text& each : kTexts) {
    if (json.contains(each.name)) flags.*each.member = bytes_of(json[each.name].get<std::string>());
  }
  for (const Path& each : kPaths) {
    if (json.contains(each.name)) flags.*each.member = bytes_of(json[each.name].get<std::string>());
  }
  for (const List& each : kLists) {
    for (const Json& one : json.value(each.name, Json::array())) {
      (flags.*each.member).push_back(bytes_of(one.get<std::string>()));
    }
  }
  flags.skip_broken = json.value("skip_broken", false);
  flags.reload = json.value("reload", false);
  if (json.contains("check_owners")) flags.check_owners = json["check_owners"].get<bool>();
  return flags;
}

}  // namespace sonicorn::config
