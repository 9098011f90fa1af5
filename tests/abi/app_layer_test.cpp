#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sonicorn/sonicorn.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// What sonicorn/app.hpp makes of a class, seen from the server's side of the ABI.
// SONICORN_LAYER_APP is the file of an app built from apps/layer.cpp.
namespace {

std::string_view view(sonicorn_string text) { return {text.data, text.size}; }

std::vector<std::string> logged;
std::string error_text;

void write_log(const sonicorn_server*, uint32_t, const char* text, uint64_t size) {
  logged.emplace_back(text, size);
}

const sonicorn_log kLog = {sizeof(sonicorn_log), 0, write_log};

const void* get_capability(const sonicorn_server*, const char* id) {
  return std::strcmp(id, "log/1") == 0 ? &kLog : nullptr;
}

// The loaded app with a server and a context for it; shut down and unloaded at the end.
struct Loaded {
  Loaded() : handle(dlopen(SONICORN_LAYER_APP, RTLD_NOW | RTLD_LOCAL)) {
    REQUIRE_MESSAGE(handle != nullptr, dlerror());
    logged.clear();
    error_text.clear();
    server.size = sizeof server;
    server.settings = SONICORN_STRING("{}");
    server.get_capability = get_capability;
    context.size = sizeof context;
    context.server = &server;
    context.reason = SONICORN_REASON_TERM;
    context.signal_number = 15;
    context.deadline_ns = 5'000'000'000;
    context.set_error = [](const sonicorn_context*, const char* text, uint64_t size) {
      error_text.assign(text, size);
    };
    REQUIRE(find<decltype(sonicorn_start)>("sonicorn_start")(&context, &state) == SONICORN_OK);
    REQUIRE(state != nullptr);
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() {
    find<decltype(sonicorn_shutdown)>("sonicorn_shutdown")(&context, state);
    dlclose(handle);
  }

  template <class Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle, name));
  }

  void* handle;
  sonicorn_server server{};
  sonicorn_context context{};
  void* state = nullptr;
};

