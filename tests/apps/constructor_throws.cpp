// The app's class cannot be made: start fails with the exception's text.
#include <sonicorn/app.hpp>
#include <stdexcept>

struct ConstructorThrows {
  ConstructorThrows() { throw std::runtime_error("no plutonium left"); }
  sonicorn::Response on_request(const sonicorn::Request&) {
    return sonicorn::Response::text("never\n");
  }
};

SONICORN_APP(ConstructorThrows, on_request)
