// SPDX-License-Identifier: Apache-2.0
#include "world.hpp"

#include <algorithm>
#include <limits>
#include <sonicorn/testing/error.hpp>

#include "instance.hpp"

namespace sonicorn::testing::detail {
namespace {

// More calls than this within one moment never end.
constexpr int kMostCalls = 20'000;

bool is_idle(const sonicorn_stop_token& thread, std::uint64_t now) {
  if (thread.done || thread.on_its_own) return true;
  return thread.waiting && !thread.stop && thread.due > now;
}

}  // namespace

std::uint64_t later(std::uint64_t time, std::uint64_t by) {
  return by > std::numeric_limits<std::uint64_t>::max() - time
             ? std::numeric_limits<std::uint64_t>::max()
             : time + by;
}

std::uint32_t& role_here() {
  thread_local std::uint32_t role = 0;
  return role;
}

std::string order_of(const std::vector<Call>& calls, bool with_apps) {
  std::string order;
  for (const Call& call : calls) {
    if (!order.empty()) order += ' ';
    if (with_apps) order += call.app + ".";
    order += call.attribute;
  }
  return order;
}

void World::quiesce() {
  std::unique_lock lock(mutex);
  const auto all_idle = [this] {
    return std::all_of(threads.begin(), threads.end(),
                       [this](const auto& thread) { return is_idle(*thread, now); });
  };
  if (changed.wait_for(lock, options.patience, all_idle)) return;
  for (const auto& thread : threads) {
    if (is_idle(*thread, now)) continue;
    thread->on_its_own = true;
    log.push_back({thread->app_name, Level::warning,
                   "the background thread \"" + thread->name +
                       "\" does not wait through background/1, so the test host's time goes on "
                       "without it"});
  }
}

std::optional<Timer> World::take_due_timer() {
  const std::lock_guard lock(mutex);
  const auto first = std::min_element(
      timers.begin(), timers.end(),
      [](const auto& a, const auto& b) { return std::pair(a.due, a.id) < std::pair(b.due, b.id); });
  if (first == timers.end() || first->due > now) return std::nullopt;
  const Timer due = *first;
  if (due.period == 0) {
    timers.erase(first);
  } else {
    first->due = later(first->due, first->period);
  }
  return due;
}

// The next time, up to `end`, at which a timer fires or a thread wakes.
std::uint64_t World::next_event(std::uint64_t end) {
  std::uint64_t next = end;
  for (const Timer& timer : timers) next = std::min(next, timer.due);
  for (const auto& thread : threads) {
    if (thread->waiting && !thread->done) next = std::min(next, thread->due);
  }
  return std::max(next, now);
}

void World::advance(std::uint64_t time) {
  quiesce();
  const std::uint64_t end = later(now, time);
  for (bool last = false; !last;) {
    {
      const std::lock_guard lock(mutex);
      now = next_event(end);
      last = now == end;
    }
    changed.notify_all();
    quiesce();
    deliver();
    int calls_now = 0;
    while (const auto timer = take_due_timer()) {
      if (++calls_now > kMostCalls) {
        complain("app " + timer->app->name() + " starts timers of 0 ms again and again");
        return finish();
      }
      timer->app->fire(*timer);
      deliver();
    }
  }
  finish();
}

void World::deliver() {
  int delivered = 0;
  for (;;) {
    Message message;
    {
      const std::lock_guard lock(mutex);
      if (messages.empty()) return;
      message = std::move(messages.front());
      messages.pop_front();
    }
    if (++delivered > kMostCalls) {
      complain("messages on the topic \"" + message.topic + "\" lead to messages without an end");
      const std::lock_guard lock(mutex);
      messages.clear();
      return;
    }
    message.app->take_message(message);
  }
}

void World::finish() {
  deliver();
  std::vector<std::string> broken;
  {
    const std::lock_guard lock(mutex);
    broken.swap(broken_rules);
  }
  if (broken.empty()) return;
  std::string text;
  for (const std::string& rule : broken) text += (text.empty() ? "" : "\n") + rule;
  throw BrokenRule(text);
}

void World::complain(std::string rule) {
  const std::lock_guard lock(mutex);
  // A loop that breaks one a thousand times breaks one.
  if (std::find(broken_rules.begin(), broken_rules.end(), rule) == broken_rules.end()) {
    broken_rules.push_back(std::move(rule));
  }
}

std::int32_t World::publish(std::string_view topic, std::string_view json) {
  const std::lock_guard lock(mutex);
  std::int32_t result = SONICORN_OK;
  for (Instance* const app : apps) {
    if (!app->subscribes_to(topic)) continue;
    const auto waiting = static_cast<std::size_t>(
        std::count_if(messages.begin(), messages.end(),
                      [app](const Message& message) { return message.app == app; }));
    if (waiting >= options.bus_queue) {
      result = SONICORN_DECLINED;
    } else {
      messages.push_back({app, std::string(topic), std::string(json)});
    }
  }
  return result;
}

std::vector<std::string> World::stop_threads(const Instance& app) {
  std::unique_lock lock(mutex);
  for (const auto& thread : threads) {
    if (thread->app == &app) thread->stop = true;
  }
  changed.notify_all();
  changed.wait_for(lock, options.patience, [&] {
    return std::none_of(threads.begin(), threads.end(), [&app](const auto& thread) {
      return thread->app == &app && !thread->done;
    });
  });
  std::vector<std::string> stuck;
  std::vector<std::thread> ended;
  for (const auto& thread : threads) {
    if (thread->app != &app) continue;
    if (thread->done) {
      ended.push_back(std::move(thread->thread));
    } else {
      stuck.push_back(thread->name);
      thread->thread.detach();
    }
  }
  std::erase_if(threads, [&app](const auto& thread) { return thread->app == &app; });
  lock.unlock();
  // A thread that is done still runs destructors of thread_local objects, which are the app's code.
  for (std::thread& thread : ended) thread.join();
  return stuck;
}

void World::forget(const Instance& app) {
  const std::lock_guard lock(mutex);
  std::erase_if(timers, [&app](const Timer& timer) { return timer.app == &app; });
  std::erase_if(messages, [&app](const Message& message) { return message.app == &app; });
}

}  // namespace sonicorn::testing::detail