// One request, its answer, and the memory that the answer asked for.
struct Call {
  explicit Call(std::string_view path, std::string_view query = {}) {
    request.size = sizeof request;
    request.method = SONICORN_STRING("GET");
    request.path = {path.data(), path.size()};
    request.query = {query.data(), query.size()};
    request.fields = fields;
    request.field_count = 2;
    response.size = sizeof response;
    response.status = 200;
    response.allocate = [](sonicorn_response* of, uint64_t bytes) -> void* {
      // The response is the first member.
      Call* call = reinterpret_cast<Call*>(of);
      call->memory.push_back(std::make_unique<char[]>(bytes));
      return call->memory.back().get();
    };
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() {
    if (response.release != nullptr) response.release(response.release_argument);
  }

  int32_t run(const Loaded& app) {
    return app.find<decltype(sonicorn_on_request)>("sonicorn_on_request")(&app.context, app.state,
                                                                          &request, &response);
  }

  // Whether the server owes the app a release.
  bool is_borrowed() const { return response.release != nullptr; }

  sonicorn_response response{};
  sonicorn_request request{};
  std::vector<std::unique_ptr<char[]>> memory;
  sonicorn_field fields[2] = {{SONICORN_STRING("Host"), SONICORN_STRING("example")},
                              {SONICORN_STRING("X-Empty"), SONICORN_STRING("")}};
};

TEST_CASE("a literal is borrowed: no memory and nothing to release") {
  Loaded app;
  Call call("/literal");
  CHECK(call.run(app) == SONICORN_OK);
  CHECK(view(call.response.body) == "literal\n");
  CHECK(view(call.response.content_type) == "text/plain; charset=utf-8");
  CHECK(call.memory.empty());
  CHECK_FALSE(call.is_borrowed());
}

TEST_CASE("a small body is copied into memory of the server") {
  Loaded app;
  Call call("/body", "size=4096");
  CHECK(call.run(app) == SONICORN_OK);
  CHECK(view(call.response.body) == std::string(4096, 'x'));
  CHECK(call.memory.size() == 1);
  CHECK_FALSE(call.is_borrowed());
}

TEST_CASE("a larger body is handed over") {
  Loaded app;
  Call call("/body", "size=4097");
  CHECK(call.run(app) == SONICORN_OK);
  CHECK(view(call.response.body) == std::string(4097, 'x'));
  CHECK(call.memory.empty());
  CHECK(call.is_borrowed());
}

TEST_CASE("no body is no body") {
  Loaded app;
  Call call("/body", "size=0");
  CHECK(call.run(app) == SONICORN_OK);
  CHECK(call.response.body.size == 0);
  CHECK_FALSE(call.is_borrowed());
}

TEST_CASE("fields, status and an owned content type arrive in order") {
  Loaded app;
  Call call("/fields");
  CHECK(call.run(app) == SONICORN_OK);
  CHECK(call.response.status == 201);
  CHECK(view(call.response.content_type) == "application/x-a-type-longer-than-any-small-string");
  REQUIRE(call.response.field_count == 3);
  CHECK(view(call.response.fields[0].name) == "X-Host");
  CHECK(view(call.response.fields[0].value) == "example");
  CHECK(view(call.response.fields[1].value) == "absent");
  CHECK(view(call.response.fields[2].value) == "2 fields");
  CHECK(view(call.response.body) == "literal beside owned fields");
}

TEST_CASE("a parameter of the query is found and decoded as a form is") {
  struct Case {
    const char* query;
    const char* expected;
  };
  const Case cases[] = {
      {"", "none"},   {"v=1", "1"},         {"w=1", "none"},   {"v", ""},
      {"v=", ""},     {"a=1&v=2&v=3", "2"}, {"v=a+b", "a b"},  {"v=%41%2b%2B", "A++"},
      {"v=%", "%"},   {"v=%4", "%4"},       {"v=%zz", "%zz"},  {"%76=x", "x"},
      {"&&v=1", "1"}, {"v=a=b", "a=b"},     {"vv=1&v=2", "2"}, {"v=1&", "1"},
  };
  Loaded app;
  for (const Case& item : cases) {
    CAPTURE(item.query);
    Call call("/query", item.query);
    CHECK(call.run(app) == SONICORN_OK);
    CHECK(view(call.response.body) == item.expected);
  }
}

TEST_CASE("no answer is declined") {
  Loaded app;
  Call call("/nothing");
  CHECK(call.run(app) == SONICORN_DECLINED);
}

TEST_CASE("an exception stays inside, and says why") {
  Loaded app;
  Call standard("/throw");
  CHECK(standard.run(app) == SONICORN_ERROR);
  CHECK(error_text == "a standard exception");
  Call other("/throw", "other");
  CHECK(other.run(app) == SONICORN_ERROR);
  CHECK(error_text == "unknown exception");
}

TEST_CASE("no memory for the body is an error, not a crash") {
  Loaded app;
  Call call("/body", "size=9");
  call.response.allocate = [](sonicorn_response*, uint64_t) -> void* { return nullptr; };
  CHECK(call.run(app) == SONICORN_ERROR);
  CHECK(error_text == "std::bad_alloc");
}

TEST_CASE("shutdown sees why and until when, and then the object is destroyed") {
  { Loaded app; }
  REQUIRE(logged.size() == 2);
  CHECK(logged[0] == "shutdown: term, signal 15, 5000 ms");
  CHECK(logged[1] == "destroyed");
}

TEST_CASE("a second start beside the first is refused") {
  Loaded app;
  void* second = nullptr;
  CHECK(app.find<decltype(sonicorn_start)>("sonicorn_start")(&app.context, &second) ==
        SONICORN_ERROR);
  CHECK(second == nullptr);
}

TEST_CASE("what pre_request keeps reaches post_request, and dies there") {
  Loaded app;
  Call call("/");
  void* exchange = nullptr;
  REQUIRE(app.find<decltype(sonicorn_pre_request)>("sonicorn_pre_request")(
              &app.context, app.state, &call.request, &call.response, &exchange) == SONICORN_OK);
  REQUIRE(exchange != nullptr);
  CHECK(call.response.field_count == 1);
  const sonicorn_outcome outcome = {sizeof outcome, SONICORN_OUTCOME_SENT, 200, 0, 7, 1000};
  CHECK(app.find<decltype(sonicorn_post_request)>("sonicorn_post_request")(
            &app.context, app.state, &call.request, &outcome, exchange) == SONICORN_OK);
  REQUIRE(logged.size() == 2);
  CHECK(logged[0] == "after: kept, 200, 7 bytes");
  CHECK(logged[1] == "kept is gone");
}

TEST_CASE("a pre_request that answers skips the handler") {
  Loaded app;
  Call call("/", "refuse");
  void* exchange = nullptr;
  CHECK(app.find<decltype(sonicorn_pre_request)>("sonicorn_pre_request")(
            &app.context, app.state, &call.request, &call.response, &exchange) ==
        SONICORN_DECLINED);
  CHECK(call.response.status == 400);
  CHECK(exchange == nullptr);
}

TEST_CASE("the session of a WebSocket lives from open to close, also when a message throws") {
  Loaded app;
  Call call("/");
  void* session = nullptr;
  REQUIRE(app.find<decltype(sonicorn_on_websocket_open)>("sonicorn_on_websocket_open")(
              &app.context, app.state, &call.request, nullptr, &session) == SONICORN_OK);
  REQUIRE(session != nullptr);
  const auto message = [&](std::string_view payload) {
    const sonicorn_websocket_message received = {
        sizeof received, SONICORN_WEBSOCKET_TEXT, {payload.data(), payload.size()}};
    return app.find<decltype(sonicorn_on_websocket_message)>("sonicorn_on_websocket_message")(
        &app.context, app.state, nullptr, session, &received);
  };
  CHECK(message("one") == SONICORN_OK);
  CHECK(message("throw") == SONICORN_ERROR);
  CHECK(message("two") == SONICORN_OK);
  CHECK(logged.empty());
  const sonicorn_websocket_end end = {sizeof end, 1006, SONICORN_STRING("")};
  CHECK(app.find<decltype(sonicorn_on_websocket_close)>("sonicorn_on_websocket_close")(
            &app.context, app.state, nullptr, session, &end) == SONICORN_OK);
  REQUIRE(logged.size() == 2);
  CHECK(logged[0] == "closed after 3 messages: 1006");
  CHECK(logged[1] == "kept is gone");
}

TEST_CASE("a state goes out, is released, and comes back") {
  Loaded app;
  sonicorn_blob blob{};
  blob.size = sizeof blob;
  REQUIRE(app.find<decltype(sonicorn_save_state)>("sonicorn_save_state")(&app.context, app.state,
                                                                         &blob) == SONICORN_OK);
  CHECK(view(blob.schema) == "layer/1");
  CHECK(view(blob.bytes) == "the state");
  REQUIRE(bool(blob.release));
  const auto load = app.find<decltype(sonicorn_load_state)>("sonicorn_load_state");
  CHECK(load(&app.context, app.state, &blob) == SONICORN_OK);
  blob.release(blob.release_argument);
  const sonicorn_blob other = {sizeof other,        0,       SONICORN_STRING("else/1"),
                               SONICORN_STRING(""), nullptr, nullptr};
  CHECK(load(&app.context, app.state, &other) == SONICORN_DECLINED);
}

TEST_CASE("the results of the enumerations are the ABI's") {
  Loaded app;
  CHECK(app.find<decltype(sonicorn_drain)>("sonicorn_drain")(&app.context, app.state) ==
        SONICORN_DECLINED);
  const auto reload = app.find<decltype(sonicorn_reload)>("sonicorn_reload");
  CHECK(reload(&app.context, app.state, SONICORN_RELOAD_PREPARE) == SONICORN_DECLINED);
  CHECK(reload(&app.context, app.state, SONICORN_RELOAD_ABORTED) == SONICORN_OK);
  CHECK(app.find<decltype(sonicorn_health)>("sonicorn_health")(&app.context, app.state) ==
        SONICORN_ERROR);
  CHECK(error_text == "not well");
}

TEST_CASE("what is not listed is not exported") {
  Loaded app;
  CHECK(dlsym(app.handle, "sonicorn_ready") == nullptr);
  CHECK(dlsym(app.handle, "sonicorn_describe") == nullptr);
}

}  // namespace
