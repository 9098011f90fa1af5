#pragma once

#include <span>
#include <string>
#include <string_view>

// How messages to the operator quote, list and suggest words. Pure functions.
namespace sonicorn::config {

// `text` as one line of bounded length: control characters are escaped, a long text is cut.
std::string one_line(std::string_view text);

// The same, in double quotes.
std::string in_quotes(std::string_view text);

// "a, b, c"
std::string joined(std::span<const std::string_view> words);

// The known word that `word` most probably misspells, or "" when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

// The remedy for an unknown word: its nearest known one, or all that are known.
// "did you mean \"threads\"?", "known here: bind, threads"
std::string suggestion(std::string_view word, std::span<const std::string_view> known);

}  // namespace sonicorn::config
