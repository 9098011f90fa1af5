#pragma once

#include <string_view>
#include <vector>

#include "app/inspection.hpp"
#include "conformance/finding.hpp"

namespace sonicorn::conformance {

// What the file tells without running its code: each reason to refuse it, each warning and hazard,
// and each export that the manifest does not explain, which is
//   - an attribute that works only with a capability or a key that the manifest does not state,
//   - an attribute that is never called because its partner is not there,
//   - any other symbol that the whole process can see.
// `inspection` is of `bytes`. Thread-safe.
std::vector<Finding> findings_of_file(std::string_view bytes, const app::Inspection& inspection);

}  // namespace sonicorn::conformance
