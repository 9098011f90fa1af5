#include "worker/server.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <future>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <utility>

#include "app/call_context.hpp"
#include "app/loader.hpp"
#include "app/signal_guard.hpp"
#include "core/backtrace.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"
#include "core/time.hpp"
#include "http/access_log.hpp"
#include "process/message.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;
namespace message = process::message;

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostConnections = 10'000;
constexpr std::size_t kMostExtra = 32;
// timeout(1) sends one wish as two signals, some microseconds apart. A repetition within this time
// counts as the same wish where there is nothing that it could cut short.
constexpr milliseconds kSameSignal{20};
// Apps hear that a stop is decided while connections are open, but do not hold it up for longer.
constexpr milliseconds kNotice{1'000};
// For cut connections to be closed, once the grace is over.
constexpr milliseconds kAfterGrace{200};
// For a slow reader of the log.
constexpr milliseconds kLastLines{100};
// For the supervisor to hear what is said last, as who ended the process.
constexpr milliseconds kLastWord{500};
// For the watchdog to say where an overdue shutdown is.
constexpr milliseconds kAfterDeadline{2'000};

// The server reads these from a descriptor, so they are blocked in every thread.
constexpr std::array kReadSignals = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGTTIN, SIGTTOU};

// An app may have unblocked such a signal on a thread of its own or of a request, and the kernel
// then prefers that thread. Whoever gets it passes it on.
std::array<int, 2> stray_pipe = {-1, -1};

void pass_on_stray_signal(int number) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = ::write(stray_pipe[1], &byte, 1);
  errno = before;
}

void catch_stray_signals() {
  if (::pipe2(stray_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = &pass_on_stray_signal;  // NOLINT(cppcoreguidelines-pro-type-union-access)
  action.sa_flags = SA_RESTART;
  for (const int number : kReadSignals) ::sigaction(number, &action, nullptr);
}

sigset_t read_signals() { return app::set_of(kReadSignals); }

constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }

// What is logged is out, unless who reads it is stuck.
[[noreturn]] void end_at_once(int status) {
  log::flush(kLastLines);
  ::_exit(status);
}

std::size_t open_descriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/fd", error);
  return error ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// How many connections there may be, and how many more that wait for a place or have been refused
// one. The descriptors suffice for all of them, and for what the server and its apps open
// meanwhile.
std::pair<std::size_t, std::size_t> connection_limits(const config::Config& config) {
  constexpr std::size_t kOfThread = 6;
  constexpr std::size_t kReserve = 8;
  std::size_t free = kMostConnections;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    const std::size_t taken = open_descriptors() + kOfThread * config.threads + kReserve;
    free = descriptors.rlim_cur > taken ? descriptors.rlim_cur - taken : 1;
  }
  const std::size_t extra = std::clamp<std::size_t>(free / 4, 1, kMostExtra);
  if (config.limits.connections != 0) return {config.limits.connections, extra};
  return {std::clamp<std::size_t>(free - extra, 1, kMostConnections), extra};
}

}  // namespace

Server::Server(config::Config config, Post post)
    : config_(std::move(config)), post_(std::move(post)) {
  channel_.emplace(io_, post_.channel);
}

int Server::run() {
  open();
  watch_signals();
  watch_stray_signals();
  channel_->listen([this](const nlohmann::json& message) { on_message(message); },
                   [this] { on_supervisor_gone(); });
  starter_ = core::start_own_thread([this] { bring_up(); });
  io_.run();
  // What was said last is with the supervisor before this process ends, and then that it said all.
  // An app that asks for something again and again, which is not passed on now, does not hold it
  // up.
  io_.restart();
  const auto last = Clock::now() + kLastWord;
  while (io_.poll_one() > 0 && Clock::now() < last) continue;
  channel_.reset();
  if (unclean_ || apps_->any_stuck()) end_at_once(1);
  if (starter_.joinable()) starter_.join();
  threads_.clear();
  pool_.reset();
  sockets_.clear();
  replacement_.reset();
  return status_;
}

