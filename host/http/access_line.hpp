#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "http/request.hpp"

namespace sonicorn::http {

// What the access log tells of one request.
struct AccessEntry {
  const Request& request;  // of one that was refused, no more than its head need be there
  std::string_view remote;
  unsigned status = 0;
  std::uint64_t body_size = 0;  // bytes of the answer's body
  std::string_view request_id;
  std::string_view app;          // empty: none
  std::uint64_t generation = 0;  // 0: none
  std::chrono::nanoseconds duration{0};
  std::timespec time{};  // of the answer, CLOCK_REALTIME
};

// Writes entries as lines. What a client has sent is cut at 8 KiB a text, and escaped so that a
// line stays one line and its fields stay apart. Not thread-safe.
class AccessLineFormat {
 public:
  explicit AccessLineFormat(config::AccessLogFormat format) : format_(format) {}

  // Appends the line of `entry`, with its LF.
  void append(std::string& to, const AccessEntry& entry);

 private:
  void append_common(std::string& to, const AccessEntry& entry);
  static void append_more(std::string& to, const AccessEntry& entry);
  void append_as_json(std::string& to, const AccessEntry& entry);
  std::string_view local_time(std::time_t second);
  std::string_view utc_second(std::time_t second);

  config::AccessLogFormat format_;
  std::time_t second_ = -1;  // that the text below says
  std::string text_;
  std::string line_;  // a request line, while it is put together
};

}  // namespace sonicorn::http
