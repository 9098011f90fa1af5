#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "supervisor/journal_file.hpp"

namespace sonicorn::supervisor {

// What happened to the server, its workers and its apps: when it began, when it ended and how. In
// memory, as many events as the limits say, and in a file that the next server goes on with. The
// file has one JSON object a line: "sequence", "time" (ISO 8601, UTC), "server" (its pid), "app",
// "worker", "generation", "build_id" (null where there is none), "event", and "phase": "begin" or
// "end". An end also has "of" (the sequence of its begin; its own where the event took no time),
// "result" and "took_ms". For one thread. Nothing here fails because of the file: what it does not
// take is in memory all the same, counted, and the log says so.
class Journal {
 public:
  struct Limits {
    std::uint64_t bytes = 1024 * 1024;  // of the file; beyond, the older half goes
    std::size_t events = 4'096;         // in memory; beyond, the oldest that has ended goes
    // After a failure of the file nothing is tried for so long.
    std::chrono::milliseconds retry{10'000};
  };

  // What an event is about. Empty, absent or 0: nothing of the kind.
  struct Entry {
    std::string event;  // "start", "shutdown", "crash", ...
    std::string app;
    std::optional<unsigned> worker;
    std::uint64_t generation = 0;
    std::string build_id;
  };

  static constexpr std::string_view kOk = "ok";
  static constexpr std::string_view kAbandoned = "abandoned";
  // "failed: WHY", at most some 1,000 bytes of it.
  static std::string failed(std::string_view why);

  // In memory only, until open().
  Journal() : Journal(Limits()) {}
  explicit Journal(Limits limits) : limits_(limits) {}

  // Goes on with the events of this file, and adds what follows to it. To be called once. Errors:
  // those of JournalFile::open(); then it is tried again when there is something to add.
  core::Result<void> open(const std::filesystem::path& path);

  // The events of this file, for who is not the server that adds to it. What the server that has
  // it now began is "under way". Errors: those of JournalFile::read().
  static core::Result<Journal> read(const std::filesystem::path& path);

  // An event begins. The result is its sequence, for end().
  std::uint64_t begin(Entry entry);
  // The event `of` that began here has ended: kOk, kAbandoned or failed(). One that is not known,
  // or has ended, is ignored.
  void end(std::uint64_t of, std::string_view result);
  // Another server may have the file from now on; what is noted is kept in memory only.
  void close();

  // Nobody will tell how the event `of` ended: "not finished".
  void abandon(std::uint64_t of);
  // An event that takes no time.
  void note(Entry entry, std::string_view result = kOk);

  // The newest `most` events of an app (empty: all events), the oldest first, one object each:
  // "sequence", "server", "app", "worker", "generation", "build_id", "event", "begin" and "end"
  // (times, or null), "took_ms" (or null) and "result": that of its end, or "under way" when this
  // process began it, or "not finished" when one did that is no more.
  nlohmann::json history(std::string_view app, std::size_t most) const;

  // Entries that the file did not take.
  std::uint64_t lost() const { return lost_; }

 private:
  using Clock = std::chrono::steady_clock;

  struct Event {
    Entry entry;
    std::uint64_t sequence = 0;
    pid_t server = 0;
    bool own = false;   // it began here
    std::string begun;  // times; empty: not known, or not yet
    std::string ended;
    std::string result;
    std::optional<std::int64_t> took_ms;
    Clock::time_point began_at;
  };

  Event& add(Entry entry);
  void load(std::string_view lines);
  void bound();
  void prepare();
  void write(const std::string& line);
  void on_file_failed(const core::Error& error);
  std::string unfinished_before(std::string_view stay) const;
  static std::optional<Event> event_from(const nlohmann::json& line);
  static std::string line_of(const Event& event, std::uint64_t sequence, bool is_end);

  Limits limits_;
  std::deque<Event> events_;
  std::uint64_t next_ = 1;
  std::uint64_t lost_ = 0;
  std::unique_ptr<JournalFile> file_;  // null: in memory only
  bool loaded_ = false;                // what the file had is in memory
  bool failing_ = false;
  Clock::time_point retry_at_;
};

}  // namespace sonicorn::supervisor
