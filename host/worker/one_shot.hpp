#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "core/error.hpp"

namespace sonicorn::worker {

// One request, as a client would write it.
struct OneShotRequest {
  std::string method = "GET";
  std::string target = "/";
  std::vector<std::pair<std::string, std::string>> fields;  // Host is added when it is not there
  std::string body;
};

struct OneShotResult {
  std::vector<core::Error> reasons;  // why there is no answer; client.bad_request: it is no request
  std::string head;                  // status line and fields, as they would be sent
  std::string body;
  bool clean = false;  // the app answered by itself, and everything of it ended as it should
  // A call, or a thread that the server made for it, did not return: the process must end by _Exit.
  bool stuck = false;
};

// Takes one request through one app without any socket: start, pre_request, on_request,
// post_request, drain, shutdown, thread_start and thread_exit around the request. The app is
// offered what this can keep (app::Offer::of_call) less config.without. Blocks, on this thread;
// what fails on the way is logged. Once in a process.
OneShotResult run_once(const config::App& app, const config::Config& config,
                       const OneShotRequest& request);

}  // namespace sonicorn::worker
