#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "app/inspection.hpp"
#include "core/error.hpp"

namespace sonicorn::app {

// The file that this process has loaded under the name `library`, as the dynamic loader would
// answer a DT_NEEDED; empty when there is none. Thread-safe.
std::filesystem::path loaded_as(const std::string& library);

// Whether the loader would give the app another library than the one that was found for it, because
// it answers a name that it knows with the code that it knows: app.library_clash. Libraries with
// equal content are one. Two of the system's own folders are trusted to hold the same library: the
// loader chooses there by the processor, too. Thread-safe, but what another thread loads after the
// answer is not in it.
std::optional<core::Error> library_clash(const Inspection& inspection);

}  // namespace sonicorn::app
