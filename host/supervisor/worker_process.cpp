#include "supervisor/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/crash_report.hpp"
#include "core/descriptor.hpp"
#include "core/log.hpp"
#include "process/message.hpp"

namespace sonicorn::supervisor {

namespace message = process::message;

namespace {

constexpr std::chrono::milliseconds kLastMessages{100};
// Between its last word and its end, unless it was told to end.
constexpr std::chrono::milliseconds kSilence{1'000};
// The same when it has said that it ends: static destructors run.
constexpr std::chrono::milliseconds kLeaving{5'000};
constexpr std::size_t kMostLastWords = 256 * 1024;

}  // namespace

core::Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(boost::asio::io_context& io,
                                                                  process::Children& children,
                                                                  const Setup& setup,
                                                                  Events events) {
  const auto ends = process::make_channel();
  if (!ends) return ends.error();
  const core::Descriptor theirs(ends->theirs);
  core::Descriptor ours(ends->ours);
  std::array<int, 2> pipe{-1, -1};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
    return core::host_error("host.spawn",
                            fmt::format("a pipe for a worker: {}", std::strerror(errno)));
  }
  const core::Descriptor report_out(pipe[1]);
  core::Descriptor report_in(pipe[0]);
  ::fcntl(report_in.number(), F_SETFL, O_NONBLOCK);

  process::SpawnRequest request;
  request.file = process::own_executable();
  request.argv = {"sonicorn", "worker", fmt::format("{}", setup.index), "--channel",
                  fmt::format("{}", theirs.number())};
  request.inherited = setup.descriptors;
  request.inherited.push_back(theirs.number());
  request.inherited.push_back(report_out.number());
  const auto pid = children.spawn(request);
  if (!pid) return pid.error();

  std::unique_ptr<WorkerProcess> worker(new WorkerProcess(io, children, setup, std::move(events),
                                                          ours.release(), report_in.release()));
  worker->pid_ = *pid;
  WorkerProcess* const self = worker.get();
  children.watch(*pid, [self](int wait_status) { self->on_end(wait_status); });
  worker->channel_.listen([self](Json said) { self->on_message(std::move(said)); },
                          [self] { self->on_silence(); });
  Json first = setup.start;
  first["report"] = report_out.number();
  worker->send(message::kStart, std::move(first));
  return core::Result<std::unique_ptr<WorkerProcess>>(boost::system::in_place_value,
                                                      std::move(worker));
}

WorkerProcess::WorkerProcess(boost::asio::io_context& io, process::Children& children,
                             const Setup& setup, Events events, int channel, int report)
    : io_(io),
      children_(children),
      index_(setup.index),
      answer_time_(setup.answer_time),
      edition_(setup.edition),
      events_(std::move(events)),
      channel_(io, channel),
      report_(report),
      kill_timer_(io),
      end_timer_(io) {}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0 && !gone_) {
    children_.forget(pid_);
    ::kill(pid_, SIGKILL);
  }
  ::close(report_);
}

// Where the supervisor was not run for a while, the end of the worker and the time are due at once,
// and a timer whose time has come cannot be cancelled any more.
template <class Then>
void WorkerProcess::after(boost::asio::steady_timer& timer, std::chrono::milliseconds time,
                          Then then) {
  timer.expires_after(time);
  timer.async_wait(
      [alive = std::weak_ptr<void>(alive_), then](const boost::system::error_code& error) {
        if (!error && !alive.expired()) then();
      });
}

