#include "dev/server.hpp"

#include <doctest/doctest.h>

namespace sonicorn::dev {
namespace {

TEST_CASE("a reload that was done is done") {
  CHECK(Server::answer_of(admin::Reply{200, "{\"ok\": true}"}).ok);
}

TEST_CASE("why a reload was refused is said as the server says it") {
  const auto refused = Server::answer_of(
      admin::Reply{409, R"({"ok": false, "error": "app hello: start failed: no database"})"});
  CHECK_FALSE(refused.ok);
  CHECK(refused.why_not == "app hello: start failed: no database");
  CHECK(Server::answer_of(admin::Reply{409, "in plain text\n"}).why_not == "in plain text\n");
  CHECK(Server::answer_of(admin::Reply{409, R"({"error": 7})"}).why_not == R"({"error": 7})");
}

TEST_CASE("a server that does not answer has not reloaded") {
  const auto lost = Server::answer_of(core::host_error("host.admin", "nobody listens"));
  CHECK_FALSE(lost.ok);
  CHECK(lost.why_not == "nobody listens");
}

}  // namespace
}  // namespace sonicorn::dev
