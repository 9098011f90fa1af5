#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "support/client.hpp"
#include "support/files.hpp"
#include "support/process.hpp"

// What tests of reloads have in common.
namespace support {

// Settings of a server whose reloads take as long as they need.
inline constexpr const char* kQuick =
    "load_time = 20\ngrace = 20\n[lifecycle]\nstart_time = 20\nhealth_interval = 0.1\n";

// A folder with an app's file, whose builds come and go.
class Builds {
 public:
  explicit Builds(const std::string& first) { install(first); }

  // As a linker that renames: the file is whole or it is the one before.
  void install(const std::string& name) const;
  std::filesystem::path file() const { return folder_ / "app.so"; }
  std::filesystem::path control() const { return folder_ / "control"; }

  // The configuration of a server with this app at "/".
  std::string toml(const std::string& root = kQuick, const std::string& more = {}) const;

  // `sonicorn COMMAND... --control ...`
  Outcome operate(std::vector<std::string> arguments) const;
  // Whether it was.
  bool reload(const std::string& app = "app") const;
  nlohmann::json apps() const;

 private:
  TemporaryFolder folder_;
};

// Clients that ask on and on, on connections that stay and on new ones, with a breath in between so
// that the server is not the one who waits for a processor.
class Load {
 public:
  explicit Load(const Endpoint& endpoint, unsigned clients = 3, const std::string& target = "/");
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void stop();
  // Those that were not answered with 200 or whose connection was cut, as texts.
  std::vector<std::string> faults() const;
  unsigned long answered() const { return answered_; }
  void wait_for_more(unsigned long count) const;
  // Stops, and checks that there is no fault and was an answer.
  void check_nothing_lost();

 private:
  void ask_on(const Endpoint& endpoint, const std::string& target, bool keeps);
  void note(const std::string& fault);

  std::atomic<bool> stop_{false};
  std::atomic<unsigned long> answered_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> faults_;
  std::vector<std::thread> threads_;
};

}  // namespace support
