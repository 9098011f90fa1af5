#include "core/line_writer.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>
#include <utility>

#include "core/own_thread.hpp"

namespace sonicorn::core {
namespace {

// How often a full disk is asked whether there is room again, and whether to go on waiting.
constexpr std::chrono::milliseconds kRetry{100};

// Whether what failed may go well later, with the same bytes.
bool may_recover(int error) {
  return error == EAGAIN || error == ENOSPC || error == EDQUOT || error == EFBIG || error == EIO ||
         error == ENOBUFS;
}

std::uint64_t lines_in(std::string_view text) {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// Whole lines of at most `most` bytes together, or one line that is longer.
std::string_view piece_of(std::string_view lines, std::size_t most) {
  if (most == 0 || lines.size() <= most) return lines;
  std::size_t newline = lines.rfind('\n', most - 1);
  if (newline == std::string_view::npos) newline = lines.find('\n', most);
  return lines.substr(0, newline == std::string_view::npos ? newline : newline + 1);
}

// Signals are for the server's own threads: whoever writes the line that nobody reads must not
// lend the new thread a mask of its own.
template <class Start>
void without_signals(Start start) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    start();
  } catch (const std::system_error&) {
    // Who writes the next line tries in its place.
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// The folder that this process is in may be another one when the file is opened again.
std::filesystem::path whole_path(const std::filesystem::path& path) {
  std::error_code failure;
  const std::filesystem::path whole = std::filesystem::absolute(path, failure);
  return failure ? path : whole;
}

}  // namespace

LineWriter::LineWriter(std::unique_ptr<Outlet> outlet, std::atomic<std::uint64_t>& dropped,
                       Note note)
    : dropped_(dropped), note_(std::move(note)), outlet_(std::move(outlet)) {}

LineWriter::~LineWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  dropped_ += lines_in(kept_);
}

void LineWriter::write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  if (!kept_.empty() && !draining_) drain();
  if (kept_.empty()) {
    lines.remove_prefix(put(lines));
    if (lines.empty()) return tell_dropped();
    if (!may_recover(errno)) {
      torn_ = false;
      return drop(lines);
    }
  } else if (is_stuck()) {
    return drop(lines);
  } else {
    tell_dropped();
  }
  keep(lines);
}

// Returns how many bytes were taken; when these are not all, errno says why.
std::size_t LineWriter::put(std::string_view lines) {
  const bool continues = torn_;
  std::size_t done = 0;
  while (done < lines.size()) {
    const std::string_view piece = piece_of(lines.substr(done), outlet_->most_at_once());
    const ssize_t written = outlet_->write(piece);
    if (written <= 0) {
      if (written == 0) errno = EAGAIN;
      break;
    }
    done += static_cast<std::size_t>(written);
  }
  if (done == 0) return 0;
  torn_ = lines[done - 1] != '\n';
  if (!torn_) return done;
  const int error = errno;
  // Not the rest of a line, whose beginning is with the kernel since another write.
  const std::size_t begin = lines.rfind('\n', done - 1) + 1;
  if ((begin != 0 || !continues) && outlet_->take_back(done - begin)) {
    torn_ = false;
    done = begin;
  }
  errno = error;
  return done;
}

void LineWriter::drain() {
  const std::size_t done = put(kept_);
  const int error = errno;
  kept_.erase(0, done);
  if (!kept_.empty() && !may_recover(error)) {
    torn_ = false;
    drop(std::exchange(kept_, {}));
  } else if (kept_.empty()) {
    tell_dropped();
  }
  if (kept_.empty()) changed_.notify_all();
}

void LineWriter::keep(std::string_view lines) try {
  if (!kept_.empty() && kept_.size() + lines.size() > kMostKept) return drop(lines);
  kept_.append(lines);
  start_draining();
} catch (const std::bad_alloc&) {
  drop(lines);
}

void LineWriter::drop(std::string_view lines) {
  const std::uint64_t count = lines_in(lines);
  dropped_ += count;
  untold_ += count;
}

void LineWriter::tell_dropped() try {
  if (untold_ == 0) return;
  const std::string note = note_(std::exchange(untold_, 0));
  const std::size_t done = kept_.empty() ? put(note) : 0;
  if (done == note.size()) return;
  kept_.append(note, done);
  start_draining();
} catch (const std::bad_alloc&) {
  // The counter has them.
}

Result<void> LineWriter::open(const std::filesystem::path& path) {
  const std::filesystem::path whole = whole_path(path);
  auto opened = Outlet::open(whole);
  if (!opened) return opened.error();
  const std::lock_guard lock(mutex_);
  path_ = whole;
  replace(std::move(*opened));
  return {};
}

Result<void> LineWriter::open_when_possible(const std::filesystem::path& path) {
  const auto opened = open(path);
  if (opened) return {};
  const std::lock_guard lock(mutex_);
  path_ = whole_path(path);
  replace(Outlet::open_later(path_));
  return opened.error();
}

Result<void> LineWriter::reopen() {
  std::filesystem::path path;
  {
    const std::lock_guard lock(mutex_);
    path = path_;
  }
  if (path.empty()) return {};
  auto opened = Outlet::open(path);
  if (!opened) return opened.error();
  const std::lock_guard lock(mutex_);
  replace(std::move(*opened));
  return {};
}

// The rest of a line makes no sense in another file than its beginning.
void LineWriter::replace(std::unique_ptr<Outlet> outlet) {
  if (std::exchange(torn_, false)) {
    const std::size_t end = std::min(kept_.find('\n'), kept_.size() - 1) + 1;
    drop(std::string_view(kept_).substr(0, end));
    kept_.erase(0, end);
  }
  outlet_ = std::move(outlet);
  changed_.notify_all();
}

bool LineWriter::flush(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!kept_.empty() && !draining_) start_draining();
  const bool empty = changed_.wait_for(lock, limit, [this] { return kept_.empty(); });
  if (!draining_ && thread_.joinable()) thread_.join();
  return empty;
}

void LineWriter::give_up() {
  std::unique_lock lock(mutex_);
  torn_ = false;
  drop(std::exchange(kept_, {}));
  tell_dropped();
  // The thread has nothing to do any more.
  changed_.notify_all();
  changed_.wait(lock, [this] { return !draining_ || !kept_.empty(); });
  if (!draining_ && thread_.joinable()) thread_.join();
}

void LineWriter::start_draining() {
  if (draining_ || stopping_) return;
  if (thread_.joinable()) thread_.join();
  without_signals([this] { thread_ = start_own_thread([this] { keep_draining(); }); });
  draining_ = thread_.joinable();
}

void LineWriter::keep_draining() {
  ::pthread_setname_np(::pthread_self(), "log");
  std::unique_lock lock(mutex_);
  while (!stopping_ && !kept_.empty()) {
    const std::shared_ptr<Outlet> outlet = outlet_;
    lock.unlock();
    const bool room = outlet->wait(kRetry);
    lock.lock();
    if (!room || stopping_ || outlet != outlet_) continue;
    const std::size_t before = kept_.size();
    drain();
    // There is no waiting for room on a disk.
    if (!kept_.empty() && kept_.size() == before) {
      changed_.wait_for(lock, kRetry,
                        [&] { return stopping_ || outlet != outlet_ || kept_.empty(); });
    }
  }
  draining_ = false;
  changed_.notify_all();
}

}  // namespace sonicorn::core
