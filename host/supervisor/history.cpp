#include <fmt/format.h>

#include <string>
#include <utility>

#include "core/log.hpp"
#include "supervisor/supervisor.hpp"

// What is written into the journal, and read from it.
namespace sonicorn::supervisor {

using Json = nlohmann::json;

void Supervisor::open_journal() {
  if (!config_.journal.empty()) {
    if (const auto opened = journal_.open(config_.journal); !opened) {
      core::log::warning("{}; until then events are kept in memory only", opened.error().message);
    }
  } else if (!order_.journal.empty()) {
    if (const auto opened = journal_.open(order_.journal); !opened) {
      core::log::info("{}; events are kept in memory only", opened.error().message);
      journal_ = Journal();
    }
  }
  serving_event_ = journal_.begin({.event = "serve", .app = {}, .worker = {}, .build_id = {}});
}

void Supervisor::on_life(WorkerProcess& worker, const Json& said) {
  const std::pair key{worker.pid(), said.value("key", std::uint64_t{0})};
  if (said.contains("result")) {
    const auto found = lives_.find(key);
    if (found == lives_.end()) return;
    journal_.end(found->second, said.value("result", std::string()));
    lives_.erase(found);
    worker.note_step(key.second, {});
    return;
  }
  worker.note_step(key.second, fmt::format("{} of app {}", said.value("event", std::string()),
                                           said.value("app", std::string())));
  lives_[key] = journal_.begin({.event = said.value("event", std::string()),
                                .app = said.value("app", std::string()),
                                .worker = worker.index(),
                                .generation = said.value("generation", std::uint64_t{0}),
                                .build_id = said.value("build_id", std::string())});
}

// Of a worker that has ended.
void Supervisor::forget_lives(const WorkerProcess& worker) {
  const auto from = lives_.lower_bound({worker.pid(), 0});
  auto to = from;
  for (; to != lives_.end() && to->first.first == worker.pid(); ++to) journal_.abandon(to->second);
  lives_.erase(from, to);
}

Json Supervisor::history(const std::string& app, std::size_t most) const {
  return journal_.history(app, most);
}

}  // namespace sonicorn::supervisor
