// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::testing {

// A header field.
struct Field {
  std::string name;
  std::string value;
};

// A request to send. The fields are sent as they are, and no others: add Host or Content-Length
// where the app looks at them.
struct Request {
  std::string method = "GET";
  std::string target = "/";  // "/a%20b?x=1"
  std::vector<Field> fields = {};
  std::string body = {};
  std::string remote = "127.0.0.1";
  std::string scheme = "http";
  // The client goes away while the handler runs: on_disconnect is called, and nothing is sent.
  bool disconnects = false;
  // What post_request hears of it; nobody waits.
  std::chrono::nanoseconds duration = std::chrono::milliseconds(1);
};

// What the client gets, but for the fields that frame the message, which are the server's.
struct Response {
  unsigned status = 0;  // 0: nothing was sent
  std::string content_type;
  std::vector<Field> fields;
  std::string body;
  // No client sees this: why it is a 500, as "NAME: on_request failed: TEXT".
  std::string error;

  // The value of the first field of this name, in any case; nullopt when there is none.
  std::optional<std::string> header(std::string_view name) const;
};

// "200 text/plain, 6 bytes", and the error.
std::ostream& operator<<(std::ostream& out, const Response& response);

}  // namespace sonicorn::testing
