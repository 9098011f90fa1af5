#include <sys/stat.h>

#include <memory>
#include <vector>

#include "support/contract.hpp"
#include "support/support.hpp"

// What the operator sees on the Unix socket of --admin.

using namespace support;
using std::string;

namespace {

string admin_line(const Endpoint& admin) { return "admin = \"" + admin.path.string() + "\"\n"; }

bool is_ready(int status, const string& body) { return status == 200 && body == "ready\n"; }

}  // namespace

TEST_SUITE("admin") {
  TEST_CASE("the operator's socket is for its owner alone, and goes with the server") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "app"),
                   .arguments = {"--admin", admin.path.string()}});
    struct stat found {};
    REQUIRE(::stat(admin.path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    CHECK(ask(admin, get("/livez")).status == 200);
    CHECK(server.stop().status == 0);
    CHECK(!std::filesystem::exists(admin.path));
  }

  TEST_CASE("a socket that is left over is replaced, and one that is in use is not") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    const string toml =
        admin_line(admin) + patient_times() + contract.app("/", "contract_all", "app");
    {
      Server killed({.toml = toml});
      killed.stop(SIGKILL);
      killed.expect_failure();
    }
    CHECK(std::filesystem::exists(admin.path));
    Server server({.toml = toml});
    CHECK(ask(admin, get("/livez")).status == 200);
    write_file(contract.folder() / "toml", "load_time = 60\n" + toml);
    const Outcome second = run_sonicorn(
        {"serve", "--bind", "127.0.0.1:0", "-c", (contract.folder() / "toml").string()});
    CHECK(second.ending.status == 1);
    CHECK(second.errors.find(admin.path.string()) != string::npos);
    CHECK(ask(admin, get("/livez")).status == 200);
  }

  TEST_CASE("the process reports ready only after every app, and no more once it stops") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    contract.steer("app", "ready=hang");
    write_file(contract.folder() / "toml", "load_time = 60\n" + admin_line(admin) +
                                               patient_times() +
                                               contract.app("/other", "contract_all", "other") +
                                               contract.app("/", "contract_all", "app"));
    Process process({executable(), "serve", "--bind", "127.0.0.1:0", "-c",
                     (contract.folder() / "toml").string()});
    contract.wait_for("app", "ready", "begin");
    const Response early = ask(admin, get("/readyz"));
    CHECK(early.status == 503);
    CHECK(ask(admin, get("/livez")).status == 200);
    contract.steer("app", "drain=hang");
    contract.gate().put();
    wait_for_answer(admin, get("/readyz"), is_ready);
    process.send_signal(SIGTERM);
    contract.wait_for("app", "drain", "begin");
    const Response late = ask(admin, get("/readyz"));
    CHECK(late.status == 503);
    CHECK(late.body.find("stopping") != string::npos);
    CHECK(ask(admin, get("/livez")).status == 200);
    contract.gate().put();
    const auto ending = process.wait();
    REQUIRE(ending.has_value());
    CHECK(ending->status == 0);
  }

  TEST_CASE("the operator sees of each app what it declares, what was negotiated and how it is") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = "without = [\"log\"]\n" + admin_line(admin) + patient_times() +
                           contract.app("/all", "contract_all", "all") +
                           contract.app("/few", "contract_few", "few")});
    wait_for_answer(admin, get("/readyz"), is_ready);
    const Response response = ask(admin, get("/apps"));
    CHECK(response.field("Content-Type") == "application/json");
    const Json apps = Json::parse(response.body);
    REQUIRE(apps.size() == 2);
    CHECK(apps[0]["name"] == "all");
    CHECK(apps[0]["mount"] == "/all");
    CHECK(apps[0]["attributes"].size() == 19);
    CHECK(apps[0]["uses"]["log/1"] == "withheld");
    CHECK(apps[0]["uses"]["timer/1"] == "offered");
    CHECK(apps[0]["healthy"] == true);
    CHECK(apps[0]["ready"] == true);
    CHECK(apps[0]["generation"] == 1);
    CHECK(apps[0]["description"]["routes"][0] == "/");
    CHECK(apps[1]["attributes"] == Json::array({"on_request", "pre_request"}));
    CHECK(!apps[1].contains("description"));
    CHECK(logs(server, {"app all", "log/1", "withholds"}));
  }

  TEST_CASE("metrics of apps are shown with the name of the app") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = admin_line(admin) + patient_times() +
                           contract.app("/one", "contract_all", "one") +
                           contract.app("/two", "contract_inline", "two")});
    const auto use = [&](const string& target) { return ask(server.tcp(), get(target)).body; };
    CHECK(use("/one?do=metric&kind=1&name=served_total&value=2") == "counted");
    CHECK(use("/one?do=metric&kind=1&name=served_total&value=3") == "counted");
    CHECK(use("/two?do=metric&kind=1&name=served_total&value=7") == "counted");
    CHECK(use("/two?do=metric&kind=2&name=waiting&value=4") == "counted");
    CHECK(use("/two?do=metric&kind=3&name=seconds&value=1") == "counted");
    // A name has one kind, and is a word.
    CHECK(use("/one?do=metric&kind=2&name=served_total&value=1") == "NULL");
    CHECK(use("/one?do=metric&kind=1&name=Served&value=1") == "NULL");
    CHECK(use("/one?do=metric&kind=9&name=other&value=1") == "NULL");
    const string text = ask(admin, get("/metrics")).body;
    CAPTURE(text);
    CHECK(has_logged(text, {"served_total", "one", " 5"}));
    CHECK(has_logged(text, {"served_total", "two", " 7"}));
    CHECK(has_logged(text, {"waiting", "two", " 4"}));
    CHECK(has_logged(text, {"seconds_count", "two", " 1"}));
    CHECK(has_logged(text, {"# HELP", "served_total", "Of a test."}));
  }

  TEST_CASE("what the operator's socket does not know is refused, and the next request answered") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server(
        {.toml = admin_line(admin) + patient_times() + contract.app("/", "contract_all", "app")});
    Client client(admin);
    CHECK(client.ask(get("/nothing")).status == 404);
    CHECK(client.ask(get("/livez")).status == 200);
    CHECK(client.ask("DELETE /apps HTTP/1.1\r\nHost: a\r\n\r\n").status == 405);
    Client rude(admin);
    rude.send("this is no HTTP\r\n\r\n");
    rude.shut_down_sending();
    rude.read_to_end();
    CHECK(ask(admin, get("/livez")).status == 200);
    // The server's own addresses know nothing of it.
    CHECK(ask(server.tcp(), get("/livez")).body == "app\n");
  }

  TEST_CASE("connections that only idle keep nobody out") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    const Endpoint health{{}, {}, contract.folder() / "health"};
    Server server({.toml = admin_line(admin) + "health = \"unix:" + health.path.string() + "\"\n" +
                           app_entry("/", "echo")});
    for (const Endpoint& endpoint : {admin, health}) {
      std::vector<std::unique_ptr<Client>> idle;
      // In the middle of a request is no better.
      for (int i = 0; i < 300; ++i) {
        idle.push_back(std::make_unique<Client>(endpoint));
        if (i % 2 == 0) idle.back()->send("GET /livez HT");
      }
      CHECK(ask(endpoint, get("/livez")).status == 200);
      CHECK(idle.back()->ask(get("/livez")).status == 200);
      CHECK(idle.front()->read_to_end().empty());
    }
    CHECK(server.stop().status == 0);
  }
}
