#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/hooks.hpp"
#include "core/log.hpp"

namespace sonicorn::config {

// Where to listen.
struct Bind {
  enum class Kind : std::uint8_t { tcp, unix_socket };
  Kind kind = Kind::tcp;
  std::string host = "127.0.0.1";  // tcp: an address or a name, IPv6 without brackets
  std::uint16_t port = 8000;       // tcp: 0 lets the kernel choose
  std::string path;                // unix_socket

  bool operator==(const Bind&) const = default;
};

// What a client may send and how long it may take. Sizes in bytes.
struct Limits {
  std::size_t request_line = 8 * 1024;  // above: 414
  std::size_t field = 8 * 1024;         // one header line; above: 431
  std::size_t fields = 100;             // their number; above: 431
  std::size_t head = 32 * 1024;         // request line and fields in all; above: 431
  std::uint64_t body = 1024 * 1024;     // above: 413, before it is read
  std::size_t connections = 0;          // 0: 10,000, or what the descriptor limit allows
  std::size_t queue = 1024;             // blocking calls waiting for a thread; above: 503
  std::size_t bus_queue = 10'000;  // messages waiting for one app; above: the publisher is told
  std::size_t keep_alive_requests = 0;                // requests a connection; 0: no limit
  std::chrono::milliseconds head_time{10'000};        // a request's head, in all; then 408
  std::chrono::milliseconds body_grace{20'000};       // before the body's least rate holds
  std::uint64_t body_rate = 500;                      // bytes a second; below: 408
  std::chrono::milliseconds keep_alive_time{75'000};  // idle between requests
  std::chrono::milliseconds write_time{30'000};       // a peer that reads nothing
  std::chrono::milliseconds request_time{30'000};     // a handler on the pool; then 503
  std::chrono::milliseconds queue_time{10'000};       // of that, waiting for a thread; then 503
  // A handler on an I/O thread, which others wait for; then the worker is replaced. 0: never.
  std::chrono::milliseconds loop_time{10'000};

  // What a call may wait for a thread, so that at least as long is left for it.
  std::chrono::milliseconds queue_limit() const { return std::min(queue_time, request_time / 2); }

  bool operator==(const Limits&) const = default;
};

// What is done about a call into an app that outlives its time limit, once it was logged.
enum class Overrun : std::uint8_t {
  abandon,  // go on without its result
  wait,     // wait on
  kill,     // end the process with status 1
};

// How a line of the access log looks.
enum class AccessLogFormat : std::uint8_t {
  common,    // as all servers have it
  combined,  // the same with Referer and User-Agent; then request id, app, generation and seconds
  json,      // an object with all of that
};

// How long an app may take for what is no request, and how often it is asked how it is.
struct Lifecycle {
  std::chrono::milliseconds start_time{30'000};
  std::chrono::milliseconds call_time{5'000};  // ready, reload, on_event, describe, a timer; drain
  std::chrono::milliseconds health_time{5'000};
  std::chrono::milliseconds health_interval{10'000};  // 0: only before an app is served
  Overrun overrun = Overrun::abandon;

  bool operator==(const Lifecycle&) const = default;
};

// How builds of apps are replaced.
struct Reload {
  bool automatic = false;  // when an app's file changes
  // How long requests wait for an app of which no two generations may run at once; then 503.
  std::chrono::milliseconds hold_time{10'000};
  // For so long the build before is kept, and returned to when the new one fails; 0: not at all.
  std::chrono::milliseconds probation{30'000};
  std::uint64_t probation_requests = 0;  // it ends sooner, after so many; 0: by time alone
  double error_rate = 0.5;  // of the requests since the switch; more is a failure of the new build
};

// One app to serve.
struct App {
  std::filesystem::path file;   // as the user wrote it, resolved against the file that names it
  std::string mount = "/";      // "/" or "/prefix", no slash at its end
  std::string name;             // empty: the manifest's
  std::string settings = "{}";  // JSON object
  std::optional<std::uint64_t> body;  // bytes; replaces Limits::body
  std::optional<Overrun> overrun;     // replaces Lifecycle::overrun
  std::string where;                  // "FILE:LINE" of its entry; empty: the command line
};

// The one of `apps` with the same file and mount as `app`, or null. Compares paths as text, "./a"
// and "a" being the same.
const App* same_app(const std::vector<App>& apps, const App& app);

// When the supervisor does something about a worker, and what.
struct Workers {
  unsigned count = 1;
  // Deaths of one app's making within `crash_time` that are borne; one more is its quarantine.
  std::size_t crashes = 5;
  std::chrono::milliseconds crash_time{10'000};
  // Before one that died is started again: doubling from the first to the second, until one has
  // lived for the third.
  std::chrono::milliseconds backoff{100};
  std::chrono::milliseconds backoff_most{30'000};
  std::chrono::milliseconds backoff_reset{60'000};
  // Replaced after so much; 0: never.
  std::uint64_t max_requests = 0;
  std::uint64_t max_requests_jitter = 0;  // up to so many more, by chance
  std::chrono::milliseconds max_lifetime{0};
  std::uint64_t max_memory = 0;  // resident, bytes
};

// Who the server is once it has its addresses. Names or numbers, which nobody has looked up yet.
struct Privileges {
  std::string user;               // empty: who started it
  std::string group;              // empty: the user's
  std::optional<unsigned> umask;  // absent: as it was
};

// Everything `serve` needs, validated. A value: made once, then only read.
struct Config {
  std::vector<App> apps;
  std::vector<Bind> binds;  // never empty
  Workers workers;
  unsigned threads = 1;                        // I/O threads of each worker
  unsigned blocking_threads = 32;              // at most, made when needed
  std::chrono::milliseconds grace{30'000};     // for requests in flight, when stopping
  std::chrono::milliseconds load_time{5'000};  // for the trial load of an app
  bool skip_broken = false;                    // serve without apps that are refused
  std::vector<std::string> without;            // capabilities withheld, "NAME" or "NAME/REV"
  std::filesystem::path control;               // the operator's Unix socket; empty: the usual place
  std::string health_path;            // "/prefix" where they are on every address; or empty
  std::optional<Bind> health;         // where /livez and /readyz are answered, too
  std::filesystem::path runtime_dir;  // where private copies of apps live; empty: the system's
  core::log::Level log_level = core::log::Level::info;
  core::log::Format log_format = core::log::Format::text;
  std::filesystem::path log_file;    // empty: standard error
  std::filesystem::path access_log;  // "-": standard output; empty: none
  AccessLogFormat access_log_format = AccessLogFormat::combined;
  Limits limits;
  Lifecycle lifecycle;
  Reload reload;
  Hooks hooks;
  Privileges privileges;
  std::filesystem::path pid_file;  // empty: none
  std::filesystem::path journal;   // of lifecycle events; empty: the usual place
  bool check_owners = false;       // whether app files that others may write to are refused
};

}  // namespace sonicorn::config
