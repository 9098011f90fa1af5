#pragma once

#include "conformance/finding.hpp"
#include "conformance/observer.hpp"
#include "conformance/subject.hpp"
#include "core/error.hpp"

// The steps of an app's life, each with what is to be said of its outcome.
namespace sonicorn::conformance {

Finding load_failed(const core::Error& error);

// start, health, ready. False: it has not started, and nothing else of it may be called.
bool start_one(Subject& subject, Observer& observer);

void report_answer(const Answer& answer, Observer& observer);

// False: it will never be done with draining.
bool drain_one(Subject& subject, Observer& observer);

void shut_down_one(Subject& subject, Observer& observer);

}  // namespace sonicorn::conformance
