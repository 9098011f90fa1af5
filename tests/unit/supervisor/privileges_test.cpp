#include "supervisor/privileges.hpp"

#include <doctest/doctest.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <string>

namespace sonicorn::supervisor {
namespace {

bool is_root() {
  if (::geteuid() == 0) return true;
  MESSAGE("skipped: only root may become another user");
  return false;
}

// Runs a check in a child, for what it does cannot be undone. The first sentence that is wrong;
// empty: none is.
std::string in_child(const std::function<std::string()>& check) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string wrong = check();
    const ssize_t done = ::write(ends[1], wrong.data(), wrong.size());
    ::_exit(done == static_cast<ssize_t>(wrong.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string wrong;
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    wrong.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) wrong += " (the child failed)";
  return wrong;
}

// The value of a line of /proc/self/status.
std::string own_status(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":\t")) return line.substr(key.size() + 2);
  }
  return "";
}

core::Error refusal(const config::Privileges& wanted) {
  const auto account = find_account(wanted);
  REQUIRE_FALSE(account.has_value());
  return account.error();
}

TEST_CASE("nobody is looked up when nobody is named") {
  const auto account = find_account({});
  REQUIRE(account.has_value());
  CHECK_FALSE(account->has_value());
}

TEST_CASE("a user is found by name or number, with its group unless another is named") {
  if (!is_root()) return;
  const passwd* const nobody = ::getpwnam("nobody");
  REQUIRE(nobody != nullptr);
  const uid_t user = nobody->pw_uid;
  const gid_t own = nobody->pw_gid;
  for (const std::string& text : {std::string("nobody"), std::to_string(user)}) {
    const auto account = find_account({text, "", {}});
    REQUIRE(account.has_value());
    REQUIRE(account->has_value());
    CHECK((*account)->user == user);
    CHECK((*account)->group == own);
    CHECK((*account)->name == "nobody");
  }
  CHECK((*find_account({"nobody", "7", {}}))->group == 7);
  CHECK((*find_account({"nobody", "daemon", {}}))->group == ::getgrnam("daemon")->gr_gid);
  const auto unnamed = find_account({"123456", "7", {}});
  REQUIRE(unnamed.has_value());
  CHECK((*unnamed)->user == 123456);
  CHECK((*unnamed)->name.empty());
  const auto group_alone = find_account({"", "7", {}});
  REQUIRE(group_alone.has_value());
  CHECK((*group_alone)->user == ::geteuid());
}

TEST_CASE("who is not there is an error that says what to do") {
  const core::Error user = refusal({"no-such-user", "", {}});
  CHECK(user.id == "host.no_such_account");
  CHECK(user.message.find("useradd --system no-such-user") != std::string::npos);
  const core::Error group = refusal({"nobody", "no-such-group", {}});
  CHECK(group.id == "host.no_such_account");
  CHECK(group.message.find("groupadd --system no-such-group") != std::string::npos);
  CHECK(refusal({"123456", "", {}}).message.find("name a group, too") != std::string::npos);
  CHECK(refusal({"4294967295", "", {}}).id == "host.no_such_account");
}

TEST_CASE("who is not root cannot become another, and is told before anything is done") {
  if (!is_root()) return;
  CHECK(in_child([]() -> std::string {
          if (::setresgid(7, 7, 7) != 0 || ::setresuid(7, 7, 7) != 0) return "no other user";
          const auto other = find_account({"nobody", "", {}});
          if (other || other.error().id != "host.not_root") return "not refused";
          const auto self = find_account({"7", "7", {}});
          if (!self) return self.error().message;
          const auto dropped = drop_privileges(*self);
          if (!dropped) return dropped.error().message;
          return own_status("NoNewPrivs") == "1" ? "" : "no no_new_privs";
        }).empty());
}

TEST_CASE("root gives up everything, and it does not come back") {
  if (!is_root()) return;
  CHECK(in_child([]() -> std::string {
          const auto account = find_account({"nobody", "", {}});
          if (!account) return account.error().message;
          const gid_t groups[] = {0, 4, 27};
          if (::setgroups(3, groups) != 0) return "no groups";
          const auto dropped = drop_privileges(*account);
          if (!dropped) return dropped.error().message;
          const passwd* const nobody = ::getpwnam("nobody");
          const std::string user = std::to_string(nobody->pw_uid);
          const std::string group = std::to_string(nobody->pw_gid);
          const auto four = [](const std::string& id) {
            return id + "\t" + id + "\t" + id + "\t" + id;
          };
          if (own_status("Uid") != four(user)) return "users " + own_status("Uid");
          if (own_status("Gid") != four(group)) return "groups " + own_status("Gid");
          if (own_status("Groups") != group + " ") return "other groups " + own_status("Groups");
          for (const char* const set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
            if (own_status(set) != "0000000000000000") return set + own_status(set);
          }
          if (own_status("NoNewPrivs") != "1") return "no no_new_privs";
          if (::setuid(0) == 0 || ::setgid(0) == 0) return "root came back";
          return "";
        }) == "");
}

TEST_CASE("without an account the server stays who it is, and gains nothing any more") {
  CHECK(in_child([]() -> std::string {
          const std::string before = own_status("Uid") + own_status("CapEff");
          const auto dropped = drop_privileges(std::nullopt);
          if (!dropped) return dropped.error().message;
          if (own_status("NoNewPrivs") != "1") return "no no_new_privs";
          return own_status("Uid") + own_status("CapEff") == before ? "" : "something changed";
        }) == "");
}

TEST_CASE("another group alone leaves the user as it is") {
  if (!is_root()) return;
  CHECK(in_child([]() -> std::string {
          const auto account = find_account({"", "7", {}});
          if (!account) return account.error().message;
          const auto dropped = drop_privileges(*account);
          if (!dropped) return dropped.error().message;
          if (own_status("Uid") != "0\t0\t0\t0") return "users " + own_status("Uid");
          return own_status("Gid") == "7\t7\t7\t7" ? "" : "groups " + own_status("Gid");
        }) == "");
}

}  // namespace
}  // namespace sonicorn::supervisor
