#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::app {

// JSON messages between the apps of one worker, for bus/1. A publisher only queues: what happens to
// a message is its subscriber's affair, on a thread of the subscriber's choice. Messages that one
// thread publishes reach each subscriber in their order. Thread-safe; outlives its subscribers.
class Bus {
 public:
  // One message, shared by all who got it. Cheap to copy; thread-safe, as it never changes.
  class Message {
   public:
    Message(std::string_view topic, std::string_view json)
        : content_(std::make_shared<const Content>(topic, json)) {}

    const std::string& topic() const { return content_->topic; }
    const std::string& json() const { return content_->json; }

   private:
    struct Content {
      Content(std::string_view t, std::string_view j) : topic(t), json(j) {}
      std::string topic;
      std::string json;
    };
    std::shared_ptr<const Content> content_;
  };

  class Subscriber;

  // At most `queue_limit` messages wait for one subscriber, and at most 16 MiB.
  explicit Bus(std::size_t queue_limit);
  ~Bus();
  Bus(const Bus&) = delete;
  Bus& operator=(const Bus&) = delete;

  // Queues a copy for each subscriber of `topic`, also when that is the publisher itself, and calls
  // the `wake` of those that had nothing waiting. SONICORN_OK; SONICORN_DECLINED when the queue of
  // a subscriber was full, so that it alone did not get it; SONICORN_ERROR when `topic` is empty or
  // longer than 200 bytes, or `json` is no JSON text (RFC 8259, numbers within a double's range) of
  // at most 1 MiB: then nobody got it.
  std::int32_t publish(std::string_view topic, std::string_view json);

 private:
  struct Queue;
  struct Subscription;
  using Subscriptions = std::vector<std::shared_ptr<Subscription>>;

  std::shared_ptr<const Subscriptions> subscriptions_of(std::string_view topic);
  void add(std::string_view topic, const std::shared_ptr<Subscription>& subscription);
  void remove(std::string_view topic, const Subscription& subscription);

  const std::size_t queue_limit_;
  std::mutex mutex_;
  // A list is never changed, only replaced: a publisher goes through the one it found without a
  // lock. No entry is empty.
  std::map<std::string, std::shared_ptr<const Subscriptions>, std::less<>> topics_;
};

// One who gets messages: the topics it asked for and what waits for it. Thread-safe.
class Bus::Subscriber {
 public:
  // `wake` is called when a message waits where none did, on the thread that published it and with
  // no lock held; it must not throw, and should only tell some other thread to take(). Messages may
  // be taken before their wake comes, so it may come with nothing to take.
  Subscriber(Bus& bus, std::function<void()> wake);

  // Closes. Not from within `wake`.
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // From now on messages on `topic` are queued; a second time changes nothing. SONICORN_OK, or
  // SONICORN_ERROR when the topic is malformed or this is closed.
  std::int32_t subscribe(std::string_view topic);

  // They no longer are, and those that wait are dropped. SONICORN_OK, also when it never
  // subscribed, or SONICORN_ERROR when the topic is malformed.
  std::int32_t unsubscribe(std::string_view topic);

  // Appends what waits to `to`, at most `most` messages, and says how many. Fewer than `most` means
  // that none is left and the next one wakes; else ask again, for no wake comes for the rest.
  std::size_t take(std::vector<Message>& to, std::size_t most);

  // Ends all of it: drops what waits, and returns once no `wake` runs nor will. Not from within
  // `wake`; a second time changes nothing.
  void close();

 private:
  Bus& bus_;
  const std::shared_ptr<Queue> queue_;
  std::mutex mutex_;  // of what follows; publishing and taking go without it
  std::map<std::string, std::shared_ptr<Subscription>, std::less<>> topics_;
  bool closed_ = false;
};

}  // namespace sonicorn::app
