#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/result.hpp"

// Where the operator's sockets of servers are, unless told otherwise: PID.sock in the folder
// $RUNTIME_DIRECTORY (systemd's), /run/sonicorn (root), $XDG_RUNTIME_DIR/sonicorn, or
// /tmp/sonicorn-UID, the first that there is.
namespace sonicorn::admin {

// The path for this process's own; its folder is made, for its owner alone, if it is missing.
// Errors: host.admin, when the folder cannot be had or is somebody else's.
core::Result<std::filesystem::path> usual_control_path(pid_t pid);

// The sockets in the usual folders that somebody listens on. Those of processes that are gone are
// removed.
std::vector<std::filesystem::path> find_controls();

// Where the journal of the server with this operator's socket is, unless told otherwise: beside it.
// Where the socket is in its usual place (empty): in $STATE_DIRECTORY (systemd's), or in that
// place, for all servers of this user, of which one has it. Empty without such a folder.
std::filesystem::path usual_journal_path(const std::filesystem::path& control);

// The journals that there are in the usual places.
std::vector<std::filesystem::path> find_journals();

// Whether somebody listens on a Unix socket.
bool somebody_listens(const std::filesystem::path& path);

}  // namespace sonicorn::admin
