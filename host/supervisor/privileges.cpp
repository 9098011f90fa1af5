#include "supervisor/privileges.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <system_error>
#include <vector>

#include "config/wording.hpp"
#include "core/log.hpp"

namespace sonicorn::supervisor {
namespace {

std::optional<unsigned> id_from(std::string_view text) {
  unsigned number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  // The highest means "unchanged" to the kernel.
  if (failure != std::errc{} || stop != end || number == ~0U) return std::nullopt;
  return number;
}

struct User {
  uid_t user;
  gid_t group;
  std::string name;
};

// By name, or by number when `name` is null.
std::optional<User> find_user(const char* name, uid_t number) {
  std::vector<char> buffer(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  const auto look = [&] {
    return name != nullptr ? ::getpwnam_r(name, &entry, buffer.data(), buffer.size(), &found)
                           : ::getpwuid_r(number, &entry, buffer.data(), buffer.size(), &found);
  };
  while (look() == ERANGE) buffer.resize(buffer.size() * 2);
  if (found == nullptr) return std::nullopt;
  return User{found->pw_uid, found->pw_gid, found->pw_name};
}

std::optional<gid_t> find_group(const std::string& name) {
  std::vector<char> buffer(16 * 1024);
  group entry{};
  group* found = nullptr;
  while (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) == ERANGE) {
    buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr) return id_from(name);
  return found->gr_gid;
}

core::Result<void> find_user_of(const config::Privileges& wanted, Account& account) {
  auto user = find_user(wanted.user.c_str(), 0);
  const auto number = id_from(wanted.user);
  if (!user && number) user = find_user(nullptr, *number);
  if (user) {
    account = {user->user, user->group, user->name};
    return {};
  }
  if (!number) {
    return core::host_error(
        "host.no_such_account",
        fmt::format("user {}: there is no such user; create it (useradd --system {}), or name "
                    "another",
                    config::in_quotes(wanted.user), config::one_line(wanted.user)));
  }
  if (wanted.group.empty()) {
    return core::host_error(
        "host.no_such_account",
        fmt::format("user {}: no user has this number, so its group is not known; name a group, "
                    "too",
                    wanted.user));
  }
  account.user = *number;
  return {};
}

core::Error failed(std::string_view step, int error) {
  return core::host_error(
      "host.privileges",
      fmt::format("privileges cannot be given up: {} failed ({}); start the server as root with "
                  "CAP_SETUID and CAP_SETGID, or as the user itself and without user and group",
                  step, std::generic_category().message(error)));
}

core::Error not_given_up(std::string_view what) {
  return core::host_error(
      "host.privileges",
      fmt::format("privileges were given up, and {}; the server does not go on like that, start it "
                  "as the user itself and without user and group",
                  what));
}

// A process keeps what is in its bounding set only by executing a file that gives it, which
// no_new_privs forbids, so a container that does not let it be emptied is no reason to fail.
core::Result<void> drop_bounding_set() {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability) == 0) continue;
    if (::prctl(PR_CAPBSET_DROP, capability) == 0) continue;
    if (errno != EPERM) return failed("dropping the bounding set of capabilities", errno);
    core::log::debug("the bounding set of capabilities stays, for CAP_SETPCAP is missing");
    return {};
  }
  return {};
}

using CapabilitySets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

// capset and capget have no function in the C library.
long call_capabilities(long call, CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  return ::syscall(call, &header, sets.data());
}

core::Result<void> drop_capabilities() {
  // Kernels before 4.3 have no ambient set.
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return failed("clearing the ambient capabilities", errno);
  }
  CapabilitySets none{};
  if (call_capabilities(SYS_capset, none) != 0) return failed("giving up capabilities", errno);
  return {};
}

