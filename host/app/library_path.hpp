#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// Where the dynamic loader looks for libraries (ld.so(8)).
namespace sonicorn::app {

// The folders of /etc/ld.so.conf, with what it includes, and then the default ones.
std::vector<std::filesystem::path> system_library_folders();

// The entries of a list such as LD_LIBRARY_PATH; an empty entry is the working directory.
std::vector<std::string> split_library_path(std::string_view list);

// Whether `entry` holds $ORIGIN or ${ORIGIN}.
bool names_origin(std::string_view entry);

// `entry` with $ORIGIN, $LIB and $PLATFORM filled in. `origin` is the folder of the object that
// says it.
std::string expanded(std::string_view entry, const std::filesystem::path& origin);

}  // namespace sonicorn::app
