#include "app/bus.hpp"

#include <doctest/doctest.h>
#include <sonicorn/abi.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using sonicorn::app::Bus;

namespace {

constexpr std::size_t kAll = 1'000'000;

// What waits, as "topic json" lines.
std::vector<std::string> taken(Bus::Subscriber& subscriber, std::size_t most = kAll) {
  std::vector<Bus::Message> messages;
  const std::size_t count = subscriber.take(messages, most);
  CHECK(count == messages.size());
  std::vector<std::string> lines;
  for (const auto& each : messages) lines.push_back(each.topic() + " " + each.json());
  return lines;
}

using Lines = std::vector<std::string>;

// A wake that a thread can wait for.
class Bell {
 public:
  void ring() {
    {
      const std::lock_guard lock(mutex_);
      rung_ = true;
    }
    changed_.notify_one();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool rung_ = false;
};

}  // namespace

TEST_SUITE("app.bus") {
  TEST_CASE("a message reaches every subscriber of its topic, and nobody else") {
    Bus bus(10);
    Bus::Subscriber one(bus, [] {});
    Bus::Subscriber two(bus, [] {});
    Bus::Subscriber other(bus, [] {});
    CHECK(one.subscribe("news") == SONICORN_OK);
    CHECK(two.subscribe("news") == SONICORN_OK);
    CHECK(other.subscribe("new") == SONICORN_OK);
    CHECK(bus.publish("news", R"({"a": 1})") == SONICORN_OK);
    CHECK(bus.publish("nobody", "1") == SONICORN_OK);
    CHECK(taken(one) == Lines{R"(news {"a": 1})"});
    CHECK(taken(two) == Lines{R"(news {"a": 1})"});
    CHECK(taken(other).empty());
    CHECK(taken(one).empty());
  }

  TEST_CASE("messages on several topics arrive in their order, as many at a time as asked for") {
    Bus bus(10);
    Bus::Subscriber subscriber(bus, [] {});
    subscriber.subscribe("a");
    subscriber.subscribe("b");
    for (const char* topic : {"a", "b", "b", "a", "b"}) {
      CHECK(bus.publish(topic, "1") == SONICORN_OK);
    }
    CHECK(taken(subscriber, 0).empty());
    CHECK(taken(subscriber, 2) == Lines{"a 1", "b 1"});
    CHECK(taken(subscriber, 2) == Lines{"b 1", "a 1"});
    CHECK(taken(subscriber, 2) == Lines{"b 1"});
  }

  TEST_CASE("to subscribe twice delivers once, and to unsubscribe drops what waits on that topic") {
    Bus bus(10);
    Bus::Subscriber subscriber(bus, [] {});
    CHECK(subscriber.subscribe("a") == SONICORN_OK);
    CHECK(subscriber.subscribe("a") == SONICORN_OK);
    CHECK(subscriber.subscribe("b") == SONICORN_OK);
    bus.publish("a", "1");
    bus.publish("b", "2");
    bus.publish("a", "3");
    CHECK(subscriber.unsubscribe("a") == SONICORN_OK);
    CHECK(subscriber.unsubscribe("a") == SONICORN_OK);
    CHECK(subscriber.unsubscribe("never") == SONICORN_OK);
    bus.publish("a", "4");
    CHECK(taken(subscriber) == Lines{"b 2"});
    CHECK(subscriber.subscribe("a") == SONICORN_OK);
    bus.publish("a", "5");
    CHECK(taken(subscriber) == Lines{"a 5"});
  }

  TEST_CASE("what is malformed reaches nobody") {
    Bus bus(10);
    Bus::Subscriber subscriber(bus, [] {});
    const std::string longest(200, 't');
    CHECK(subscriber.subscribe("") == SONICORN_ERROR);
    CHECK(subscriber.subscribe(longest + "t") == SONICORN_ERROR);
    CHECK(subscriber.unsubscribe("") == SONICORN_ERROR);
    CHECK(subscriber.unsubscribe(longest + "t") == SONICORN_ERROR);
    CHECK(subscriber.subscribe(longest) == SONICORN_OK);
    CHECK(subscriber.subscribe("t") == SONICORN_OK);
    CHECK(bus.publish("", "1") == SONICORN_ERROR);
    CHECK(bus.publish(longest + "t", "1") == SONICORN_ERROR);
    CHECK(bus.publish(longest, "1") == SONICORN_OK);
    for (const std::string& json : {std::string(),
                                    std::string(" "),
                                    std::string("{"),
                                    std::string("{}x"),
                                    std::string("01"),
                                    std::string("1."),
                                    std::string("+1"),
                                    std::string("NaN"),
                                    std::string("'a'"),
                                    std::string("[1,]"),
                                    std::string("{\"a\":1,}"),
                                    std::string("{a:1}"),
                                    std::string("\"\t\""),
                                    std::string("\"\\x\""),
                                    std::string("\"\\ud800\""),
                                    std::string("\"\xFF\""),
                                    std::string("\"\xED\xA0\x80\""),
                                    std::string("1e999"),
                                    std::string("\xEF\xBB\xBF{}"),
                                    std::string("// c\n1"),
                                    std::string("1\0", 2),
                                    std::string("1\0}", 3),
                                    std::string("tru"),
                                    std::string("1 2")}) {
      CAPTURE(json);
      CHECK(bus.publish("t", json) == SONICORN_ERROR);
    }
    CHECK(taken(subscriber).size() == 1);
    for (const std::string& json :
         {std::string("null"), std::string(" {\"a\" : [1, -0.5e-3, \"\\u00e4\\n\"]}\r\n"),
          std::string("\"\""), std::string("[]"), std::string("\"\xC3\xA4\"")}) {
      CAPTURE(json);
      CHECK(bus.publish("t", json) == SONICORN_OK);
    }
    CHECK(taken(subscriber).size() == 5);
  }

  TEST_CASE("a megabyte is the largest message, and nesting does not end the process") {
    Bus bus(10);
    Bus::Subscriber subscriber(bus, [] {});
    subscriber.subscribe("t");
    constexpr std::size_t kMost = std::size_t{1} << 20;
    CHECK(bus.publish("t", "\"" + std::string(kMost - 2, 'x') + "\"") == SONICORN_OK);
    CHECK(bus.publish("t", "\"" + std::string(kMost - 1, 'x') + "\"") == SONICORN_ERROR);
    CHECK(bus.publish("t", std::string(kMost / 2, '[') + std::string(kMost / 2, ']')) ==
          SONICORN_OK);
    CHECK(bus.publish("t", std::string(kMost, '[')) == SONICORN_ERROR);
    CHECK(taken(subscriber).size() == 2);
  }

  TEST_CASE("a full queue declines, the others get the message, and taking makes room") {
    Bus bus(2);
    Bus::Subscriber slow(bus, [] {});
    Bus::Subscriber quick(bus, [] {});
    slow.subscribe("t");
    CHECK(bus.publish("t", "1") == SONICORN_OK);
    CHECK(bus.publish("t", "2") == SONICORN_OK);
    quick.subscribe("t");
    CHECK(bus.publish("t", "3") == SONICORN_DECLINED);
    CHECK(taken(quick) == Lines{"t 3"});
    CHECK(taken(slow, 1) == Lines{"t 1"});
    CHECK(bus.publish("t", "4") == SONICORN_OK);
    CHECK(taken(slow) == Lines{"t 2", "t 4"});
  }

  TEST_CASE("16 MiB is the most that waits for one subscriber") {
    Bus bus(1000);
    Bus::Subscriber subscriber(bus, [] {});
    subscriber.subscribe("t");
    subscriber.subscribe("u");
    const std::string megabyte = "\"" + std::string((std::size_t{1} << 20) - 2, 'x') + "\"";
    for (int i = 0; i < 15; ++i) REQUIRE(bus.publish("t", megabyte) == SONICORN_OK);
    CHECK(bus.publish("t", megabyte) == SONICORN_DECLINED);
    CHECK(bus.publish("u", "1") == SONICORN_OK);
    CHECK(taken(subscriber, 1).size() == 1);
    CHECK(bus.publish("t", megabyte) == SONICORN_OK);
    CHECK(bus.publish("t", megabyte) == SONICORN_DECLINED);
    // What is dropped makes room as well.
    subscriber.unsubscribe("t");
    subscriber.subscribe("t");
    for (int i = 0; i < 15; ++i) CHECK(bus.publish("t", megabyte) == SONICORN_OK);
    CHECK(taken(subscriber).size() == 16);
  }

  TEST_CASE("a subscriber is woken when its queue stops being empty, not for each message") {
    Bus bus(10);
    int wakes = 0;
    Bus::Subscriber subscriber(bus, [&] { ++wakes; });
    subscriber.subscribe("t");
    CHECK(wakes == 0);
    bus.publish("t", "1");
    bus.publish("t", "2");
    CHECK(wakes == 1);
    CHECK(taken(subscriber, 1).size() == 1);
    bus.publish("t", "3");
    CHECK(wakes == 1);
    CHECK(taken(subscriber).size() == 2);
    bus.publish("t", "4");
    CHECK(wakes == 2);
    // Emptied without a take.
    subscriber.unsubscribe("t");
    subscriber.subscribe("t");
    bus.publish("t", "5");
    CHECK(wakes == 3);
  }

  TEST_CASE("from within a wake anything but the end is possible") {
    Bus bus(10);
    Lines got;
    Bus::Subscriber* self = nullptr;
    Bus::Subscriber subscriber(bus, [&] {
      for (std::string& line : taken(*self)) got.push_back(std::move(line));
      if (got.size() > 1) return;
      self->subscribe("answer");
      self->unsubscribe("question");
      bus.publish("answer", "2");
    });
    self = &subscriber;
    subscriber.subscribe("question");
    bus.publish("question", "1");
    CHECK(got == Lines{"question 1", "answer 2"});
  }

  TEST_CASE("a publisher gets its own messages") {
    Bus bus(10);
    Bus::Subscriber subscriber(bus, [] {});
    subscriber.subscribe("t");
    std::thread([&] { bus.publish("t", "1"); }).join();
    bus.publish("t", "2");
    CHECK(taken(subscriber) == Lines{"t 1", "t 2"});
  }

  TEST_CASE("a closed subscriber is told nothing any more and has nothing waiting") {
    Bus bus(10);
    int wakes = 0;
    Bus::Subscriber subscriber(bus, [&] { ++wakes; });
    subscriber.subscribe("t");
    bus.publish("t", "1");
    subscriber.close();
    subscriber.close();
    CHECK(taken(subscriber).empty());
    CHECK(subscriber.subscribe("t") == SONICORN_ERROR);
    CHECK(bus.publish("t", "2") == SONICORN_OK);
    CHECK(taken(subscriber).empty());
    CHECK(wakes == 1);
  }

  TEST_CASE("what the wake holds on to is let go at the end") {
    Bus bus(10);
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = held;
    Bus::Subscriber subscriber(bus, [held = std::move(held)] {});
    CHECK_FALSE(watched.expired());
    subscriber.close();
    CHECK(watched.expired());
  }

  TEST_CASE("the end waits for a wake under way") {
    Bus bus(10);
    std::promise<void> inside;
    std::promise<void> go_on;
    std::atomic<bool> returned{false};
    auto subscriber = std::make_unique<Bus::Subscriber>(bus, [&] {
      inside.set_value();
      go_on.get_future().wait();
      returned = true;
    });
    subscriber->subscribe("t");
    std::thread publisher([&] { bus.publish("t", "1"); });
    inside.get_future().wait();
    std::thread ender([&] {
      subscriber.reset();
      CHECK(returned);
    });
    go_on.set_value();
    ender.join();
    publisher.join();
  }

  TEST_CASE("many publishers, and one subscriber that gets each one's messages in order") {
    constexpr int kPublishers = 3;
    constexpr int kMessages = 5000;
    Bus bus(64);
    Bell bell;
    Bus::Subscriber subscriber(bus, [&] { bell.ring(); });
    subscriber.subscribe("t");
    std::vector<std::thread> publishers;
    publishers.reserve(kPublishers);
    for (int p = 0; p < kPublishers; ++p) {
      publishers.emplace_back([&bus, p] {
        for (int i = 0; i < kMessages; ++i) {
          std::string json = "[";
          json.append(std::to_string(p)).append(",").append(std::to_string(i)).append("]");
          while (bus.publish("t", json) == SONICORN_DECLINED) std::this_thread::yield();
        }
      });
    }
    std::vector<int> next(kPublishers, 0);
    std::vector<Bus::Message> messages;
    for (int left = kPublishers * kMessages; left > 0;) {
      messages.clear();
      if (subscriber.take(messages, 7) == 0) {
        bell.wait();
        continue;
      }
      for (const auto& message : messages) {
        const int p = message.json().at(1) - '0';
        const int i = std::stoi(message.json().substr(3));
        if (i != next.at(static_cast<std::size_t>(p))++) FAIL("out of order");
        --left;
      }
    }
    for (std::thread& publisher : publishers) publisher.join();
    CHECK(taken(subscriber).empty());
  }

  TEST_CASE("subscribers come and go while others publish") {
    Bus bus(16);
    std::atomic<bool> enough{false};
    std::vector<std::thread> publishers;
    for (int p = 0; p < 2; ++p) {
      publishers.emplace_back([&] {
        while (!enough) bus.publish("t", "1");
      });
    }
    for (int i = 0; i < 300; ++i) {
      auto alive = std::make_unique<std::atomic<int>>(0);
      {
        Bus::Subscriber subscriber(bus, [&alive] { ++*alive; });
        subscriber.subscribe("t");
        subscriber.subscribe("u");
        std::vector<Bus::Message> messages;
        subscriber.take(messages, 8);
        if (i % 2 == 0) subscriber.unsubscribe("t");
      }
      alive.reset();
    }
    enough = true;
    for (std::thread& publisher : publishers) publisher.join();
  }
}
