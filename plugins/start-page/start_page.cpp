#include <nlohmann/json.hpp>
#include <sonicorn/app.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

SONICORN_MANIFEST({"blocking": false});

namespace {

using nlohmann::json;
using sonicorn::Request;
using sonicorn::Response;

constexpr std::string_view kStyle = R"(:root { color-scheme: light dark; }
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 4rem auto; padding: 0 1rem; }
h1 { font-size: 2rem; margin-bottom: 0; }
ul { list-style: none; padding: 0; }
li { border-top: 1px solid #8886; padding: 0.8rem 0; }
li a { font-weight: 600; }
li p { margin: 0; }
footer { border-top: 1px solid #8886; padding-top: 0.8rem; font-size: 0.9rem; }
)";

// What is linked where the settings name nothing: the samples, where samples/sonicorn.toml mounts
// them.
constexpr std::string_view kDefaultSettings = R"({"links": [
  {"name": "hello", "path": "/hello", "text": "Hello in C++."},
  {"name": "hello-c", "path": "/hello-c", "text": "Hello in plain C, in 12 lines."},
  {"name": "background-thread", "path": "/background-thread",
   "text": "Work beside the requests, in a thread that shutdown stops."},
  {"name": "todo", "path": "/todo", "text": "A JSON API over an SQLite database."}]})";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// The text of one key of a link, escaped. Throws when it is not there.
std::string part(const json& link, const char* key) {
  if (!link.is_object() || !link.contains(key) || !link[key].is_string()) {
    throw std::runtime_error(
        "start-page: each of links is {name = \"..\", path = \"/..\", text = \"..\"}; one has no "
        "string \"" +
        std::string(key) + "\"");
  }
  return escaped(link[key].get<std::string>());
}

std::string item(const json& link) {
  const std::string path = part(link, "path");
  // Anything else could be a script.
  if (!path.starts_with("/") && !path.starts_with("http://") && !path.starts_with("https://")) {
    throw std::runtime_error(
        "start-page: the path of a link begins with \"/\", \"http://\" or "
        "\"https://\", but one is \"" +
        path + "\"");
  }
  return "<li><a href=\"" + path + "\">" + part(link, "name") + "</a>\n<p>" + part(link, "text") +
         "</p></li>\n";
}

std::string page(const sonicorn::Server& server) {
  json settings = json::parse(server.settings());
  if (!settings.contains("links")) settings = json::parse(kDefaultSettings);
  if (!settings["links"].is_array()) throw std::runtime_error("start-page: links must be an array");
  std::string items;
  for (const json& link : settings["links"]) items += item(link);
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<title>Sonicorn</title>\n<link rel=\"stylesheet\" href=\"" +
         escaped(server.mount()) +
         "/style.css\">\n</head>\n<body>\n<main>\n<h1>Sonicorn</h1>\n"
         "<p>This server runs. Each of these is an app: a shared object that it loaded. "
         "So is this page.</p>\n<ul>\n" +
         items + "</ul>\n</main>\n<footer>" + escaped(server.name()) + " " +
         escaped(server.version()) + "</footer>\n</body>\n</html>\n";
}

// The page is made once; every answer is a view of it.
class StartPage {
 public:
  explicit StartPage(sonicorn::Server& server) : page_(page(server)) {}

  Response on_request(const Request& request) {
    const bool style = request.path() == "/style.css";
    if (!style && request.path() != "/") return Response::not_found();
    if (request.method() != "GET" && request.method() != "HEAD") {
      return Response::method_not_allowed("GET, HEAD");
    }
    if (style) return Response::view(kStyle, "text/css; charset=utf-8");
    return Response::view(page_, "text/html; charset=utf-8")
        .header("Content-Security-Policy",
                "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
                "frame-ancestors 'none'")
        .header("X-Content-Type-Options", "nosniff");
  }

 private:
  const std::string page_;
};

}  // namespace

SONICORN_APP(StartPage, on_request)
