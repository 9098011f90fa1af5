// What app_layer_test.cpp calls: each path and each attribute shows one thing of the C++ layer.
#include <charconv>
#include <chrono>
#include <optional>
#include <sonicorn/app.hpp>
#include <stdexcept>
#include <string>

namespace {

using sonicorn::Level;
using sonicorn::Request;
using sonicorn::Response;

std::size_t size_in(std::string_view text) {
  std::size_t size = 0;
  std::from_chars(text.data(), text.data() + text.size(), size);
  return size;
}

// Tells the log when it dies.
struct Kept {
  explicit Kept(const sonicorn::Server& of) : server(of) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() { server.log(Level::info, "kept is gone"); }

  const sonicorn::Server& server;
  int messages = 0;
};

class Layer {
 public:
  explicit Layer(sonicorn::Server& server) : server_(server) {}
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  ~Layer() { server_.log(Level::info, "destroyed"); }

  std::optional<Response> on_request(const Request& request) {
    if (request.path() == "/literal") return Response::text("literal\n");
    if (request.path() == "/body") {
      return Response::text(std::string(size_in(request.query_value("size").value_or("0")), 'x'));
    }
    if (request.path() == "/query")
      return Response::text(request.query_value("v").value_or("none"));
    if (request.path() == "/fields") return fields(request);
    if (request.path() == "/throw") {
      if (request.query().empty()) throw std::runtime_error("a standard exception");
      throw 1;
    }
    return std::nullopt;
  }

  std::optional<Response> pre_request(const Request& request, sonicorn::Exchange& exchange) {
    exchange.emplace<Kept>(server_);
    if (!request.query().empty()) return Response::bad_request("refused\n");
    exchange.header("X-Layer", "seen");
    return std::nullopt;
  }
  void post_request(const Request&, const sonicorn::Outcome& outcome,
                    sonicorn::Exchange& exchange) {
    const bool kept = exchange.get<Kept>() != nullptr && exchange.get<int>() == nullptr;
    server_.log(Level::info, "after: " + std::string(kept ? "kept" : "lost") + ", " +
                                 std::to_string(outcome.status()) + ", " +
                                 std::to_string(outcome.body_size()) + " bytes");
  }

  void on_websocket_open(const Request&, sonicorn::WebSocket& socket) {
    socket.emplace_session<Kept>(server_);
  }
  void on_websocket_message(sonicorn::WebSocket& socket,
                            const sonicorn::WebSocketMessage& message) {
    ++socket.session<Kept>()->messages;
    if (message.payload() == "throw") throw std::runtime_error("thrown");
    // No websocket/1 here.
    if (socket.send_text("answer") != sonicorn::Sent::closed) throw std::runtime_error("sent?");
  }
  void on_websocket_close(sonicorn::WebSocket& socket, const sonicorn::WebSocketEnd& end) {
    server_.log(Level::info, "closed after " + std::to_string(socket.session<Kept>()->messages) +
                                 " messages: " + std::to_string(end.code()));
  }

  sonicorn::State save_state() { return {"layer/1", "the state"}; }
  sonicorn::Answer load_state(const sonicorn::SavedState& saved) {
    return saved.schema() == "layer/1" && saved.bytes() == "the state" ? sonicorn::Answer::ok
                                                                       : sonicorn::Answer::declined;
  }
  sonicorn::Drained drain() { return sonicorn::Drained::not_yet; }
  sonicorn::Answer reload(const sonicorn::Reload& reload) {
    return reload.phase() == sonicorn::ReloadPhase::prepare ? sonicorn::Answer::declined
                                                            : sonicorn::Answer::ok;
  }
  void health() { throw std::runtime_error("not well"); }

  void shutdown(const sonicorn::Shutdown& why) {
    const auto until =
        std::chrono::duration_cast<std::chrono::milliseconds>(why.deadline().time_since_epoch());
    server_.log(Level::info, "shutdown: " + std::string(why.reason_name()) + ", signal " +
                                 std::to_string(why.signal_number()) + ", " +
                                 std::to_string(until.count()) + " ms");
  }

 private:
  static Response fields(const Request& request) {
    return Response(201)
        .content_type("text/plain")
        .content_type(std::string("application/x-a-type-longer-than-any-small-string"))
        .body("literal beside owned fields")
        .header("X-Host", request.header("hOST").value_or("absent"))
        .header("X-Missing", request.header("missing").value_or("absent"))
        .header(std::string("X-Count"), std::to_string(request.fields().size()) + " fields");
  }

  sonicorn::Server& server_;
};

}  // namespace

SONICORN_APP(Layer, on_request, pre_request, post_request, on_websocket_open, on_websocket_message,
             on_websocket_close, save_state, load_state, drain, reload, health, shutdown)
