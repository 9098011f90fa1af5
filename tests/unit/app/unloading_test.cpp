#include "app/unloading.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/module.hpp"
#include "app/runtime_dir.hpp"
#include "core/backtrace.hpp"
#include "core/own_thread.hpp"
#include "temporary_folder.hpp"

using namespace sonicorn;
using namespace sonicorn::app;

namespace {

struct Loaded {
  ThreadBirths before = threads_of_process();
  Inspection inspection;
  std::optional<Module> module;
};

Loaded load(const RuntimeDir& folder, const char* name) {
  core::install_backtrace_handler();
  Loaded loaded;
  const auto bytes = read_module_file(fixture(name));
  REQUIRE(bytes.has_value());
  loaded.inspection = inspect(*bytes, fixture(name), {});
  const auto copy = write_private_copy(folder, *bytes, name, 1);
  REQUIRE(copy.has_value());
  auto module = Module::load(*copy, loaded.inspection);
  REQUIRE_MESSAGE(module.has_value(), module.error().message);
  loaded.module.emplace(*std::move(module));
  return loaded;
}

// As an app's start is called.
void start(const Loaded& loaded) {
  sonicorn_context context{};
  sonicorn_server server{};
  context.server = &server;
  void* state = nullptr;
  CHECK(loaded.module->attributes().start(&context, &state) == SONICORN_OK);
}

std::string reason(const Loaded& loaded) {
  return reason_to_keep(loaded.module->code(), loaded.before);
}

// Until the process ends, as what has a reason to be kept.
[[maybe_unused]] void keep(Loaded& loaded) {
  static auto* const kept = new std::vector<Module>();
  kept->push_back(*std::move(loaded.module));
}

// Of files: what is anonymous is also memory of the C library, or of a sanitizer.
long mapped_files() {
  std::ifstream maps("/proc/self/maps");
  long files = 0;
  for (std::string line; std::getline(maps, line);) files += line.find('/') != std::string::npos;
  return files;
}

}  // namespace

TEST_CASE("code that leaves nothing behind may go, and is gone then, as often as wanted") {
  const auto folder = RuntimeDir::create({});
  REQUIRE(folder.has_value());
  const auto once = [&] {
    Loaded loaded = load(*folder, "only_on_request");
    CHECK(reason(loaded).empty());
    CHECK(predicted_pin(loaded.inspection).empty());
    const auto path = loaded.module->path();
    CHECK(is_loaded(path));
    loaded.module.reset();
    CHECK_FALSE(is_loaded(path));
  };
  once();
  const long before = mapped_files();
  for (int i = 0; i < 100; ++i) once();
  CHECK(mapped_files() == before);
}

TEST_CASE("what its file says of its end is said before it is loaded") {
  const auto folder = RuntimeDir::create({});
  REQUIRE(folder.has_value());
  Loaded nodelete = load(*folder, "nodelete");
  CHECK(predicted_pin(nodelete.inspection) == "it is linked with -z nodelete");
  const auto path = nodelete.module->path();
  nodelete.module.reset();
  CHECK(is_loaded(path));
#ifdef __GNUC__
#ifndef __clang__
  // The whole name, with the colons that it has.
  CHECK(predicted_pin(load(*folder, "unique_symbols").inspection) ==
        "1 unique symbol (Shared<unsigned int>::calls)");
#endif
#endif
}

TEST_CASE("a signal handler that was left keeps the code") {
  const auto folder = RuntimeDir::create({});
  REQUIRE(folder.has_value());
  Loaded loaded = load(*folder, "leaves_handler");
  start(loaded);
  CHECK(reason(loaded) == "its handler of SIGUSR2 is installed");
  ::signal(SIGUSR2, SIG_DFL);
  CHECK(reason(loaded).empty());
}

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("a key whose destructor is in the code keeps it") {
  const auto folder = RuntimeDir::create({});
  REQUIRE(folder.has_value());
  for (const char* const name : {"leaves_key", "leaves_tss"}) {
    CAPTURE(std::string(name));
    Loaded loaded = load(*folder, name);
    start(loaded);
    CHECK(reason(loaded) == "a pthread key has a destructor in its code");
    keep(loaded);
  }
}

TEST_CASE("a thread that was left keeps the code, and one of somebody else does not") {
  const auto folder = RuntimeDir::create({});
  REQUIRE(folder.has_value());
  Loaded clean = load(*folder, "only_on_request");
  // This program's own, whose stack shows it.
  std::promise<void> end;
  std::promise<void> begun;
  std::thread other([&] {
    begun.set_value();
    end.get_future().wait();
  });
  begun.get_future().wait();
  CHECK(reason(clean).empty());
  end.set_value();
  other.join();

  // The server's own threads are none of its, also while they begin and end.
  std::atomic<bool> enough{false};
  std::thread starting = core::start_own_thread([&enough] {
    while (!enough) core::start_own_thread([] {}).join();
  });
  for (int i = 0; i < 200; ++i) REQUIRE(reason(clean) == "");
  enough = true;
  starting.join();

  Loaded loaded = load(*folder, "leaves_thread");
  start(loaded);
  // It may not have reached the app's function yet, and counts all the same.
  CHECK(reason(loaded).find("its code") != std::string::npos);
  // Had it been there before, it would be none of its; an id that is used again is another thread.
  ThreadBirths before = threads_of_process();
  CHECK(reason_to_keep(loaded.module->code(), before).empty());
  for (auto& [thread, birth] : before) {
    if (!loaded.before.contains(thread)) --birth;
  }
  CHECK(reason_to_keep(loaded.module->code(), before).find("its code") != std::string::npos);
  keep(loaded);
}
#endif
