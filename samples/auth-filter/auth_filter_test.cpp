#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <sonicorn/testing/test_host.hpp>
#include <string>

#include "credentials.hpp"

namespace testing = sonicorn::testing;

namespace {

constexpr const char* kSettings = R"({"tokens": ["open sesame", "mellon"], "per_minute": 3})";

// What the filter stands before.
struct Vault {
  sonicorn::Response on_request() { return sonicorn::Response::text("gold\n"); }
  void shutdown() {}
};

testing::Request with(std::string authorization, std::string remote = "10.0.0.1") {
  return {.target = "/private/x",
          .fields = {{"Authorization", std::move(authorization)}},
          .remote = std::move(remote)};
}

struct Guarded {
  explicit Guarded(testing::HostOptions options = {}) : host(std::move(options)) {
    REQUIRE(filter.start());
    REQUIRE(vault.start());
    host.forget_calls();
  }
  testing::Host host;
  testing::App filter = host.load(APP, {.settings = kSettings, .mount = "/private"});
  testing::App vault = host.link<Vault>({.name = "vault"});
};

}  // namespace

TEST_CASE("without a token there is a 401, and the handler is not called") {
  Guarded guarded;
  const auto response = guarded.host.get("/private/x");
  CHECK(response.status == 401);
  CHECK(response.header("WWW-Authenticate") == "Bearer realm=\"sonicorn\"");
  CHECK(guarded.host.call_order() == "auth-filter.pre_request");
  CHECK(guarded.host.get("/public").body == "gold\n");
}

TEST_CASE("a right token passes, as Bearer and as the password of Basic") {
  Guarded guarded;
  const auto response = guarded.host.request(with("Bearer open sesame"));
  CHECK(response.status == 200);
  CHECK(response.body == "gold\n");
  CHECK(response.header("X-RateLimit-Remaining") == "2");
  CHECK(guarded.host.call_order() ==
        "auth-filter.pre_request vault.on_request auth-filter.post_request");
  // any:mellon
  CHECK(guarded.host.request(with("basic YW55Om1lbGxvbg==")).status == 200);
}

TEST_CASE("what is not quite a token does not pass") {
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer mello", "Bearer mellonn", "Bearer MELLON", "mellon",
        "Basic mellon", "Basic YW55Om1lbGxv", "Digest mellon", "Bearermellon"}) {
    CAPTURE(wrong);
    Guarded guarded;
    CHECK(guarded.host.request(with(wrong)).status == 401);
  }
}

TEST_CASE("a token that came too often gets a 429 with the time to wait, others go on") {
  Guarded guarded;
  for (int i = 0; i < 3; ++i) CHECK(guarded.host.request(with("Bearer mellon")).status == 200);
  const auto limited = guarded.host.request(with("Bearer mellon"));
  CHECK(limited.status == 429);
  const int seconds = std::stoi(limited.header("Retry-After").value_or("0"));
  CHECK(seconds >= 1);
  CHECK(seconds <= 20);
  CHECK(guarded.host.request(with("Bearer open sesame")).status == 200);
}

TEST_CASE("guessing is limited by the peer's address") {
  Guarded guarded;
  for (int i = 0; i < 3; ++i) CHECK(guarded.host.request(with("Bearer guess")).status == 401);
  CHECK(guarded.host.request(with("Bearer guess")).status == 429);
  CHECK(guarded.host.request(with("Bearer guess", "10.0.0.2")).status == 401);
  CHECK(guarded.host.request(with("Bearer mellon")).status == 200);
}

TEST_CASE("the operator sees how many came, were denied and limited, and how long they took") {
  Guarded guarded;
  auto request = with("Bearer mellon");
  request.duration = std::chrono::milliseconds(250);
  guarded.host.request(request);
  for (int i = 0; i < 4; ++i) guarded.host.request(with("Bearer guess"));
  CHECK(guarded.filter.metric("auth_filter_requests_total").value == 5);
  CHECK(guarded.filter.metric("auth_filter_denied_total").value == 3);
  CHECK(guarded.filter.metric("auth_filter_limited_total").value == 1);
  CHECK(guarded.filter.metric("auth_filter_seconds").observations == std::vector<double>{0.25});
  guarded.filter.shutdown();
  CHECK(guarded.filter.logged("denied 3 requests"));
}

TEST_CASE("without metrics/1 it protects all the same") {
  Guarded guarded({.without = {"metrics/1"}});
  CHECK(guarded.host.get("/private").status == 401);
  CHECK(guarded.host.request(with("Bearer mellon")).status == 200);
}

TEST_CASE("a server that calls no filters refuses it") {
  testing::Host host({.without = {"request_events/1"}});
  CHECK_THROWS_WITH_AS(host.load(APP, {.settings = kSettings}),
                       doctest::Contains("requires the capability request_events/1"),
                       testing::Refused);
}

TEST_CASE("settings that leave the door open are an error at the start") {
  for (const char* settings :
       {"{}", R"({"tokens": []})", R"({"tokens": [""]})", R"({"tokens": "mellon"})",
        R"({"tokens": ["a"], "per_minute": 0})", R"({"tokens": ["a"], "per_minute": 1.5})",
        R"({"tokens": ["a"], "token": "b"})"}) {
    CAPTURE(settings);
    testing::Host host;
    auto filter = host.load(APP, {.settings = settings});
    CHECK(filter.start().failed());
  }
}

TEST_CASE("base64 is decoded strictly") {
  CHECK(decode_base64("YW55Om1lbGxvbg==") == "any:mellon");
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("YQ==") == "a");
  CHECK_FALSE(decode_base64("YQ"));
  CHECK_FALSE(decode_base64("Y=Q="));
  CHECK_FALSE(decode_base64("Y Q="));
}