void Server::open() {
  services_ = std::make_unique<app::Services>(app::offer_of(config_), config_);
  services_->stop_signals = bit(SIGTERM) | bit(SIGINT) | bit(SIGQUIT);
  services_->stop_reasons = bit(SONICORN_REASON_TERM) | bit(SONICORN_REASON_INT) |
                            bit(SONICORN_REASON_QUIT) | bit(SONICORN_REASON_ADMIN_STOP) |
                            bit(SONICORN_REASON_MAX_REQUESTS) | bit(SONICORN_REASON_START_FAILED) |
                            bit(SONICORN_REASON_RELOAD) | bit(SONICORN_REASON_FILE_CHANGED) |
                            bit(SONICORN_REASON_CONFIG_CHANGED) | bit(SONICORN_REASON_ROLLBACK);
  services_->shutdown_not_on = SONICORN_SHUTDOWN_NOT_ON_KILL | SONICORN_SHUTDOWN_NOT_ON_CRASH |
                               SONICORN_SHUTDOWN_NOT_ON_SECOND_SIGNAL |
                               SONICORN_SHUTDOWN_NOT_ON_STUCK_REQUEST |
                               SONICORN_SHUTDOWN_NOT_ON_STUCK_THREAD;
  services_->control_allowed = static_cast<std::uint32_t>(
      bit(SONICORN_CONTROL_RELOAD) | bit(SONICORN_CONTROL_DRAIN) | bit(SONICORN_CONTROL_STOP));
  services_->control = [this](app::ControlRequest request) {
    asio::post(io_, [this, request = std::move(request)] { on_control(request); });
  };
  services_->watchdog.before_killing([this](const app::Watchdog::Call& call) {
    // What is said is with the kernel when it is said; if this thread cannot say it, it waits in
    // vain for a moment.
    const auto said = std::make_shared<std::promise<void>>();
    asio::post(io_, [this, said, app = call.app, generation = call.generation] {
      say(message::kFailed, {{"app", app}, {"generation", generation}});
      said->set_value();
    });
    said->get_future().wait_for(kLastWord);
  });
  services_->tell_life = [this](app::LifeEvent event) {
    asio::post(io_, [this, event = std::move(event)] { tell_life(event); });
  };
  services_->on_stuck = [this](const app::Watchdog::Call& call) {
    asio::post(io_, [this, call] { on_stuck(call); });
  };
  apps_.emplace(config_, *services_, static_cast<Traffic&>(*this), post_.quarantined, io_);
  apps_->when_changed([this] { tell_readiness(); });
  for (const Post::Socket& socket : post_.sockets) {
    sockets_.push_back(ListeningSocket::adopt(socket.descriptor, socket.url));
  }
}

