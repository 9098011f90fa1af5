#include <doctest/doctest.h>

#include <string>

#include "config/load.hpp"

using namespace sonicorn::config;

TEST_SUITE("config.flags") {
  TEST_CASE("flags come back from JSON as they were, bytes that are no UTF-8 included") {
    Flags flags;
    flags.file = "/etc/\xff\xc3\xa9.toml";
    flags.apps = {"/a=\x80.so", "plain.so"};
    flags.binds = {"127.0.0.1:0"};
    flags.workers = "3";
    flags.grace = "0.5";
    flags.without = {"bus/1"};
    flags.control = "/run/x";
    flags.health = "127.0.0.1:9000";
    flags.user = "nobody";
    flags.log_file = "log";
    flags.access_log = "-";
    flags.check_owners = false;
    flags.skip_broken = true;
    const Flags back = flags_from_json(to_json(flags));
    CHECK(back.file == flags.file);
    CHECK(back.apps == flags.apps);
    CHECK(back.binds == flags.binds);
    CHECK(back.workers == flags.workers);
    CHECK(back.grace == flags.grace);
    CHECK(back.without == flags.without);
    CHECK(back.control == flags.control);
    CHECK(back.health == flags.health);
    CHECK(back.user == flags.user);
    CHECK(back.log_file == flags.log_file);
    CHECK(back.access_log == flags.access_log);
    CHECK(back.check_owners == flags.check_owners);
    CHECK(back.skip_broken);
    CHECK(!back.threads.has_value());
    CHECK(!flags_from_json(to_json(Flags{})).check_owners.has_value());
  }
}
