#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "app/signal_guard.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"
#include "http/access_log.hpp"
#include "http/health.hpp"
#include "process/message.hpp"
#include "worker/server.hpp"

// What a worker hears from its supervisor, and what it says.
namespace sonicorn::worker {

namespace log = core::log;
namespace message = process::message;
using Json = nlohmann::json;

namespace {

// A worker whose supervisor was killed ends in order, but soon: its addresses are to be free for
// the next.
constexpr std::chrono::milliseconds kOrphaned{1'800};

std::string text_in(const Json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_string() ? found->get<std::string>() : std::string();
}

template <class Number>
Number number_in(const Json& message, const char* name) {
  const auto found = message.find(name);
  return found != message.end() && found->is_number_integer() ? found->get<Number>() : Number{};
}

}  // namespace

void Server::say(const char* what, Json more) {
  more["say"] = what;
  channel_->send(more);
}

void Server::answer(const Json& id, Json answer) {
  say(message::kAnswer, {{"id", id}, {"answer", std::move(answer)}});
}

void Server::on_message(const Json& message) {
  const std::string say = text_in(message, "say");
  if (say == message::kServe) {
    if (stage_ == Stage::prepared) begin_serving();
  } else if (say == message::kStop) {
    on_stop_message(message);
  } else if (say == message::kAsk) {
    on_ask(message);
  } else if (say == message::kHealth) {
    http::Health::of_process().set(text_in(message, "why_not"));
  } else if (say == message::kQuarantine) {
    // While they are brought up, they are not for this thread to touch.
    if (stage_ == Stage::starting) {
      to_quarantine_.push_back(text_in(message, "app"));
    } else {
      apps_->quarantine(text_in(message, "app"));
    }
  } else if (say == message::kReopen) {
    log::reopen();
    if (http::AccessLog* const access = http::AccessLog::of_process()) access->reopen();
  } else if (say == message::kLook) {
    for (const auto& thread : threads_) thread->look();
  }
}

void Server::on_supervisor_gone() {
  if (stage_ == Stage::done) return;
  log::error("the supervisor is gone, so this worker ends");
  // Whatever this thread waits for then: its apps, or their static destructors.
  try {
    core::start_own_thread([] {
      std::this_thread::sleep_for(kOrphaned);
      ::_exit(1);
    }).detach();
  } catch (const std::system_error&) {
    ::alarm(static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(kOrphaned).count()));
  }
  if (stop_decided_) return dismiss_idle();
  stop({.reason = SONICORN_REASON_TERM, .signal_number = 0, .deadline = {}, .message = {}});
}

void Server::on_stop_message(const Json& message) {
  if (const int number = number_in<int>(message, "signal"); number != 0) {
    return on_stop_signal(number, true);
  }
  const bool goes_on = message.value("goes_on", false);
  if (stop_decided_) {
    if (!goes_on) dismiss_idle();
    return;
  }
  stop({.reason = number_in<std::uint32_t>(message, "reason"),
        .signal_number = 0,
        .deadline = {},
        .message = text_in(message, "message")},
       goes_on);
}

void Server::on_ask(const Json& message) {
  const Json id = message.value("id", Json());
  const std::string what = text_in(message, "what");
  if (what == "pulse") return answer(id, true);
  if (what == "metrics") return answer(id, services_->metrics.text());
  if (what == "numbers") return answer(id, numbers());
  if (what == "apps") {
    if (stage_ == Stage::starting) return answer(id, Json::array());
    return apps_->describe([this, id](Json reports) {
      const Json all = numbers();
      for (Json& report : reports) {
        // Others may be served by now.
        const auto same = std::find_if(all.begin(), all.end(), [&](const Json& each) {
          return each["name"] == report["name"] && each["generation"] == report["generation"];
        });
        if (same != all.end()) report.update(*same);
      }
      answer(id, std::move(reports));
    });
  }
  if (what == "drain" && (stage_ == Stage::serving || stage_ == Stage::prepared)) {
    return apps_->drain_one(text_in(message, "app"),
                            {.reason = SONICORN_REASON_ADMIN_STOP,
                             .signal_number = 0,
                             .deadline = Clock::now() + config_.grace,
                             .message = text_in(message, "message")},
                            [this, id](std::string fault) { answer(id, std::move(fault)); });
  }
  if (stage_ != Stage::serving || stop_decided_) return answer(id, "the worker is not serving");
  if (what == "prepare") return on_prepare(message);
  if (what == "exchange") return on_exchange(message);
  if (what == "commit") return on_commit(message);
  if (what == "drop") return on_drop(message);
  answer(id, "this question is not known");
}

// After the last word of this server nothing is said any more, here and below.
void Server::tell_life(const app::LifeEvent& event) {
  if (stage_ == Stage::done) return;
  if (!event.begins) return say(message::kLife, {{"key", event.key}, {"result", event.result}});
  say(message::kLife, {{"key", event.key},
                       {"app", event.app},
                       {"generation", event.generation},
                       {"build_id", event.build_id},
                       {"event", event.event}});
}

void Server::on_control(const app::ControlRequest& request) {
  if (stage_ == Stage::done) return;
  log::info("app {}: asks the server to {}{}{}", request.app,
            request.action == SONICORN_CONTROL_RELOAD  ? "reload its settings"
            : request.action == SONICORN_CONTROL_DRAIN ? "drain it"
                                                       : "stop",
            request.message.empty() ? "" : ": ", request.message);
  say(message::kControl,
      {{"app", request.app}, {"action", request.action}, {"message", request.message}});
}

void Server::on_stuck(const app::Watchdog::Call& call) {
  say(message::kReplace, {{"why", call.attribute + " of app " + call.app + " holds up a thread"},
                          {"app", call.app},
                          {"generation", call.generation},
                          {"attribute", call.attribute}});
}

Json Server::numbers() const {
  return apps_->numbers([this](const app::Generation& generation) {
    return static_cast<std::size_t>(
        std::count_if(threads_.begin(), threads_.end(),
                      [&](const auto& thread) { return thread->running() == &generation; }));
  });
}

bool Server::is_ready(std::string& why_not) const {
  if (is_starting()) why_not = "the server is starting";
  if (stop_decided_) why_not = "the server is stopping";
  return why_not.empty() && apps_->are_ready(why_not);
}

void Server::tell_readiness() {
  std::string why_not;
  if (!is_ready(why_not) && why_not.empty()) why_not = "it is not ready";
  if (readiness_ == why_not) return;
  readiness_ = why_not;
  say(message::kReadiness,
      {{"ready", why_not.empty()}, {"why_not", why_not}, {"stopping", stop_decided_}});
}

}  // namespace sonicorn::worker
