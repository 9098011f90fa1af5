#include "supervisor/journal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <map>
#include <utility>

#include "core/log.hpp"
#include "core/text.hpp"

namespace sonicorn::supervisor {

namespace log = core::log;

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kLongestText = 1'000;

// "2026-11-26T09:30:00.123Z".
std::string now_text() {
  const auto now = std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     now.time_since_epoch().count() % 1000);
}

// Others may have written to the file, so nothing is taken for granted of what it holds.
std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::uint64_t> number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned()) return std::nullopt;
  return found->get<std::uint64_t>();
}

template <class Object, class Value>
void put(Object& object, const char* key, bool known, const Value& value) {
  if (known) {
    object[key] = value;
  } else {
    object[key] = nullptr;
  }
}

template <class Object>
void put_entry(Object& object, const Journal::Entry& entry) {
  put(object, "app", !entry.app.empty(), entry.app);
  put(object, "worker", entry.worker.has_value(), entry.worker.value_or(0));
  put(object, "generation", entry.generation != 0, entry.generation);
  put(object, "build_id", !entry.build_id.empty(), entry.build_id);
  object["event"] = entry.event;
}

}  // namespace

std::string Journal::failed(std::string_view why) {
  return "failed: " + core::as_utf8(why.substr(0, kLongestText));
}

core::Result<void> Journal::open(const std::filesystem::path& path) {
  file_ = std::make_unique<JournalFile>(path, limits_.bytes);
  const auto lines = file_->open();
  if (!lines) {
    failing_ = true;
    retry_at_ = Clock::now() + limits_.retry;
    return lines.error();
  }
  load(*lines);
  return {};
}

core::Result<Journal> Journal::read(const std::filesystem::path& path) {
  Journal journal;
  const auto lines = JournalFile(path, journal.limits_.bytes).read();
  if (!lines) return lines.error();
  journal.load(lines->text);
  if (lines->taken && !journal.events_.empty()) {
    const pid_t server = journal.events_.back().server;
    for (Event& event : journal.events_) event.own = event.server == server;
  }
  return core::Result<Journal>(boost::system::in_place_value, std::move(journal));
}

// Before a sequence is given, for the file may have gone further.
void Journal::prepare() {
  if (file_ == nullptr || file_->is_open() || (failing_ && Clock::now() < retry_at_)) return;
  const auto lines = file_->open();
  if (!lines) return on_file_failed(lines.error());
  load(*lines);
}

void Journal::write(const std::string& line) {
  if (file_ == nullptr) return;
  if (!file_->is_open() || (failing_ && Clock::now() < retry_at_)) {
    ++lost_;
    return;
  }
  const auto written =
      file_->append(line, [this](std::string_view stay) { return unfinished_before(stay); });
  if (!written) {
    ++lost_;
    return on_file_failed(written.error());
  }
  if (std::exchange(failing_, false)) {
    log::info("{}: the journal is written again; it lacks {} entries", file_->path().string(),
              lost_);
  }
}

void Journal::close() { file_.reset(); }

void Journal::on_file_failed(const core::Error& error) {
  retry_at_ = Clock::now() + limits_.retry;
  if (std::exchange(failing_, true)) return;
  log::warning("{}; until then events are kept in memory only", error.message);
}

Journal::Event& Journal::add(Entry entry) {
  prepare();
  Event event;
  event.entry = std::move(entry);
  event.sequence = next_++;
  event.server = ::getpid();
  event.own = true;
  event.begun = now_text();
  event.began_at = Clock::now();
  events_.push_back(std::move(event));
  bound();
  return events_.back();
}

std::uint64_t Journal::begin(Entry entry) {
  const Event& event = add(std::move(entry));
  write(line_of(event, event.sequence, false));
  return event.sequence;
}

void Journal::end(std::uint64_t of, std::string_view result) {
  prepare();
  const auto found = std::find_if(events_.rbegin(), events_.rend(), [of](const Event& event) {
    return event.own && event.sequence == of;
  });
  if (found == events_.rend() || !found->ended.empty()) return;
  found->ended = now_text();
  found->result = core::as_utf8(result);
  found->took_ms = std::chrono::duration_cast<milliseconds>(Clock::now() - found->began_at).count();
  write(line_of(*found, next_++, true));
}

void Journal::abandon(std::uint64_t of) {
  for (Event& event : events_) {
    if (event.own && event.sequence == of && event.ended.empty()) event.own = false;
  }
}

void Journal::note(Entry entry, std::string_view result) {
  Event& event = add(std::move(entry));
  event.ended = event.begun;
  event.result = core::as_utf8(result);
  event.took_ms = 0;
  write(line_of(event, event.sequence, true));
}

