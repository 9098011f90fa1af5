#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "app/generation.hpp"

namespace sonicorn::app {

// One app that is served: where it is mounted and which generation answers now.
class App {
 public:
  // `file`: where the user has it, for messages. `mount`: "" for the root or "/prefix".
  // `body_limit` in bytes.
  App(std::filesystem::path file, std::string mount, std::uint64_t body_limit,
      std::unique_ptr<Generation> generation)
      : file_(std::move(file)),
        mount_(std::move(mount)),
        body_limit_(body_limit),
        owned_(std::move(generation)),
        current_(owned_.get()) {}

  const std::string& name() const { return owned_->name(); }
  const std::filesystem::path& file() const { return file_; }
  const std::string& mount() const { return mount_; }
  std::uint64_t body_limit() const { return body_limit_; }

  // The generation that answers requests that begin now. Thread-safe; one load, no counter.
  Generation& current() const { return *current_.load(std::memory_order_acquire); }

 private:
  std::filesystem::path file_;
  std::string mount_;
  std::uint64_t body_limit_;
  std::unique_ptr<Generation> owned_;
  std::atomic<Generation*> current_;
};

}  // namespace sonicorn::app
