#pragma once

#include <string>
#include <string_view>

// What the developer's browser gets besides the app's own answers. Pure functions.
namespace sonicorn::dev {

// The targets of the front begin so; no app sees them.
inline constexpr std::string_view kOwnTargets = "/__sonicorn/";
inline constexpr std::string_view kScriptTarget = "/__sonicorn/dev.js";
inline constexpr std::string_view kEventsTarget = "/__sonicorn/events";

// `text` as the content of an element or of an attribute in double quotes: what is markup, or a
// control character that HTML does not know, is escaped or left out.
std::string escape_html(std::string_view text);

// The script at kScriptTarget: it loads its page again as soon as kEventsTarget tells of another
// version than that of the page.
std::string_view script();

// `html` with the element that loads the script, before the last </body>, or at the end where there
// is none. `version` is that of the page: letters, digits, - and _.
std::string with_script(std::string html, std::string_view version);

// A whole page, the script in it, that says `text` as it stands, lines and all, below `title`.
std::string notice_page(std::string_view title, std::string_view text, std::string_view version);

}  // namespace sonicorn::dev