// What has not ended is not dropped as long as there is something else, for its end is to come.
void Journal::bound() {
  while (events_.size() > std::max<std::size_t>(limits_.events, 1)) {
    const auto last = std::prev(events_.end());
    const auto oldest = std::find_if(events_.begin(), last, [](const Event& event) {
      return !event.own || !event.ended.empty();
    });
    events_.erase(oldest == last ? events_.begin() : oldest);
  }
}

std::string Journal::line_of(const Event& event, std::uint64_t sequence, bool is_end) {
  nlohmann::ordered_json line;
  line["sequence"] = sequence;
  line["time"] = is_end ? event.ended : event.begun;
  line["server"] = event.server;
  put_entry(line, event.entry);
  line["phase"] = is_end ? "end" : "begin";
  if (is_end) {
    line["of"] = event.sequence;
    line["result"] = event.result;
    line["took_ms"] = event.took_ms.value_or(0);
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// The event that a line is about; nothing when it is no line of a journal.
std::optional<Journal::Event> Journal::event_from(const Json& line) {
  if (!line.is_object()) return std::nullopt;
  const std::string phase = text_at(line, "phase");
  const bool is_end = phase == "end";
  const auto sequence = number_at(line, "sequence");
  const auto of = is_end ? number_at(line, "of") : sequence;
  Event event;
  event.entry.event = text_at(line, "event");
  if (!sequence || !of || event.entry.event.empty() || (!is_end && phase != "begin")) {
    return std::nullopt;
  }
  event.sequence = *of;
  event.server = static_cast<pid_t>(number_at(line, "server").value_or(0));
  event.entry.app = text_at(line, "app");
  if (const auto worker = number_at(line, "worker")) {
    event.entry.worker = static_cast<unsigned>(*worker);
  }
  event.entry.generation = number_at(line, "generation").value_or(0);
  event.entry.build_id = text_at(line, "build_id");
  std::string time = text_at(line, "time");
  if (!is_end || *of == *sequence) event.begun = time;
  if (is_end) {
    event.ended = std::move(time);
    event.result = text_at(line, "result");
    if (const auto took = number_at(line, "took_ms")) {
      event.took_ms = static_cast<std::int64_t>(*took);
    }
  }
  return event;
}

void Journal::load(std::string_view lines) {
  std::deque<Event> former;
  std::map<std::pair<pid_t, std::uint64_t>, std::size_t> places;
  while (!lines.empty()) {
    const std::size_t size = std::min(lines.find('\n'), lines.size());
    const Json line = Json::parse(lines.substr(0, size), nullptr, false);
    lines.remove_prefix(std::min(size + 1, lines.size()));
    auto event = event_from(line);
    if (!event) continue;
    next_ = std::max(next_, number_at(line, "sequence").value_or(0) + 1);
    const auto [place, is_new] =
        places.try_emplace({event->server, event->sequence}, former.size());
    if (is_new) {
      former.push_back(*std::move(event));
    } else if (Event& known = former[place->second]; known.ended.empty()) {
      known.ended = std::move(event->ended);
      known.result = std::move(event->result);
      known.took_ms = event->took_ms;
    }
  }
  if (std::exchange(loaded_, true)) return;
  events_.insert(events_.begin(), std::make_move_iterator(former.begin()),
                 std::make_move_iterator(former.end()));
  bound();
}

// Of the lines that are about to be dropped, those that still wait for their end.
std::string Journal::unfinished_before(std::string_view stay) const {
  const Json first = Json::parse(stay.substr(0, stay.find('\n')), nullptr, false);
  const std::uint64_t from =
      first.is_object() ? number_at(first, "sequence").value_or(next_) : next_;
  std::string lines;
  for (const Event& event : events_) {
    if (event.own && event.ended.empty() && event.sequence < from) {
      lines += line_of(event, event.sequence, false);
    }
  }
  return lines;
}

Json Journal::history(std::string_view app, std::size_t most) const {
  std::vector<const Event*> chosen;
  for (auto event = events_.rbegin(); event != events_.rend() && chosen.size() < most; ++event) {
    if (app.empty() || event->entry.app == app) chosen.push_back(&*event);
  }
  Json all = Json::array();
  for (auto event = chosen.rbegin(); event != chosen.rend(); ++event) {
    const Event& each = **event;
    Json one = {{"sequence", each.sequence}, {"server", each.server}};
    put_entry(one, each.entry);
    put(one, "begin", !each.begun.empty(), each.begun);
    put(one, "end", !each.ended.empty(), each.ended);
    put(one, "took_ms", each.took_ms.has_value(), each.took_ms.value_or(0));
    one["result"] = !each.ended.empty() ? each.result : each.own ? "under way" : "not finished";
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace sonicorn::supervisor
