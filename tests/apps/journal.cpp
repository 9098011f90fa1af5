// Appends a line of JSON for every call of start, on_request and shutdown, and for its static
// destructor, to the file that the setting "journal" names. A handler sleeps the query's `ms`; the
// setting "entered" names a FIFO that gets a byte when one begins.
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "journal", "version" : "1.0"});

namespace {

long long now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<long long>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

struct Journal {
  char path[FIXTURE_PATH_SIZE] = "";

  ~Journal() { line("{\"call\":\"destructor\"}\n"); }

  void line(const std::string& text) const {
    if (path[0] == 0) return;
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (write(file, text.data(), text.size()) < 0) std::perror("journal");
    close(file);
  }

  void call(const char* name, const sonicorn_context* context, const void* state) const {
    char text[512];
    const long long left =
        context->deadline_ns == 0
            ? -1
            : (static_cast<long long>(context->deadline_ns) - now_ns()) / 1'000'000;
    std::snprintf(
        text, sizeof text,
        "{\"call\":\"%s\",\"event\":\"%.*s\",\"reason\":%u,\"signal\":%d,\"deadline_ms\":%lld,"
        "\"thread\":%ld,\"context_thread\":%llu,\"role\":%u,\"pid\":%d,\"context_pid\":%d,"
        "\"process_role\":%u,\"scope\":%u,\"generation\":%llu,\"state\":%s}\n",
        name, static_cast<int>(context->event.size), context->event.data, context->reason,
        context->signal_number, left, syscall(SYS_gettid),
        static_cast<unsigned long long>(context->thread_id), context->thread_role, getpid(),
        context->process_id, context->process_role, context->scope,
        static_cast<unsigned long long>(context->generation), state == this ? "true" : "false");
    line(text);
  }
};

Journal journal;

}  // namespace

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  fixture_setting(context->server, "journal", journal.path);
  *state = &journal;
  journal.call("start", context, *state);
  return SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  char entered[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "entered", entered);
  fixture_signal(entered);
  const uint64_t ms = fixture_query_number(request, "ms", 0);
  timespec rest{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) continue;
  journal.call("on_request", context, state);
  response->body = SONICORN_STRING("journal\n");
  return SONICORN_OK;
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  journal.call("shutdown", context, state);
  return SONICORN_OK;
}
