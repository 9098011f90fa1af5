// SPDX-License-Identifier: Apache-2.0
#include <sonicorn/attributes.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <sonicorn/cpp/request.hpp>
#include <string_view>
#include <utility>

#include "instance.hpp"
#include "target.hpp"
#include "world.hpp"

// The way of one request: the filters in load order, the handler, and back.
namespace sonicorn::testing::detail {
namespace {

using sonicorn::detail::equal_ignoring_case;

sonicorn_string abi(std::string_view text) { return {text.data(), text.size()}; }

std::string text_of(const sonicorn_string& text) {
  return text.data == nullptr ? std::string() : std::string(text.data, text.size);
}

// The response that an app fills in, with its memory. Released once, when it goes.
class AppResponse : private sonicorn_response {
 public:
  AppResponse() : sonicorn_response{} {
    size = sizeof(sonicorn_response);
    status = 200;
    allocate = [](sonicorn_response* response, std::uint64_t bytes) -> void* {
      if (bytes == 0) return nullptr;
      auto& self = *static_cast<AppResponse*>(response);
      const std::size_t blocks = (bytes + sizeof(Block) - 1) / sizeof(Block);
      self.memory_.push_back(std::make_unique<Block[]>(blocks));
      return self.memory_.back().get();
    };
  }
  ~AppResponse() {
    if (release != nullptr) release(release_argument);
  }
  AppResponse(const AppResponse&) = delete;
  AppResponse& operator=(const AppResponse&) = delete;

  sonicorn_response& abi_struct() { return *this; }

  // Why no server would send it, or "".
  std::string fault() const;
  std::vector<Field> copied_fields() const;
  Response copy() const;

 private:
  struct alignas(16) Block {
    std::array<std::byte, 16> bytes;
  };

