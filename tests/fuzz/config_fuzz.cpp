#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "config/file.hpp"

// Any text is either a configuration whose values keep their promises, or errors of one line each.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sonicorn::config::Config config;
  const auto every_file = [](const std::filesystem::path&) { return true; };
  const auto errors = sonicorn::config::read_text(text, "fuzz.toml", every_file, config);
  for (const auto& error : errors) {
    if (!error.message.starts_with("fuzz.toml:")) std::abort();
    if (error.message.find('\n') != std::string::npos) std::abort();
  }
  if (!errors.empty()) return 0;
  if (config.threads < 1 || config.threads > 1024) std::abort();
  for (const auto& app : config.apps) {
    if (!app.mount.starts_with('/') || app.file.empty()) std::abort();
    if (!nlohmann::json::parse(app.settings).is_object()) std::abort();
  }
  return 0;
}
