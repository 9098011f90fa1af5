#include "config/load.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

#include "../app/temporary_folder.hpp"

namespace sonicorn::config {
namespace {

using Folder = sonicorn::app::TemporaryFolder;

std::vector<std::string_view> ids(const Loaded& loaded) {
  std::vector<std::string_view> all;
  for (const core::Error& error : loaded.errors) all.push_back(error.id);
  return all;
}

TEST_CASE("one app on the command line is a configuration with every default") {
  const Folder folder;
  Flags flags;
  flags.apps = {folder.write("a.so", "")};
  const Loaded loaded = load(flags);
  REQUIRE(loaded.errors.empty());
  CHECK(loaded.config.binds == std::vector<Bind>{Bind{}});
  CHECK(loaded.config.threads == available_processors());
  CHECK(loaded.config.grace == std::chrono::seconds(30));
  REQUIRE(loaded.config.apps.size() == 1);
  CHECK(loaded.config.apps.front().where.empty());
}

TEST_CASE("the command line wins over the file, and its apps are added") {
  const Folder folder;
  folder.write("a.so", "");
  const std::string b = folder.write("b.so", "");
  Flags flags;
  flags.file = folder.write("c.toml",
                            "bind = \"127.0.0.1:81\"\nthreads = 3\ngrace = 4\n"
                            "log_level = \"error\"\naccess_log = \"a\"\nlog_file = \"b\"\n"
                            "[[app]]\nfile = \"a.so\"");
  flags.apps = {"/b=" + b};
  flags.binds = {"127.0.0.1:82", "127.0.0.1:0", "127.0.0.1:0"};
  flags.threads = "5";
  flags.skip_broken = true;
  flags.log_level = "debug";
  flags.log_format = "json";
  flags.log_file = "log";
  flags.access_log = "-";
  flags.access_log_format = "common";
  const Loaded loaded = load(flags);
  REQUIRE(loaded.errors.empty());
  CHECK(loaded.config.binds.size() == 3);
  CHECK(loaded.config.binds.front().port == 82);
  CHECK(loaded.config.threads == 5);
  CHECK(loaded.config.grace == std::chrono::seconds(4));
  CHECK(loaded.config.skip_broken);
  CHECK(loaded.config.log_level == core::log::Level::debug);
  CHECK(loaded.config.log_format == core::log::Format::json);
  CHECK(loaded.config.log_file == "log");
  CHECK(loaded.config.access_log == "-");
  CHECK(loaded.config.access_log_format == AccessLogFormat::common);
  REQUIRE(loaded.config.apps.size() == 2);
  CHECK(loaded.config.apps[0].file == folder.path() / "a.so");
  CHECK(loaded.config.apps[1].mount == "/b");
}

TEST_CASE("without any app there is nothing to serve") {
  CHECK(ids(load({})) == std::vector<std::string_view>{"config.no_app"});
  const Folder folder;
  Flags flags;
  flags.file = folder.write("c.toml", "threads = 1");
  CHECK(ids(load(flags)) == std::vector<std::string_view>{"config.no_app"});
}

TEST_CASE("a file that cannot be read is one error") {
  const Folder folder;
  Flags flags;
  flags.file = folder.path() / "absent.toml";
  CHECK(ids(load(flags)) == std::vector<std::string_view>{"config.unreadable"});
  flags.file = folder.path();
  CHECK(ids(load(flags)) == std::vector<std::string_view>{"config.unreadable"});
  flags.file = folder.write("big.toml", std::string((1 << 20) + 1, '\n'));
  CHECK(ids(load(flags)) == std::vector<std::string_view>{"config.unreadable"});
}

TEST_CASE("everything that is wrong on the command line is reported at once") {
  const Folder folder;
  const std::string a = folder.write("a.so", "");
  Flags flags;
  flags.apps = {a, a, folder.path() / "absent.so", "/x y=" + a};
  flags.binds = {"nowhere", "127.0.0.1:1", "127.0.0.1:1"};
  flags.threads = "many";
  flags.blocking_threads = "0";
  flags.grace = "-1";
  flags.log_level = "loud";
  flags.log_format = "xml";
  flags.access_log_format = "short";
  CHECK(ids(load(flags)) == std::vector<std::string_view>{
                                "config.duplicate_app", "config.missing_file", "config.bad_mount",
                                "config.bad_flag", "config.duplicate_bind", "config.bad_flag",
                                "config.bad_flag", "config.bad_flag", "config.bad_flag",
                                "config.bad_flag", "config.bad_flag"});
}

TEST_CASE("an app of the file is not mounted again by the command line") {
  const Folder folder;
  const std::string a = folder.write("a.so", "");
  Flags flags;
  flags.file = folder.write("c.toml", "[[app]]\nfile = \"a.so\"");
  flags.apps = {a};
  CHECK(ids(load(flags)) == std::vector<std::string_view>{"config.duplicate_app"});
}

}  // namespace
}  // namespace sonicorn::config
