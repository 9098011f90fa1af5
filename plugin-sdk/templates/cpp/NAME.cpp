#include <sonicorn/app.hpp>

// "blocking": false promises that nothing here ever waits. Take it out where something does.
SONICORN_MANIFEST({"blocking": false});

namespace {

constexpr char kPage[] = R"(<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>@NAME@</title></head>
<body>
<h1>Hello from @NAME@</h1>
</body>
</html>
)";

class App {
 public:
  explicit App(sonicorn::Server& server) : server_(server) {}

  // Called for each request, on several threads at once.
  sonicorn::Response on_request(const sonicorn::Request& request) {
    if (request.path() != "/") return sonicorn::Response::not_found();
    return sonicorn::Response::html(kPage);
  }

  // Called once, after the last request.
  void shutdown(const sonicorn::Shutdown& why) {
    server_.log(sonicorn::Level::info, why.reason_name());
  }

 private:
  sonicorn::Server& server_;
};

}  // namespace

SONICORN_APP(App, on_request, shutdown)
