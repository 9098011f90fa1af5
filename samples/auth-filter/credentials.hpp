#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The tokens that open the door. Only read after it is made, so any thread may use it.
class Credentials {
 public:
  explicit Credentials(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

  // Which token the value of an Authorization field carries: "Bearer TOKEN", or "Basic ..." with
  // the token as the password of any user (RFC 7617). nullopt when it carries none of them. How
  // long it takes says nothing about how much of a token was right.
  std::optional<std::size_t> find(std::string_view authorization) const;

 private:
  std::vector<std::string> tokens_;
};

// The bytes of a text in base64 (RFC 4648 4); nullopt when it is none.
std::optional<std::string> decode_base64(std::string_view text);
