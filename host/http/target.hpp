#pragma once

#include <string>
#include <string_view>

namespace sonicorn::http {

// A request target taken apart (RFC 9112 3.2).
struct Target {
  std::string_view authority;  // absolute form only
  std::string_view path;       // as received, at least "/"; empty for "*"
  std::string_view query;      // without the question mark
  bool asterisk = false;
  bool plain = true;  // the path needs no canonical_path()
};

// Takes `text` apart into a fresh `target`; false for what is no target: the authority form, a
// relative path, a fragment, a space, a control character or a byte above 0x7e.
bool parse_target(std::string_view text, Target& target);

// Decodes percent escapes, removes dot segments and doubled slashes, so that one resource has one
// path and a mount cannot be written in a way that hides it. False for a malformed escape, a zero
// byte, or a path that climbs above the root.
bool canonical_path(std::string_view path, std::string& out);

// Whether `host` is a valid uri-host with an optional port (RFC 9110 7.2); empty is valid.
bool valid_host(std::string_view host);

}  // namespace sonicorn::http
