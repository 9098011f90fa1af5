#include <charconv>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sonicorn/app.hpp>
#include <string>
#include <string_view>

#include "store.hpp"

SONICORN_MANIFEST({"blocking": true, "uses": ["shutdown/1", "log/1"]});

namespace {

using nlohmann::json;
using sonicorn::Request;
using sonicorn::Response;

constexpr std::size_t kMaxTitleSize = 1000;  // bytes

json to_json(const Todo& todo) {
  return {{"id", todo.id}, {"title", todo.title}, {"done", todo.done}};
}

Response answer(unsigned status, const json& body) {
  return Response::json(body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", status);
}

// A refusal: the status, and a sentence for whoever wrote the client.
struct Refusal {
  unsigned status;
  const char* sentence;
};

Response answer(const Refusal& refusal) {
  return answer(refusal.status, {{"error", refusal.sentence}});
}

Response not_allowed(sonicorn::Text allow) {
  return answer(Refusal{405, "This resource does not take that method."}).header("Allow", allow);
}

bool is_json(const Request& request) {
  std::string_view type = request.header("content-type").value_or("");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  std::string small;
  for (const char c : type) small += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return small == "application/json";
}

// The body of a request as a JSON object. Throws Refusal.
json object_in(const Request& request) {
  if (!is_json(request)) {
    throw Refusal{415, "Send the body as Content-Type: application/json."};
  }
  json body = json::parse(request.body(), nullptr, false);
  if (body.is_discarded()) throw Refusal{400, "The body is not well-formed JSON."};
  if (!body.is_object()) throw Refusal{422, "The body must be a JSON object."};
  return body;
}

// What the object says of a todo. Throws Refusal.
TodoChange change_in(const json& object) {
  TodoChange change;
  for (const auto& [key, value] : object.items()) {
    if (key == "title") {
      if (!value.is_string()) throw Refusal{422, "\"title\" must be a string."};
      change.title = value.get<std::string>();
      if (change.title->empty() || change.title->size() > kMaxTitleSize) {
        throw Refusal{422, "\"title\" must have 1 to 1000 bytes."};
      }
    } else if (key == "done") {
      if (!value.is_boolean()) throw Refusal{422, "\"done\" must be true or false."};
      change.done = value.get<bool>();
    } else {
      throw Refusal{422, "A todo has \"title\" and \"done\", and nothing else that can be set."};
    }
  }
  return change;
}

// The same where a whole todo is asked for: it must have a title, and is not done unless it says
// so.
TodoChange whole_in(const json& object) {
  TodoChange whole = change_in(object);
  if (!whole.title) throw Refusal{422, "A todo must have a \"title\"."};
  if (!whole.done) whole.done = false;
  return whole;
}

// The id in "/12"; nullopt when the path is not of that form.
std::optional<std::int64_t> id_in(std::string_view path) {
  path.remove_prefix(1);
  std::int64_t id = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), id);
  if (error != std::errc() || end != path.data() + path.size() || id <= 0) return std::nullopt;
  return id;
}

// Where the settings want the database, with the folder made. Throws when they are no settings of
// ours.
std::string database_in(std::string_view settings) {
  const json parsed = json::parse(settings);
  for (const auto& [key, value] : parsed.items()) {
    if (key != "database" || !value.is_string()) {
      throw std::runtime_error("todo knows one setting, database = \"PATH\" (a string), not \"" +
                               key + "\"");
    }
  }
  std::string path = parsed.value("database", ":memory:");
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty()) {
    std::filesystem::create_directories(folder);
  }
  return path;
}

// GET / lists, POST / creates; GET, PUT, PATCH and DELETE /ID for one.
class TodoApp {
 public:
  explicit TodoApp(sonicorn::Server& server) : server_(server) {
    const std::string path = database_in(server.settings());
    store_.emplace(path);
    server.log(sonicorn::Level::info, "the database is " + path);
  }

  Response on_request(const Request& request) {
    try {
      if (request.path() == "/") return collection(request);
      if (const auto id = id_in(request.path())) return item(request, *id);
    } catch (const Refusal& refusal) {
      return answer(refusal);
    }
    return answer(Refusal{404, "There is nothing here; the list is at the root of this app."});
  }

  void shutdown(const sonicorn::Shutdown& why) {
    store_.reset();
    server_.log(sonicorn::Level::info, "the database is closed: " + std::string(why.reason_name()));
  }

 private:
  Response collection(const Request& request) {
    if (request.method() == "GET" || request.method() == "HEAD") {
      json todos = json::array();
      for (const Todo& todo : store_->list()) todos.push_back(to_json(todo));
      return answer(200, {{"todos", todos}});
    }
    if (request.method() != "POST") return not_allowed("GET, HEAD, POST");
    const TodoChange wanted = whole_in(object_in(request));
    const Todo made = store_->create(*wanted.title, *wanted.done);
    return answer(201, to_json(made))
        .header("Location", std::string(request.mount()) + "/" + std::to_string(made.id));
  }

  Response item(const Request& request, std::int64_t id) {
    const std::string_view method = request.method();
    const bool reads = method == "GET" || method == "HEAD";
    const bool writes = method == "PUT" || method == "PATCH";
    if (!reads && !writes && method != "DELETE") {
      return not_allowed("GET, HEAD, PUT, PATCH, DELETE");
    }
    if (method == "DELETE") {
      return store_->remove(id) ? Response::no_content() : answer(kUnknown);
    }
    std::optional<Todo> found;
    if (reads) {
      found = store_->get(id);
    } else {
      const json object = object_in(request);
      found = store_->update(id, method == "PUT" ? whole_in(object) : change_in(object));
    }
    return found ? answer(200, to_json(*found)) : answer(kUnknown);
  }

  static constexpr Refusal kUnknown{404, "There is no todo of this id."};

  sonicorn::Server& server_;
  std::optional<Store> store_;
};

}  // namespace

SONICORN_APP(TodoApp, on_request, shutdown)
