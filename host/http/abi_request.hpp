#pragma once

#include <sonicorn/request.h>

#include <string_view>

#include "app/app.hpp"
#include "http/request.hpp"

namespace sonicorn::http {

// Writes the request as the ABI has it, for `app`. Every view in it is of its arguments.
inline void write_abi_request(sonicorn_request& to, const Request& request, const app::App& app,
                              std::string_view remote) {
  const auto abi = [](std::string_view text) { return sonicorn_string{text.data(), text.size()}; };
  const std::string_view mount = app.mount();
  std::string_view path = request.path;
  path.remove_prefix(mount.size());
  if (path.empty()) path = "/";
  to.size = sizeof(sonicorn_request);
  to.http_version = request.version;
  to.method = abi(request.method);
  to.target = abi(request.target);
  to.mount = abi(mount);
  to.path = abi(path);
  to.query = abi(request.query);
  to.scheme = SONICORN_STRING("http");
  to.remote = abi(remote);
  to.body = abi(request.body);
  to.fields = request.fields.data();
  to.field_count = request.fields.size();
}

inline sonicorn_request abi_request(const Request& request, const app::App& app,
                                    std::string_view remote) {
  sonicorn_request written;
  write_abi_request(written, request, app, remote);
  return written;
}

}  // namespace sonicorn::http
