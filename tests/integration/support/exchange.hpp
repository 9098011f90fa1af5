#pragma once

#include <string>
#include <vector>

#include "support/server.hpp"

namespace support {

// What becomes of the connection after an answer.
enum class Then { open, closed, either };

// The bytes of one request and the verdict that they deserve.
struct Exchange {
  std::string name;
  std::string bytes;
  std::vector<int> statuses;  // any of these
  Then then = Then::closed;
  std::string body = {};  // of an answer 200
  bool to_head = false;
};

// A request that is to be refused with this status, and the connection closed.
Exchange refused(std::string name, std::string bytes, std::vector<int> statuses = {400});

// A request that is to be served, and the connection kept.
Exchange served(std::string name, std::string bytes, std::string body = {});

// Checks that the server reaches the verdict when the bytes arrive at once, followed by another
// request, byte by byte (long padding in larger pieces), and (when they are few) in two pieces
// split at every position; each time the same.
void check_exchange(const Server& server, const Exchange& exchange);

void check_exchanges(const Server& server, const std::vector<Exchange>& exchanges);

}  // namespace support
