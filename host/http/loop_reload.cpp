#include <algorithm>
#include <utility>

#include "http/loop.hpp"
#include "http/passage_run.hpp"

// What a loop does while generations of apps are replaced.
namespace sonicorn::http {

void Loop::when_free(const app::Generation& generation, std::function<void()> done) {
  // The last response may still hold memory that only the app can release.
  response_.drop();
  awaited_.push_back({&generation, std::move(done)});
  tell_free();
}

void Loop::tell_free() {
  for (std::size_t i = 0; i < awaited_.size();) {
    if (uses(*awaited_[i].generation)) {
      ++i;
      continue;
    }
    const auto done = std::move(awaited_[i].done);
    awaited_.erase(awaited_.begin() + static_cast<std::ptrdiff_t>(i));
    done();
  }
}

bool Loop::uses(const app::Generation& generation) {
  const auto is_about_it = [&](PoolCall& call) {
    bool found = false;
    if (call.generation == nullptr && call.passage == nullptr) return false;
    call.each_generation([&](app::Generation& each) { found = found || &each == &generation; });
    return found;
  };
  {
    const std::lock_guard lock(completed_mutex_);
    for (PoolCall* call = completed_; call != nullptr; call = call->next) {
      if (is_about_it(*call)) return true;
    }
  }
  for (const List& list : lists_) {
    for (const Connection& each : list) {
      if (each.call_ != nullptr && is_about_it(*each.call_)) return true;
      // A request whose body arrives goes to whoever serves its app then.
      if (each.phase_ == Phase::body && each.app_ != nullptr &&
          each.app_->serving() == &generation) {
        return true;
      }
      for (const Passage* unsent = each.unsent_.get(); unsent != nullptr;
           unsent = unsent->next.get()) {
        bool found = false;
        unsent->each_generation(
            [&](const app::Generation& on) { found = found || &on == &generation; });
        if (found) return true;
      }
    }
  }
  return false;
}

void Loop::wait(std::unique_ptr<PoolCall> call) { waiting_.push_back({std::move(call), now_}); }

void Loop::resume() {
  read_clock();
  // Who has to wait again is put behind.
  for (std::size_t count = waiting_.size(); count > 0; --count) {
    std::unique_ptr<PoolCall> call = std::move(waiting_.front().call);
    const Clock::time_point since = waiting_.front().since;
    waiting_.pop_front();
    Connection* const connection = call->connection;
    if (connection == nullptr) {
      give_back(std::move(call));
      continue;
    }
    const std::size_t before = waiting_.size();
    connection->go_on(std::move(call), true);
    if (waiting_.size() > before) waiting_.back().since = since;
  }
  bury();
}

void Loop::expire_waiting() {
  while (!waiting_.empty() && now_ - waiting_.front().since >= hold_time_) {
    std::unique_ptr<PoolCall> call = std::move(waiting_.front().call);
    waiting_.pop_front();
    if (Connection* const connection = call->connection) {
      connection->go_on(std::move(call), false);
    } else {
      give_back(std::move(call));
    }
  }
}

}  // namespace sonicorn::http
