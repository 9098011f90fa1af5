#include "admin/session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/text.hpp"

// The parser that requests go through is made where they are parsed, as that code is compiled.
extern template class boost::beast::http::basic_parser<true>;

namespace sonicorn::admin {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Generic = boost::asio::generic::stream_protocol;
using Json = nlohmann::json;

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostEvents = 100;  // of a history, unless asked for more
constexpr std::uint32_t kLargestHead = 8 * 1024;
constexpr std::uint64_t kLargestBody = 64 * 1024;  // which nobody looks at
constexpr std::string_view kThings =
    "here are GET /status /workers /apps /history /metrics /livez /readyz, and POST /drain /stop "
    "/reload /apps/NAME/rollback /apps/NAME/commit "
    "/workers/restart /workers/N/restart /apps/NAME/unquarantine\n";

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What stands in `target` between the two, decoded; nothing where it is not of that form.
std::optional<std::string> between(std::string_view target, std::string_view before,
                                   std::string_view after) {
  if (!target.starts_with(before) || !target.ends_with(after) ||
      target.size() <= before.size() + after.size()) {
    return std::nullopt;
  }
  return core::percent_decoded(
      target.substr(before.size(), target.size() - before.size() - after.size()));
}

// The value of "NAME=" in the query, decoded where it can be; empty when it is absent.
std::string parameter(std::string_view target, std::string_view name) {
  std::string_view query = target.substr(std::min(target.find('?'), target.size()));
  while (query.size() > 1) {
    query.remove_prefix(1);
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(one.size());
    if (one.starts_with(name)) {
      const std::string_view value = one.substr(name.size());
      return core::percent_decoded(value).value_or(std::string(value));
    }
  }
  return {};
}

class Session final : public OperatorConnection, public std::enable_shared_from_this<Session> {
 public:
  Session(Generic::socket socket, std::weak_ptr<supervisor::Control*> control, Scope scope)
      : stream_(std::move(socket)), control_(std::move(control)), scope_(scope) {}

  bool close_if_idle() override {
    if (!reading_) return false;
    reading_ = false;
    stream_.close();
    return true;
  }

