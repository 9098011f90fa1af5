#include "worker/server.hpp"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <future>
#include <system_error>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "worker/serve.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;

namespace {

constexpr std::size_t kMostConnections = 10'000;
// timeout(1) sends one wish as two signals, some microseconds apart. A repetition within this time
// counts as the same wish where there is nothing that it could cut short.
constexpr std::chrono::milliseconds kSameSignal{20};
// For cut connections to be closed, once the grace is over.
constexpr std::chrono::milliseconds kAfterGrace{200};

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) sigaddset(&set, number);
  return set;
}

std::uint32_t reason_of(int signal_number) {
  switch (signal_number) {
    case SIGINT:
      return SONICORN_REASON_INT;
    case SIGQUIT:
      return SONICORN_REASON_QUIT;
    default:
      return SONICORN_REASON_TERM;
  }
}

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : "signal " + std::to_string(number);
}

std::size_t connection_limit(const config::Limits& limits) {
  if (limits.connections != 0) return limits.connections;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return kMostConnections;
  return std::min<std::size_t>(kMostConnections, descriptors.rlim_cur / 10 * 8);
}

// A message about a file, with the whole path where it has only the name.
std::string with_path(const std::filesystem::path& file, const std::string& message) {
  const std::string path = file.string();
  const std::string name = file.filename().string();
  if (message.find(path) != std::string::npos) return message;
  if (message.starts_with(name)) return path + message.substr(name.size());
  return path + ": " + message;
}

// Code that was loaded stays mapped until the process ends: its static destructors run at exit, and
// a thread that an app left behind does not lose the ground under it.
void keep_until_exit(std::vector<std::unique_ptr<app::App>> apps) {
  static auto* const kept = new std::vector<std::unique_ptr<app::App>>();
  for (auto& each : apps) kept->push_back(std::move(each));
}

}  // namespace

Server::Server(const config::Config& config) : config_(config) {}

Server::~Server() {
  if (starter_.joinable()) starter_.join();
}

int Server::run() {
  auto copies = app::RuntimeDir::create(config_.runtime_dir);
  if (!copies) {
    log::error("{}", copies.error().message);
    return 1;
  }
  copies_.emplace(std::move(*copies));
  watch_signals();
  starter_ = std::thread([this] { bring_up(); });
  io_.run();
  if (starter_.joinable()) starter_.join();
  threads_.clear();
  pool_.reset();
  sockets_.clear();
  keep_until_exit(std::exchange(apps_, {}));
  return status_;
}

// The signals stay blocked in every thread, those of apps included, and are read here.
void Server::watch_signals() {
  if (!signals_.is_open()) {
    const sigset_t set = stop_signals();
    signals_.assign(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  }
  signals_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        signalfd_siginfo info{};
                        while (::read(signals_.native_handle(), &info, sizeof(info)) ==
                               static_cast<ssize_t>(sizeof(info))) {
                          on_signal(static_cast<int>(info.ssi_signo));
                        }
                        if (stage_ != Stage::done) watch_signals();
                      });
}

void Server::on_signal(int number) {
  const auto now = Clock::now();
  const bool nothing_to_cut =
      (stage_ == Stage::draining && accepting_ != 0) || connections_.load() == 0;
  if (number == why_.signal_number && nothing_to_cut && now - signalled_ < kSameSignal) return;
  if (why_.signal_number != 0) {
    log::warning("{} after {}: ending at once, without waiting for apps", signal_name(number),
                 signal_name(why_.signal_number));
    ::_exit(128 + number);
  }
  log::info("{}: stopping, with {} s of grace for requests in flight", signal_name(number),
            static_cast<double>(config_.grace.count()) / 1000.0);
  signalled_ = now;
  why_.signal_number = number;
  why_.reason = reason_of(number);
  if (stage_ == Stage::shutting_down) return;
  grace_ends_ = now + config_.grace;
  stop_wanted_ = true;
  if (stage_ == Stage::serving) return begin_stop();
  timer_.expires_at(grace_ends_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stage_ != Stage::starting) return;
    const app::App* const app = starting_.load();
    log::error("app {}: its start did not return within the grace; ending without it",
               app != nullptr ? app->name() : "-");
    ::_exit(1);
  });
}

