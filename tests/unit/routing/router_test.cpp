#include "routing/router.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "app/inspection.hpp"

namespace {

using sonicorn::app::App;
using sonicorn::app::Generation;
using sonicorn::app::Module;
using sonicorn::routing::Router;

std::unique_ptr<App> mounted(const std::string& mount) {
  static sonicorn::app::Services services{sonicorn::app::Offer(), sonicorn::config::Config()};
  sonicorn::app::Inspection inspection;
  inspection.attributes.add(sonicorn::app::Attribute::on_request);
  auto module = Module::load(std::string(SONICORN_FIXTURE_DIR) + "/only_on_request.so", inspection);
  REQUIRE(module.has_value());
  auto generation = std::make_unique<Generation>(std::move(*module), Generation::Traits{},
                                                 sonicorn::app::ServerView::Facts{}, services);
  App::Facts facts;
  facts.mount = mount;
  return std::make_unique<App>(std::move(facts), std::move(generation));
}

}  // namespace

TEST_SUITE("routing") {
  TEST_CASE("the longest mount wins, on the borders of segments") {
    std::vector<std::unique_ptr<App>> apps;
    Router router;
    for (const char* mount : {"/a", "", "/a/b", "/ab"}) {
      apps.push_back(mounted(mount));
      router.add(*apps.back());
    }
    const auto mount_of = [&](const char* path) { return router.find(path)->mount(); };
    CHECK(mount_of("/").empty());
    CHECK(mount_of("/x").empty());
    CHECK(mount_of("/a") == "/a");
    CHECK(mount_of("/a/") == "/a");
    CHECK(mount_of("/a/c") == "/a");
    CHECK(mount_of("/a/b") == "/a/b");
    CHECK(mount_of("/a/b/c") == "/a/b");
    CHECK(mount_of("/a/bc") == "/a");
    CHECK(mount_of("/ab") == "/ab");
    CHECK(mount_of("/abc").empty());
  }

  TEST_CASE("a mount is taken once, and is free again when its app is removed") {
    const auto first = mounted("/a");
    const auto second = mounted("/a");
    Router router;
    CHECK(router.find("/a") == nullptr);
    router.add(*first);
    CHECK(router.handler_at("/a") == first.get());
    CHECK(router.handler_at("") == nullptr);
    router.remove(*first);
    CHECK(router.find("/a") == nullptr);
    CHECK(router.handler_at("/a") == nullptr);
    router.add(*second);
    CHECK(router.find("/a") == second.get());
  }

  TEST_CASE("under a closed mount nobody is found, but for apps with longer mounts") {
    const auto root = mounted("");
    const auto below = mounted("/a/b");
    Router router;
    router.add(*root);
    router.add(*below);
    router.close({"/a", false});
    CHECK(router.find("/a") == nullptr);
    CHECK(router.is_closed("/a"));
    CHECK(router.find("/a/x") == nullptr);
    CHECK(router.find("/a/b/x") == below.get());
    CHECK(router.find("/ab") == root.get());
    CHECK(!router.is_closed("/ab"));
  }

  TEST_CASE("where a filter is missing nobody under its mount is found") {
    const auto root = mounted("");
    const auto below = mounted("/a/b");
    Router router;
    router.add(*root);
    router.add(*below);
    router.close({"/a", true});
    CHECK(router.find("/a/b/x") == nullptr);
    CHECK(router.is_closed("/a/b/x"));
    CHECK(router.find("/x") == root.get());
  }
}
