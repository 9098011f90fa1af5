#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"
#include "support/server.hpp"

namespace support {

using Json = nlohmann::json;

// What is long enough for every call of an app on a slow machine: root keys and tables of a
// configuration, to stand before its first [[app]].
std::string patient_times();

// The apps contract_*.so of one test: they share a journal of their calls, each has a file that
// steers it, and those that hang wait at one gate.
class Contract {
 public:
  // The [[app]] of the fixture, called `name`; more settings ("key = 1, ...") and more lines.
  std::string app(std::string_view mount, std::string_view fixture_name, std::string_view name,
                  std::string_view settings = {}, std::string_view lines = {}) const;
  // The settings alone, as a JSON object.
  std::string settings_json(std::string_view name) const;

  // From now on the app does what these lines "ATTRIBUTE=BEHAVIOUR" say, and no more what it was
  // told before.
  void steer(std::string_view name, std::string_view lines) const;

  const Fifo& gate() const { return gate_; }
  const TemporaryFolder& folder() const { return folder_; }

  // All whole lines so far, of all apps or of one, in the order of what happened.
  std::vector<Json> journal() const;
  std::vector<Json> journal(std::string_view app) const;

  // The lines of this app's call: those of "begin", of "end", of "note".
  std::vector<Json> calls(std::string_view app, std::string_view call,
                          std::string_view phase = "begin") const;

  // Waits until there are `count` of them, and returns the last; throws when they do not come.
  Json wait_for(std::string_view app, std::string_view call, std::string_view phase = "end",
                std::size_t count = 1) const;

  // Waits until `count` lines of the app are as wanted, and returns the last; throws when they do
  // not come.
  Json wait_until(std::string_view app, const std::function<bool(const Json&)>& wanted,
                  std::size_t count = 1) const;

 private:
  TemporaryFolder folder_;
  Fifo gate_{folder_ / "gate"};
};

// Looks again and again, for what happens in another process and tells nobody, until it is so;
// false when that does not come.
bool eventually(const std::function<bool()>& look, std::chrono::milliseconds limit = kPatience);

// How often the part is in the text.
std::size_t count_of(const std::string& text, const std::string& part);

// Waits until one line of the server's log contains all of these; false when none comes.
bool logs(const Server& server, const std::vector<std::string>& fragments);
// Whether there is one now.
bool has_logged(const std::string& log, const std::vector<std::string>& fragments);

// Asks until the answer is as wanted; throws when it does not come to that.
void wait_for_answer(const Endpoint& endpoint, const std::string& request,
                     const std::function<bool(int status, const std::string& body)>& wanted);

// What an app is expected to be like, for fault_of_order().
struct Declared {
  std::set<std::string> attributes;
  bool serial = false;
};
Declared all_attributes();

// Why the journal of one app, from its start to its clean end, breaks the order that the contract
// has for each of its generations; empty when it does not.
std::string fault_of_order(const std::vector<Json>& lines, const Declared& declared);

}  // namespace support