void Server::bring_up() {
  BroughtUp outcome;
  try {
    // Addresses are taken before apps are started: a port in use is no reason to open a database.
    outcome.ok = load_all() && bind_sockets();
    if (outcome.ok) start_each(outcome);
  } catch (const std::exception& error) {
    log::error("the apps could not be brought up: {}", error.what());
    outcome.ok = false;
  }
  asio::post(io_, [this, outcome] { on_brought_up(outcome); });
}

// Every app is looked at before any is started, so that one run shows all that is wrong.
bool Server::load_all() {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  bool all_good = true;
  for (const config::App& wanted : config_.apps) {
    if (stop_wanted_) return true;
    app::Loaded loaded = app::load_app(wanted, config_, *copies_, self);
    if (loaded.app != nullptr && loaded.app->current().handles_requests() &&
        !router_.add(*loaded.app)) {
      loaded.reasons.push_back(core::host_error(
          "config.mount_taken",
          fmt::format("{} is taken by {}: give each app its own mount (/one=FILE /two=FILE)",
                      wanted.mount, router_.find(wanted.mount)->file().string())));
      loaded.app.reset();
    }
    for (const core::Error& reason : loaded.reasons) {
      log::error("{}{}refused: {}", wanted.where, wanted.where.empty() ? "" : ": ",
                 with_path(wanted.file, reason.message));
    }
    if (loaded.app == nullptr) {
      all_good = false;
    } else {
      apps_.push_back(std::move(loaded.app));
    }
  }
  if (all_good || config_.skip_broken) return true;
  log::error("not serving: mend what is refused, or serve the others with --skip-broken");
  return false;
}

void Server::start_each(BroughtUp& outcome) {
  for (const auto& app : apps_) {
    if (stop_wanted_) return;
    starting_ = app.get();
    std::promise<core::Result<void>> told;
    app->current().start([&told](core::Result<void> result) { told.set_value(std::move(result)); });
    const core::Result<void> result = told.get_future().get();
    starting_ = nullptr;
    if (result) {
      outcome.started.push_back(app.get());
      continue;
    }
    log::error("refused: {}: {}", app->file().string(), result.error().message);
    if (config_.skip_broken) {
      router_.remove(*app);
    } else {
      outcome.ok = false;
      return;
    }
  }
}

void Server::on_brought_up(const BroughtUp& outcome) {
  starter_.join();
  timer_.cancel();
  started_ = outcome.started;
  if (outcome.ok && !stop_wanted_ && listen_all()) return begin_serving();
  if (!outcome.ok || !stop_wanted_) status_ = 1;
  if (!stop_wanted_) {
    why_.reason = SONICORN_REASON_START_FAILED;
    grace_ends_ = Clock::now() + config_.grace;
  }
  shut_down(started_);
}

bool Server::bind_sockets() {
  if (stop_wanted_) return true;
  for (const config::Bind& bind : config_.binds) {
    auto socket = ListeningSocket::bind(bind);
    if (!socket) {
      log::error("{}", socket.error().message);
      return false;
    }
    sockets_.push_back(std::move(*socket));
  }
  return true;
}

bool Server::listen_all() {
  for (ListeningSocket& socket : sockets_) {
    if (const auto listening = socket.listen(); !listening) {
      log::error("{}", listening.error().message);
      return false;
    }
  }
  return true;
}

void Server::begin_serving() {
  for (const app::App* app : started_) {
    const app::Generation& generation = app->current();
    log::info("app {}: generation {} {}", app->name(), generation.traits().number,
              generation.handles_requests()
                  ? fmt::format("serves {}", app->mount().empty() ? "/" : app->mount())
                  : "runs, and answers no requests");
  }
  std::vector<int> listening;
  for (const ListeningSocket& socket : sockets_) listening.push_back(socket.descriptor());
  pool_ = std::make_unique<BlockingPool>(config_.blocking_threads, config_.limits.queue);
  try {
    for (unsigned index = 0; index < config_.threads; ++index) {
      threads_.push_back(
          std::make_unique<IoThread>(index,
                                     IoThread::Shared{router_, config_.limits, *pool_, connections_,
                                                      connection_limit(config_.limits)},
                                     listening));
    }
    for (const auto& thread : threads_) thread->meet(threads_);
  } catch (const std::system_error& error) {
    log::error("cannot start {} I/O threads: {}; ask for fewer (--threads)", config_.threads,
               error.what());
    status_ = 1;
    why_.reason = SONICORN_REASON_START_FAILED;
    grace_ends_ = Clock::now() + config_.grace;
    stage_ = Stage::serving;
    return begin_stop();
  }
  stage_ = Stage::serving;
  for (const ListeningSocket& socket : sockets_) {
    log::info("listening on {}", socket.url());
    std::printf("Listening on %s\n", socket.url().c_str());
  }
  std::fflush(stdout);
}