  void read() {
    reading_ = true;
    parser_.emplace();
    parser_->header_limit(kLargestHead);
    parser_->body_limit(kLargestBody);
    stream_.expires_after(kPatience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!std::exchange(self->reading_, false)) return;  // it was closed
                       if (!error) return self->answer();
                       self->refuse(error);
                     });
  }

 private:
  // Who sends what cannot be read is told so, and that is the end.
  void refuse(beast::error_code error) {
    const bool is_bent = error.category() == make_error_code(http::error::bad_method).category() &&
                         error != http::error::end_of_stream &&
                         error != http::error::partial_message;
    if (!is_bent) return;
    ends_ = true;
    send(error == http::error::body_limit     ? http::status::payload_too_large
         : error == http::error::header_limit ? http::status::request_header_fields_too_large
                                              : http::status::bad_request,
         "text/plain", fmt::format("this cannot be read: {}\n", error.message()));
  }

  void answer() {
    const auto held = control_.lock();
    if (held == nullptr) return;
    supervisor::Control& control = **held;
    // HEAD is GET without the body.
    const bool is_head = parser_->get().method() == http::verb::head;
    const http::verb method = is_head ? http::verb::get : parser_->get().method();
    const std::string_view target = parser_->get().target();
    if (method == http::verb::get && show_health(control, target)) return;
    if (scope_ == Scope::health) {
      if (method != http::verb::get) return refuse_method("only GET and HEAD are answered here\n");
      return send(http::status::not_found, "text/plain", "here are /livez /readyz\n");
    }
    if (method == http::verb::get && show(control, target)) return;
    if (method == http::verb::post && act(control, target)) return;
    if (method != http::verb::get && method != http::verb::post) {
      return refuse_method("only GET, HEAD and POST are answered here\n");
    }
    send(http::status::not_found, "text/plain", std::string(kThings));
  }

  bool show_health(supervisor::Control& control, std::string_view target) {
    if (target == "/livez") {
      send(http::status::ok, "text/plain", "alive\n");
    } else if (target == "/readyz") {
      std::string why_not;
      if (control.is_ready(why_not)) {
        send(http::status::ok, "text/plain", "ready\n");
      } else {
        send(http::status::service_unavailable, "text/plain", "not ready: " + why_not + "\n");
      }
    } else {
      return false;
    }
    return true;
  }

  bool show(supervisor::Control& control, std::string_view target) {
    const auto send_json = [self = shared_from_this()](const Json& json) {
      self->send(http::status::ok, "application/json", text_of(json));
    };
    if (target == "/status") {
      send_json(control.status());
    } else if (target == "/workers") {
      control.workers(send_json);
    } else if (target == "/apps") {
      control.apps(send_json);
    } else if (target == "/history" || target.starts_with("/history?")) {
      const auto most = parameter(target, "most=");
      std::size_t count = kMostEvents;
      std::from_chars(most.data(), most.data() + most.size(), count);
      send_json(control.history(parameter(target, "app="), count));
    } else if (target == "/metrics") {
      control.metrics([self = shared_from_this()](std::string text) {
        self->send(http::status::ok, "text/plain; version=0.0.4; charset=utf-8", std::move(text));
      });
    } else {
      return false;
    }
    return true;
  }

  bool act(supervisor::Control& control, std::string_view target) {
    const auto done = [self = shared_from_this()](const std::string& fault) { self->tell(fault); };
    constexpr std::string_view kDrainApp = "/drain?app=";
    if (target == "/stop") {
      control.stop({}, done);
    } else if (target == "/drain") {
      control.drain({}, done);
    } else if (target.starts_with(kDrainApp) && target.size() > kDrainApp.size()) {
      control.drain(parameter(target, "app="), done);
    } else if (target == "/workers/restart") {
      control.restart_worker(std::nullopt, done);
    } else if (const auto number = between(target, "/workers/", "/restart")) {
      unsigned index = 0;
      const auto [end, error] =
          std::from_chars(number->data(), number->data() + number->size(), index);
      if (error != std::errc() || end != number->data() + number->size()) return false;
      control.restart_worker(index, done);
    } else if (target == "/reload" || target.starts_with("/reload?")) {
      reload(control, target);
    } else if (const auto returned = between(target, "/apps/", "/rollback")) {
      control.rollback(*returned, outcome());
    } else if (const auto kept = between(target, "/apps/", "/commit")) {
      control.commit(*kept, done);
    } else if (const auto app = between(target, "/apps/", "/unquarantine")) {
      control.unquarantine(*app, done);
    } else {
      return false;
    }
    return true;
  }

  // The answer is an object that says by itself whether it is a good one.
  std::function<void(Json)> outcome() {
    return [self = shared_from_this()](const Json& json) {
      self->send(json.value("ok", false) ? http::status::ok : http::status::conflict,
                 "application/json", text_of(json));
    };
  }

  void reload(supervisor::Control& control, std::string_view target) {
    control.reload(parameter(target, "app="), parameter(target, "force=") == "1", outcome());
  }

  void tell(const std::string& fault) {
    if (fault.empty()) return send(http::status::ok, "application/json", text_of({{"ok", true}}));
    send(http::status::conflict, "application/json", text_of({{"ok", false}, {"error", fault}}));
  }

  void refuse_method(const char* why) { send(http::status::method_not_allowed, "text/plain", why); }

  void send(http::status status, const char* type, std::string body) {
    response_ = http::response<http::string_body>(status, 11);
    response_.set(http::field::content_type, type);
    if (status == http::status::method_not_allowed) {
      response_.set(http::field::allow, scope_ == Scope::all ? "GET, HEAD, POST" : "GET, HEAD");
    }
    response_.keep_alive(!ends_ && parser_->get().keep_alive());
    response_.body() = std::move(body);
    response_.prepare_payload();
    stream_.expires_after(kPatience);
    const auto sent = [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (!error && self->response_.keep_alive()) self->read();
    };
    if (!ends_ && parser_->get().method() == http::verb::head) {
      head_.emplace(response_);
      return http::async_write_header(stream_, *head_, sent);
    }
    http::async_write(stream_, response_, sent);
  }

  beast::basic_stream<Generic> stream_;
  std::weak_ptr<supervisor::Control*> control_;
  Scope scope_;
  bool reading_ = false;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> head_;
  bool ends_ = false;  // after this answer
};

}  // namespace

std::weak_ptr<OperatorConnection> serve_operator(Generic::socket socket,
                                                 std::weak_ptr<supervisor::Control*> control,
                                                 Scope scope) {
  const auto session = std::make_shared<Session>(std::move(socket), std::move(control), scope);
  session->read();
  return session;
}

}  // namespace sonicorn::admin
