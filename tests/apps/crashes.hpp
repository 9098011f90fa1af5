// An app that ends its process, or keeps it busy, in every way there is. In on_request the path
// says how; elsewhere the settings do: {"in": "start" | "background" | "timer" | "shutdown",
// "how": ...}. A request of any other path is answered with "well".
//
//   segv abort exit3 quick-exit3 overflow trap
//                                what they say; exit and exit3 are the same
//   exit0                        the same as exit, with the status of success
//   throw-in-thread segv-in-own-thread overflow-in-own-thread
//                                in a thread that the app starts, while the call waits for it
//   deadlock loop                never return
//   memory                       512 MiB that are never given back; the request is answered
//   closefrom                    closes every descriptor but the first three
//
// The setting "entered" names a FIFO that gets a byte before deadlock and loop. With the setting
// "armed", what the settings say is done by the one who removes the file of that name.
#ifndef SONICORN_TESTS_CRASHES_HPP
#define SONICORN_TESTS_CRASHES_HPP

#include <pthread.h>
#include <sonicorn/capabilities.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "fixture.h"

// Each has a name that a backtrace can be told by, and is no tail call.
namespace crashes {

inline std::atomic<unsigned> rounds{0};

[[gnu::noinline]] inline void write_to_nowhere() {
  int* volatile nowhere = reinterpret_cast<int*>(16);
  *nowhere = 1;
}

[[gnu::noinline]] inline int go_deeper(int depth) {
  if (depth < 0) return 0;
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return go_deeper(depth + 1) + room[0];
}

[[gnu::noinline]] inline void give_up() { std::abort(); }

[[gnu::noinline]] inline void leave(int status) { std::exit(status); }

[[gnu::noinline]] inline void lock_twice() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mutex);
  pthread_mutex_lock(&mutex);
  ++rounds;
}

[[gnu::noinline]] inline void spin() {
  for (;;) ++rounds;
}

[[gnu::noinline]] inline void take_memory() {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  for (int i = 0; i < 512; ++i) {
    auto* const piece = static_cast<volatile char*>(std::malloc(kPiece));
    for (std::size_t at = 0; piece != nullptr && at < kPiece; at += 4096) piece[at] = 1;
  }
}

[[gnu::noinline]] inline void throw_for_nobody() { throw std::runtime_error("for nobody"); }

inline void in_own_thread(void (*body)()) {
  std::thread thread([body] {
    pthread_setname_np(pthread_self(), "own");
    body();
  });
  thread.join();
}

inline std::string setting(const sonicorn_server* server, const char* key) {
  char value[FIXTURE_PATH_SIZE];
  fixture_setting(server, key, value);
  return value;
}

// False when `how` is nothing to be done.
inline bool act(const sonicorn_server* server, std::string_view how) {
  if (how == "deadlock" || how == "loop") fixture_signal(setting(server, "entered").c_str());
  if (how == "segv") write_to_nowhere();
  if (how == "abort") give_up();
  if (how == "exit0") leave(0);
  if (how == "exit" || how == "exit3") leave(3);
  if (how == "quick-exit3") std::quick_exit(3);
  if (how == "overflow") rounds += static_cast<unsigned>(go_deeper(0));
  if (how == "trap") __builtin_trap();
  if (how == "throw-in-thread") in_own_thread(throw_for_nobody);
  if (how == "segv-in-own-thread") in_own_thread(write_to_nowhere);
  if (how == "overflow-in-own-thread") in_own_thread([] { go_deeper(0); });
  if (how == "deadlock") lock_twice();
  if (how == "loop") spin();
  if (how == "memory") take_memory();
  if (how == "closefrom") closefrom(3);
  return how == "memory";
}

inline void act_if_in(const sonicorn_server* server, std::string_view where) {
  if (setting(server, "in") != where) return;
  const std::string armed = setting(server, "armed");
  if (armed.empty() || unlink(armed.c_str()) == 0) act(server, setting(server, "how"));
}

inline void on_background(sonicorn_stop_token* stop, void* argument) {
  const auto* const server = static_cast<const sonicorn_server*>(argument);
  const auto* const table = static_cast<const sonicorn_background*>(
      server->get_capability(server, SONICORN_CAPABILITY_BACKGROUND));
  do act_if_in(server, "background");
  while (table->wait(stop, 10) == 0);
}

inline void on_timer(void* argument) {
  act_if_in(static_cast<const sonicorn_server*>(argument), "timer");
}

inline int32_t start(const sonicorn_server* server) {
  act_if_in(server, "start");
  auto* const argument = const_cast<sonicorn_server*>(server);
  if (setting(server, "in") == "background") {
    const auto* const table = static_cast<const sonicorn_background*>(
        server->get_capability(server, SONICORN_CAPABILITY_BACKGROUND));
    if (table == nullptr) return SONICORN_ERROR;
    return table->start(server, "sweeper", on_background, argument);
  }
  if (setting(server, "in") == "timer") {
    const auto* const table = static_cast<const sonicorn_timer*>(
        server->get_capability(server, SONICORN_CAPABILITY_TIMER));
    if (table == nullptr) return SONICORN_ERROR;
    return table->start(server, 1, 0, on_timer, argument) != 0 ? SONICORN_OK : SONICORN_ERROR;
  }
  return SONICORN_OK;
}

}  // namespace crashes

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  *state = nullptr;
  return crashes::start(context->server);
}

int32_t sonicorn_on_request(const sonicorn_context* context, void*, const sonicorn_request* request,
                            sonicorn_response* response) {
  const std::string_view path(request->path.data, request->path.size);
  crashes::act(context->server, path.substr(path.rfind('/') + 1));
  response->body = SONICORN_STRING("well");
  return SONICORN_OK;
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void*) {
  crashes::act_if_in(context->server, "shutdown");
  return SONICORN_OK;
}

#endif
