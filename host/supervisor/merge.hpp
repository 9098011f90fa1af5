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

// One object an app: what the first worker says of it, with what can be added up added up
// ("requests", "errors", "in_flight", "pool_calls"), what all must be only true when all are
// ("ready", "healthy", "serving"), and "workers" with what each says. "crashes" and "quarantined"
// are the supervisor's.
nlohmann::json merge_apps(std::span<const Said> said, const Quarantine& quarantine);

// The sum of Prometheus texts, sample by sample; help and type of each family once.
std::string merge_metrics(std::span<const Said> said);

}  // namespace sonicorn::supervisor
