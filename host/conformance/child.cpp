#include "conformance/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sonicorn/capabilities.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "app/module_file.hpp"
#include "app/thread_role.hpp"
#include "conformance/cycles.hpp"
#include "conformance/observer.hpp"
#include "conformance/steps.hpp"
#include "conformance/subject.hpp"
#include "core/backtrace.hpp"

namespace sonicorn::conformance {
namespace {

// Crashes here are expected: they leave no core file.
void expect_crashes() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) != 0) return;
  // 1 byte, because 0 does not stop a kernel that pipes core dumps to a program (core(5)).
  core.rlim_cur = std::min<rlim_t>(1, core.rlim_max);
  ::setrlimit(RLIMIT_CORE, &core);
}

// Keeps standard output for the messages alone: what the app prints goes to standard error.
int take_standard_output() {
  const int answer = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  // A parent that died before this process asked to die with it left a pipe that nobody reads.
  pollfd pipe{answer, 0, 0};
  if (::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0) ::_exit(EXIT_FAILURE);
  return answer;
}

config::Config config_of(const Task& task) {
  config::Config config;
  config.grace = task.time_limit;
  // The observer is who decides that a call lasts too long; the watchdog shall not be earlier.
  config.lifecycle.start_time = config.lifecycle.call_time = config.lifecycle.health_time =
      2 * task.time_limit + std::chrono::minutes(1);
  config.lifecycle.overrun = config::Overrun::wait;
  return config;
}

app::Offer offer_of(const Task& task) {
  app::Offer offer = app::Offer::of_server();
  for (const std::string& id : task.scenario.without) static_cast<void>(offer.withhold(id));
  return offer;
}

