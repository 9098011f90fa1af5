#include <atomic>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <sonicorn/app.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "credentials.hpp"
#include "rate_limit.hpp"

// A filter that is not called protects nothing: a server that does not promise to call it must not
// load it.
SONICORN_MANIFEST({
  "blocking": false,
  "requires": ["request_events/1"],
  "uses": ["metrics/1", "log/1"]
});

namespace {

using nlohmann::json;
using sonicorn::Request;
using sonicorn::Response;

constexpr std::int64_t kMostPerMinute = 1'000'000;

struct Settings {
  std::vector<std::string> tokens;
  unsigned per_minute = 60;
};

// Throws when they are no settings of ours: a door that is left open by a typing error is worse
// than none.
Settings read_settings(std::string_view text) {
  Settings settings;
  const json parsed = json::parse(text);
  for (const auto& [key, value] : parsed.items()) {
    if (key == "tokens" && value.is_array()) {
      for (const json& token : value) {
        if (!token.is_string() || token.get_ref<const std::string&>().empty()) {
          throw std::runtime_error("\"tokens\" must be strings that are not empty");
        }
        settings.tokens.push_back(token);
      }
    } else if (key == "per_minute" && value.is_number_integer() && value > 0 &&
               value <= kMostPerMinute) {
      settings.per_minute = value;
    } else {
      throw std::runtime_error(
          "auth-filter takes tokens = [\"...\"] and per_minute = 1 to 1000000, not \"" + key +
          "\" = " + value.dump());
    }
  }
  if (settings.tokens.empty()) {
    throw std::runtime_error("auth-filter needs the setting tokens = [\"...\"], at least one");
  }
  return settings;
}

// A number that the operator sees, where the server shows numbers.
class Metric {
 public:
  Metric(const sonicorn::Server& server, std::uint32_t kind, const char* name, const char* help)
      : metrics_(server.capability<sonicorn_metrics>()) {
    if (metrics_ != nullptr) metric_ = metrics_->get(server.c(), kind, name, help);
  }
  void count() const {
    if (metric_ != nullptr) metrics_->add(metric_, 1);
  }
  void observe(double value) const {
    if (metric_ != nullptr) metrics_->set(metric_, value);
  }

 private:
  const sonicorn_metrics* metrics_;
  sonicorn_metric* metric_ = nullptr;
};

// Lets requests with a right token pass, each token so many a minute. Attempts without one are
// counted by the peer's address, so that nobody guesses fast.
class AuthFilter {
 public:
  explicit AuthFilter(sonicorn::Server& server)
      : AuthFilter(server, read_settings(server.settings())) {}

  std::optional<Response> pre_request(const Request& request, sonicorn::Exchange& exchange) {
    requests_.count();
    const auto token = credentials_.find(request.header("authorization").value_or(""));
    const std::string key =
        token ? "token " + std::to_string(*token) : "peer " + std::string(request.remote());
    const RateLimit::Verdict verdict = limit_.take(key, RateLimit::Clock::now());
    if (!verdict.allowed) {
      limited_.count();
      return Response::text("Too many requests\n", 429)
          .header("Retry-After", std::to_string(verdict.retry_after.count()))
          .header("X-RateLimit-Remaining", "0");
    }
    if (!token) {
      denied_.count();
      ++denials_;
      return Response::text("Unauthorized\n", 401)
          .header("WWW-Authenticate", "Bearer realm=\"sonicorn\"")
          .header("WWW-Authenticate", "Basic realm=\"sonicorn\", charset=\"UTF-8\"");
    }
    exchange.header("X-RateLimit-Remaining", std::to_string(verdict.remaining));
    return std::nullopt;
  }

  // Only for requests that passed.
  void post_request(const Request&, const sonicorn::Outcome& outcome) {
    seconds_.observe(std::chrono::duration<double>(outcome.duration()).count());
  }

  void shutdown(const sonicorn::Shutdown&) {
    server_.log(sonicorn::Level::info, "denied " + std::to_string(denials_) + " requests");
  }

 private:
  AuthFilter(sonicorn::Server& server, Settings settings)
      : server_(server),
        credentials_(std::move(settings.tokens)),
        limit_(settings.per_minute),
        requests_(server, SONICORN_METRIC_COUNTER, "auth_filter_requests_total",
                  "Requests under the mount of the filter."),
        denied_(server, SONICORN_METRIC_COUNTER, "auth_filter_denied_total",
                "Requests without a right token."),
        limited_(server, SONICORN_METRIC_COUNTER, "auth_filter_limited_total",
                 "Requests beyond the limit of their token or peer."),
        seconds_(server, SONICORN_METRIC_HISTOGRAM, "auth_filter_seconds",
                 "How long requests took that passed.") {}

  sonicorn::Server& server_;
  const Credentials credentials_;
  RateLimit limit_;
  std::atomic<std::uint64_t> denials_ = 0;
  const Metric requests_;
  const Metric denied_;
  const Metric limited_;
  const Metric seconds_;
};

}  // namespace

SONICORN_APP(AuthFilter, pre_request, post_request, shutdown)