void Server::begin_stop() {
  stage_ = Stage::draining;
  accepting_ = occupied_ = threads_.size();
  const auto closed = [this] { asio::post(io_, [this] { on_thread_closed(); }); };
  const auto emptied = [this] { asio::post(io_, [this] { on_thread_emptied(); }); };
  for (const auto& thread : threads_) thread->stop(closed, emptied);
  if (threads_.empty()) return drained();
  timer_.expires_at(grace_ends_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && stage_ == Stage::draining) on_grace_over();
  });
}

// Who connects from now on is refused by the kernel, instead of waiting for nobody.
void Server::on_thread_closed() {
  if (--accepting_ == 0) sockets_.clear();
}

// A handler may outlive its client, so the pool is asked last.
void Server::on_thread_emptied() {
  if (--occupied_ != 0 || stage_ != Stage::draining) return;
  pool_->when_idle([this] {
    asio::post(io_, [this] {
      if (stage_ == Stage::draining) drained();
    });
  });
}

void Server::on_grace_over() {
  log::warning("the grace of {} s is over: cutting {} connection(s)",
               static_cast<double>(config_.grace.count()) / 1000.0, connections_.load());
  for (const auto& thread : threads_) thread->abort();
  timer_.expires_after(kAfterGrace);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && stage_ == Stage::draining) drained();
  });
}

bool Server::stuck(const app::App& app) const {
  const app::Generation& generation = app.current();
  return generation.pool_calls() != 0 ||
         std::any_of(threads_.begin(), threads_.end(),
                     [&](const auto& thread) { return thread->running() == &generation; });
}

void Server::drained() {
  timer_.cancel();
  // A thread that does not come to its senses cannot be joined, whatever it does.
  unclean_ = occupied_ != 0;
  std::vector<app::App*> free;
  for (app::App* app : started_) {
    if (!stuck(*app)) {
      free.push_back(app);
      continue;
    }
    unclean_ = true;
    log::error("app {}: a handler did not return within the grace, so its shutdown is not called",
               app->name());
  }
  if (!unclean_) {
    threads_.clear();
    sockets_.clear();
  }
  for (ListeningSocket& socket : sockets_) socket.abandon();
  started_ = free;
  shut_down(std::move(free));
}

void Server::shut_down(std::vector<app::App*> apps) {
  stage_ = Stage::shutting_down;
  why_.deadline = std::max(grace_ends_, Clock::now() + app::kLeastShutdown);
  shutting_down_ = apps.size();
  if (apps.empty()) return finish();
  timer_.expires_at(why_.deadline);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && stage_ == Stage::shutting_down) on_shutdown_overdue();
  });
  for (app::App* app : apps) {
    app->current().shutdown(why_, [this, app] {
      asio::post(io_, [this, app] {
        const bool told = app->current().attributes().shutdown != nullptr;
        log::info("app {}: {}", app->name(), told ? "shut down" : "ended; it declares no shutdown");
        std::erase(started_, app);
        on_app_shut_down();
      });
    });
  }
}

void Server::on_app_shut_down() {
  if (--shutting_down_ == 0) finish();
}

void Server::on_shutdown_overdue() {
  for (const app::App* app : started_) {
    log::error("app {}: its shutdown did not return by its deadline; ending without it",
               app->name());
  }
  unclean_ = true;
  finish();
}

void Server::finish() {
  stage_ = Stage::done;
  timer_.cancel();
  // From here on nothing is left to be done in order, and a signal ends the process as it would any
  // other.
  signals_.close();
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  if (unclean_) {
    copies_.reset();
    ::_exit(1);
  }
  log::info("stopped");
}

int serve(const config::Config& config) {
  std::signal(SIGPIPE, SIG_IGN);
  // Ignored by who started this, it would take the exit status of children away.
  std::signal(SIGCHLD, SIG_DFL);
  const sigset_t set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Server server(config);
  return server.run();
}

}  // namespace sonicorn::worker