// Requests on several threads, from before the drain until after it.
class Load {
 public:
  Load(Subject& subject, unsigned count) : subject_(subject) {
    for (unsigned i = 0; i < count; ++i) {
      threads_.emplace_back([this] { run(); });
    }
  }
  ~Load() { end(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // Waits until each thread has begun a request since now, and one has been answered.
  void pass() {
    std::unique_lock lock(mutex_);
    std::vector<unsigned> before = begun_;
    const unsigned answered = answered_;
    changed_.wait(lock, [&] {
      for (std::size_t i = 0; i < begun_.size(); ++i) {
        if (begun_[i] == (i < before.size() ? before[i] : 0)) return false;
      }
      return begun_.size() == threads_.size() && answered_ > answered;
    });
  }

  // Lets the requests that are under way finish.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  // After end(): a request that failed, if one did.
  const std::optional<Answer>& failure() const { return failure_; }

 private:
  void run() {
    ::pthread_setname_np(::pthread_self(), "request");
    const std::uint32_t role =
        subject_.traits().blocking ? SONICORN_THREAD_POOL : SONICORN_THREAD_IO;
    app::set_thread_role(role);
    app::CallContext context(SONICORN_SCOPE_REQUEST, role);
    std::unique_lock lock(mutex_);
    const std::size_t own = begun_.size();
    begun_.push_back(0);
    while (!ending_) {
      ++begun_[own];
      lock.unlock();
      changed_.notify_all();
      Answer answer = subject_.request(context);
      lock.lock();
      ++answered_;
      if (answer.failed() && !failure_) failure_ = std::move(answer);
      changed_.notify_all();
    }
    lock.unlock();
    app::Generation::leave_thread(context);
  }

  Subject& subject_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<unsigned> begun_;  // of each thread
  unsigned answered_ = 0;
  bool ending_ = false;
  std::optional<Answer> failure_;
  std::vector<std::thread> threads_;
};

void stop_under_load(Subject& subject, const Subject::Material& material) {
  constexpr unsigned kThreads = 4;
  Observer& observer = material.observer;
  // A serial app answers them one after the other.
  const auto limit = (subject.traits().serial ? kThreads + 1 : 1) * material.task.time_limit;
  observer.enter("a request", limit);
  Load load(subject, kThreads);
  load.pass();
  const bool drained = drain_one(subject, observer);
  observer.enter("a request after drain", limit);
  // Connections are open until shutdown, so requests still come.
  if (drained) load.pass();
  load.end();
  if (load.failure()) report_answer(*load.failure(), observer);
  if (drained) shut_down_one(subject, observer);
}

void load_only(const Subject::Material& material) {
  auto subject = Subject::load(material, 1);
  if (!subject) return material.observer.report(load_failed(subject.error()));
  material.observer.enter("unloading (a destructor of a static object)", material.task.time_limit,
                          ::gettid());
  subject->reset();
}

void live_once(const Subject::Material& material) {
  Observer& observer = material.observer;
  auto loaded = Subject::load(material, 1);
  if (!loaded) return observer.report(load_failed(loaded.error()));
  // Not unloaded in the end: that is the subject of other scenarios.
  Subject& subject = **loaded;
  static_cast<void>(loaded->release());
  if (!start_one(subject, observer)) return;
  switch (material.task.scenario.kind) {
    case Scenario::Kind::request:
      report_answer(subject.request_on_new_thread(), observer);
      if (drain_one(subject, observer)) shut_down_one(subject, observer);
      break;
    case Scenario::Kind::stopping:
      stop_under_load(subject, material);
      break;
    default:
      if (drain_one(subject, observer)) shut_down_one(subject, observer);
  }
}

[[noreturn]] void fail(int answer, const core::Error& error) {
  const std::string line = to_json(
      {.kind = Message::Kind::finding,
       .step = {},
       .run = 0,
       .finding = {.id = "check.not_run",
                   .level = Level::error,
                   .message = error.message,
                   .remedy = "see that the server is installed as it should be, and try again",
                   .where = {}}});
  static_cast<void>(::write(answer, line.data(), line.size()));
  ::_exit(EXIT_FAILURE);
}

// Which exception, for standard error and so for the finding about the abort.
[[noreturn]] void on_terminate() {
  try {
    if (std::current_exception()) std::rethrow_exception(std::current_exception());
    fmt::print(stderr, "std::terminate was called\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "an exception was not caught: {}\n", error.what());
  } catch (...) {
    fmt::print(stderr, "an exception that is no std::exception was not caught\n");
  }
  std::abort();
}

}  // namespace

void check_child_main(const std::string& text) {
  expect_crashes();
  const int answer = take_standard_output();
  const auto task = task_from_json(text);
  if (!task) fail(answer, task.error());
  // As in the server, an app is not ended by a peer that went away.
  std::signal(SIGPIPE, SIG_IGN);
  std::set_terminate(on_terminate);
  core::install_backtrace_handler();
  app::CallContext::set_process_role(SONICORN_PROCESS_TEST);

  const auto folder = app::RuntimeDir::create(task->folder);
  if (!folder) fail(answer, folder.error());
  const auto bytes = app::read_module_file(task->file);
  if (!bytes) fail(answer, bytes.error());
  const config::Config config = config_of(*task);
  app::Services services(offer_of(*task), config);
  services.stop_reasons = std::uint64_t{1} << SONICORN_REASON_TEST;
  services.shutdown_not_on = SONICORN_SHUTDOWN_NOT_ON_KILL | SONICORN_SHUTDOWN_NOT_ON_CRASH |
                             SONICORN_SHUTDOWN_NOT_ON_STUCK_REQUEST |
                             SONICORN_SHUTDOWN_NOT_ON_STUCK_THREAD;
  // Nothing that an app asks for is done: this process ends soon anyway.
  services.control = [](const app::ControlRequest&) {};
  const app::Inspection inspection = app::inspect(*bytes, task->file, services.offer);
  auto* const observer = new Observer(answer, task->scenario.runs);
  const Subject::Material material{*task, *bytes, inspection, *folder, services, *observer};
  switch (task->scenario.kind) {
    case Scenario::Kind::load:
      load_only(material);
      break;
    case Scenario::Kind::cycles:
      run_cycles(material);
      break;
    default:
      live_once(material);
  }
  observer->end();
}

}  // namespace sonicorn::conformance
