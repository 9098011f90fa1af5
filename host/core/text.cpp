#include "core/text.hpp"

#include <algorithm>
#include <array>

namespace sonicorn::core {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";
constexpr std::string_view kDigits = "0123456789abcdef";

unsigned number_of(char c) { return static_cast<unsigned char>(c); }

bool is_control(char c) { return number_of(c) < 0x20 || number_of(c) == 0x7f; }

void append_hex(std::string& to, char c) {
  to += kDigits[number_of(c) >> 4U];
  to += kDigits[number_of(c) & 15U];
}

void append_escape(std::string& to, char c) {
  if (c == '\n') {
    to += "\\n";
  } else if (c == '\r') {
    to += "\\r";
  } else if (c == '\t') {
    to += "\\t";
  } else {
    to += "\\x";
    append_hex(to, c);
  }
}

// What stands in JSON for a character below 0x80.
void append_ascii(std::string& to, char c) {
  if (c == '"' || c == '\\') {
    to += '\\';
    to += c;
  } else if (c == '\n') {
    to += "\\n";
  } else if (c == '\r') {
    to += "\\r";
  } else if (c == '\t') {
    to += "\\t";
  } else if (is_control(c)) {
    to += "\\u00";
    append_hex(to, c);
  } else {
    to += c;
  }
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return number_of(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                           : first >= 0xE0 && first <= 0xEF ? 3
                           : first >= 0xF0 && first <= 0xF4 ? 4
                                                            : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Too long a form of a small number, a surrogate, beyond the last.
  const unsigned second = byte(1);
  if (first == 0xE0 && second < 0xA0) return 0;
  if (first == 0xED && second > 0x9F) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;
  return size;
}

std::string as_utf8(std::string_view text) {
  std::string whole;
  whole.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = utf8_sequence(text);
    whole += size == 0 ? kReplacement : text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return whole;
}

void append_json(std::string& to, std::string_view text) {
  to += '"';
  while (!text.empty()) {
    const std::size_t size = utf8_sequence(text);
    if (size == 1) {
      append_ascii(to, text.front());
    } else {
      to += size == 0 ? kReplacement : text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  to += '"';
}

void append_line(std::string& to, std::string_view text) {
  for (const char c : text) is_control(c) ? append_escape(to, c) : to.push_back(c);
}

void append_quoted(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (is_control(c) || number_of(c) >= 0x80) {
      append_escape(to, c);
    } else {
      to += c;
    }
  }
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kUpperDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', kUpperDigits[number_of(c) >> 4], kUpperDigits[number_of(c) & 15]};
    }
  }
  return encoded;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace sonicorn::core
