#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "core/result.hpp"

namespace sonicorn::supervisor {

// Who the server is to become.
struct Account {
  uid_t user = 0;
  gid_t group = 0;
  std::string name;  // of the user, for its other groups; empty: it has no name, and no others
};

// Looks up `user` and `group` of the configuration, names first, then numbers. Absent: nobody is
// named, so the server stays who it is. To be asked before anything is opened: its errors are those
// of the operator. Errors: host.no_such_account; host.not_root, when this process may not become
// another.
core::Result<std::optional<Account>> find_account(const config::Privileges& wanted);

// Has a log file be the account's, so that workers, which are nobody else, can write to it: creates
// it when there is none, and leaves alone what is not this process's own regular file. To be called
// before drop_privileges. Error: host.privileges.
core::Result<void> give_file(const std::filesystem::path& file, const Account& account);

// Gives up what only the start needed, for good, and sees that it is gone. For an account: the
// other groups, group and user in all their kinds; when it is not root's, also every capability,
// ambient, inheritable and bounding ones included. In any case: no file that this process or a
// child executes gives any rights (no_new_privs), so sudo and what is setuid work no more.
//
// Called once, when the addresses are bound and the PID file is written, while there is no other
// thread. When it fails, the process is to end. Error: host.privileges.
core::Result<void> drop_privileges(const std::optional<Account>& account);

}  // namespace sonicorn::supervisor
