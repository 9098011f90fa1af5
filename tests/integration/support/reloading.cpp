#include "support/reloading.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <utility>

#include "support/support.hpp"

namespace support {
namespace {

constexpr std::chrono::microseconds kBreath{500};

}  // namespace

void Builds::install(const std::string& name) const {
  const auto fresh = folder_ / "fresh";
  std::filesystem::copy_file(fixture(name), fresh,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::rename(fresh, file());
}

std::string Builds::toml(const std::string& root, const std::string& more) const {
  return "control = \"" + control().string() + "\"\n" + root + "[[app]]\nmount = \"/\"\nfile = \"" +
         file().string() + "\"\n" + more;
}

Outcome Builds::operate(std::vector<std::string> arguments) const {
  arguments.insert(arguments.end(), {"--control", control().string()});
  return run_sonicorn(std::move(arguments));
}

bool Builds::reload(const std::string& app) const {
  const Outcome outcome = operate({"reload", app});
  INFO(outcome.output << outcome.errors);
  return outcome.ending.status == 0;
}

nlohmann::json Builds::apps() const {
  return nlohmann::json::parse(operate({"apps", "--json"}).output);
}

Load::Load(const Endpoint& endpoint, unsigned clients, const std::string& target) {
  for (unsigned i = 0; i < clients; ++i) {
    threads_.emplace_back([this, endpoint, target, keeps = i % 3 != 2] {
      try {
        ask_on(endpoint, target, keeps);
      } catch (const std::exception& error) {
        note(error.what());
      }
    });
  }
}

void Load::stop() {
  stop_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::vector<std::string> Load::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

void Load::wait_for_more(unsigned long count) const {
  const unsigned long until = answered_ + count;
  while (answered_ < until && faults().empty()) std::this_thread::yield();
}

void Load::check_nothing_lost() {
  stop();
  const auto found = faults();
  CHECK_MESSAGE(found.empty(), (found.empty() ? std::string() : found.front()));
  CHECK(answered() > 0);
}

void Load::ask_on(const Endpoint& endpoint, const std::string& target, bool keeps) {
  auto client = std::make_unique<Client>(endpoint);
  while (!stop_) {
    const Response response = client->ask(get(target));
    if (response.status != 200) note(std::to_string(response.status) + " " + response.body);
    if (keeps && response.field("Connection") == "close") note("a connection was closed");
    ++answered_;
    if (!keeps) client = std::make_unique<Client>(endpoint);
    std::this_thread::sleep_for(kBreath);
  }
}

void Load::note(const std::string& fault) {
  const std::lock_guard lock(mutex_);
  if (faults_.size() < 5) faults_.push_back(fault);
}

}  // namespace support
