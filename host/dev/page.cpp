#include "dev/page.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.hpp"

namespace sonicorn::dev {
namespace {

constexpr std::string_view kScript = R"("use strict";
(() => {
  const shown = new URL(document.currentScript.src).search.slice(1);
  const events = new EventSource("/__sonicorn/events");
  events.onmessage = (event) => {
    if (event.data === shown) return;
    events.close();
    location.reload();
  };
})();
)";

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{0}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem; }}
pre {{ font: 14px/1.4 monospace; white-space: pre-wrap; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>{0}</h1>
<pre>{1}</pre>
<p>This page follows the next change by itself.</p>
{2}</body>
</html>
)";

std::string element(std::string_view version) {
  return fmt::format("<script src=\"{}?{}\"></script>\n", kScriptTarget, version);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : core::as_utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\t') escaped += c;
    }
  }
  return escaped;
}

std::string_view script() { return kScript; }

std::string with_script(std::string html, std::string_view version) {
  constexpr std::string_view kEnd = "</body>";
  const auto found = std::find_end(html.begin(), html.end(), kEnd.begin(), kEnd.end(),
                                   [](char a, char b) { return lower(a) == b; });
  html.insert(static_cast<std::size_t>(found - html.begin()), element(version));
  return html;
}

std::string notice_page(std::string_view title, std::string_view text, std::string_view version) {
  return fmt::format(kPage, escape_html(title), escape_html(text), element(version));
}

}  // namespace sonicorn::dev
