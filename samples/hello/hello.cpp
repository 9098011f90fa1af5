#include <sonicorn/app.hpp>

SONICORN_MANIFEST({"blocking": false});

struct Hello {
  sonicorn::Response on_request(const sonicorn::Request&) {
    return sonicorn::Response::text("Hello, world\n");
  }
};
SONICORN_APP(Hello, on_request)
