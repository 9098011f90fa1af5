#include <algorithm>
#include <map>
#include <optional>

#include "support/contract.hpp"

namespace support {
namespace {

const std::set<std::string> kOnRequestThreads = {
    "on_request",         "pre_request",       "post_request",
    "on_disconnect",      "on_websocket_open", "on_websocket_message",
    "on_websocket_close", "thread_start",      "thread_exit"};

constexpr int kScopeServer = 1;
constexpr int kScopeWorker = 2;
constexpr int kScopeApp = 3;
constexpr int kScopeRequest = 4;
constexpr int kScopeBus = 5;
constexpr int kLifecycle = 1;

// The calls of one app as they come, and what must hold of each.
class Order {
 public:
  explicit Order(const Declared& declared) : declared_(declared) {}

  std::string fault_of(const std::vector<Json>& lines) {
    for (const Json& line : lines) {
      line["phase"] == "begin" ? begin(line) : end(line);
      if (!fault_.empty()) return fault_ + ", at " + line.dump();
    }
    finish();
    return fault_;
  }

 private:
  void must(bool holds, const std::string& what) {
    if (!holds && fault_.empty()) fault_ = what;
  }
  bool declares(const std::string& attribute) const {
    return declared_.attributes.contains(attribute);
  }
  int ended(const std::string& call) const {
    const auto found = ended_.find(call);
    return found == ended_.end() ? 0 : found->second;
  }
  int begun(const std::string& call) const {
    const auto found = begun_.find(call);
    return found == begun_.end() ? 0 : found->second;
  }

  void begin(const Json& line) {
    const std::string call = line["call"];
    const long thread = line["thread"];
    must(declares(call), "an attribute that is not declared was called");
    must(open_[thread].empty(), "a call began inside another one of its thread");
    must(begun("shutdown") == 0, "a call came after shutdown");
    check_context(line, call);
    if (call == "start") {
      must(begun_.empty(), "start was not the first call");
    } else if (declares("start")) {
      must(ended("start") == 1, "a call came before start had returned");
    }
    if (call != "start" && call != "health" && declares("health")) {
      must(ended("health") > 0, "a call came before the first health");
    }
    kOnRequestThreads.contains(call) ? begin_on_request_thread(line, call, thread)
                                     : begin_on_lifecycle_thread(call, thread);
    open_[thread] = call;
    ++begun_[call];
  }

  void check_context(const Json& line, const std::string& call) {
    must(line["context_thread"] == line["thread"], "the context names another thread");
    must(line["context_pid"] == line["pid"], "the context names another process");
    must(line["process_role"] == 1, "the context is not that of a worker");
    must(line["worker"] == 0, "the context names another worker");
    // New settings reach an app that has `reload` in the generation that runs.
    must(line["generation"] == 1 || !declares("reload"), "the context names another generation");
    must(line["state"] == declares("start"), "the state is not what start returned");
    const int scope = line["scope"];
    const bool about_thread = call == "thread_start" || call == "thread_exit";
    const bool on_request_thread = kOnRequestThreads.contains(call);
    if (call == "on_event") {
      must(scope == kScopeServer || scope == kScopeBus, "an event has a wrong scope");
    } else {
      must(line["event"] == call, "the event is not the attribute");
      must(scope == (about_thread        ? kScopeWorker
                     : on_request_thread ? kScopeRequest
                                         : kScopeApp),
           "the scope is wrong");
    }
    must((line["role"] == kLifecycle) != on_request_thread, "the role of the thread is wrong");
  }

  void begin_on_lifecycle_thread(const std::string& call, long thread) {
    must(!lifecycle_ || *lifecycle_ == thread, "lifecycle calls came on two threads");
    lifecycle_ = thread;
    if (call == "ready" || call == "drain" || call == "shutdown") {
      must(begun(call) == 0, call + " came twice");
    }
    if (call == "drain" && declares("ready")) must(ended("ready") == 1, "drain came before ready");
    if (call != "shutdown") return;
    for (const auto& [other, open] : open_) must(open.empty(), "shutdown came during " + open);
    must(!declares("drain") || begun("ready") == 0 || ended("drain") == 1,
         "shutdown came without a drain");
  }

  void begin_on_request_thread(const Json& line, const std::string& call, long thread) {
    must(!lifecycle_ || *lifecycle_ != thread, "a request was on the lifecycle thread");
    if (declares("ready") && call != "thread_start") {
      must(ended("ready") == 1, "a request came before ready had returned");
    }
    if (declared_.serial) {
      for (const auto& [other, open] : open_) {
        must(!kOnRequestThreads.contains(open), "two calls at once into a serial app");
      }
    }
    if (call == "thread_start") {
      must(!threads_.contains(thread), "thread_start came twice on a thread");
      threads_[thread] = false;
    } else if (declares("thread_start")) {
      must(threads_.contains(thread), "a request was on a thread without thread_start");
      must(!threads_[thread], "a call came on a thread after its thread_exit");
    }
    if (call == "thread_exit") threads_[thread] = true;
    if (call == "post_request") {
      const auto owed = owed_.find(line["exchange"].get<std::uint64_t>());
      must(owed != owed_.end(), "post_request came twice, or for no pre_request");
      if (owed == owed_.end()) return;
      must(owed->second == line["id"], "post_request has the exchange of another request");
      owed_.erase(owed);
    }
  }

  void end(const Json& line) {
    const std::string call = line["call"];
    std::string& open = open_[line["thread"].get<long>()];
    must(open == call, "a call ended that had not begun");
    open.clear();
    ++ended_[call];
    if (call == "pre_request" && line["result"] == 0) {
      owed_.emplace(line["exchange"].get<std::uint64_t>(), line["id"]);
    }
  }

  void finish() {
    for (const auto& [thread, open] : open_) must(open.empty(), open + " did not return");
    for (const char* const once : {"start", "shutdown", "ready", "drain"}) {
      if (declares(once)) must(ended(once) == 1, std::string(once) + " did not come exactly once");
    }
    if (declares("post_request")) must(owed_.empty(), "a pre_request has no post_request");
    if (declares("thread_exit")) {
      must(std::all_of(threads_.begin(), threads_.end(),
                       [](const auto& each) { return each.second; }),
           "a thread had no thread_exit");
    }
  }

  const Declared& declared_;
  std::string fault_;
  std::optional<long> lifecycle_;
  std::map<long, std::string> open_;    // the call under way on a thread
  std::map<long, bool> threads_;        // of requests; true: left
  std::map<std::uint64_t, Json> owed_;  // exchange to id, of pre_request without post_request
  std::map<std::string, int> begun_;
  std::map<std::string, int> ended_;
};

}  // namespace

Declared all_attributes() {
  return {.attributes = {"start", "load_state", "health", "ready", "on_request", "pre_request",
                         "post_request", "on_disconnect", "on_event", "on_websocket_open",
                         "thread_start", "on_websocket_message", "thread_exit",
                         "on_websocket_close", "reload", "save_state", "drain", "shutdown",
                         "describe"}};
}

std::string fault_of_order(const std::vector<Json>& lines, const Declared& declared) {
  std::map<int, std::vector<Json>> of_generation;
  for (const Json& line : lines) {
    if (line["phase"] != "note") of_generation[line["generation"]].push_back(line);
  }
  for (const auto& [generation, calls] : of_generation) {
    if (std::string fault = Order(declared).fault_of(calls); !fault.empty()) return fault;
  }
  return {};
}

}  // namespace support
