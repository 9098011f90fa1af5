#pragma once

// The distribution's package is set up for the shared library, which is built with exceptions; a
// syntax error is an expected failure here, so who reads the file compiles the parser itself,
// without them.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// Some texts that are no TOML break assumptions that toml++ 3.3.0 makes about itself, which ends
// the process or is undefined: characters beyond ASCII where white space may stand
// (marzer/tomlplusplus issue 190), a table's name that begins with "[" or "=" (301). Without the
// assumptions it goes on and reports them like any other.
// clang-format off
#include <toml++/impl/forward_declarations.h>
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(condition) static_assert(true)
#define TOML_ASSERT_ASSUME(condition) static_assert(true)
#pragma push_macro("TOML_UNREACHABLE")
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return {}
#include <toml++/impl/unicode.h>
#pragma pop_macro("TOML_UNREACHABLE")
#include <toml++/toml.h>
// clang-format on

#include <string_view>

namespace sonicorn::config {

// For messages: "a table", "a whole number".
std::string_view type_of(const toml::node& node);

}  // namespace sonicorn::config
