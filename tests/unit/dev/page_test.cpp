#include "dev/page.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::dev {
namespace {

const std::string kElement = "<script src=\"/__sonicorn/dev.js?7-1\"></script>\n";

TEST_CASE("the script stands before the end of the body") {
  CHECK(with_script("<body><p>x</p></body></html>", "7-1") ==
        "<body><p>x</p>" + kElement + "</body></html>");
  CHECK(with_script("<BODY>x</Body>\n", "7-1") == "<BODY>x" + kElement + "</Body>\n");
}

TEST_CASE("of several ends of the body the last is the page's own") {
  CHECK(with_script("<pre>&lt;/body></pre><script>'</body>'</script></body>", "7-1") ==
        "<pre>&lt;/body></pre><script>'</body>'</script>" + kElement + "</body>");
}

TEST_CASE("a page without an end of the body gets the script at its end") {
  CHECK(with_script("<p>x", "7-1") == "<p>x" + kElement);
  CHECK(with_script("", "7-1") == kElement);
  CHECK(with_script("</bod", "7-1") == "</bod" + kElement);
}

TEST_CASE("escaped text is text, whatever a compiler says") {
  CHECK(escape_html("a < b && c > \"d\" 'e'") ==
        "a &lt; b &amp;&amp; c &gt; &quot;d&quot; &#39;e&#39;");
  CHECK(escape_html("line\n\tnext\r\x1b[31m") == "line\n\tnext[31m");
  CHECK(escape_html("\xe2\x80\x98x\xe2\x80\x99\xff") == "\xe2\x80\x98x\xe2\x80\x99\xef\xbf\xbd");
  CHECK(escape_html("").empty());
}

TEST_CASE("a notice is a page with the script, and nothing in it is markup") {
  const std::string page = notice_page("</title>", "x </pre><script>", "7-1");
  CHECK(page.find("<title>&lt;/title&gt;</title>") != std::string::npos);
  CHECK(page.find("<pre>x &lt;/pre&gt;&lt;script&gt;</pre>") != std::string::npos);
  CHECK(page.find(kElement + "</body>") != std::string::npos);
}

TEST_CASE("the script listens where the events are") {
  CHECK(script().find(kEventsTarget) != std::string_view::npos);
  CHECK(kEventsTarget.starts_with(kOwnTargets));
  CHECK(kScriptTarget.starts_with(kOwnTargets));
}

}  // namespace
}  // namespace sonicorn::dev
