#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "app/elf_image.hpp"
#include "app/manifest.hpp"

// Any bytes are an image whose views lie inside them, or an error.
namespace {

std::string_view input;

void check(std::string_view view) {
  if (view.empty()) return;
  const bool inside =
      view.data() >= input.data() && view.data() + view.size() <= input.data() + input.size();
  if (!inside) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  input = {reinterpret_cast<const char*>(data), size};
  const auto image = sonicorn::app::ElfImage::parse(input);
  if (!image) {
    if (image.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& symbol : image->symbols()) check(symbol.name);
  for (const auto& name : image->needed()) check(name);
  for (const auto& text :
       {image->soname(), image->rpath(), image->runpath(), image->interpreter()}) {
    check(text);
  }
  for (const auto& note : image->notes()) {
    check(note.name);
    check(note.content);
    const auto manifest = sonicorn::app::ManifestNote::decode(note.content);
    if (manifest) check(manifest->json);
  }
  static_cast<void>(image->build_id());
  return 0;
}