// The signals stay blocked in every thread, those of apps included, and are read here.
void Server::watch_signals() {
  if (!signals_.is_open()) {
    const sigset_t set = read_signals();
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

void Server::watch_stray_signals() {
  if (stray_pipe[0] < 0) return;
  if (!stray_signals_.is_open()) stray_signals_.assign(::fcntl(stray_pipe[0], F_DUPFD_CLOEXEC, 0));
  stray_signals_.async_wait(asio::posix::stream_descriptor::wait_read,
                            [this](const boost::system::error_code& error) {
                              if (error) return;
                              unsigned char number = 0;
                              while (::read(stray_pipe[0], &number, 1) == 1) on_signal(number);
                              if (stage_ != Stage::done) watch_stray_signals();
                            });
}

void Server::on_signal(int number) {
  // These are for the supervisor, who tells all workers.
  if (number == SIGHUP || number == SIGUSR1 || number == SIGTTIN || number == SIGTTOU) return;
  on_stop_signal(number);
}

// `told`: the supervisor passes on what it got, and has logged it. pkill and service managers send
// a signal to all processes, so what comes once on each way is one wish.
void Server::on_stop_signal(int number, bool told) {
  Signalled& here = told ? signalled_by_supervisor_ : signalled_;
  const Signalled& there = told ? signalled_ : signalled_by_supervisor_;
  const auto now = Clock::now();
  const bool nothing_to_cut = stage_ == Stage::noticing ||
                              (stage_ == Stage::draining && accepting_ != 0) ||
                              places_.open.load() == 0;
  if (number == here.number && nothing_to_cut && now - here.at < kSameSignal) return;
  const int before = here.number != 0 ? here.number : there.number;
  // The first word of the supervisor comes from somebody who may know nothing of what came here.
  if (here.number != 0 || (!told && before != 0 && before != number)) {
    log::warning("{} after {}: ending at once, without waiting for apps", app::signal_name(number),
                 app::signal_name(before));
    end_at_once(128 + number);
  }
  here = {number, now};
  if (stop_decided_) {
    if (told) dismiss_idle();
    return;
  }
  if (!told) {
    log::info("{}: stopping this worker, with {} s of grace for requests in flight",
              app::signal_name(number), core::seconds(config_.grace));
  }
  stop({.reason = app::stop_reason_of(number),
        .signal_number = number,
        .deadline = {},
        .message = {}},
       !told);
}

std::vector<Apps::Wanted> Server::builds() const {
  std::vector<Apps::Wanted> all;
  for (const Post::Build& each : post_.builds) {
    auto build =
        app::find_build(config_.apps.at(each.index).file, nlohmann::json::parse(each.description));
    if (!build) throw std::runtime_error(build.error().message);
    all.push_back({each.index, *std::move(build), each.generation});
  }
  return all;
}

void Server::bring_up() {
  bool ok = false;
  try {
    ok = apps_->load(builds(), stop_wanted_) && apps_->start(stop_wanted_);
  } catch (const std::exception& error) {
    log::error("the apps could not be brought up: {}", error.what());
  }
  asio::post(io_, [this, ok] { on_brought_up(ok); });
}

void Server::on_brought_up(bool ok) {
  starter_.join();
  timer_.cancel();
  for (const std::string& app : std::exchange(to_quarantine_, {})) apps_->quarantine(app);
  if (ok && !stop_decided_) {
    stage_ = Stage::readying;
    return apps_->make_ready([this] {
      if (stage_ != Stage::readying) return;
      stage_ = Stage::prepared;
      say(message::kPrepared);
    });
  }
  if (!ok || !stop_decided_) status_ = 1;
  if (!ok) say(message::kFailed, {{"app", apps_->failed()}});
  if (!stop_decided_) {
    stop_decided_ = true;
    why_.reason = SONICORN_REASON_START_FAILED;
    grace_ends_ = Clock::now() + config_.grace;
  }
  shut_down();
}

bool Server::start_threads() {
  std::vector<int> listening;
  for (const ListeningSocket& socket : sockets_) listening.push_back(socket.descriptor());
  pool_ = std::make_unique<BlockingPool>(config_.blocking_threads, config_.limits, *services_);
  std::tie(places_.most, places_.most_extra) = connection_limits(config_);
  try {
    for (unsigned index = 0; index < config_.threads; ++index) {
      threads_.push_back(std::make_unique<IoThread>(
          index,
          IoThread::Shared{apps_->router(), config_.limits, *pool_, places_, *services_,
                           apps_->started(), config_.reload.hold_time},
          listening));
    }
    for (const auto& thread : threads_) thread->meet(threads_);
    return true;
  } catch (const std::system_error& error) {
    log::error("cannot start {} I/O threads: {}; ask for fewer (--threads)", config_.threads,
               error.what());
    return false;
  }
}

void Server::begin_serving() {
  stage_ = Stage::serving;
  if (!start_threads()) {
    status_ = 1;
    return stop({.reason = SONICORN_REASON_START_FAILED,
                 .signal_number = 0,
                 .deadline = {},
                 .message = {}});
  }
  nlohmann::json urls = nlohmann::json::array();
  for (const ListeningSocket& socket : sockets_) urls.push_back(socket.url());
  apps_->begin_serving(nlohmann::json{{"listening", urls}}.dump());
  tell_readiness();
  say(message::kServing);
}

template <class Then>
void Server::at(Clock::time_point when, Stage only_in, Then then) {
  timer_.expires_at(when);
  timer_.async_wait([this, only_in, then](const boost::system::error_code& error) {
    if (!error && stage_ == only_in) then();
  });
}

void Server::stop(app::Occasion why, bool goes_on) {
  goes_on_ = goes_on;
  stop_decided_ = true;
  tell_readiness();
  why_ = std::move(why);
  grace_ends_ = Clock::now() + config_.grace;
  stop_wanted_ = true;
  if (stage_ != Stage::starting) return settle([this] { give_notice(); });
  at(grace_ends_, Stage::starting, [this] {
    const app::App* const app = apps_->starting();
    log::error("app {}: its start did not return within the grace; ending without it",
               app != nullptr ? app->name() : "-");
    end_at_once(1);
  });
}

void Server::give_notice() {
  stage_ = Stage::noticing;
  app::Occasion why = why_;
  why.deadline = grace_ends_;
  at(std::min(grace_ends_, Clock::now() + kNotice), Stage::noticing, [this] { on_noticed(); });
  apps_->drain(
      why,
      [this] {
        if (stage_ == Stage::noticing) on_noticed();
      },
      [this] { on_apps_drained(); });
}

void Server::on_noticed() {
  stage_ = Stage::draining;
  accepting_ = occupied_ = threads_.size();
  const auto closed = [this] { asio::post(io_, [this] { on_thread_closed(); }); };
  const auto emptied = [this] { asio::post(io_, [this] { on_thread_emptied(); }); };
  for (const auto& thread : threads_) thread->stop(goes_on_, closed, emptied);
  at(grace_ends_, Stage::draining, [this] { on_grace_over(); });
  if (!threads_.empty()) return;
  requests_ended_ = true;
  end_if_drained();
}

// The server does not go on, so nobody waits here for what an idle client may still ask.
void Server::dismiss_idle() {
  goes_on_ = false;
  for (const auto& thread : threads_) thread->dismiss_idle();
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
      requests_ended_ = true;
      end_if_drained();
    });
  });
}

