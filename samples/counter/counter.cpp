#include <atomic>
#include <charconv>
#include <sonicorn/app.hpp>
#include <string>

SONICORN_MANIFEST({"state_schema": "counter/1"});

// Counts its requests, and goes on counting when the server replaces it by a new build.
struct Counter {
  explicit Counter(sonicorn::Server&) {}

  sonicorn::Response on_request(const sonicorn::Request&) {
    return sonicorn::Response::text(std::to_string(++count_) + "\n");
  }

  // After the last request, when a new build is about to take over.
  sonicorn::State save_state() { return {kSchema, std::to_string(count_)}; }

  // In the new build, before its first request. What it does not know, it declines: a fresh start.
  sonicorn::Answer load_state(const sonicorn::SavedState& saved) {
    unsigned long count = 0;
    const std::string_view text = saved.bytes();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (saved.schema() != kSchema || error != std::errc()) return sonicorn::Answer::declined;
    count_ = count;
    return sonicorn::Answer::ok;
  }

  void shutdown(const sonicorn::Shutdown&) {}

 private:
  static constexpr const char* kSchema = "counter/1";
  std::atomic<unsigned long> count_{0};
};

SONICORN_APP(Counter, on_request, save_state, load_state, shutdown)
