#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "supervisor/quarantine.hpp"

// What several workers say, as one.
namespace sonicorn::supervisor {

// One worker's answer.
struct Said {
  unsigned worker = 0;
  int pid = 0;
  nlohmann::json json;  // its reports of apps, or a string with its metrics
};

// `apps`, one object each with its "name", completed with what workers say of them: what the first
// says, with what can be added up added up ("requests", "errors", "in_flight", "pool_calls"), what
// all must be only true when all are ("ready", "healthy", "serving"; false where no worker has the
// app), and "workers" with what each says. "crashes" and "quarantined" are the supervisor's.
nlohmann::json merge_apps(nlohmann::json apps, std::span<const Said> said,
                          const Quarantine& quarantine);

// The sum of Prometheus texts, sample by sample; help and type of each family once.
std::string merge_metrics(std::span<const Said> said);

}  // namespace sonicorn::supervisor
