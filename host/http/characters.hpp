#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// The character classes of RFC 9110 5.5 and 5.6.2, shared by all that reads or writes heads.
namespace sonicorn::http {

namespace detail {

inline constexpr auto kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

}  // namespace detail

// A character of a method or a field name.
constexpr bool is_token_char(char c) { return detail::kTokenBytes[static_cast<unsigned char>(c)]; }

// What no field value may hold: everything below a space but a tab, and DEL.
constexpr bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

// The first control character in [at, end), or end. Bytes from `begin` on, which is not after `at`,
// may be read, but do not count.
inline const char* find_control(const char* begin, const char* at, const char* end) {
#if defined(__SSE2__)
  // A tab is a hit here, and is told apart only then.
  const auto hits = [](const char* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i printable = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(0x20)), bytes);
    const __m128i good = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)), printable);
    return static_cast<unsigned>(_mm_movemask_epi8(good)) ^ 0xffffU;
  };
  while (end - at >= 16) {
    const unsigned bad = hits(at);
    if (bad == 0) {
      at += 16;
      continue;
    }
    at += __builtin_ctz(bad);
    if (*at != '\t') return at;
    ++at;
  }
  if (end - begin >= 16 && at != end) {
    // The last 16 bytes, of which those before `at` were looked at already.
    const unsigned bad = hits(end - 16) >> (at - (end - 16));
    if (bad == 0) return end;
    at += __builtin_ctz(bad);
  }
#else
  (void)begin;
#endif
  while (at != end && !is_control(*at)) ++at;
  return at;
}

// The end of the token that begins at `at`: the first character that may not be in one, or end.
inline const char* find_token_end(const char* at, const char* end) {
#if defined(__SSE2__)
  // Letters, digits and "-" are nearly all of what names are made of.
  while (end - at >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto within = [](__m128i value, char low, char width) {
      const __m128i offset = _mm_sub_epi8(value, _mm_set1_epi8(low));
      return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(width)), offset);
    };
    const __m128i letters = within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 25);
    const __m128i common = _mm_or_si128(_mm_or_si128(letters, within(bytes, '0', 9)),
                                        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    const unsigned other = static_cast<unsigned>(_mm_movemask_epi8(common)) ^ 0xffffU;
    if (other == 0) {
      at += 16;
      continue;
    }
    at += __builtin_ctz(other);
    if (!is_token_char(*at)) return at;
    ++at;
  }
#endif
  while (at != end && is_token_char(*at)) ++at;
  return at;
}

// Whether a control character is in `text`.
inline bool has_control(std::string_view text) {
#if defined(__SSE2__)
  if (text.size() >= 16) {
    const char* const end = text.data() + text.size();
    return find_control(text.data(), text.data(), end) != end;
  }
#endif
  // Eight bytes at a time, the last ones twice where it does not come out even.
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto suspicious = [](const char* from) {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kHighs = 0x8080808080808080;
    std::uint64_t word;
    std::memcpy(&word, from, sizeof(word));
    const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHighs;
    const std::uint64_t del = word ^ (kOnes * 0x7f);
    return below_space | ((del - kOnes) & ~del & kHighs);
  };
  if (text.size() >= 8) {
    std::uint64_t found = suspicious(end - 8);
    for (; end - at > 8; at += 8) found |= suspicious(at);
    if (found == 0) return false;
    // A tab looks suspicious, and is not.
    at = text.data();
  }
  while (at != end && !is_control(*at)) ++at;
  return at != end;
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// Whether `text` is `lower_text`, but for the case of its letters. `lower_text` consists of
// lower-case letters, digits, "-", "+" and "/"; `text` holds no control characters.
inline bool is_named(std::string_view text, std::string_view lower_text) {
  if (text.size() != lower_text.size()) return false;
  // Of all that can be in `text`, setting this bit makes only letters equal that were not: it is
  // what an upper-case letter lacks, and what digits and marks below "@" have.
  constexpr std::uint64_t kCase = 0x2020202020202020;
  const char* const a = text.data();
  const char* const b = lower_text.data();
  const auto same = [&]<class Word>(Word, std::size_t at) {
    Word left;
    Word right;
    std::memcpy(&left, a + at, sizeof(Word));
    std::memcpy(&right, b + at, sizeof(Word));
    return (left | static_cast<Word>(kCase)) == right;
  };
  const std::size_t size = text.size();
  std::size_t at = 0;
  for (; size - at >= 8; at += 8) {
    if (!same(std::uint64_t{}, at)) return false;
  }
  if (size - at >= 4) {
    if (!same(std::uint32_t{}, at)) return false;
    at += 4;
  }
  for (; at < size; ++at) {
    if (!same(std::uint8_t{}, at)) return false;
  }
  return true;
}

}  // namespace sonicorn::http
