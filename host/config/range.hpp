#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "core/result.hpp"

// Which values the settings allow: one statement for the file, the command line and the messages.
namespace sonicorn::config {

// Of a count or a size, both ends allowed.
struct CountRange {
  std::uint64_t least;
  std::uint64_t most;
  std::string_view unit = "";  // "bytes", or nothing
};

// Of a duration, both ends allowed.
struct TimeRange {
  std::chrono::milliseconds least;
  std::chrono::milliseconds most;
};

inline constexpr CountRange kThreads{1, 1024};
inline constexpr CountRange kWorkers{1, 256};
inline constexpr CountRange kBlockingThreads{1, 4096};
inline constexpr CountRange kBodySize{0, 16ULL << 30, "bytes"};
inline constexpr TimeRange kGrace{std::chrono::seconds(0), std::chrono::hours(24)};
inline constexpr TimeRange kLoadTime{std::chrono::milliseconds(100), std::chrono::hours(1)};

// Durations of [lifecycle], under the names that the file gives them.
struct LifecycleTime {
  std::string_view name;
  std::chrono::milliseconds Lifecycle::*member;
  TimeRange range;
};

inline constexpr LifecycleTime kLifecycleTimes[] = {
    {"start_time", &Lifecycle::start_time, {std::chrono::milliseconds(10), std::chrono::hours(24)}},
    {"call_time", &Lifecycle::call_time, {std::chrono::milliseconds(10), std::chrono::hours(1)}},
    {"health_time",
     &Lifecycle::health_time,
     {std::chrono::milliseconds(10), std::chrono::hours(1)}},
    {"health_interval",
     &Lifecycle::health_interval,
     {std::chrono::milliseconds(0), std::chrono::hours(24)}},
};

// Numbers and durations of [workers], under the names that the file gives them.
struct WorkersCount {
  std::string_view name;
  std::uint64_t Workers::*member;
  CountRange range;
};

struct WorkersTime {
  std::string_view name;
  std::chrono::milliseconds Workers::*member;
  TimeRange range;
};

inline constexpr WorkersCount kWorkersCounts[] = {
    {"crashes", &Workers::crashes, {0, 1'000'000}},
    {"max_requests", &Workers::max_requests, {0, 1ULL << 53}},
    {"max_requests_jitter", &Workers::max_requests_jitter, {0, 1ULL << 53}},
    {"max_memory", &Workers::max_memory, {0, 1ULL << 50, "bytes"}},
};

inline constexpr WorkersTime kWorkersTimes[] = {
    {"crash_time", &Workers::crash_time, {std::chrono::milliseconds(1), std::chrono::hours(24)}},
    {"backoff", &Workers::backoff, {std::chrono::milliseconds(1), std::chrono::hours(1)}},
    {"backoff_most", &Workers::backoff_most, {std::chrono::milliseconds(1), std::chrono::hours(1)}},
    {"backoff_reset",
     &Workers::backoff_reset,
     {std::chrono::milliseconds(1), std::chrono::hours(24)}},
    {"max_lifetime",
     &Workers::max_lifetime,
     {std::chrono::milliseconds(0), std::chrono::hours(24 * 365)}},
};

inline constexpr TimeRange kHoldTime{std::chrono::milliseconds(0), std::chrono::hours(1)};
inline constexpr TimeRange kProbation{std::chrono::seconds(0), std::chrono::hours(24 * 7)};
inline constexpr CountRange kProbationRequests{0, 1'000'000'000'000};

inline constexpr std::string_view kOverruns[] = {"abandon", "wait", "kill"};
inline constexpr std::string_view kOverrunsAllowed = "\"abandon\", \"wait\" or \"kill\"";

inline constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error"};
inline constexpr std::string_view kLogLevelsAllowed =
    "\"debug\", \"info\", \"warning\" or \"error\"";

inline constexpr std::string_view kLogFormats[] = {"text", "json"};
inline constexpr std::string_view kLogFormatsAllowed = "\"text\" or \"json\"";

inline constexpr std::string_view kAccessLogFormats[] = {"common", "combined", "json"};
inline constexpr std::string_view kAccessLogFormatsAllowed = "\"common\", \"combined\" or \"json\"";

// A number of [limits], under the name that the file gives it.
struct CountLimit {
  std::string_view name;
  std::uint64_t Limits::*member;
  CountRange range;
};

struct TimeLimit {
  std::string_view name;
  std::chrono::milliseconds Limits::*member;
  TimeRange range;
};

inline constexpr CountLimit kCountLimits[] = {
    {"request_line", &Limits::request_line, {256, 1 << 20, "bytes"}},
    {"field", &Limits::field, {256, 1 << 20, "bytes"}},
    {"fields", &Limits::fields, {1, 10'000}},
    {"head", &Limits::head, {512, 4 << 20, "bytes"}},
    {"body", &Limits::body, kBodySize},
    {"connections", &Limits::connections, {0, 1'000'000}},
    {"queue", &Limits::queue, {1, 1'000'000}},
    {"bus_queue", &Limits::bus_queue, {1, 1'000'000}},
    {"keep_alive_requests", &Limits::keep_alive_requests, {0, 1'000'000'000}},
    {"body_rate", &Limits::body_rate, {0, 1 << 30, "bytes a second"}},
};

inline constexpr TimeLimit kTimeLimits[] = {
    {"head_time", &Limits::head_time, {std::chrono::milliseconds(100), std::chrono::hours(1)}},
    {"body_grace", &Limits::body_grace, {std::chrono::milliseconds(100), std::chrono::hours(1)}},
    {"keep_alive_time",
     &Limits::keep_alive_time,
     {std::chrono::milliseconds(100), std::chrono::hours(24)}},
    {"write_time", &Limits::write_time, {std::chrono::milliseconds(100), std::chrono::hours(1)}},
    {"request_time",
     &Limits::request_time,
     {std::chrono::milliseconds(100), std::chrono::hours(24)}},
    {"queue_time", &Limits::queue_time, {std::chrono::milliseconds(50), std::chrono::hours(24)}},
    {"loop_time", &Limits::loop_time, {std::chrono::milliseconds(0), std::chrono::hours(24)}},
};

// "a whole number from 1 to 1024", "a whole number of bytes from 0 to 1048576".
std::string allowed(const CountRange& range);

// "a number of seconds from 0 to 86400".
std::string allowed(const TimeRange& range);

bool contains(const CountRange& range, std::int64_t number);

// Whether `seconds` is a number (no NaN) within the range.
bool contains(const TimeRange& range, double seconds);

// REQUIRES: contains(some range, seconds). Rounded to the nearest millisecond.
std::chrono::milliseconds milliseconds_from(double seconds);

std::optional<Overrun> overrun_from(std::string_view name);

std::optional<AccessLogFormat> access_log_format_from(std::string_view name);

// Whether `name` is a capability of this ABI, as "NAME" or "NAME/REV"; the sentence that says what
// is wrong is empty when it is.
std::string fault_of_capability(std::string_view name);

// For a flag's text; the error ("--threads 0: allowed is ...") has the id config.bad_flag.
core::Result<std::uint64_t> parse_count(std::string_view flag, std::string_view text,
                                        const CountRange& range);
core::Result<std::chrono::milliseconds> parse_time(std::string_view flag, std::string_view text,
                                                   const TimeRange& range);

}  // namespace sonicorn::config
