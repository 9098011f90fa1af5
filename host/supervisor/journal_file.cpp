#include "supervisor/journal_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/descriptor.hpp"

namespace sonicorn::supervisor {
namespace {

// What every line begins with.
constexpr std::string_view kFirst = "{\"sequence\":";

bool read_all(int file, std::uint64_t from, std::string& into) {
  std::size_t got = 0;
  while (got < into.size()) {
    const ssize_t more =
        ::pread(file, into.data() + got, into.size() - got, static_cast<off_t>(from + got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return false;
    if (more == 0) break;
    got += static_cast<std::size_t>(more);
  }
  into.resize(got);
  return true;
}

}  // namespace

core::Error JournalFile::unwritable(int error) const {
  return core::host_error(
      "host.journal",
      fmt::format("{}: the journal cannot be written ({}); name a file in a folder that the user "
                  "whom the server runs as may write to, and see to it that there is space",
                  path_.string(), std::generic_category().message(error)));
}

core::Error JournalFile::unreadable(int error) const {
  return core::host_error("host.journal",
                          fmt::format("{}: the journal cannot be read ({}); name another file, or "
                                      "become the user whom the server runs as",
                                      path_.string(), std::generic_category().message(error)));
}

core::Error JournalFile::foreign() const {
  return core::host_error(
      "host.journal_taken",
      fmt::format("{}: this is to be the journal, and it is there and holds something else; name "
                  "another file, or remove this one",
                  path_.string()));
}

bool JournalFile::is_open() const {
  struct stat status {};
  return file_ >= 0 && ::fstat(file_, &status) == 0 && status.st_nlink > 0;
}

void JournalFile::close() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

core::Result<std::string> JournalFile::open() {
  close();
  if (const auto taken = take(); !taken) {
    close();
    return taken.error();
  }
  auto lines = read_lines(file_);
  core::Result<void> cut;
  if (lines) cut = cut_last_line();
  if (!lines || !cut) close();
  return cut ? std::move(lines) : core::Result<std::string>(cut.error());
}

core::Result<void> JournalFile::take() {
  // Not blocking: opening a FIFO would wait for its reader.
  constexpr int kHow = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  for (;;) {
    close();
    file_ = ::open(path_.c_str(), kHow, 0600);
    if (file_ < 0 && errno == ELOOP) return foreign();
    if (file_ < 0) return unwritable(errno);
    struct stat opened {};
    if (::fstat(file_, &opened) != 0) return unwritable(errno);
    if (!S_ISREG(opened.st_mode)) return foreign();
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return unwritable(errno);
      return core::host_error(
          "host.journal_taken",
          fmt::format("{}: another server that runs has this journal; name another file",
                      path_.string()));
    }
    struct stat named {};
    // Who had it may have put another file in its place in between.
    if (::lstat(path_.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
        named.st_dev == opened.st_dev) {
      return {};
    }
  }
}

// The whole lines.
core::Result<std::string> JournalFile::read_lines(int file) const {
  struct stat status {};
  if (::fstat(file, &status) != 0) return unreadable(errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::string begin(std::min<std::uint64_t>(size, kFirst.size()), '\0');
  if (!read_all(file, 0, begin)) return unreadable(errno);
  if (!kFirst.starts_with(begin)) return foreign();

  const std::uint64_t from = size > most_bytes_ ? size - most_bytes_ : 0;
  std::string text(size - from, '\0');
  if (!read_all(file, from, text)) return unreadable(errno);
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  // Where it was cut, it begins within a line.
  if (from > 0) text.erase(0, text.find('\n') + 1);
  return core::Result<std::string>(boost::system::in_place_value, std::move(text));
}

core::Result<JournalFile::Lines> JournalFile::read() const {
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) return unreadable(errno);
  const bool taken = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  auto text = read_lines(file);
  ::close(file);
  // Who reads has no business to remove what is there.
  if (!text && text.error().id == "host.journal_taken") {
    return core::host_error(
        "host.journal_taken",
        fmt::format("{}: this is no journal of a server; name the file of 'serve --journal'",
                    path_.string()));
  }
  if (!text) return text.error();
  return Lines{std::move(*text), taken};
}

// What a killed server wrote of its last line would spoil the next one.
core::Result<void> JournalFile::cut_last_line() {
  struct stat status {};
  if (::fstat(file_, &status) != 0) return unwritable(errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t from = size - std::min(size, most_bytes_);
  std::string end(size - from, '\0');
  if (!read_all(file_, from, end)) return unwritable(errno);
  const std::size_t whole = end.rfind('\n') + 1;
  if (whole < end.size() && ::ftruncate(file_, static_cast<off_t>(from + whole)) != 0) {
    return unwritable(errno);
  }
  return {};
}

core::Result<void> JournalFile::append(
    std::string_view line, const std::function<std::string(std::string_view stay)>& carried) {
  struct stat status {};
  if (::fstat(file_, &status) != 0) return unwritable(errno);
  if (static_cast<std::uint64_t>(status.st_size) + line.size() > most_bytes_) {
    if (const auto dropped = drop_older(carried); !dropped) return dropped.error();
    if (::fstat(file_, &status) != 0) return unwritable(errno);
  }
  ssize_t put = 0;
  do {
    put = ::write(file_, line.data(), line.size());
  } while (put < 0 && errno == EINTR);
  if (put == static_cast<ssize_t>(line.size())) return {};
  const int error = put < 0 ? errno : ENOSPC;
  // A part of a line would spoil the next one.
  if (put > 0 && ::ftruncate(file_, status.st_size) != 0) close();
  return unwritable(error);
}

// The name stands for the old file or for the new one, never for a part of either.
core::Result<void> JournalFile::drop_older(
    const std::function<std::string(std::string_view stay)>& carried) {
  struct stat status {};
  if (::fstat(file_, &status) != 0) return unwritable(errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::uint64_t from = size - std::min(size, most_bytes_) / 2;
  std::string stay(size - from, '\0');
  if (!read_all(file_, from, stay)) return unwritable(errno);
  stay.erase(0, stay.find('\n') + 1);

  const std::filesystem::path fresh = path_.string() + ".new";
  ::unlink(fresh.c_str());
  const int file =
      ::open(fresh.c_str(), O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return unwritable(errno);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0 || !core::write_all(file, carried(stay)) ||
      !core::write_all(file, stay) || ::rename(fresh.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::close(file);
    ::unlink(fresh.c_str());
    return unwritable(error);
  }
  close();
  file_ = file;
  return {};
}

}  // namespace sonicorn::supervisor
