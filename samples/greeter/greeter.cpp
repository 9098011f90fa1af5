#include <mutex>
#include <nlohmann/json.hpp>
#include <sonicorn/app.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

SONICORN_MANIFEST({"blocking": false, "uses": ["bus/1", "log/1"]});

namespace {

using nlohmann::json;
using sonicorn::Level;
using sonicorn::Request;
using sonicorn::Response;

constexpr const char* kTopic = "greeting";

// The text of {"text": "..."}; "" when it is not of that form.
std::string text_in(std::string_view message) {
  const json parsed = json::parse(message, nullptr, false);
  if (!parsed.is_object()) return "";
  const auto text = parsed.find("text");
  return text != parsed.end() && text->is_string() ? text->get<std::string>() : "";
}

// Greets. The greeting is what the topic "greeting" of the bus said last, which any app of the
// server may publish; PUT / does. On a server without a bus it stays as it is.
class Greeter {
 public:
  explicit Greeter(sonicorn::Server& server)
      : server_(server), bus_(server.capability<sonicorn_bus>()) {
    if (bus_ == nullptr) {
      server_.log(Level::warning, "this server delivers no bus/1: the greeting never changes");
    } else if (bus_->subscribe(server_.c(), kTopic) != SONICORN_OK) {
      throw std::runtime_error("the bus does not take the topic \"greeting\"");
    }
  }

  Response on_request(const Request& request) {
    if (request.path() != "/") return Response::not_found();
    if (request.method() == "PUT") return publish(request.body());
    if (request.method() != "GET" && request.method() != "HEAD") {
      return Response::method_not_allowed("GET, HEAD, PUT");
    }
    const std::lock_guard lock(mutex_);
    return Response::text(greeting_ + ", world\n");
  }

  // On the lifecycle thread, while requests are answered on others.
  sonicorn::Answer on_event(const sonicorn::Event& event) {
    if (event.scope() != sonicorn::Scope::bus) return sonicorn::Answer::declined;
    std::string text = text_in(event.message());
    if (text.empty()) {
      server_.log(Level::warning, "a greeting must be {\"text\": \"...\"}; it stays as it is");
      return sonicorn::Answer::declined;
    }
    const std::lock_guard lock(mutex_);
    greeting_ = std::move(text);
    return sonicorn::Answer::ok;
  }

 private:
  // To everybody who listens, this app among them.
  Response publish(std::string_view body) {
    if (bus_ == nullptr) return Response::text("This server has no bus.\n", 501);
    if (text_in(body).empty()) return Response::bad_request("Send {\"text\": \"...\"}.\n");
    switch (bus_->publish(server_.c(), kTopic, body.data(), body.size())) {
      case SONICORN_OK:
        return Response(202);
      case SONICORN_DECLINED:
        return Response::text("Too many greetings at once.\n", 503);
      default:
        throw std::runtime_error("the bus took the greeting for malformed");
    }
  }

  sonicorn::Server& server_;
  const sonicorn_bus* bus_;
  std::mutex mutex_;
  std::string greeting_ = "Hello";
};

}  // namespace

SONICORN_APP(Greeter, on_request, on_event)