core::Result<void> become(const Account& account) {
  if (account.user != 0) {
    if (auto dropped = drop_bounding_set(); !dropped) return dropped;
  }
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    const int error = account.name.empty() ? ::setgroups(0, nullptr)
                                           : ::initgroups(account.name.c_str(), account.group);
    if (error != 0) return failed("setting the groups", errno);
  }
  if (::setresgid(account.group, account.group, account.group) != 0) {
    return failed("setting the group", errno);
  }
  if (::setresuid(account.user, account.user, account.user) != 0) {
    return failed("setting the user", errno);
  }
  return account.user == 0 ? core::Result<void>() : drop_capabilities();
}

core::Result<void> verify(const Account& account) {
  uid_t users[3];
  gid_t groups[3];
  if (::getresuid(&users[0], &users[1], &users[2]) != 0 ||
      ::getresgid(&groups[0], &groups[1], &groups[2]) != 0) {
    return failed("asking for user and group", errno);
  }
  for (const uid_t user : users) {
    if (user != account.user) return not_given_up("the user is still another");
  }
  for (const gid_t group : groups) {
    if (group != account.group) return not_given_up("the group is still another");
  }
  if (account.user == 0) return {};
  CapabilitySets sets{};
  if (call_capabilities(SYS_capget, sets) != 0) return failed("asking for capabilities", errno);
  for (const auto& set : sets) {
    if ((set.effective | set.permitted | set.inheritable) != 0) {
      return not_given_up("capabilities are left");
    }
  }
  if (::setresuid(0, 0, 0) == 0 || ::seteuid(0) == 0) return not_given_up("root came back");
  if (account.group != 0 && ::setegid(0) == 0) return not_given_up("the group root came back");
  return {};
}

}  // namespace

core::Result<std::optional<Account>> find_account(const config::Privileges& wanted) {
  if (wanted.user.empty() && wanted.group.empty()) return std::optional<Account>();
  Account account{::geteuid(), ::getegid(), ""};
  if (!wanted.user.empty()) {
    if (auto found = find_user_of(wanted, account); !found) return found.error();
  } else if (const auto own = find_user(nullptr, account.user)) {
    account.name = own->name;
  }
  if (!wanted.group.empty()) {
    const auto group = find_group(wanted.group);
    if (!group) {
      return core::host_error(
          "host.no_such_account",
          fmt::format("group {}: there is no such group; create it (groupadd --system {}), or name "
                      "another",
                      config::in_quotes(wanted.group), config::one_line(wanted.group)));
    }
    account.group = *group;
  }
  const bool is_change = account.user != ::geteuid() || account.group != ::getegid();
  if (is_change && ::geteuid() != 0) {
    return core::host_error(
        "host.not_root",
        fmt::format("user {} and group {} are to be taken, which only root may do, and this is "
                    "user {}; start the server as root, or leave user and group out",
                    account.user, account.group, ::geteuid()));
  }
  return std::optional<Account>(std::move(account));
}

core::Result<void> give_file(const std::filesystem::path& file, const Account& account) {
  constexpr mode_t kMode = 0640;
  const int opened =
      ::open(file.c_str(),
             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, kMode);
  // A link (such as /dev/stdout), or a FIFO that nobody reads.
  if (opened < 0 && (errno == ELOOP || errno == ENXIO)) return {};
  if (opened < 0) return failed("opening " + file.string(), errno);
  struct stat status {};
  const bool is_own = ::fstat(opened, &status) == 0 && S_ISREG(status.st_mode) &&
                      status.st_uid == ::geteuid() && status.st_nlink == 1;
  const int result = is_own ? ::fchown(opened, account.user, account.group) : 0;
  const int error = errno;
  ::close(opened);
  if (result != 0) return failed("giving away " + file.string(), error);
  return {};
}

core::Result<void> drop_privileges(const std::optional<Account>& account) {
  if (account) {
    if (auto became = become(*account); !became) return became;
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("setting no_new_privs", errno);
  return account ? verify(*account) : core::Result<void>();
}

}  // namespace sonicorn::supervisor
