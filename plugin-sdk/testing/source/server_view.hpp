// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/capabilities.h>
#include <sonicorn/server.h>

#include <map>
#include <memory>
#include <set>
#include <sonicorn/testing/record.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::testing::detail {
struct World;
}

// One metric of one app; guarded by the world's mutex.
struct sonicorn_metric {
  sonicorn::testing::detail::World* world = nullptr;
  sonicorn::testing::Metric is;
};

namespace sonicorn::testing::detail {

class Instance;

// The server as one app sees it, with a table for each capability. What was offered when it was
// made stays so. It does not move, and outlives every call into the app.
class ServerView : private sonicorn_server {
 public:
  struct Facts {
    std::string app_name;
    std::string mount;
    std::string settings;
  };

  ServerView(Instance& app, World& world, Facts facts);
  ServerView(const ServerView&) = delete;
  ServerView& operator=(const ServerView&) = delete;

  const sonicorn_server* abi() const { return this; }
  const Facts& facts() const { return facts_; }

  // Under the world's mutex.
  const std::map<std::string, sonicorn_metric, std::less<>>& metrics() const { return metrics_; }
  bool subscribes_to(std::string_view topic) const { return topics_.contains(topic); }
  void unsubscribe_all() { topics_.clear(); }

 private:
  struct Glue;  // the functions in the tables

  void fill_tables();
  // Whether the calling thread has this role; otherwise the app is told on.
  bool allows(const char* function, std::uint32_t role) const;

  Instance& app_;
  World& world_;
  Facts facts_;
  std::map<std::string, const void*, std::less<>> tables_;
  std::map<std::string, sonicorn_metric, std::less<>> metrics_;
  std::set<std::string, std::less<>> topics_;

  sonicorn_shutdown_promise shutdown_{};
  sonicorn_drain_promise drain_{};
  sonicorn_reload_promise reload_{};
  sonicorn_request_events_promise request_events_{};
  sonicorn_events_promise events_{};
  sonicorn_log log_{};
  sonicorn_metrics metric_functions_{};
  sonicorn_timer timer_{};
  sonicorn_background background_{};
  sonicorn_bus bus_{};
  sonicorn_control control_{};
  sonicorn_thread_check thread_check_{};
};

// What a host offers unless it is withheld.
const std::vector<std::string>& deliverable();

}  // namespace sonicorn::testing::detail
