#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/inspection.hpp"
#include "app/unloading.hpp"

namespace sonicorn::app {
namespace {

// The file's strings on a terminal: nothing in them may move its cursor or change its colours. The
// control characters of ISO 6429 are one byte, or in UTF-8 two: 0xc2 0x80..0x9f.
std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
      out += fmt::format("\\x{:02x}", next);
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::vector<std::string_view> declared(const AttributeSet& attributes) {
  std::vector<std::string_view> names;
  for (const std::string_view name : kAttributeNames) {
    if (attributes.has(*attribute_from(name))) names.push_back(name);
  }
  return names;
}

std::string or_none(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

class Report {
 public:
  void line(std::string_view label, std::string_view value) {
    text_ += fmt::format("{:<14}{}\n", label, printable(value));
  }
  void list(std::string_view title, const std::vector<std::string>& entries) {
    if (entries.empty()) return;
    text_ += fmt::format("\n{}\n", title);
    for (const std::string& entry : entries) text_ += fmt::format("  {}\n", printable(entry));
  }
  void attributes(const AttributeSet& attributes) {
    text_ += "\nattributes\n";
    for (const std::string_view name : kAttributeNames) {
      const bool has = attributes.has(*attribute_from(name));
      text_ += fmt::format("  {:<22}{}\n", name, has ? "declared" : "-");
    }
  }
  void verdict(std::string_view text) { text_ += fmt::format("\n{}\n", text); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string to_json(const Inspection& inspection) {
  using nlohmann::ordered_json;
  ordered_json hazards = ordered_json::array();
  for (const Hazard& hazard : inspection.hazards) {
    hazards.push_back({{"id", hazard.id}, {"detail", hazard.detail}});
  }
  const ordered_json report = {
      {"file", inspection.file.string()},
      {"name", inspection.name},
      {"version", inspection.version},
      {"description", inspection.description},
      {"abi", inspection.abi},
      {"build_id", inspection.build_id},
      {"attributes", declared(inspection.attributes)},
      {"unknown_attributes", inspection.unknown_attributes},
      {"requires", inspection.requires_},
      {"uses", inspection.uses},
      {"threads", name_of(inspection.threads)},
      {"blocking", inspection.blocking},
      {"overlap", name_of(inspection.overlap)},
      {"state_schema", inspection.state_schema},
      {"unloadable", predicted_pin(inspection).empty()},
      {"hazards", std::move(hazards)},
      {"warnings", inspection.warnings},
      {"loadable", inspection.loadable()},
      {"reasons", inspection.reasons},
  };
  return report.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

std::string to_text(const Inspection& inspection) {
  Report report;
  report.line("file", inspection.file.string());
  report.line("name", inspection.name);
  report.line("version", inspection.version.empty() ? "not given" : inspection.version);
  if (!inspection.description.empty()) report.line("description", inspection.description);
  report.line("abi", inspection.abi.empty() ? "no Sonicorn ABI mark" : inspection.abi);
  report.line("build-id", inspection.build_id.empty() ? "none" : inspection.build_id);
  report.line("requires", or_none(inspection.requires_));
  report.line("uses", or_none(inspection.uses));
  report.line("threads", inspection.threads == Threads::serial ? "serial: never two calls at once"
                                                               : "concurrent: many calls at once");
  report.line("blocking", inspection.blocking ? "yes: handlers run on the pool"
                                              : "no: handlers run on the I/O thread");
  report.line("overlap", inspection.overlap == Overlap::exclusive
                             ? "exclusive: never two generations at once"
                             : "allowed");
  if (!inspection.state_schema.empty()) report.line("state schema", inspection.state_schema);
  const std::string pin = predicted_pin(inspection);
  report.line("unloads", pin.empty() ? "yes, unless it leaves something behind" : "no: " + pin);
  report.attributes(inspection.attributes);

  std::vector<std::string> hazards;
  for (const Hazard& hazard : inspection.hazards) {
    hazards.push_back(fmt::format("{}: {}", hazard.id, hazard.detail));
  }
  report.list("hazards", hazards);
  report.list("warnings", inspection.warnings);
  report.list("reasons not to load it", inspection.reasons);
  report.verdict(inspection.loadable() ? "loadable" : "not loadable");
  return report.take();
}

}  // namespace sonicorn::app
