// Throws from on_request: a standard exception, or with the query "int" something else.
#include <sonicorn/app.hpp>
#include <stdexcept>

struct Throws {
  sonicorn::Response on_request(const sonicorn::Request& request) {
    if (request.query() == "int") throw 42;
    throw std::runtime_error("the flux capacitor is empty");
  }
};

SONICORN_APP(Throws, on_request)
