#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/result.hpp"

namespace sonicorn::process {

struct SpawnRequest {
  std::vector<std::string> arguments;  // the first is the program's path
  std::vector<int> inherited;          // descriptors that it gets under their own numbers
};

class Children {
 public:
  core::Result<pid_t> spawn(const SpawnRequest& request);
  void watch(pid_t pid, std::function<void(int wait_status)> ended);
  void forget(pid_t pid);
  void reap();

 private:
  std::map<pid_t, std::function<void(int)>> watched_;
};

}  // namespace sonicorn::process
