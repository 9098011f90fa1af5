#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "http/app_response.hpp"
#include "http/characters.hpp"
#include "http/output.hpp"
#include "http/request.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

inline std::string_view view_of(const sonicorn_string& text) { return {text.data, text.size}; }

// The sending half of HTTP/1.1 connections: answers in, bytes out. One per I/O thread, for the Date
// that it keeps ready; not thread-safe.
class ResponseWriter {
 public:
  // The time that answers are dated with from now on; cheap when the second is the same.
  void set_time(std::time_t now) {
    if (now != second_) format_date(now);
  }

  // Whether what an app filled in can be sent; the sentence says why not, and is empty when it can.
  static std::string_view fault_of(const sonicorn_response& response) {
    const bool simple = response.status >= 200 && response.status <= 599 &&
                        response.field_count == 0 && response.body.data != nullptr;
    if (simple && !has_control({response.content_type.data, response.content_type.size})) return {};
    return name_fault(response);
  }

  // Appends an answer to `request` that has no fault. A large body is borrowed, and the app's
  // release moves to `output`; a small one is copied and released. `close`: the connection ends
  // after it.
  void write(Output& output, const Request& request, AppResponse& response, bool close);

  // Whether an answer of this status to `request` may have a body.
  static bool sends_body(const Request& request, unsigned status) {
    return !request.head_only && status != 204 && status != 304;
  }

  // Appends a refusal, as JSON where `json`. `head_only`: without its body. Returns how many bytes
  // of a body that are.
  std::size_t write_refusal(Output& output, const Refusal& refusal, bool json, bool head_only,
                            bool close, bool http_1_0);

  // The same as a response that an app might have written, for who has fields to add to it. The
  // memory is the response's.
  static void fill_in(AppResponse& response, const Refusal& refusal, bool json);

  // Whether the client's Accept names JSON, and likes it no less than text.
  static bool wants_json(const Request& request);

 private:
  static std::string_view name_fault(const sonicorn_response& response);
  void format_date(std::time_t now);
  char* write_status(char* at, unsigned status) const;
  char* write_date(char* at) const;

  std::time_t second_ = -1;
  std::array<char, 37> date_{};  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
};

}  // namespace sonicorn::http
