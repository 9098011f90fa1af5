// Uses the server after its shutdown: in the destructor of a static object, and in that of an
// object of each thread that took a request for /?thread.
#include <string>

#include "fixture.h"

SONICORN_ABI_MARK;

namespace {

const sonicorn_server* server;

template <class Capability>
const Capability* ask_for(const char* id) {
  return static_cast<const Capability*>(server->get_capability(server, id));
}

void say(const std::string& text) {
  ask_for<sonicorn_log>(SONICORN_CAPABILITY_LOG)
      ->write(server, SONICORN_LOG_INFO, text.data(), text.size());
}

std::string later() {
  const std::uint64_t timer = ask_for<sonicorn_timer>(SONICORN_CAPABILITY_TIMER)
                                  ->start(
                                      server, 1, 0, [](void*) {}, nullptr);
  return timer == 0 ? "no timer any more" : "a timer";
}

struct OfProcess {
  ~OfProcess() {
    if (server != nullptr) say("the static object has " + later());
  }
} of_process;

struct OfThread {
  bool used = false;
  ~OfThread() {
    if (used) say("the object of a thread has " + later());
  }
};
thread_local OfThread of_thread;

}  // namespace

int32_t sonicorn_start(const sonicorn_context* context, void**) {
  server = context->server;
  return SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context*, void*, const sonicorn_request* request,
                            sonicorn_response* response) {
  if (fixture_equals(request->query, "thread")) of_thread.used = true;
  response->body = SONICORN_STRING("speaks last\n");
  return SONICORN_OK;
}
