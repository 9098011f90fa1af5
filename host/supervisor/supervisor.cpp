#include "supervisor/supervisor.hpp"

#include <fmt/format.h>
#include <sonicorn/context.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "app/signal_guard.hpp"
#include "core/log.hpp"
#include "process/message.hpp"
#include "supervisor/privileges.hpp"

namespace sonicorn::supervisor {

namespace asio = boost::asio;
namespace log = core::log;
namespace message = process::message;

namespace {

using std::chrono::milliseconds;

// For a worker that was told a second time to end at once.
constexpr milliseconds kAtOnce{1'000};
// timeout(1) sends one wish as two signals, some microseconds apart; the workers know what that may
// cut short.
constexpr milliseconds kSameSignal{20};
// For answers that tell the operator of the end.
constexpr milliseconds kFarewell{500};

constexpr std::array kReadSignals = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,  SIGUSR1,
                                     SIGUSR2, SIGTTIN, SIGTTOU, SIGCHLD, SIGWINCH};

sigset_t read_signals() { return app::set_of(kReadSignals); }

}  // namespace

Supervisor::Supervisor(Order order)
    : order_(std::move(order)),
      config_(order_.config),
      hooks_(io_, children_, config_.hooks),
      notifier_(Notifier::from_environment()),
      quarantine_(config_.workers),
      file_watch_(
          io_, [this](const std::filesystem::path& file) { on_file_changed(file); }, &is_whole) {
  // The workers may be somebody else then, and the rule is that of who started the server.
  order_.flags.check_owners = config_.check_owners;
}

Supervisor::~Supervisor() = default;

// For hooks.
const char* Supervisor::name_of_reason(std::uint32_t reason) {
  switch (reason) {
    case SONICORN_REASON_TERM:
      return "SIGTERM";
    case SONICORN_REASON_INT:
      return "SIGINT";
    case SONICORN_REASON_QUIT:
      return "SIGQUIT";
    case SONICORN_REASON_CONFIG_CHANGED:
      return "SIGHUP";
    case SONICORN_REASON_RELOAD:
      return "an app asked for it";
    case SONICORN_REASON_START_FAILED:
      return "the start failed";
    case SONICORN_REASON_FILE_CHANGED:
      return "a file changed";
    case SONICORN_REASON_ROLLBACK:
      return "the return to the build before";
    default:
      return "the operator or an app asked for it";
  }
}

int Supervisor::run() {
  watch_signals();
  // Before anybody is started who could take them as meant for himself.
  const auto given = activated_sockets();
  if (!given) {
    log::error("{}", given.error().message);
    return 1;
  }
  hooks_.run(config::Hook::on_starting, Json::object(), [this, given = *given](bool ok) {
    if (stage_ != Stage::starting) return;
    if (!ok) log::error("the hook on_starting says no, so the server does not start");
    if (ok && open(given)) return begin();
    status_ = 1;
    begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  });
  io_.run();
  // What is left are answers that tell the operator of the end.
  io_.restart();
  io_.run_for(kFarewell);
  return status_;
}

// A failure that the operator calls fatal is one of the server.
void Supervisor::tell(config::Hook hook, Json context) {
  hooks_.run(hook, std::move(context), [this, hook](bool ok) {
    if (ok) return;
    status_ = 1;
    if (stage_ == Stage::stopping || stage_ == Stage::done) return;
    log::error("the hook {} failed and is fatal, so the server stops", config::name_of(hook));
    begin_stop(SONICORN_REASON_ADMIN_STOP, 0, {});
  });
}

bool Supervisor::open(const std::vector<int>& given) {
  const auto account = find_account(config_.privileges);
  const auto failed = [](const core::Error& error) {
    log::error("{}", error.message);
    return false;
  };
  if (!account) return failed(account.error());
  if (!bind_sockets(given)) return false;
  if (order_.open_control) {
    auto control = order_.open_control(io_, *this, config_);
    if (!control) return failed(control.error());
    control_ = std::move(*control);
  }
  if (!config_.pid_file.empty()) {
    auto file = PidFile::write(config_.pid_file);
    if (!file) return failed(file.error());
    pid_file_.emplace(std::move(*file));
  }
  for (const std::filesystem::path& file : {config_.log_file, config_.access_log}) {
    if (!*account || file.empty() || file == "-") continue;
    if (const auto gave = give_file(file, **account); !gave) return failed(gave.error());
  }
  for (const config::Bind& bind : config_.binds) {
    if (!*account || !given.empty() || bind.kind != config::Bind::Kind::unix_socket) continue;
    // Its clients are who may write to it, and the account is one of them.
    if (::lchown(bind.path.c_str(), (*account)->user, (*account)->group) != 0) {
      log::warning("unix:{} stays this user's: {}", bind.path, std::strerror(errno));
    }
  }
  if (const auto dropped = drop_privileges(*account); !dropped) return failed(dropped.error());
  open_journal();
  keep_watchdog_fed();
  return true;
}

// Those that systemd opened, or else those of the configuration.
bool Supervisor::bind_sockets(const std::vector<int>& given) {
  for (const int descriptor : given) {
    sockets_.push_back(worker::ListeningSocket::adopt(
        descriptor, worker::ListeningSocket::url_of_descriptor(descriptor)));
  }
  if (!given.empty()) return true;
  for (const config::Bind& bind : config_.binds) {
    auto socket = worker::ListeningSocket::bind(bind);
    if (!socket) {
      log::error("{}", socket.error().message);
      return false;
    }
    sockets_.push_back(std::move(*socket));
  }
  return true;
}

void Supervisor::keep_watchdog_fed() {
  const auto interval = notifier_.watchdog_interval();
  if (!interval) return;
  notifier_.ping();
  watchdog_timer_.expires_after(*interval);
  watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) keep_watchdog_fed();
  });
}

