#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "app/generation.hpp"
#include "app/inspection.hpp"

namespace sonicorn::app {

// One app that is served: where it is mounted, what it says of itself, and which generation answers
// now. What is not said to be thread-safe is for the thread that made it.
class App {
 public:
  struct Facts {
    std::filesystem::path file;    // where the user has it, for messages
    std::string mount;             // "" for the root or "/prefix"
    std::uint64_t body_limit = 0;  // bytes
    std::string settings = "{}";   // JSON object
    Inspection inspection;         // of the file as it was loaded
  };

  App(Facts facts, std::unique_ptr<Generation> generation)
      : facts_(std::move(facts)),
        name_(generation->name()),
        brought_(facts_.settings),
        owned_(std::move(generation)),
        serving_(owned_.get()) {}

  const std::string& name() const { return name_; }
  const std::filesystem::path& file() const { return facts_.file; }
  const std::string& mount() const { return facts_.mount; }
  std::uint64_t body_limit() const { return facts_.body_limit; }
  const Inspection& inspection() const { return facts_.inspection; }

  // The settings that the generation has accepted.
  const std::string& settings() const { return facts_.settings; }
  void set_settings(std::string settings) { facts_.settings = std::move(settings); }
  // Those that it was brought last, which are the accepted ones when it has answered.
  const std::string& brought_settings() const { return brought_; }
  void set_brought_settings(std::string settings) { brought_ = std::move(settings); }

  // The newest generation. REQUIRES: it was not taken.
  Generation& current() const { return *owned_; }
  bool has_generation() const { return owned_ != nullptr; }

  // Has `next`, which is of the build that `inspection` tells of, answer requests that begin from
  // now on; null: nobody. The result is the generation before it, in which requests may still be.
  std::unique_ptr<Generation> switch_to(std::unique_ptr<Generation> next, Inspection inspection) {
    facts_.inspection = std::move(inspection);
    return switch_to(std::move(next));
  }
  std::unique_ptr<Generation> switch_to(std::unique_ptr<Generation> next) {
    healthy_ = true;
    ready_ = false;
    if (owned_ != nullptr) {
      past_requests_ += owned_->requests();
      past_errors_ += owned_->errors();
    }
    std::unique_ptr<Generation> before = std::exchange(owned_, std::move(next));
    serving_.store(confined_ ? nullptr : owned_.get(), std::memory_order_release);
    switches_.fetch_add(1, std::memory_order_release);
    return before;
  }

  // Calls of on_request that generations before the current one have had, and their failures, as
  // far as they were counted at the switch.
  std::uint64_t past_requests() const { return past_requests_; }
  std::uint64_t past_errors() const { return past_errors_; }

  // The generation that answers requests that begin now; null when the app takes none, because it
  // was drained by itself. Thread-safe; one load, no counter.
  Generation* serving() const { return serving_.load(std::memory_order_acquire); }
  void stop_serving() {
    holding_ = false;
    serving_.store(nullptr, std::memory_order_release);
    switches_.fetch_add(1, std::memory_order_release);
  }
  // The same, but requests wait until somebody serves again or nobody will.
  void hold() {
    holding_ = true;
    serving_.store(nullptr, std::memory_order_release);
    switches_.fetch_add(1, std::memory_order_release);
  }
  // The end of that, with who serves then.
  void resume() {
    serving_.store(confined_ ? nullptr : owned_.get(), std::memory_order_release);
    holding_ = false;
    switches_.fetch_add(1, std::memory_order_release);
  }
  // Takes no requests, whatever is resumed or switched to, until it is released.
  void confine() {
    confined_ = true;
    stop_serving();
  }
  void release() { confined_ = false; }
  bool is_confined() const { return confined_; }
  // Whether requests wait though nobody serves. Thread-safe.
  bool is_holding() const { return holding_.load(std::memory_order_acquire); }
  // Changes after serving() of any app has changed. Thread-safe; one load.
  static std::uint32_t switches() { return switches_.load(std::memory_order_acquire); }

  // How it is, as health said last. Thread-safe.
  bool is_healthy() const { return healthy_.load(); }
  void set_healthy(bool healthy) { healthy_.store(healthy); }

  // Whether its ready has returned, which is after the switch to it. Thread-safe.
  bool is_ready() const { return ready_.load(); }
  void set_ready() { ready_.store(true); }

  // Has what was looked up by app be looked up again, as after a switch. Thread-safe.
  static void forget_ways() { switches_.fetch_add(1, std::memory_order_release); }

 private:
  Facts facts_;
  std::string name_;
  std::string brought_;
  std::unique_ptr<Generation> owned_;
  std::uint64_t past_requests_ = 0;
  std::uint64_t past_errors_ = 0;
  std::atomic<Generation*> serving_;
  std::atomic<bool> holding_{false};
  bool confined_ = false;  // for the main thread
  static inline std::atomic<std::uint32_t> switches_{0};
  std::atomic<bool> healthy_{true};
  std::atomic<bool> ready_{false};
};

}  // namespace sonicorn::app
