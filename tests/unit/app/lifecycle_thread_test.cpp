#include "app/lifecycle_thread.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using sonicorn::app::LifecycleThread;
using std::chrono::milliseconds;

namespace {

using Clock = std::chrono::steady_clock;

// Runs `task` on the thread, behind all that was posted before, and waits for its end.
void run_on(LifecycleThread& thread, const std::function<void()>& task) {
  std::promise<void> done;
  thread.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

// Keeps the processor for a while, as a slow task does.
void work_for(milliseconds time) {
  const auto until = Clock::now() + time;
  while (Clock::now() < until) continue;
}

}  // namespace

TEST_SUITE("app.lifecycle_thread") {
  TEST_CASE("tasks run in order on one thread, and the destructor lets them finish") {
    std::vector<int> order;
    std::vector<std::thread::id> ids;
    {
      LifecycleThread thread("tasks");
      for (int i = 0; i < 100; ++i) {
        thread.post([&, i] {
          order.push_back(i);
          ids.push_back(std::this_thread::get_id());
        });
      }
    }
    REQUIRE(order.size() == 100);
    for (int i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
    for (const auto& id : ids) CHECK(id == ids[0]);
    CHECK(ids[0] != std::this_thread::get_id());
  }

  TEST_CASE("a timer without a period runs once, not before its time, on the thread") {
    LifecycleThread thread("timers");
    std::thread::id own;
    run_on(thread, [&] { own = std::this_thread::get_id(); });
    std::promise<std::pair<Clock::time_point, std::thread::id>> ran;
    const auto begun = Clock::now();
    std::atomic<int> runs{0};
    CHECK(thread.start_timer(30ms, 0ms, [&] {
      if (++runs == 1) ran.set_value({Clock::now(), std::this_thread::get_id()});
    }) != 0);
    const auto [when, on] = ran.get_future().get();
    CHECK(when - begun >= 30ms);
    CHECK(on == own);
    std::promise<void> later;
    thread.start_timer(60ms, 0ms, [&] { later.set_value(); });
    later.get_future().wait();
    CHECK(runs == 1);
  }

  TEST_CASE("timers run in the order of their times, also when the thread sleeps for a later one") {
    LifecycleThread thread("timers");
    std::vector<int> order;
    std::promise<void> last;
    // In one task, so that all of them are there before the first is due.
    run_on(thread, [&] {
      thread.start_timer(1h, 0ms, [&] { order.push_back(0); });
      thread.start_timer(40ms, 0ms, [&] {
        order.push_back(3);
        last.set_value();
      });
      thread.start_timer(20ms, 0ms, [&] { order.push_back(2); });
      thread.start_timer(0ms, 0ms, [&] { order.push_back(1); });
    });
    last.get_future().wait();
    CHECK(order == std::vector<int>{1, 2, 3});
    std::promise<void> sooner;
    thread.start_timer(1ms, 0ms, [&] { sooner.set_value(); });
    sooner.get_future().wait();
  }

  TEST_CASE("a periodic timer runs until it is cancelled by its own task") {
    LifecycleThread thread("timers");
    std::promise<void> third;
    std::atomic<int> runs{0};
    std::uint64_t id = 0;
    run_on(thread, [&] {
      id = thread.start_timer(1ms, 1ms, [&] {
        if (++runs < 3) return;
        thread.cancel_timer(id);
        third.set_value();
      });
    });
    third.get_future().wait();
    std::promise<void> later;
    thread.start_timer(20ms, 0ms, [&] { later.set_value(); });
    later.get_future().wait();
    CHECK(runs == 3);
  }

  TEST_CASE("cancelled on the thread itself, a timer that is due does not run any more") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    run_on(thread, [&] {
      const auto once = thread.start_timer(0ms, 0ms, [&] { ++runs; });
      const auto often = thread.start_timer(0ms, 1ms, [&] { ++runs; });
      work_for(3ms);
      thread.cancel_timer(once);
      thread.cancel_timer(often);
      thread.cancel_timer(often);
      thread.cancel_timer(0);
      thread.cancel_timer(12345);
    });
    std::promise<void> later;
    thread.start_timer(5ms, 0ms, [&] { later.set_value(); });
    later.get_future().wait();
    CHECK(runs == 0);
  }

  TEST_CASE("a timer that one task ends before its turn does not run") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    std::promise<void> done;
    run_on(thread, [&] {
      const auto second = std::make_shared<std::uint64_t>();
      thread.start_timer(0ms, 0ms, [&, second] { thread.cancel_timer(*second); });
      *second = thread.start_timer(1ms, 0ms, [&] { ++runs; });
      thread.start_timer(2ms, 0ms, [&] { done.set_value(); });
      work_for(5ms);
    });
    done.get_future().wait();
    CHECK(runs == 0);
  }

