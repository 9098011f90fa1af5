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
// now.
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
        brought_(facts_.settings),
        owned_(std::move(generation)),
        serving_(owned_.get()) {}

  const std::string& name() const { return owned_->name(); }
  const std::filesystem::path& file() const { return facts_.file; }
  const std::string& mount() const { return facts_.mount; }
  std::uint64_t body_limit() const { return facts_.body_limit; }
  const Inspection& inspection() const { return facts_.inspection; }

  // The settings that the generation has accepted. For the thread that reloads them.
  const std::string& settings() const { return facts_.settings; }
  void set_settings(std::string settings) { facts_.settings = std::move(settings); }
  // Those that it was brought last, which are the accepted ones when it has answered.
  const std::string& brought_settings() const { return brought_; }
  void set_brought_settings(std::string settings) { brought_ = std::move(settings); }

  // The newest generation.
  Generation& current() const { return *owned_; }

  // The generation that answers requests that begin now; null when the app takes none, because it
  // was drained by itself. Thread-safe; one load, no counter.
  Generation* serving() const { return serving_.load(std::memory_order_acquire); }
  void stop_serving() {
    serving_.store(nullptr, std::memory_order_release);
    switches_.fetch_add(1, std::memory_order_release);
  }
  // Changes after serving() of any app has changed. Thread-safe; one load.
  static std::uint32_t switches() { return switches_.load(std::memory_order_acquire); }

  // How it is, as health said last. Thread-safe.
  bool is_healthy() const { return healthy_.load(); }
  void set_healthy(bool healthy) { healthy_.store(healthy); }

  // Whether its ready has returned, which is after the switch to it. Thread-safe.
  bool is_ready() const { return ready_.load(); }
  void set_ready() { ready_.store(true); }

 private:
  Facts facts_;
  std::string brought_;
  std::unique_ptr<Generation> owned_;
  std::atomic<Generation*> serving_;
  static inline std::atomic<std::uint32_t> switches_{0};
  std::atomic<bool> healthy_{true};
  std::atomic<bool> ready_{false};
};

}  // namespace sonicorn::app