std::uint64_t WorkerProcess::resident_bytes() const {
  std::FILE* const file = std::fopen(fmt::format("/proc/{}/statm", pid_).c_str(), "re");
  if (file == nullptr) return 0;
  unsigned long size = 0;
  unsigned long resident = 0;
  const int got = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  return got == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

void WorkerProcess::send(const char* what, Json more) {
  more["say"] = what;
  channel_.send(more);
}

void WorkerProcess::ask(const char* what, Json more, std::chrono::milliseconds more_time,
                        std::function<void(Json)> done) {
  if (ended_) return boost::asio::post(io_, [done = std::move(done)] { done(nullptr); });
  const std::uint64_t id = next_question_++;
  auto deadline = std::make_unique<boost::asio::steady_timer>(io_);
  after(*deadline, answer_time_ + more_time, [this, id] {
    const auto question = questions_.extract(id);
    if (!question.empty()) question.mapped().done(nullptr);
  });
  questions_.emplace(id, Question{std::move(done), std::move(deadline)});
  more["id"] = id;
  more["what"] = what;
  send(message::kAsk, std::move(more));
}

void WorkerProcess::on_answer(const Json& said) {
  const auto question = questions_.extract(said.value("id", std::uint64_t{0}));
  if (!question.empty()) question.mapped().done(said.value("answer", Json()));
}

void WorkerProcess::on_message(Json said) {
  ++heard_;
  const std::string what = said.value("say", std::string());
  if (what == message::kAnswer) return on_answer(said);
  if (what == message::kFailed || said.value("stopping", false)) ends_by_itself_ = true;
  if (what == message::kFinished) {
    finished_ = true;
    return;
  }
  if (what == message::kReadiness) {
    why_not_ready_ = said.value("why_not", std::string());
  }
  if (what == message::kPrepared && state_ == State::starting) state_ = State::prepared;
  if (what == message::kServing && state_ == State::admitted) state_ = State::serving;
  events_.message(*this, std::move(said));
}

void WorkerProcess::serve() {
  state_ = State::admitted;
  send(message::kServe);
}

void WorkerProcess::stop(std::uint32_t reason, int signal, const std::string& text,
                         std::chrono::milliseconds limit, bool goes_on) {
  const bool first = state_ != State::stopping;
  state_ = State::stopping;
  send(message::kStop,
       {{"reason", reason}, {"signal", signal}, {"message", text}, {"goes_on", goes_on}});
  // It has not heard of it.
  if (silent_) limit = kSilence;
  if (!first || limit.count() == 0) return;
  after(kill_timer_, limit, [this, limit] {
    if (gone_) return;
    core::log::error("worker {} (pid {}) has not ended within {:.1f} s; it is killed", index_, pid_,
                     std::chrono::duration<double>(limit).count());
    abort("it did not end in its time");
  });
}

void WorkerProcess::abort(const char* why) {
  if (gone_) return;
  events_.aborted(*this, why);
  kill();
}

void WorkerProcess::kill() {
  if (!gone_) ::kill(pid_, SIGKILL);
}

std::vector<std::byte> WorkerProcess::read_last_words() const {
  std::vector<std::byte> words;
  std::array<std::byte, 4096> piece;
  while (words.size() < kMostLastWords) {
    const ssize_t got = ::read(report_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    words.insert(words.end(), piece.begin(), piece.begin() + got);
  }
  return words;
}

void WorkerProcess::on_end(int wait_status) {
  gone_ = true;
  end_ = End{wait_status, read_last_words()};
  if (silent_) return tell_end();
  // What it said before it ended is heard first. A process that an app forked may hold the channel.
  await_last_messages();
}

// As long as there is one more within the time.
void WorkerProcess::await_last_messages() {
  after(end_timer_, kLastMessages,
        [this, before = heard_] { heard_ != before ? await_last_messages() : tell_end(); });
}

void WorkerProcess::on_silence() {
  silent_ = true;
  if (end_) return tell_end();
  if (state_ == State::stopping) return;
  // Nobody could tell it anything any more.
  after(kill_timer_, ends_by_itself_ ? kLeaving : kSilence, [this] {
    if (gone_) return;
    core::log::error("worker {} (pid {}) {}; it is killed", index_, pid_,
                     ends_by_itself_
                         ? "has said that it ends and does not: a static destructor or a handler "
                           "of atexit() of an app may hang"
                         : "has closed its channel to the supervisor, as an app does that closes "
                           "descriptors it did not open");
    abort("it cannot be reached");
  });
}

void WorkerProcess::tell_end() {
  kill_timer_.cancel();
  end_timer_.cancel();
  ended_ = true;
  if (const auto report = core::parse_crash_report(end_->last_words)) {
    epitaph_ = core::summary(*report);
  }
  auto questions = std::exchange(questions_, {});
  for (auto& [id, question] : questions) question.done(nullptr);
  End end = *std::exchange(end_, std::nullopt);
  const auto tell = std::move(events_.ended);
  tell(*this, std::move(end));
}

}  // namespace sonicorn::supervisor
