#include "process/channel.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

using namespace sonicorn;
using process::Channel;
using Json = nlohmann::json;

namespace {

// A process at each end, in one loop.
struct Pair {
  boost::asio::io_context io;
  process::ChannelEnds ends = *process::make_channel();
  std::unique_ptr<Channel> ours = std::make_unique<Channel>(io, ends.ours);
};

}  // namespace

TEST_SUITE("process.channel") {
  TEST_CASE("messages of any size arrive whole and in order, then the end is told") {
    Pair pair;
    auto theirs = std::make_unique<Channel>(pair.io, pair.ends.theirs);
    std::vector<Json> heard;
    bool closed = false;
    pair.ours->listen([&](Json message) { heard.push_back(std::move(message)); },
                      [&] { closed = true; });
    const std::string large(3 << 20, 'x');
    theirs->send({{"say", "one"}});
    theirs->send({{"say", "two"}, {"text", large}});
    theirs->send({{"say", "three"}});
    while (heard.size() < 3) pair.io.run_one();
    theirs.reset();
    while (!closed) pair.io.run_one();
    CHECK(heard[0]["say"] == "one");
    CHECK(heard[1]["text"] == large);
    CHECK(heard[2]["say"] == "three");
  }

  TEST_CASE("what was said before the end is heard also by who says something after it") {
    Pair pair;
    auto theirs = std::make_unique<Channel>(pair.io, pair.ends.theirs);
    theirs->send({{"say", "one"}});
    theirs->send({{"say", "last"}});
    pair.io.poll();
    theirs.reset();
    pair.ours->send({{"say", "too late"}});
    pair.io.restart();
    pair.io.poll();
    std::vector<Json> heard;
    bool closed = false;
    pair.ours->listen([&](Json message) { heard.push_back(std::move(message)); },
                      [&] { closed = true; });
    pair.io.restart();
    while (!closed) pair.io.run_one();
    REQUIRE(heard.size() == 2);
    CHECK(heard[1]["say"] == "last");
  }

  TEST_CASE("what is no message ends the channel") {
    for (const std::string& bytes :
         {std::string("\xff\xff\xff\xff", 4), std::string("\x02\0\0\0[]", 6),
          std::string("\x01\0\0\0{", 5), std::string("\x05\0\0\0{}", 6), std::string("\x01", 1)}) {
      CAPTURE(bytes);
      Pair pair;
      bool closed = false;
      bool heard = false;
      pair.ours->listen([&](const Json&) { heard = true; }, [&] { closed = true; });
      REQUIRE(::write(pair.ends.theirs, bytes.data(), bytes.size()) ==
              static_cast<ssize_t>(bytes.size()));
      ::close(pair.ends.theirs);
      pair.io.run();
      CHECK(closed);
      CHECK(!heard);
    }
  }

  TEST_CASE("a message that is not of the form it should have ends the channel") {
    Pair pair;
    Channel theirs(pair.io, pair.ends.theirs);
    bool closed = false;
    pair.ours->listen([&](const Json& message) { message.value("say", std::string()); },
                      [&] { closed = true; });
    theirs.send({{"say", 7}});
    pair.io.run();
    CHECK(closed);
  }

  TEST_CASE("who hears a message may let go of the channel") {
    Pair pair;
    Channel theirs(pair.io, pair.ends.theirs);
    int heard = 0;
    pair.ours->listen(
        [&](const Json&) {
          ++heard;
          pair.ours.reset();
        },
        [] { FAIL("nobody is left to be told"); });
    theirs.send({{"say", "one"}});
    theirs.send({{"say", "two"}});
    pair.io.run();
    CHECK(heard == 1);
  }

  TEST_CASE("the first message can be waited for") {
    Pair pair;
    pair.ours->send({{"say", "start"}, {"index", 7}});
    pair.io.run();
    const auto first = Channel::read_one(pair.ends.theirs);
    REQUIRE(first.has_value());
    CHECK((*first)["index"] == 7);
    pair.ours.reset();
    CHECK(Channel::read_one(pair.ends.theirs).error().id == "host.channel");
    ::close(pair.ends.theirs);
  }
}
