#include <memory>
#include <utility>

#include "core/log.hpp"
#include "process/message.hpp"
#include "worker/server.hpp"

// A worker's part in a change of what is served, as the supervisor leads it.
namespace sonicorn::worker {

namespace log = core::log;
namespace message = process::message;
using Json = nlohmann::json;

namespace {

app::Occasion occasion_of(const Json& message) {
  return {.reason = message.value("reason", std::uint32_t{0}),
          .signal_number = message.value("signal", 0),
          .deadline = {},
          .message = message.value("message", std::string())};
}

}  // namespace

std::vector<Replacement::Part> Server::parts_of(const Json& message, const config::Config& config,
                                                std::string& fault) const {
  std::vector<Replacement::Part> parts;
  for (const Json& each : message.value("apps", Json::array())) {
    Replacement::Part part;
    part.index = each.value("index", std::size_t{0});
    part.replaces = each.value("replaces", false);
    part.alone = each.value("alone", false);
    part.generation = each.value("generation", std::uint64_t{0});
    part.spare_generation = each.value("spare_generation", std::uint64_t{0});
    for (const auto& [name, build] :
         {std::pair<const char*, std::optional<app::Build>*>{"build", &part.build},
          {"spare", &part.spare}}) {
      if (!each.contains(name)) continue;
      auto found = app::find_build(config.apps.at(part.index).file, each[name]);
      if (!found) {
        fault = found.error().message;
        return {};
      }
      *build = *std::move(found);
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

void Server::on_prepare(const Json& message) {
  const Json id = message.value("id", Json());
  if (change_ != Change::none) return answer(id, "the worker is changing already");
  config::Loaded fresh = post_.reread(message.value("text", std::string()));
  // The supervisor has read it without an error, a moment ago.
  if (!fresh.errors.empty()) return answer(id, fresh.errors.front().message);
  for (const Json& each : message.value("apps", Json::array())) {
    fresh.config.apps.at(each.value("index", std::size_t{0})).settings =
        each.value("settings", std::string("{}"));
  }
  std::string fault;
  auto parts = parts_of(message, fresh.config, fault);
  if (!fault.empty()) return answer(id, fault);
  replacement_ = std::make_unique<Replacement>(*apps_, *services_, static_cast<Traffic&>(*this),
                                               io_, std::move(fresh.config), std::move(parts),
                                               occasion_of(message));
  change_ = Change::working;
  replacement_->prepare([this, id](const std::string& why_not) {
    change_ = Change::prepared;
    answer(id, why_not);
    on_rest();
  });
}

void Server::on_exchange(const Json& message) {
  const Json id = message.value("id", Json());
  if (change_ != Change::prepared) return answer(id, "the worker has prepared nothing");
  change_ = Change::working;
  replacement_->exchange([this, id](const std::string& why_not) {
    change_ = why_not.empty() ? Change::exchanged : Change::prepared;
    answer(id, why_not);
    on_rest();
  });
}

void Server::on_commit(const Json& message) {
  const Json id = message.value("id", Json());
  if (change_ != Change::prepared && change_ != Change::exchanged) {
    return answer(id, "the worker has prepared nothing");
  }
  commit([this, id](const std::string& why_not) { answer(id, why_not); });
}

void Server::on_drop(const Json& message) {
  const auto answered = [this, id = message.value("id", Json())](const std::string& fault) {
    answer(id, fault);
  };
  if (change_ == Change::none) return answered({});
  if (change_ != Change::working) return drop(answered);
  replacement_->give_up();
  at_rest_ = [this, answered] { drop(answered); };
}

void Server::commit(std::function<void(std::string)> done) {
  change_ = Change::ending;
  for (const Json& state : replacement_->states()) {
    Json told = state;
    say(message::kState, std::move(told));
  }
  replacement_->commit(
      [this, done = std::move(done)](const std::string& fault) {
        change_ = Change::none;
        replacement_.reset();
        tell_readiness();
        done(fault);
        on_rest();
      },
      [this](const std::string& app, std::uint64_t generation, const app::Unloading& unloading) {
        say(message::kRetired, {{"app", app},
                                {"generation", generation},
                                {"gone", unloading.gone},
                                {"cause", unloading.cause}});
      });
}

void Server::drop(std::function<void(std::string)> done) {
  change_ = Change::ending;
  replacement_->drop([this, done = std::move(done)](const std::string& fault) {
    change_ = Change::none;
    replacement_.reset();
    tell_readiness();
    // A worker that begins anew may do better.
    if (!fault.empty()) say(message::kReplace, {{"why", fault}});
    done(fault);
    on_rest();
  });
}

// A step of the change has come to its end.
void Server::on_rest() {
  if (at_rest_) std::exchange(at_rest_, nullptr)();
}

// Before the server stops, a change comes to an end: requests that wait for their app are answered.
void Server::settle(std::function<void()> then) {
  switch (change_) {
    case Change::none:
      return then();
    case Change::prepared:
      replacement_->stop();
      return drop([then = std::move(then)](const std::string&) { then(); });
    case Change::exchanged:
      return commit([then = std::move(then)](const std::string&) { then(); });
    case Change::working:
      replacement_->stop();
      at_rest_ = [this, before = std::exchange(at_rest_, nullptr), then = std::move(then)] {
        if (before) before();
        settle(then);
      };
      return;
    case Change::ending:
      at_rest_ = std::move(then);
  }
}

}  // namespace sonicorn::worker
