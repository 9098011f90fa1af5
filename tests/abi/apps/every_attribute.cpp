// An app with every attribute, and every form that a member may have.
#include <atomic>
#include <optional>
#include <sonicorn/app.hpp>
#include <string>

SONICORN_MANIFEST({"name": "every-attribute", "uses": ["log/1", "websocket/1"]});

namespace {

using sonicorn::Answer;
using sonicorn::Response;

struct Seen {
  int messages = 0;
};

class EveryAttribute {
 public:
  explicit EveryAttribute(sonicorn::Server& server) : server_(server) {
    const auto* promise = server.capability<sonicorn_shutdown_promise>();
    grace_ms_ = promise == nullptr ? 0 : promise->grace_ms;
  }

  Answer load_state(const sonicorn::SavedState& saved) {
    if (saved.schema() != "count/1") return Answer::declined;
    count_ = saved.bytes().size();
    return Answer::ok;
  }
  Answer health() { return Answer::ok; }
  void ready(const sonicorn::Context& context) { generation_ = context.generation(); }

  std::optional<Response> on_request(const sonicorn::Request& request) {
    if (request.path() != "/") return std::nullopt;
    ++count_;
    std::string names;
    for (const sonicorn::Field field : request.fields()) names += std::string(field.name) + "\n";
    return Response::text(std::move(names)).header("X-Host", request.header("host").value_or(""));
  }
  std::optional<Response> pre_request(const sonicorn::Request& request,
                                      sonicorn::Exchange& exchange) {
    if (request.query_value("refuse").has_value()) return Response::bad_request("refused\n");
    exchange.emplace<Seen>().messages = 1;
    exchange.header("X-Seen", "yes");
    return std::nullopt;
  }
  void post_request(const sonicorn::Request&, const sonicorn::Outcome& outcome,
                    sonicorn::Exchange& exchange) {
    if (exchange.get<Seen>() != nullptr && outcome.status() == 200) ++count_;
  }
  void on_disconnect(const sonicorn::Request&) {}

  Answer on_websocket_open(const sonicorn::Request&, sonicorn::WebSocket& socket) {
    socket.emplace_session<Seen>();
    return Answer::ok;
  }
  void on_websocket_message(sonicorn::WebSocket& socket,
                            const sonicorn::WebSocketMessage& message) {
    ++socket.session<Seen>()->messages;
    const sonicorn::PinnedWebSocket pinned = socket.pin();
    if (pinned.send_text(message.payload()) == sonicorn::Sent::full) socket.close(1013);
  }
  void on_websocket_close(sonicorn::WebSocket&, const sonicorn::WebSocketEnd& end) {
    server_.log(sonicorn::Level::debug, end.message());
  }

  void on_event(const sonicorn::Event& event) {
    server_.log(sonicorn::Level::info, event.action());
  }
  void thread_start() {}
  void thread_exit(const sonicorn::Context&) {}
  Answer reload(const sonicorn::Reload& reload) {
    return reload.phase() == sonicorn::ReloadPhase::prepare ? Answer::declined : Answer::ok;
  }
  sonicorn::State save_state() { return {"count/1", std::string(count_.load(), 'x')}; }
  sonicorn::Drained drain(const sonicorn::Drain&) { return sonicorn::Drained::not_yet; }
  void shutdown(const sonicorn::Shutdown& why) {
    server_.log(sonicorn::Level::info, why.reason_name());
  }
  void shutdown(int) {}
  std::string describe() { return R"({"routes": ["/"]})"; }

 private:
  sonicorn::Server& server_;
  std::atomic<std::size_t> count_ = 0;
  std::uint64_t generation_ = 0;
  std::uint32_t grace_ms_ = 0;
};

}  // namespace

SONICORN_APP(EveryAttribute, load_state, health, ready, on_request, pre_request, post_request,
             on_disconnect, on_websocket_open, on_websocket_message, on_websocket_close, on_event,
             thread_start, thread_exit, reload, save_state, drain, shutdown, describe)