void Supervisor::watch_signals() {
  if (!signals_.is_open()) {
    const sigset_t set = read_signals();
    signals_.assign(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  }
  signals_.async_wait(
      asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
        if (error) return;
        signalfd_siginfo info{};
        while (signals_.is_open() && ::read(signals_.native_handle(), &info, sizeof(info)) ==
                                         static_cast<ssize_t>(sizeof(info))) {
          on_signal(static_cast<int>(info.ssi_signo));
        }
        if (signals_.is_open()) watch_signals();
      });
}

void Supervisor::on_signal(int number) {
  switch (number) {
    case SIGCHLD:
      return children_.reap();
    case SIGHUP:
      log::info("SIGHUP: reading the configuration and the apps again");
      return wish({.only = {},
                   .reason = SONICORN_REASON_CONFIG_CHANGED,
                   .signal = SIGHUP,
                   .message = {},
                   .done = {}});
    case SIGUSR1:
      log::reopen();
      return each_worker([](WorkerProcess& worker) { worker.send(message::kReopen); });
    case SIGTTIN:
      return set_workers(workers_to_be() + 1);
    case SIGTTOU:
      return set_workers(workers_to_be() - 1);
    case SIGUSR2:
      return log::warning("SIGUSR2: this server does not replace its own program; ignored");
    case SIGWINCH:
      return;
    default:
      return on_stop_signal(number);
  }
}

void Supervisor::on_stop_signal(int number) {
  if (stop_signal_ == 0) {
    stop_signal_ = number;
    stopped_at_ = Clock::now();
    log::info("{}: stopping, with {} s of grace for requests in flight", app::signal_name(number),
              static_cast<double>(config_.grace.count()) / 1000.0);
    if (stage_ != Stage::stopping) return begin_stop(app::stop_reason_of(number), number, {});
  }
  // What a second one may cut short, the workers know.
  each_worker([&](WorkerProcess& worker) {
    worker.stop(app::stop_reason_of(number), number, {}, stop_limit());
  });
  if (number == stop_signal_ && Clock::now() - stopped_at_ < kSameSignal) return;
  log::warning("{} after {}: ending at once", app::signal_name(number),
               app::signal_name(stop_signal_));
  hard_end_.expires_after(kAtOnce);
  hard_end_.async_wait([this, number](const boost::system::error_code& error) {
    if (error) return;
    status_ = 128 + number;
    // Workers and hooks.
    children_.kill_all();
  });
}

void Supervisor::begin() {
  for (unsigned index = 0; index < config_.workers.count; ++index) {
    slots_.push_back(std::make_unique<Slot>(io_, index, config_.workers));
  }
  make_first_builds();
}

void Supervisor::spawn_all() {
  watch_pulse();
  for (const auto& slot : slots_) spawn(*slot, Place::current);
}

void Supervisor::begin_stop(std::uint32_t reason, int signal, const std::string& text) {
  if (stage_ == Stage::stopping || stage_ == Stage::done) return;
  stage_ = Stage::stopping;
  tell_health();
  stop_reason_ = reason;
  limits_timer_.cancel();
  pulse_timer_.cancel();
  notifier_.stopping();
  // The workers have the sockets, too, and close them when nobody waits there any more.
  for (worker::ListeningSocket& socket : sockets_) socket.let_go();
  for (const auto& slot : slots_) slot->timer.cancel();
  probation_timer_.cancel();
  file_watch_.stop();
  for (const ReloadWish& each : std::exchange(wishes_, {})) {
    for (const auto& done : each.done) {
      done({{"ok", false}, {"error", "the server is stopping"}});
    }
  }
  each_worker([&](WorkerProcess& worker) {
    if (worker.state() != WorkerProcess::State::stopping) {
      tell(config::Hook::worker_stopping, {{"worker", worker.index()},
                                           {"worker_pid", worker.pid()},
                                           {"reason", name_of_reason(reason)}});
    }
    worker.stop(reason, signal, text, stop_limit());
  });
  end_if_stopped();
}

