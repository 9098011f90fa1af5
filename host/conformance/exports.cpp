#include "conformance/exports.hpp"

#include <fmt/format.h>
#include <sonicorn/capabilities.h>

#include <algorithm>
#include <array>

#include "app/elf_image.hpp"

namespace sonicorn::conformance {
namespace {

using app::Attribute;

// What an attribute needs beside itself. Empty texts: nothing of that kind.
struct Need {
  Attribute attribute;
  std::string_view capability;
  bool schema = false;  // the manifest's "state_schema"
};

constexpr Need kNeeds[] = {
    {Attribute::on_websocket_open, SONICORN_CAPABILITY_WEBSOCKET},
    {Attribute::on_websocket_message, SONICORN_CAPABILITY_WEBSOCKET},
    {Attribute::on_websocket_close, SONICORN_CAPABILITY_WEBSOCKET},
    {Attribute::save_state, SONICORN_CAPABILITY_STATE, true},
    {Attribute::load_state, SONICORN_CAPABILITY_STATE, true},
};

// The first is called only where the second is there.
constexpr std::pair<Attribute, Attribute> kPartners[] = {
    {Attribute::post_request, Attribute::pre_request},
    {Attribute::on_websocket_message, Attribute::on_websocket_open},
    {Attribute::on_websocket_close, Attribute::on_websocket_open},
};

bool is_among(const std::vector<std::string>& all, std::string_view id) {
  return std::find(all.begin(), all.end(), id) != all.end();
}

// What linkers add to an object by themselves.
bool is_of_linker(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {"_init", "_fini",       "_edata", "_end",
                                                      "end",   "__bss_start", "_etext", "edata"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string_view remedy_of_hazard(std::string_view id) {
  if (id == "unique_symbols") return "compile with -fno-gnu-unique, as sonicorn_add_app does";
  if (id == "nodelete") return "link it without -z nodelete";
  if (id == "static_tls") return "compile with -ftls-model=global-dynamic";
  if (id == "executable_stack") return "link with -z noexecstack";
  return "build it so that this is not needed";
}

Finding unexplained(std::string message, std::string remedy) {
  return {.id = "check.unexplained_export",
          .level = Level::warning,
          .message = std::move(message),
          .remedy = std::move(remedy),
          .where = {}};
}

void judge_attributes(const app::Inspection& inspection, std::vector<Finding>& findings) {
  for (const Need& need : kNeeds) {
    if (!inspection.attributes.has(need.attribute)) continue;
    const std::string_view name = app::name_of(need.attribute);
    if (!is_among(inspection.requires_, need.capability) &&
        !is_among(inspection.uses, need.capability)) {
      findings.push_back(unexplained(
          fmt::format("it exports {}, which is called only by servers with {}, and its manifest "
                      "names that neither under \"requires\" nor under \"uses\"",
                      name, need.capability),
          fmt::format("write \"requires\": [\"{0}\"] if it is senseless without, else \"uses\": "
                      "[\"{0}\"]; or do not export it",
                      need.capability)));
    }
    if (need.schema && inspection.state_schema.empty()) {
      findings.push_back(unexplained(
          fmt::format("it exports {}, and its manifest names no \"state_schema\"", name),
          "write \"state_schema\": \"NAME/1\", so that a build that keeps another kind of state is "
          "told apart"));
    }
  }
  for (const auto& [attribute, partner] : kPartners) {
    if (!inspection.attributes.has(attribute) || inspection.attributes.has(partner)) continue;
    findings.push_back(
        unexplained(fmt::format("it exports {} without {}, so it is never called",
                                app::name_of(attribute), app::name_of(partner)),
                    fmt::format("export {}, too, or neither", app::name_of(partner))));
  }
}

void judge_symbols(std::string_view bytes, std::vector<Finding>& findings) {
  const auto image = app::ElfImage::parse(bytes);
  if (!image) return;
  std::vector<std::string> names;
  for (const app::ElfSymbol& symbol : image->symbols()) {
    if (!symbol.is_exported() || is_of_linker(symbol.name)) continue;
    // Misspelt attributes have warnings of their own.
    if (symbol.name.find(app::kSymbolPrefix) != std::string_view::npos) continue;
    names.emplace_back(symbol.name);
  }
  if (names.empty()) return;
  constexpr std::size_t kShown = 5;
  const std::size_t shown = std::min(names.size(), kShown);
  findings.push_back(
      {.id = "check.extra_export",
       .level = Level::note,
       .message = fmt::format(
           "it exports {} symbol{} that {} no attribute{}: {}{}", names.size(),
           names.size() == 1 ? "" : "s", names.size() == 1 ? "is" : "are",
           names.size() == 1 ? "" : "s",
           fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
           names.size() > shown ? ", ..." : ""),
       .remedy =
           "build it by sonicorn_add_app, or compile with -fvisibility=hidden and link with a "
           "version script that keeps sonicorn_* alone",
       .where = {}});
}

}  // namespace

std::vector<Finding> findings_of_file(std::string_view bytes, const app::Inspection& inspection) {
  std::vector<Finding> findings;
  for (const std::string& reason : inspection.reasons) {
    findings.push_back({.id = "check.refused",
                        .level = Level::error,
                        .message = reason,
                        .remedy = "correct that and build it again: this server does not load it",
                        .where = {}});
  }
  for (const std::string& warning : inspection.warnings) {
    findings.push_back(
        {.id = "check.inspection_warning",
         .level = Level::warning,
         .message = warning,
         .remedy = "see sonicorn/attributes.h and sonicorn/manifest.h for what there is",
         .where = {}});
  }
  for (const app::Hazard& hazard : inspection.hazards) {
    // What makes it impossible to load is among the reasons already.
    if (hazard.id == "undefined_symbols" || hazard.id == "missing_library") continue;
    findings.push_back({.id = "check.hazard." + hazard.id,
                        .level = Level::warning,
                        .message = hazard.detail,
                        .remedy = std::string(remedy_of_hazard(hazard.id)),
                        .where = {}});
  }
  judge_attributes(inspection, findings);
  judge_symbols(bytes, findings);
  return findings;
}

}  // namespace sonicorn::conformance
