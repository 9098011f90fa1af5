#pragma once

#include <string>

#include "conformance/check.hpp"

// A report for people and for machines. Control characters and what is not UTF-8, which may come
// from the app, are replaced.
namespace sonicorn::conformance {

// One scenario: a line, and what was found, indented.
std::string to_text(const Result& result);
// How it all ended, one line.
std::string summary_of(const Report& report);

// One object: file, name, version, ok, scenarios, findings.
std::string to_json(const Report& report);

// A JUnit report (XML), one testcase a scenario: errors are failures, the rest is system-out.
std::string to_junit(const Report& report);

}  // namespace sonicorn::conformance
