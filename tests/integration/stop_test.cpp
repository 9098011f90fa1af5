#include "support/support.hpp"

// What holds while the server stops, and when it has.

using namespace support;
using std::string;

namespace {

string path_setting(const string& key, const std::filesystem::path& path) {
  return key + " = \"" + path.string() + "\"";
}

}  // namespace

TEST_SUITE("stop") {
  TEST_CASE("no handler of an app begins after its shutdown was called") {
    const TemporaryFolder folder;
    const Fifo stuck_entered(folder / "stuck_entered");
    const Fifo stuck_gate(folder / "stuck_gate");
    const Fifo shutdown_entered(folder / "shutdown_entered");
    const Fifo shutdown_gate(folder / "shutdown_gate");
    Server server(
        {.toml = "threads = 1\ngrace = 0.5\n" +
                 app_entry("/stuck", "gated",
                           "name = \"stuck\"\nsettings = { " +
                               path_setting("entered", stuck_entered.path()) + ", " +
                               path_setting("gate", stuck_gate.path()) + " }") +
                 app_entry("/other", "gated",
                           "name = \"other\"\nsettings = { " +
                               path_setting("journal", folder / "journal") + ", " +
                               path_setting("shutdown_entered", shutdown_entered.path()) + ", " +
                               path_setting("shutdown_gate", shutdown_gate.path()) + " }")});
    server.expect_failure();
    Client other(server.tcp());
    REQUIRE(other.ask(get("/other")).status == 200);
    Client stuck(server.tcp());
    stuck.send(get("/stuck"));
    stuck_entered.wait();
    other.send(get("/other"));
    server.process().send_signal(SIGTERM);
    shutdown_entered.wait();
    stuck_gate.put();
    // The thread is free, and through with all that waited for it, when it closes.
    CHECK(other.closes());
    shutdown_gate.put();
    CHECK(server.ending().signal == 0);
    CHECK(read_file(folder / "journal") == "on_request\nshutdown\n");
  }

  TEST_CASE("the last answer before a stop arrives whole although more of the client is unread") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "grace = 60\n" +
                           app_entry("/", "big_gated",
                                     "settings = { " + path_setting("entered", entered.path()) +
                                         ", " + path_setting("gate", gate.path()) + " }")});
    Client client(server.tcp(), 65'536);
    client.send(get("/"));
    entered.wait();
    client.send(get("/"));
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    gate.put();
    const Response response = client.read_response();
    CHECK(response.field("Connection") == "close");
    CHECK(response.body.size() == 8 * 1024 * 1024);
    CHECK(client.read_to_end().empty());
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("a static destructor that hangs after the stop does not outlive SIGTERM") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    Server server(
        {.toml = app_entry("/", "destructor_hangs",
                           "settings = { " + path_setting("entered", entered.path()) + " }")});
    server.expect_failure();
    server.process().send_signal(SIGTERM);
    entered.wait();
    CHECK(server.process().wait_for_errors("ended; it declares no shutdown"));
    // Two signals at one time are one wish.
    server.process().send_signal(SIGINT);
    CHECK(server.ending().status == 128 + SIGINT);
  }

  // Code of apps goes on until the process has ended, and what it asks for must find somebody.
  TEST_CASE("a static destructor may ask the server for something, after the stop") {
    const TemporaryFolder folder;
    const Fifo asked(folder / "asked");
    Server server(
        {.toml = app_entry("/", "destructor_asks",
                           "settings = { " + path_setting("asked", asked.path()) + " }")});
    server.process().send_signal(SIGTERM);
    asked.wait();
    CHECK(server.ending().status == 0);
  }
}
