#include "conformance/cycles.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "app/elf_image.hpp"
#include "app/signal_guard.hpp"
#include "conformance/process_state.hpp"
#include "conformance/steps.hpp"
#include "conformance/trend.hpp"
#include "core/backtrace.hpp"

namespace sonicorn::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// A thread that was joined is gone a moment later for the kernel.
constexpr milliseconds kTimeToVanish{3'000};

// What the loader, malloc and the first runs cost in all, in bytes, and the least growth a run that
// counts however many runs there are.
struct Noise {
  double in_all;
  double least;
};
constexpr Noise kAllocated{16 * 1024, 256};
constexpr Noise kResident{1024 * 1024, 8 * 1024};
// What stays loaded keeps what it holds, and the loader's own notes of it.
constexpr Noise kAllocatedWithoutUnload{1024 * 1024, 64 * 1024};

// How the server handles these is its own affair (app/signal_guard.hpp).
bool is_owned(int signal) {
  const int owned[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE, core::backtrace_signal()};
  return std::find(std::begin(owned), std::end(owned), signal) != std::end(owned);
}

std::string names_of(std::uint64_t signals) {
  std::vector<std::string> names;
  for (int signal = 1; signal <= 64; ++signal) {
    if ((signals >> static_cast<unsigned>(signal - 1) & 1U) != 0) {
      names.push_back(app::signal_name(signal));
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// "/dev/null (3 times), socket" of what is open now and was not before.
std::string names_of_new(const std::map<int, std::string>& before,
                         const std::map<int, std::string>& now) {
  std::map<std::string, unsigned> counts;
  for (const auto& [number, target] : now) {
    const auto old = before.find(number);
    if (old != before.end() && old->second == target) continue;
    // Sockets, pipes and the like have a number each.
    ++counts[target.substr(0, target.starts_with('/') ? target.size() : target.find(":["))];
  }
  std::vector<std::string> names;
  for (const auto& [target, count] : counts) {
    if (names.size() == 3) {
      names.emplace_back("...");
      break;
    }
    names.push_back(count == 1 ? target : fmt::format("{} ({} times)", target, count));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

int count_map(dl_phdr_info* info, std::size_t, void* path) {
  return *static_cast<const std::string*>(path) == info->dlpi_name ? 1 : 0;
}

bool is_loaded(const std::filesystem::path& copy) {
  if (void* const handle = ::dlopen(copy.c_str(), RTLD_LAZY | RTLD_NOLOAD)) {
    ::dlclose(handle);
    return true;
  }
  std::string path = copy.string();
  return ::dl_iterate_phdr(&count_map, &path) != 0;
}

// Why the loader keeps the code, as far as the file tells; and what to do.
struct Cause {
  std::string text;
  std::string remedy;
};

Cause why_not_unloaded(const Subject::Material& material) {
  for (const app::Hazard& hazard : material.inspection.hazards) {
    if (hazard.id == "nodelete") {
      return {"it is linked with -z nodelete", "link it without -z nodelete"};
    }
    if (hazard.id == "unique_symbols") {
      const auto end = hazard.detail.find("):");
      return {fmt::format("it has {}",
                          hazard.detail.substr(0, end == std::string::npos ? end : end + 1)),
              "compile with -fno-gnu-unique, as sonicorn_add_app does"};
    }
  }
  if (const auto image = app::ElfImage::parse(material.bytes)) {
    const auto& symbols = image->symbols();
    const bool has_destructors =
        std::any_of(symbols.begin(), symbols.end(), [](const app::ElfSymbol& symbol) {
          return !symbol.defined && symbol.name.starts_with("__cxa_thread_atexit");
        });
    if (has_destructors) {
      return {
          "it has thread-local objects with destructors, and a thread that used one still lives "
          "(constructors of static objects run on a thread that outlives the app)",
          "use no thread-local object in constructors of static objects"};
    }
  }
  return {
      "the file does not tell why: something holds on to it, such as a dlopen that was not "
      "closed, or a library that it registered itself with",
      "undo in shutdown what start has done, and look at what its libraries keep"};
}

Trend trend_above(const std::vector<std::uint64_t>& samples, const Noise& noise) {
  return trend_of(samples,
                  std::max(noise.least, noise.in_all / static_cast<double>(samples.size())));
}

// The runs, with what was measured of each.
class Cycles {
 public:
  explicit Cycles(const Subject::Material& material)
      : material_(material), observer_(material.observer), threads_(threads()) {
    dispositions_ = Dispositions::now();
    const std::size_t count = material.task.scenario.runs + std::size_t{1};
    allocated_.reserve(count);
    resident_.reserve(count);
    open_.reserve(count);
  }

  void run() {
    measure();
    for (unsigned run = 1; run <= material_.task.scenario.runs; ++run) {
      observer_.set_run(run);
      // After an early end there is nothing to compare.
      if (!run_once(run)) return;
      measure();
    }
    judge_descriptors();
    judge_memory();
  }

 private:
  // In the server the signals that it reads are blocked in every thread, in a one-shot call they
  // are open: an app that changes the mask is seen in one of them.
  static void set_mask(bool as_server) {
    sigset_t set;
    ::sigemptyset(&set);
    if (as_server) {
      for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGHUP}) ::sigaddset(&set, signal);
    }
    ::pthread_sigmask(SIG_SETMASK, &set, nullptr);
  }

  bool run_once(unsigned run) {
    set_mask(run == 1);
    mask_ = blocked_signals(::gettid());
    auto loaded = Subject::load(material_, run);
    if (!loaded) {
      observer_.report(load_failed(loaded.error()));
      return false;
    }
    judge_signals("loading");
    judge_mask("loading", blocked_signals(::gettid()));
    set_mask(run == 1);
    Subject& subject = **loaded;
    if (!start_one(subject, observer_)) {
      static_cast<void>(loaded->release());
      return false;
    }
    judge_signals("start");
    const std::uint64_t started = blocked_signals(subject.lifecycle_thread());
    judge_mask("start", started);
    const Answer answer = subject.request_on_new_thread();
    report_answer(answer, observer_);
    judge_signals("a request");
    judge_mask("a request", answer.blocked_signals);
    const bool drained = drain_one(subject, observer_);
    if (drained) shut_down_one(subject, observer_);
    judge_signals("shutdown");
    const std::uint64_t ended = blocked_signals(subject.lifecycle_thread());
    if (ended != started) judge_mask("shutdown", ended);
    judge_leftover_handlers();
    if (!drained || !judge_threads(subject)) {
      // Code that runs must stay.
      static_cast<void>(loaded->release());
      return false;
    }
    const std::filesystem::path copy = subject.copy();
    observer_.enter("unloading (a destructor of a static object)", material_.task.time_limit,
                    ::gettid());
    loaded->reset();
    judge_unload(copy);
    std::error_code ignored;
    std::filesystem::remove(copy, ignored);
    std::filesystem::remove_all(app::library_copy(copy, {}).parent_path(), ignored);
    return true;
  }

  void measure() {
    open_.push_back(descriptors().size());
    if (open_.size() <= kWarmUp + 1) warm_ = descriptors();
    allocated_.push_back(allocated_bytes());
    resident_.push_back(resident_bytes());
  }

  void judge_signals(std::string_view step) {
    const Dispositions now = Dispositions::now();
    for (const int signal : dispositions_.differences(now)) {
      if (!is_owned(signal)) continue;
      app::Intrusion intrusion{signal, app::Intrusion::Kind::handler};
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-union-access)
      const auto handler = now.of(signal).sa_handler;
      if (handler == SIG_IGN) intrusion.kind = app::Intrusion::Kind::ignored;
      if (handler == SIG_DFL) intrusion.kind = app::Intrusion::Kind::defaulted;
      observer_.report(
          {.id = "check.signal_handler",
           .level = Level::error,
           .message = fmt::format("{} {}, which is the server's", step, app::describe(intrusion)),
           .remedy = "leave signals alone: the attributes shutdown, drain and reload "
                     "tell the app what it wants to know of them",
           .where = {}});
      // So that what the next step does is seen.
      ::sigaction(signal, &dispositions_.of(signal), nullptr);
    }
  }

  void judge_mask(std::string_view step, std::uint64_t blocked_now) {
    const std::uint64_t changed = blocked_now ^ mask_;
    if (changed == 0) return;
    const bool blocked = (changed & mask_) == 0;
    observer_.report({.id = "check.signal_mask",
                      .level = Level::error,
                      .message = fmt::format("{} {} {} on a thread of the server", step,
                                             blocked ? "blocked" : "changed whether it blocks",
                                             names_of(changed)),
                      .remedy = "leave the signal masks of the server's threads alone; put back by "
                                "pthread_sigmask what a call needed, before it returns",
                      .where = {}});
  }

  void judge_leftover_handlers() {
    const Dispositions now = Dispositions::now();
    for (const int signal : dispositions_.differences(now)) {
      observer_.report(
          {.id = "check.leaked_signal_handler",
           .level = Level::error,
           .message = fmt::format("after shutdown {} is still handled as the app wanted "
                                  "it; once its code is unloaded, that signal ends the "
                                  "server",
                                  app::signal_name(signal)),
           .remedy = "put back in shutdown, by sigaction, what start found",
           .where = {}});
    }
    dispositions_.restore();
  }

  // False when threads of the app still run.
  bool judge_threads(const Subject& subject) {
    observer_.enter("the end of its threads", material_.task.time_limit + 2 * kTimeToVanish);
    const auto until = Clock::now() + kTimeToVanish;
    std::vector<pid_t> left;
    for (;;) {
      left.clear();
      for (const pid_t thread : threads()) {
        if (!threads_.contains(thread) && thread != subject.lifecycle_thread()) {
          left.push_back(thread);
        }
      }
      if (left.empty() || Clock::now() >= until) break;
      std::this_thread::sleep_for(milliseconds(1));
    }
    for (const pid_t thread : left) {
      observer_.report(
          {.id = "check.leaked_thread",
           .level = Level::error,
           .message =
               fmt::format("after shutdown its thread {} still runs; unloading its code would "
                           "crash it, so the runs ended with number {}",
                           name_of_thread(thread), observer_.run()),
           .remedy = "stop and join it in shutdown, or start it through background/1: then the "
                     "server does both",
           .where = Observer::place_of(thread)});
    }
    return left.empty();
  }

  void judge_unload(const std::filesystem::path& copy) {
    if (!is_loaded(copy)) return;
    stays_loaded_ = true;
    const Cause cause = why_not_unloaded(material_);
    observer_.report(
        {.id = "check.not_unloaded",
         .level = Level::warning,
         .message = fmt::format("its code stays in the process after it was closed, so "
                                "each reload costs memory: {}",
                                cause.text),
         .remedy = cause.remedy,
         .where = {}});
  }

  void judge_descriptors() {
    const Trend trend = trend_of(open_, 0);
    if (trend.kind == Trend::Kind::flat) return;
    const bool steady = trend.kind == Trend::Kind::steady;
    observer_.report(
        {.id = "check.leaked_descriptor",
         .level = steady ? Level::error : Level::note,
         .message =
             steady ? fmt::format("it leaves about {:.2g} descriptors a run open: {}",
                                  trend.per_run, names_of_new(warm_, descriptors()))
                    : fmt::format("{} descriptors more than before are open after the first runs, "
                                  "but no more with each run",
                                  open_.back() - open_.front()),
         .remedy = "close in shutdown what start opened, and in a request what the request opened",
         .where = {}});
  }

  void judge_memory() {
    if (!material_.task.scenario.without.empty()) return;  // a few runs, for other things
    if (kSanitized) {
      observer_.report({.id = "check.memory_not_judged",
                        .level = Level::note,
                        .message = "the growth of memory is not judged: this server was built with "
                                   "a sanitizer",
                        .remedy = "use a build without to check that",
                        .where = {}});
      return;
    }
    if (allocated_.size() < kEnoughSamples) {
      observer_.report({.id = "check.memory_not_judged",
                        .level = Level::note,
                        .message = "the growth of memory is not judged after so few runs",
                        .remedy = fmt::format("use --runs {} or more", kEnoughSamples),
                        .where = {}});
      return;
    }
    const Trend allocated =
        trend_above(allocated_, stays_loaded_ ? kAllocatedWithoutUnload : kAllocated);
    const Trend resident = trend_above(resident_, kResident);
    const bool by_malloc = allocated.kind == Trend::Kind::steady;
    // Code that stays occupies memory, and was told.
    if (!by_malloc && (stays_loaded_ || resident.kind != Trend::Kind::steady)) return;
    observer_.report(
        {.id = "check.memory_growth",
         .level = Level::error,
         .message = fmt::format("memory grows by about {:.1f} KiB a run ({})",
                                (by_malloc ? allocated : resident).per_run / 1024,
                                by_malloc ? "malloc and new" : "memory of the process"),
         .remedy = "free in shutdown what start made, and see that each response's release frees "
                   "what it holds; valgrind with sonicorn call shows where it comes from",
         .where = {}});
  }

  const Subject::Material& material_;
  Observer& observer_;
  const std::set<pid_t> threads_;  // the server's own
  Dispositions dispositions_;
  std::uint64_t mask_ = 0;  // what each thread of a run should block
  bool stays_loaded_ = false;

  // From before the first run and after each.
  std::vector<std::uint64_t> open_;
  std::vector<std::uint64_t> allocated_;
  std::vector<std::uint64_t> resident_;
  std::map<int, std::string> warm_;  // what was open then
};

}  // namespace

void run_cycles(const Subject::Material& material) { Cycles(material).run(); }

}  // namespace sonicorn::conformance