  TEST_CASE("a late periodic timer does not make up for what it missed") {
    LifecycleThread thread("timers");
    std::vector<Clock::time_point> starts;
    std::promise<void> done;
    std::uint64_t id = 0;
    run_on(thread, [&] {
      id = thread.start_timer(0ms, 20ms, [&] {
        starts.push_back(Clock::now());
        if (starts.size() == 1) work_for(200ms);
        if (starts.size() < 4) return;
        thread.cancel_timer(id);
        done.set_value();
      });
    });
    done.get_future().wait();
    REQUIRE(starts.size() == 4);
    // The second is due when the first ends, and from there on the period counts again.
    CHECK(starts[1] - starts[0] >= 200ms);
    CHECK(starts[3] - starts[0] >= 240ms);
  }

  TEST_CASE("a timer that is always due holds up no posted task, nor tasks a timer") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    thread.start_timer(0ms, 1ms, [&] {
      ++runs;
      work_for(2ms);
    });
    for (int i = 0; i < 20; ++i) run_on(thread, [] {});
    // A task that always posts the next.
    std::atomic<bool> enough{false};
    std::function<void()> again = [&] {
      if (!enough) thread.post(again);
    };
    thread.post(again);
    const int before = runs;
    std::promise<void> other;
    thread.start_timer(1ms, 0ms, [&] { other.set_value(); });
    other.get_future().wait();
    while (runs < before + 3) std::this_thread::yield();
    enough = true;
    thread.stop_timers();
    run_on(thread, [] {});
  }

  TEST_CASE("stopped timers do not run, and none is started") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    run_on(thread, [&] {
      for (int i = 0; i < 10; ++i) thread.start_timer(0ms, 1ms, [&] { ++runs; });
      thread.stop_timers();
      CHECK(thread.start_timer(0ms, 0ms, [&] { ++runs; }) == 0);
    });
    thread.stop_timers();
    CHECK(thread.start_timer(0ms, 0ms, [&] { ++runs; }) == 0);
    thread.cancel_timer(1);
    // Tasks still do.
    run_on(thread, [] {});
    CHECK(runs == 0);
  }

  TEST_CASE("a task that stops all timers is not run again, nor is what it holds let go early") {
    LifecycleThread thread("timers");
    std::promise<int> value;
    const auto held = std::make_shared<int>(7);
    const std::weak_ptr<int> watched = held;
    run_on(thread, [&] {
      thread.start_timer(0ms, 1ms, [&, own = std::make_shared<int>(*held)] {
        thread.stop_timers();
        value.set_value(*own);
      });
    });
    CHECK(value.get_future().get() == 7);
    run_on(thread, [] {});
  }

  TEST_CASE("what a task holds is let go without a lock, however its timer ends") {
    LifecycleThread thread("timers");
    // Calls back when it is destroyed.
    const auto caller = [&](std::atomic<int>& ended) {
      return std::shared_ptr<void>(nullptr, [&](void*) {
        thread.cancel_timer(1);
        ++ended;
      });
    };
    std::atomic<int> ended{0};
    const auto cancelled = thread.start_timer(1h, 0ms, [own = caller(ended)] {});
    thread.cancel_timer(cancelled);
    CHECK(ended == 1);
    std::promise<void> ran;
    thread.start_timer(0ms, 0ms, [&, own = caller(ended)] { ran.set_value(); });
    ran.get_future().wait();
    run_on(thread, [] {});
    run_on(thread, [] {});
    CHECK(ended == 2);
    thread.start_timer(1h, 0ms, [own = caller(ended)] {});
    thread.stop_timers();
    CHECK(ended == 3);
  }

  TEST_CASE("at most 10,000 timers exist, and each has its own number") {
    LifecycleThread thread("timers");
    std::uint64_t last = 0;
    for (int i = 0; i < 10'000; ++i) {
      const auto id = thread.start_timer(1h, 1h, [] {});
      REQUIRE(id > last);
      last = id;
    }
    CHECK(thread.start_timer(1h, 0ms, [] {}) == 0);
    thread.cancel_timer(last);
    CHECK(thread.start_timer(1h, 0ms, [] {}) > last);
    CHECK(thread.start_timer(1h, 0ms, [] {}) == 0);
  }

  TEST_CASE("the longest times do not overflow") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    // What a careless conversion makes of an unsigned one.
    const milliseconds wrapped(
        static_cast<std::int64_t>(std::numeric_limits<std::uint64_t>::max()));
    for (const milliseconds time : {milliseconds::max(), milliseconds::min(), wrapped}) {
      CHECK(thread.start_timer(time, 0ms, [&] { runs += 100; }) != 0);
      CHECK(thread.start_timer(time, time, [&] { runs += 100; }) != 0);
      CHECK(thread.start_timer(0ms, time, [&] { ++runs; }) != 0);
    }
    std::promise<void> later;
    thread.start_timer(10ms, 0ms, [&] { later.set_value(); });
    later.get_future().wait();
    CHECK(runs == 3);
  }

  TEST_CASE("timers that wait do not hold up the end, and a task of the end starts none") {
    std::atomic<int> runs{0};
    std::atomic<std::uint64_t> late{1};
    std::promise<void> go_on;
    {
      LifecycleThread thread("timers");
      thread.start_timer(1h, 1h, [&] { ++runs; });
      thread.post([&] { go_on.get_future().wait(); });
      auto* const self = &thread;
      thread.post([&, self] {
        self->stop_timers();
        late = self->start_timer(0ms, 0ms, [&] { ++runs; });
      });
      go_on.set_value();
    }
    CHECK(runs == 0);
    CHECK(late == 0);
  }

  TEST_CASE("a thread that has ended takes no tasks and no timers, and ends once") {
    LifecycleThread thread("tasks");
    int runs = 0;
    thread.post([&] { ++runs; });
    thread.end();
    CHECK(runs == 1);
    const auto held = std::make_shared<int>(0);
    thread.post([&runs, held] { ++runs; });
    CHECK(held.use_count() == 1);
    CHECK(thread.start_timer(0ms, 0ms, [&] { ++runs; }) == 0);
    thread.end();
    CHECK(runs == 1);
  }

  TEST_CASE("threads start and cancel timers at once") {
    LifecycleThread thread("timers");
    std::atomic<int> runs{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 500; ++i) {
          const auto id = thread.start_timer(milliseconds(i % 3), 1ms, [&] { ++runs; });
          if (i % 5 == 0) thread.post([] {});
          thread.cancel_timer(id);
        }
      });
    }
    for (std::thread& each : threads) each.join();
    run_on(thread, [] {});
    run_on(thread, [] {});
    const int now = runs;
    std::promise<void> later;
    thread.start_timer(10ms, 0ms, [&] { later.set_value(); });
    later.get_future().wait();
    CHECK(runs == now);
  }
}
