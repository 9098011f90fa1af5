#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// How text of others is put where it must not break what is around it. Pure functions.
namespace sonicorn::core {

// The size of the UTF-8 sequence (RFC 3629) that `text` begins with; 0: it begins with none.
// REQUIRES: not empty.
std::size_t utf8_sequence(std::string_view text);

// The same text, with U+FFFD for each byte that belongs to no sequence.
std::string as_utf8(std::string_view text);

// Appends `text` as a JSON string (RFC 8259 7) with its quotes: valid UTF-8, and no line break.
void append_json(std::string& to, std::string_view text);

// Appends `text` with its control characters as \n, \r, \t or \x1b, so that a line stays a line.
void append_line(std::string& to, std::string_view text);

// Appends `text` for a place between double quotes of a line: with quotes and backslashes escaped,
// too, and everything beyond ASCII as \xe4.
void append_quoted(std::string& to, std::string_view text);

// Whether append_line() would change something.
bool has_control(std::string_view text);

// A hexadecimal digit's value, or -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// `text` as one part of a URI (RFC 3986 2.1): all but letters, digits, "-", ".", "_" and "~" as
// %E4.
std::string percent_encoded(std::string_view text);

// What that stands for; nothing where a "%" begins no escape.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace sonicorn::core
