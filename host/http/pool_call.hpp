#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "app/app.hpp"
#include "http/app_response.hpp"
#include "http/request.hpp"

namespace sonicorn::http {

class Connection;
class Loop;

// One request that runs on the pool. Owned by whoever works on it now: the loop, the pool's queue,
// a pool thread, the loop again.
struct PoolCall {
  std::unique_ptr<Request> request;
  AppResponse response;
  std::string remote;
  app::App* app = nullptr;
  app::Generation* generation = nullptr;
  std::int32_t result = 0;
  std::string error;              // the app's text, when result is below 0
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC
  Loop* home = nullptr;           // where it goes back to
  PoolCall* next = nullptr;       // in the list of those that are back
  // Null when the client was given up. For the home's thread only.
  Connection* connection = nullptr;

  // Calls the app's handler on this thread.
  void run(app::CallContext& context);
};

// Runs calls on threads that may block. Thread-safe.
class Executor {
 public:
  // Takes the call and returns true, or leaves it and returns false when the queue is full. The
  // call comes back through call->home->complete().
  virtual bool submit(std::unique_ptr<PoolCall>& call) = 0;

 protected:
  ~Executor() = default;
};

// The request as the ABI has it, for `app`.
sonicorn_request abi_request(const Request& request, const app::App& app, std::string_view remote);

}  // namespace sonicorn::http
