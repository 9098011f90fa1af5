#include "app/background.hpp"

#include <doctest/doctest.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <future>
#include <iterator>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using sonicorn::app::BackgroundThreads;

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(120);

thread_local std::string told;

void nothing(std::string_view) {}
void no_error(std::string_view name, std::string_view what) { FAIL(name << ": " << what); }

Clock::time_point soon() { return Clock::now() + kPatience; }

void until_stopped(sonicorn_stop_token* stop, void*) {
  while (BackgroundThreads::wait(stop, 60'000) == 0) continue;
}

// A body that runs until it is let go, whatever is requested.
struct Gate {
  std::promise<void> entered;
  std::promise<void> open;

  static void body(sonicorn_stop_token*, void* argument) {
    Gate& self = *static_cast<Gate*>(argument);
    self.entered.set_value();
    self.open.get_future().wait();
  }
};

// The name that the kernel has for a thread of this process.
std::string kernel_name(pid_t thread) {
  std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

TEST_SUITE("app.background") {
  TEST_CASE("a thread runs its body with its argument until it is asked to stop") {
    struct Seen {
      std::promise<void> entered;
      bool stopped = false;
    } seen;
    BackgroundThreads threads(nothing, no_error);
    REQUIRE(threads.start(
        "worker",
        [](sonicorn_stop_token* stop, void* argument) {
          auto& own = *static_cast<Seen*>(argument);
          own.entered.set_value();
          until_stopped(stop, nullptr);
          own.stopped = BackgroundThreads::stop_requested(stop) == 1;
        },
        &seen));
    seen.entered.get_future().wait();
    threads.request_stop();
    CHECK(threads.join_until(soon()).empty());
    CHECK(seen.stopped);
  }

  TEST_CASE("threads carry the first 15 bytes of their name, and names() finds them by it") {
    BackgroundThreads threads(nothing, no_error);
    CHECK(threads.names().empty());
    REQUIRE(threads.start("a name of more than 15 bytes", until_stopped, nullptr));
    std::promise<pid_t> id;
    REQUIRE(threads.start(
        "short",
        [](sonicorn_stop_token* stop, void* argument) {
          static_cast<std::promise<pid_t>*>(argument)->set_value(::gettid());
          until_stopped(stop, nullptr);
        },
        &id));
    const pid_t second = id.get_future().get();
    const auto names = threads.names();
    REQUIRE(names.size() == 2);
    CHECK(names[0].name == "a name of more than 15 bytes");
    CHECK(kernel_name(names[0].thread) == "a name of more ");
    CHECK(names[1].name == "short");
    CHECK(names[1].thread == second);
    CHECK(kernel_name(second) == "short");
    threads.request_stop();
    CHECK(threads.join_until(soon()).empty());
    CHECK(threads.names().empty());
  }

  TEST_CASE("the callback for a new thread runs on it, before the body") {
    BackgroundThreads threads([](std::string_view name) { told = name; }, no_error);
    std::promise<std::string> in_body;
    REQUIRE(threads.start(
        "mine",
        [](sonicorn_stop_token*, void* argument) {
          static_cast<std::promise<std::string>*>(argument)->set_value(told);
        },
        &in_body));
    CHECK(in_body.get_future().get() == "mine");
    CHECK(told.empty());
  }

  TEST_CASE("after the request to stop no thread starts") {
    BackgroundThreads threads(nothing, no_error);
    threads.request_stop();
    threads.request_stop();
    CHECK_FALSE(threads.start("late", until_stopped, nullptr));
    CHECK(threads.join_until(Clock::now()).empty());
  }

  TEST_CASE("who does not end in time is named, and joined later") {
    Gate gate;
    BackgroundThreads threads(nothing, no_error);
    REQUIRE(threads.start("good", until_stopped, nullptr));
    REQUIRE(threads.start("stubborn", Gate::body, &gate));
    REQUIRE(threads.start("good too", until_stopped, nullptr));
    gate.entered.get_future().wait();
    threads.request_stop();
    std::vector<std::string> left;
    do {
      left = threads.join_until(Clock::now() + std::chrono::milliseconds(20));
    } while (left.size() > 1);
    CHECK(left == std::vector<std::string>{"stubborn"});
    CHECK(threads.join_until(Clock::now() - kPatience) == left);
    REQUIRE(threads.names().size() == 1);
    CHECK(threads.names()[0].name == "stubborn");
    gate.open.set_value();
    CHECK(threads.join_until(soon()).empty());
  }

  TEST_CASE("a thread whose thread-local destructor hangs counts as running") {
    struct Late {
      Gate* gate = nullptr;
      ~Late() {
        if (gate != nullptr) Gate::body(nullptr, gate);
      }
    };
    Gate gate;
    BackgroundThreads threads(nothing, no_error);
    REQUIRE(threads.start(
        "late",
        [](sonicorn_stop_token*, void* argument) {
          thread_local Late late;
          late.gate = static_cast<Gate*>(argument);
        },
        &gate));
    gate.entered.get_future().wait();
    CHECK(threads.join_until(Clock::now()) == std::vector<std::string>{"late"});
    gate.open.set_value();
    CHECK(threads.join_until(soon()).empty());
  }

  TEST_CASE("an exception ends its thread alone and is told with its name") {
    std::mutex mutex;
    std::vector<std::pair<std::string, std::string>> errors;
    BackgroundThreads threads(nothing, [&](std::string_view name, std::string_view what) {
      const std::lock_guard lock(mutex);
      errors.emplace_back(name, what);
    });
    REQUIRE(threads.start(
        "first", [](sonicorn_stop_token*, void*) { throw std::runtime_error("out of luck"); },
        nullptr));
    CHECK(threads.join_until(soon()).empty());
    REQUIRE(threads.start(
        "second", [](sonicorn_stop_token*, void*) { throw 42; }, nullptr));
    CHECK(threads.join_until(soon()).empty());
    REQUIRE(errors.size() == 2);
    CHECK(errors[0] == std::pair<std::string, std::string>("first", "out of luck"));
    CHECK(errors[1].first == "second");
    CHECK(errors[1].second == "something that is no std::exception");
  }

  TEST_CASE("a body may leave by pthread_exit") {
    BackgroundThreads threads(nothing, no_error);
    REQUIRE(threads.start(
        "leaver", [](sonicorn_stop_token*, void*) { ::pthread_exit(nullptr); }, nullptr));
    CHECK(threads.join_until(soon()).empty());
    CHECK(threads.names().empty());
  }

  TEST_CASE("a wait ends with its time, and the longest does not overflow") {
    struct Waits {
      std::promise<void> entered;
      std::int32_t none = -1, some = -1, longest = -1, after = -1;
    } waits;
    BackgroundThreads threads(nothing, no_error);
    REQUIRE(threads.start(
        "waiter",
        [](sonicorn_stop_token* stop, void* argument) {
          auto& own = *static_cast<Waits*>(argument);
          own.none = BackgroundThreads::wait(stop, 0);
          own.some = BackgroundThreads::wait(stop, 1);
          own.entered.set_value();
          own.longest = BackgroundThreads::wait(stop, std::numeric_limits<std::uint64_t>::max());
          own.after = BackgroundThreads::wait(stop, 0);
        },
        &waits));
    waits.entered.get_future().wait();
    CHECK(threads.join_until(Clock::now() + std::chrono::milliseconds(20)).size() == 1);
    threads.request_stop();
    CHECK(threads.join_until(soon()).empty());
    CHECK(waits.none == 0);
    CHECK(waits.some == 0);
    CHECK(waits.longest == 1);
    CHECK(waits.after == 1);
    CHECK(BackgroundThreads::stop_requested(nullptr) == 1);
    CHECK(BackgroundThreads::wait(nullptr, 1) == 1);
  }

  TEST_CASE("threads that ended do not pile up while the app starts more") {
    const auto threads_now = [] {
      std::ifstream file("/proc/self/status");
      std::string word;
      int number = 0;
      while (file >> word && word != "Threads:") continue;
      file >> number;
      return number;
    };
    const int before = threads_now();
    std::atomic<int> ran{0};
    BackgroundThreads threads(nothing, no_error);
    for (int i = 0; i < 500; ++i) {
      REQUIRE(threads.start(
          "brief",
          [](sonicorn_stop_token*, void* argument) { ++*static_cast<std::atomic<int>*>(argument); },
          &ran));
    }
    CHECK(threads.join_until(soon()).empty());
    CHECK(ran == 500);
    // The kernel lets go of a thread a moment after it was joined.
    const auto until = soon();
    while (threads_now() > before + 1 && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    CHECK(threads_now() <= before + 1);
  }

  TEST_CASE("the destructor stops and joins") {
    std::atomic<bool> ended{false};
    {
      BackgroundThreads threads(nothing, no_error);
      REQUIRE(threads.start(
          "worker",
          [](sonicorn_stop_token* stop, void* argument) {
            until_stopped(stop, nullptr);
            *static_cast<std::atomic<bool>*>(argument) = true;
          },
          &ended));
    }
    CHECK(ended);
  }
}
