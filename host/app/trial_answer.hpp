#pragma once

#include <string_view>

// What a trial child and its parent agree on.
namespace sonicorn::app::trial {

// The child's answer begins with one of these; after the second comes why.
inline constexpr std::string_view kLoaded = "sonicorn-trial-load: loaded\n";
inline constexpr std::string_view kFailed = "sonicorn-trial-load: failed\n";

// The variable that names the file of which the child loads a copy.
inline constexpr const char* kOriginalVariable = "SONICORN_TRIAL_ORIGINAL";

}  // namespace sonicorn::app::trial
