// What an app does with the server's services, steered by the query of its requests: `do` says
// what, the body is the text that it takes. The answer's body is the result. A background thread is
// started in start where the setting "background" is "obedient", or "stuck" until there is a byte
// in the FIFO of the setting "gate".
#ifndef SONICORN_TESTS_CONTRACT_SERVICES_HPP
#define SONICORN_TESTS_CONTRACT_SERVICES_HPP

#include <sonicorn/capabilities.h>
#include <sonicorn/sonicorn.h>

#include <string>

namespace contract {

bool serve(const sonicorn_context* context, const sonicorn_request* request,
           sonicorn_response* response);
void start_background(const sonicorn_context* context);

}  // namespace contract

#define CONTRACT_ON_REQUEST(context, request, response) contract::serve(context, request, response)
#define CONTRACT_ON_START(context) contract::start_background(context)
#include "contract_app.hpp"

namespace contract {

template <class Table>
const Table* capability(const sonicorn_server* server, const char* id) {
  return static_cast<const Table*>(server->get_capability(server, id));
}

inline unsigned role_here(const sonicorn_server* server) {
  const auto* const check =
      capability<sonicorn_thread_check>(server, SONICORN_CAPABILITY_THREAD_CHECK);
  return check == nullptr ? 99 : check->role(server);
}

inline void note(const sonicorn_server* server, const char* what) {
  append(server, "{\"app\":" + quoted(text_of(server->app_name)) + ",\"call\":\"" + what +
                     "\",\"phase\":\"note\",\"event\":\"\",\"message\":\"\",\"thread\":" +
                     std::to_string(syscall(SYS_gettid)) +
                     ",\"thread_check\":" + std::to_string(role_here(server)) + "}\n");
}

inline void on_background(sonicorn_stop_token* stop, void* argument) {
  const auto* const server = static_cast<const sonicorn_server*>(argument);
  const auto* const background =
      capability<sonicorn_background>(server, SONICORN_CAPABILITY_BACKGROUND);
  note(server, "background_begin");
  while (background->wait(stop, 60'000) == 0) continue;
  if (setting(server, "background") == "stuck") fixture_wait(setting(server, "gate").c_str());
  note(server, "background_end");
}

inline void start_background(const sonicorn_context* context) {
  const sonicorn_server* const server = context->server;
  if (setting(server, "background").empty()) return;
  const auto* const background =
      capability<sonicorn_background>(server, SONICORN_CAPABILITY_BACKGROUND);
  if (background == nullptr) return;
  background->start(server, "sweeper", on_background, const_cast<sonicorn_server*>(server));
}

inline void on_timer(void* argument) {
  note(static_cast<const sonicorn_server*>(argument), "timer");
}

inline std::string promise(const sonicorn_server* server, const std::string& of) {
  if (of == "shutdown") {
    const auto* const table =
        capability<sonicorn_shutdown_promise>(server, SONICORN_CAPABILITY_SHUTDOWN);
    if (table == nullptr) return "NULL";
    return "{\"grace_ms\":" + std::to_string(table->grace_ms) +
           ",\"signals\":" + std::to_string(table->signals) +
           ",\"reasons\":" + std::to_string(table->reasons) +
           ",\"not_on\":" + std::to_string(table->not_on) +
           ",\"least_ms\":" + std::to_string(table->least_ms) + "}";
  }
  if (of == "drain") {
    const auto* const table = capability<sonicorn_drain_promise>(server, SONICORN_CAPABILITY_DRAIN);
    return table == nullptr ? "NULL" : std::to_string(table->grace_ms);
  }
  if (of == "reload") {
    const auto* const table =
        capability<sonicorn_reload_promise>(server, SONICORN_CAPABILITY_RELOAD);
    return table == nullptr ? "NULL" : std::to_string(table->phases);
  }
  if (of == "events") {
    const auto* const table =
        capability<sonicorn_events_promise>(server, SONICORN_CAPABILITY_EVENTS);
    return table == nullptr ? "NULL" : std::to_string(table->scopes);
  }
  if (of == "control") {
    const auto* const table = capability<sonicorn_control>(server, SONICORN_CAPABILITY_CONTROL);
    return table == nullptr ? "NULL" : std::to_string(table->allowed);
  }
  const auto* const table =
      capability<sonicorn_request_events_promise>(server, SONICORN_CAPABILITY_REQUEST_EVENTS);
  return table == nullptr ? "NULL" : std::to_string(table->events);
}

inline std::string use(const sonicorn_server* server, const sonicorn_request* request,
                       const std::string& what) {
  const std::string body = text_of(request->body);
  const std::string topic = text_of(fixture_query(request, "topic"));
  const auto number = [request](const char* key) { return fixture_query_number(request, key, 0); };
  if (what == "role") return std::to_string(role_here(server));
  if (what == "capability") {
    // Every table begins with its size.
    const auto* const size = capability<std::uint32_t>(server, body.c_str());
    return size == nullptr ? "NULL" : *size > 0 ? "table" : "table without a size";
  }
  if (what == "promise") return promise(server, text_of(fixture_query(request, "of")));
  if (what == "log") {
    const auto* const log = capability<sonicorn_log>(server, SONICORN_CAPABILITY_LOG);
    log->write(server, static_cast<std::uint32_t>(number("level")), body.data(), body.size());
    return "written";
  }
  if (what == "background") {
    const auto* const table =
        capability<sonicorn_background>(server, SONICORN_CAPABILITY_BACKGROUND);
    return std::to_string(
        table->start(server, "late", on_background, const_cast<sonicorn_server*>(server)));
  }
  if (what == "finished") {
    const auto* const drain = capability<sonicorn_drain_promise>(server, SONICORN_CAPABILITY_DRAIN);
    drain->finished(server);
    return "finished";
  }
  if (what == "publish" || what == "subscribe" || what == "unsubscribe") {
    const auto* const bus = capability<sonicorn_bus>(server, SONICORN_CAPABILITY_BUS);
    if (what == "subscribe") return std::to_string(bus->subscribe(server, topic.c_str()));
    if (what == "unsubscribe") return std::to_string(bus->unsubscribe(server, topic.c_str()));
    return std::to_string(bus->publish(server, topic.c_str(), body.data(), body.size()));
  }
  if (what == "timer" || what == "cancel") {
    const auto* const timer = capability<sonicorn_timer>(server, SONICORN_CAPABILITY_TIMER);
    if (what == "timer") {
      return std::to_string(timer->start(server, number("delay"), number("period"), on_timer,
                                         const_cast<sonicorn_server*>(server)));
    }
    timer->cancel(server, number("timer"));
    return "cancelled";
  }
  if (what == "metric") {
    const auto* const metrics = capability<sonicorn_metrics>(server, SONICORN_CAPABILITY_METRICS);
    const std::string name = text_of(fixture_query(request, "name"));
    const auto kind = static_cast<std::uint32_t>(number("kind"));
    sonicorn_metric* const metric = metrics->get(server, kind, name.c_str(), "Of a test.");
    if (metric == nullptr) return "NULL";
    const auto value = static_cast<double>(number("value"));
    kind == SONICORN_METRIC_COUNTER ? metrics->add(metric, value) : metrics->set(metric, value);
    return "counted";
  }
  if (what == "control") {
    const auto* const control = capability<sonicorn_control>(server, SONICORN_CAPABILITY_CONTROL);
    return std::to_string(control->ask(server, static_cast<std::uint32_t>(number("action")),
                                       body.data(), body.size()));
  }
  return "unknown";
}

// False: the request asks for no service.
inline bool serve(const sonicorn_context* context, const sonicorn_request* request,
                  sonicorn_response* response) {
  const std::string what = text_of(fixture_query(request, "do"));
  if (what.empty()) return false;
  answer(response, use(context->server, request, what));
  return true;
}

}  // namespace contract

#endif