void Server::on_apps_drained() {
  apps_drained_ = true;
  end_if_drained();
}

void Server::end_if_drained() {
  if (stage_ == Stage::draining && requests_ended_ && apps_drained_) drained();
}

void Server::on_grace_over() {
  if (!apps_drained_) log::warning("the grace is over and not every app has finished draining");
  if (requests_ended_) return drained();
  log::warning("the grace of {} s is over: cutting {} connection(s)", core::seconds(config_.grace),
               places_.open.load());
  for (const auto& thread : threads_) thread->abort();
  at(Clock::now() + kAfterGrace, Stage::draining, [this] { drained(); });
}

bool Server::is_busy(const app::Generation& generation) const {
  // Whoever follows requests is told of the end of those that a stuck thread still has in hand.
  const bool follows =
      generation.filters_requests() || generation.attributes().on_disconnect != nullptr;
  return (follows && occupied_ != 0) || generation.pool_calls() != 0 ||
         std::any_of(threads_.begin(), threads_.end(),
                     [&](const auto& thread) { return thread->running() == &generation; });
}

void Server::drained() {
  timer_.cancel();
  // A thread that does not come to its senses cannot be joined, whatever it does.
  unclean_ = occupied_ != 0;
  for (const app::Generation* const each : apps_->generations()) {
    if (!is_busy(*each)) continue;
    unclean_ = true;
    log::error("app {}: a handler did not return within the grace, so its shutdown is not called",
               each->name());
  }
  if (!unclean_) {
    threads_.clear();
    pool_.reset();
    sockets_.clear();
  }
  shut_down();
}

void Server::shut_down() {
  stage_ = Stage::shutting_down;
  why_.deadline = std::max(grace_ends_, Clock::now() + app::kLeastShutdown);
  at(why_.deadline + kAfterDeadline, Stage::shutting_down, [this] { on_shutdown_overdue(); });
  apps_->shut_down(
      why_, [this](const app::Generation& each) { return !is_busy(each); },
      [this] {
        if (stage_ == Stage::shutting_down) finish();
      });
}

void Server::on_shutdown_overdue() {
  for (const app::Generation* const each : apps_->give_up_ending()) {
    log::error("app {}: its shutdown {} by its deadline; ending without it", each->name(),
               each->has_ended() ? "did not return"
                                 : "could not be called, for the call before did not return,");
    unclean_ = true;
  }
  for (const std::string& app : apps_->unloading()) {
    log::error("app {}: its static destructors did not return; ending without them", app);
    unclean_ = true;
  }
  if (apps_->ending().empty()) finish();
}

void Server::finish() {
  if (http::AccessLog* const access = http::AccessLog::of_process()) access->end(kLastLines);
  say(message::kDropped,
      {{"lines", log::dropped()}, {"access_lines", log::dropped_access_lines().load()}});
  if (!unclean_) say(message::kFinished);
  stage_ = Stage::done;
  timer_.cancel();
  // Nobody would end it whose static destructors hang.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // From here on nothing is left to be done in order, and a signal ends the process as it would any
  // other.
  signals_.close();
  stray_signals_.close();
  for (const int number : kReadSignals) std::signal(number, SIG_DFL);
  const sigset_t set = read_signals();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  io_.stop();
}

int serve(config::Config config, Post post) {
  std::signal(SIGPIPE, SIG_IGN);
  // Ignored by who started this, it would take the exit status of children away.
  std::signal(SIGCHLD, SIG_DFL);
  const sigset_t set = read_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  catch_stray_signals();
  core::install_backtrace_handler();
  const std::array open_signals = {SIGPIPE, core::backtrace_signal()};
  app::own_signals(kReadSignals, open_signals);
  app::CallContext::set_worker_index(post.index);
  static auto* const server = new Server(std::move(config), std::move(post));
  return server->run();
}

}  // namespace sonicorn::worker
