#pragma once

#include <span>
#include <string_view>

namespace sonicorn::dev {

// One file of a project that `sonicorn new` writes: those of plugin-sdk/templates, which are part
// of this program (CMake writes templates.cpp).
struct Template {
  std::string_view language;  // its folder: "c", "cpp"
  std::string_view file;      // "NAME_test.cpp"
  std::string_view text;
};

std::span<const Template> templates();

}  // namespace sonicorn::dev
