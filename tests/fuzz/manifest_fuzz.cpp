#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/capabilities.hpp"
#include "app/manifest.hpp"

// Any text is a manifest that keeps its promises, or an error of one line. A line break followed by
// a 0x1e byte begins a second note.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sonicorn::app::ManifestNote;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t border = text.find("\n\x1e");
  const ManifestNote notes[] = {
      {1, 0, text.substr(0, border)},
      {1, 0, border == std::string_view::npos ? std::string_view() : text.substr(border + 2)},
  };
  const auto manifest = sonicorn::app::parse_manifest(notes);
  if (!manifest) {
    const std::string& message = manifest.error().message;
    if (message.empty() || message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  const auto well_formed = [](const std::string& id) {
    return sonicorn::app::well_formed_capability(id);
  };
  if (!std::all_of(manifest->requires_.begin(), manifest->requires_.end(), well_formed))
    std::abort();
  if (!std::all_of(manifest->uses.begin(), manifest->uses.end(), well_formed)) std::abort();
  if (manifest->name.size() > 128 || manifest->name.find('\n') != std::string::npos) std::abort();
  return 0;
}