void Supervisor::end_if_stopped() {
  if (stage_ != Stage::stopping) return;
  bool any = false;
  each_worker([&](WorkerProcess&) { any = true; });
  if (any || names_looked_up_ != 0 || std::exchange(leaving_word_, true)) return;
  hooks_.run(config::Hook::on_exit, {{"status", status_}}, [this](bool ok) {
    if (!ok) status_ = 1;
    finish();
  });
}

void Supervisor::finish() {
  stage_ = Stage::done;
  // Hooks that nobody waits for any more.
  children_.kill_all();
  journal_.end(serving_event_, status_ == 0 ? "ok" : Journal::failed("it did not end cleanly"));
  // Of a server that could not start the error is the last word.
  if (stop_reason_ != SONICORN_REASON_START_FAILED) log::info("stopped");
  // Another server may have all that is this one's as soon as the operator hears of the end.
  sockets_.clear();
  control_.reset();
  pid_file_.reset();
  journal_.close();
  for (const Replacement& each : std::exchange(to_replace_, {})) {
    if (each.done) each.done("the server has stopped");
  }
  if (reload_ != nullptr) {
    for (const auto& done : reload_->wish.done) {
      done({{"ok", false}, {"error", "the server has stopped"}});
    }
    reload_.reset();
  }
  for (const Done& done : std::exchange(stop_waiters_, {})) {
    done(status_ == 0 ? "" : "it has stopped, but not cleanly; its log says why");
  }
  signals_.close();
  watchdog_timer_.cancel();
  hard_end_.cancel();
  io_.stop();
}

unsigned Supervisor::workers_to_be() const {
  return workers_to_be_.value_or(static_cast<unsigned>(slots_.size()));
}

void Supervisor::set_workers(unsigned count) {
  if (stage_ != Stage::serving) {
    return log::info("the number of workers is changed only while the server serves");
  }
  if (count == 0) return log::warning("the last worker stays; SIGTERM stops the server");
  // Who takes part in a reload stays to its end.
  if (reload_ != nullptr) {
    workers_to_be_ = count;
    return;
  }
  log::info("{} worker(s) instead of {}", count, slots_.size());
  tell(config::Hook::nworkers_changed, {{"workers", count}, {"before", slots_.size()}});
  while (slots_.size() < count) {
    const auto index = static_cast<unsigned>(slots_.size());
    slots_.push_back(std::make_unique<Slot>(io_, index, config_.workers));
    spawn(*slots_.back(), Place::current);
  }
  bool left_replacing = false;
  while (slots_.size() > count) {
    const std::unique_ptr<Slot> slot = std::move(slots_.back());
    slots_.pop_back();
    slot->timer.cancel();
    if (slot->current)
      retire(std::move(slot->current), SONICORN_REASON_ADMIN_STOP, "fewer workers");
    if (slot->successor) {
      retire(std::move(slot->successor), SONICORN_REASON_ADMIN_STOP, "fewer workers");
    }
    left_replacing = left_replacing || is_replacing(slot->index);
  }
  if (left_replacing) replaced("there are fewer workers now");
  tell_status();
}

// For the service manager.
std::string Supervisor::status_text() const {
  std::string text = fmt::format("serving with {} worker(s)", slots_.size());
  for (const std::string& app : quarantine_.names()) {
    text += fmt::format(", app {} is quarantined", app);
  }
  if (draining_) text += ", draining";
  return text;
}

// Workers that answer for the health of the server are told of each change.
void Supervisor::tell_health() {
  if (config_.health_path.empty()) return;
  std::string why_not;
  is_ready(why_not);
  if (health_ == why_not) return;
  health_ = why_not;
  each_worker([&](WorkerProcess& worker) {
    worker.send(message::kHealth, {{"why_not", why_not}});
  });
}

void Supervisor::tell_status() {
  tell_health();
  if (stage_ == Stage::serving) notifier_.status(status_text());
}

void Supervisor::quarantine(const std::string& app) {
  const double crash_seconds = static_cast<double>(config_.workers.crash_time.count()) / 1000.0;
  each_worker([&](WorkerProcess& worker) { worker.send(message::kQuarantine, {{"app", app}}); });
  log::error(
      "app {}: it ended workers more than {} times within {:g} s, so it is quarantined: its mount "
      "answers 503 until 'sonicorn unquarantine {}'",
      app, config_.workers.crashes, crash_seconds, app);
  tell_status();
  journal_.note({.event = "quarantine", .app = app, .worker = {}, .build_id = {}});
  tell(config::Hook::quarantined,
       {{"app", app}, {"crashes", config_.workers.crashes}, {"seconds", crash_seconds}});
}

int serve(Order order) {
  std::signal(SIGPIPE, SIG_IGN);
  // Ignored by who started this, it would take the exit status of children away.
  std::signal(SIGCHLD, SIG_DFL);
  const sigset_t set = read_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Supervisor supervisor(std::move(order));
  return supervisor.run();
}

}  // namespace sonicorn::supervisor