  std::vector<std::unique_ptr<Block[]>> memory_;
};

bool has_control(const sonicorn_string& text) {
  const std::string_view view(text.data, text.size);
  return std::any_of(view.begin(), view.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

bool is_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::string AppResponse::fault() const {
  constexpr std::array<std::string_view, 6> kFraming = {
      "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer"};
  if (status < 200 || status > 599) return "the status is not in 200 .. 599";
  if (body.size != 0 && body.data == nullptr) return "the body's data is NULL";
  if (has_control(content_type)) return "content_type holds a control character";
  if (field_count != 0 && fields == nullptr) return "fields is NULL";
  for (std::uint64_t i = 0; i < field_count; ++i) {
    const std::string name = text_of(fields[i].name);
    if (!is_token(name)) return "the name of a header field is not a token: \"" + name + "\"";
    if (has_control(fields[i].value)) {
      return "the value of the header field " + name + " holds a control character";
    }
    if (std::any_of(kFraming.begin(), kFraming.end(), [&name](std::string_view framing) {
          return equal_ignoring_case(name, framing);
        })) {
      return "it sets " + name + ", which frames the message and is the server's to write";
    }
  }
  return "";
}

std::vector<Field> AppResponse::copied_fields() const {
  std::vector<Field> copied;
  for (std::uint64_t i = 0; i < field_count; ++i) {
    copied.push_back({text_of(fields[i].name), text_of(fields[i].value)});
  }
  return copied;
}

Response AppResponse::copy() const {
  Response response;
  response.status = status;
  response.content_type = text_of(content_type);
  response.fields = copied_fields();
  response.body = text_of(body);
  return response;
}

// A field of a filter replaces those of its name that were set before; of cookies there may be
// many.
void set_field(Response& response, const Field& field) {
  if (equal_ignoring_case(field.name, "content-type")) {
    response.content_type = field.value;
    return;
  }
  if (!equal_ignoring_case(field.name, "set-cookie")) {
    std::erase_if(response.fields, [&field](const Field& each) {
      return equal_ignoring_case(each.name, field.name);
    });
  }
  response.fields.push_back(field);
}

class Passage {
 public:
  Passage(World& world, const Request& request)
      : request_(request), target_(parse_target(request.target)) {
    for (Instance* const app : world.apps) {
      if (app->is_over() || !holds(app->mount(), target_.path)) continue;
      if (app->filters()) filters_.push_back({app});
      if (app->functions().on_request != nullptr &&
          (handler_.app == nullptr || app->mount().size() > handler_.app->mount().size())) {
        handler_.app = app;
      }
    }
    for (const Field& field : request_.fields) {
      fields_.push_back({abi(field.name), abi(field.value)});
    }
  }

  Response run();

 private:
  struct Step {
    Instance* app = nullptr;
    void* exchange = nullptr;
    bool passed = false;   // its post_request is owed
    bool reached = false;  // it hears of a disconnect
  };

  sonicorn_request request_for(const Instance& app) const;
  std::optional<Response> filter(Step& step);
  Response handle();
  Response answer();
  void finish(const Response& response);

  static Response failure(const Instance& app, const char* attribute, const std::string& why) {
    Response response;
    response.status = 500;
    response.error = app.name() + ": " + attribute + " failed: " + why;
    return response;
  }

  const Request& request_;
  const Target target_;
  std::vector<sonicorn_field> fields_;
  std::vector<Step> filters_;
  Step handler_;
  std::vector<Field> filter_fields_;
};

sonicorn_request Passage::request_for(const Instance& app) const {
  std::string_view path = target_.path;
  path.remove_prefix(app.mount().size());
  return {.size = sizeof(sonicorn_request),
          .http_version = 11,
          .method = abi(request_.method),
          .target = abi(request_.target),
          .mount = abi(app.mount()),
          .path = abi(path.empty() ? "/" : path),
          .query = abi(target_.query),
          .scheme = abi(request_.scheme),
          .remote = abi(request_.remote),
          .body = abi(request_.body),
          .fields = fields_.data(),
          .field_count = fields_.size()};
}

// The answer in place of the handler's, if any.
std::optional<Response> Passage::filter(Step& step) {
  if (step.app->functions().pre_request != nullptr) {
    const sonicorn_request request = request_for(*step.app);
    AppResponse response;
    std::string error;
    const std::int32_t result =
        step.app->pre_request(request, response.abi_struct(), &step.exchange, error);
    if (result < 0) return failure(*step.app, "pre_request", error);
    const std::string fault = response.fault();
    if (result > 0) {
      return fault.empty() ? response.copy() : failure(*step.app, "pre_request", fault);
    }
    step.passed = true;
    step.reached = true;
    if (!fault.empty()) return failure(*step.app, "pre_request", fault);
    for (Field& field : response.copied_fields()) filter_fields_.push_back(std::move(field));
  }
  step.passed = true;
  step.reached = true;
  return std::nullopt;
}

Response Passage::handle() {
  Response nothing;
  nothing.status = 404;
  if (handler_.app == nullptr) return nothing;
  const sonicorn_request request = request_for(*handler_.app);
  AppResponse response;
  std::string error;
  handler_.reached = true;
  const std::int32_t result = handler_.app->on_request(request, response.abi_struct(), error);
  if (result < 0) return failure(*handler_.app, "on_request", error);
  if (result > 0) return nothing;
  const std::string fault = response.fault();
  return fault.empty() ? response.copy() : failure(*handler_.app, "on_request", fault);
}

Response Passage::answer() {
  for (Step& step : filters_) {
    if (auto response = filter(step)) return *std::move(response);
  }
  return handle();
}

void Passage::finish(const Response& response) {
  const std::uint32_t result = request_.disconnects      ? SONICORN_OUTCOME_DISCONNECTED
                               : !response.error.empty() ? SONICORN_OUTCOME_FAILED
                                                         : SONICORN_OUTCOME_SENT;
  const sonicorn_outcome outcome{
      .size = sizeof(sonicorn_outcome),
      .result = result,
      .status = response.status,
      .reserved = 0,
      .body_size = response.body.size(),
      .duration_ns = static_cast<std::uint64_t>(request_.duration.count())};
  const auto tell_of_disconnect = [this](const Step& step) {
    if (step.reached && step.app->hears_of_disconnects()) {
      step.app->on_disconnect(request_for(*step.app));
    }
  };
  if (request_.disconnects) {
    tell_of_disconnect(handler_);
    for (auto step = filters_.rbegin(); step != filters_.rend(); ++step) {
      // An app that filters and handles is told once.
      if (step->app != handler_.app || !handler_.reached) tell_of_disconnect(*step);
    }
  }
  for (auto step = filters_.rbegin(); step != filters_.rend(); ++step) {
    if (step->passed) step->app->post_request(request_for(*step->app), outcome, step->exchange);
  }
}

Response Passage::run() {
  Response refused;
  refused.status = 503;
  for (const Step& step : filters_) {
    if (step.app->enter_requests()) continue;
    refused.error = step.app->name() + ": thread_start refused the only thread";
    return refused;
  }
  if (handler_.app != nullptr && !handler_.app->enter_requests()) {
    refused.error = handler_.app->name() + ": thread_start refused the only thread";
    return refused;
  }
  Response response = answer();
  for (const Field& field : filter_fields_) set_field(response, field);
  if (request_.method == "HEAD" || response.status == 204 || response.status == 304) {
    response.body.clear();
  }
  if (request_.disconnects) response = {};
  finish(response);
  return response;
}

}  // namespace

Response World::pass(const Request& request) {
  Response response = Passage(*this, request).run();
  finish();
  return response;
}

}  // namespace sonicorn::testing::detail
