#include "http/pool_call.hpp"

namespace sonicorn::http {
namespace {

sonicorn_string abi(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

sonicorn_request abi_request(const Request& request, const app::App& app, std::string_view remote) {
  std::string_view path = request.path;
  path.remove_prefix(app.mount().size());
  if (path.empty()) path = "/";
  return {
      .size = sizeof(sonicorn_request),
      .http_version = request.version,
      .method = abi(request.method),
      .target = abi(request.target),
      .mount = abi(app.mount()),
      .path = abi(path),
      .query = abi(request.query),
      .scheme = SONICORN_STRING("http"),
      .remote = abi(remote),
      .body = abi(request.body),
      .fields = request.fields.data(),
      .field_count = request.fields.size(),
  };
}

void PoolCall::run(app::CallContext& context) {
  context.deadline_ns = deadline_ns;
  const sonicorn_request as_abi = abi_request(*request, *app, remote);
  result = generation->on_request(context, as_abi, response);
  if (result < 0) error = context.take_error();
}

}  // namespace sonicorn::http
