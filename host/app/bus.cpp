#include "app/bus.hpp"

#include <sonicorn/abi.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

namespace sonicorn::app {
namespace {

constexpr std::size_t kLongestTopic = 200;
constexpr std::size_t kLargestMessage = std::size_t{1} << 20;
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

// What a message takes beside its text, about.
constexpr std::size_t kBesideText = 128;

bool well_formed_topic(std::string_view topic) {
  return !topic.empty() && topic.size() <= kLongestTopic;
}

// The parser would skip a byte order mark, and take a zero byte for the end of the text: what
// stands behind it would be passed on unseen.
bool well_formed_json(std::string_view json) {
  return json.size() <= kLargestMessage && !json.starts_with("\xEF\xBB\xBF") &&
         json.find('\0') == json.npos && nlohmann::json::accept(json);
}

std::size_t weight_of(const Bus::Message& message) {
  return message.topic().size() + message.json().size() + kBesideText;
}

}  // namespace

// What waits for one subscriber. A publisher may keep it alive beyond its subscriber, empty.
struct Bus::Queue {
  enum class Push { queued, queued_first, full, unwanted };

  explicit Queue(std::function<void()> wake_subscriber) : wake(std::move(wake_subscriber)) {}

  Push push(const Subscription& subscription, const Message& message, std::size_t limit);
  void wake_now();
  void drop(std::string_view topic, Subscription& subscription);
  void end_waking();

  std::function<void()> wake;
  std::mutex mutex;
  std::condition_variable woken;
  std::deque<Message> messages;
  std::size_t bytes = 0;
  std::size_t waking = 0;  // calls of wake that were promised and have not returned
};

// Another list of subscriptions may be in a publisher's hand than the one in force, so each says
// itself whether it is still wanted.
struct Bus::Subscription {
  explicit Subscription(std::shared_ptr<Queue> of) : queue(std::move(of)) {}

  std::shared_ptr<Queue> queue;
  bool wanted = true;  // under the queue's lock
};

Bus::Queue::Push Bus::Queue::push(const Subscription& subscription, const Message& message,
                                  std::size_t limit) {
  const std::size_t weight = weight_of(message);
  const std::lock_guard lock(mutex);
  if (!subscription.wanted) return Push::unwanted;
  if (messages.size() >= limit || weight > kMostBytes - bytes) return Push::full;
  messages.push_back(message);
  bytes += weight;
  if (messages.size() > 1) return Push::queued;
  ++waking;
  return Push::queued_first;
}

void Bus::Queue::wake_now() {
  wake();
  {
    const std::lock_guard lock(mutex);
    if (--waking > 0) return;
  }
  woken.notify_all();
}

void Bus::Queue::drop(std::string_view topic, Subscription& subscription) {
  const std::lock_guard lock(mutex);
  subscription.wanted = false;
  std::erase_if(messages, [&](const Message& each) {
    if (each.topic() != topic) return false;
    bytes -= weight_of(each);
    return true;
  });
}

// With no subscription left, no call of wake begins.
void Bus::Queue::end_waking() {
  std::unique_lock lock(mutex);
  woken.wait(lock, [this] { return waking == 0; });
  wake = nullptr;
}

Bus::Bus(std::size_t queue_limit) : queue_limit_(queue_limit) {}

Bus::~Bus() = default;

std::int32_t Bus::publish(std::string_view topic, std::string_view json) {
  if (!well_formed_topic(topic) || !well_formed_json(json)) return SONICORN_ERROR;
  const auto subscriptions = subscriptions_of(topic);
  if (subscriptions == nullptr) return SONICORN_OK;
  const Message message(topic, json);
  std::int32_t result = SONICORN_OK;
  for (const auto& subscription : *subscriptions) {
    Queue& queue = *subscription->queue;
    const Queue::Push pushed = queue.push(*subscription, message, queue_limit_);
    if (pushed == Queue::Push::queued_first) queue.wake_now();
    if (pushed == Queue::Push::full) result = SONICORN_DECLINED;
  }
  return result;
}

std::shared_ptr<const Bus::Subscriptions> Bus::subscriptions_of(std::string_view topic) {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(topic);
  return found == topics_.end() ? nullptr : found->second;
}

void Bus::add(std::string_view topic, const std::shared_ptr<Subscription>& subscription) {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(topic);
  auto changed = std::make_shared<Subscriptions>();
  if (found != topics_.end()) *changed = *found->second;
  changed->push_back(subscription);
  if (found != topics_.end()) {
    found->second = std::move(changed);
  } else {
    topics_.emplace(topic, std::move(changed));
  }
}

void Bus::remove(std::string_view topic, const Subscription& subscription) {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  auto changed = std::make_shared<Subscriptions>(*found->second);
  std::erase_if(*changed, [&](const auto& each) { return each.get() == &subscription; });
  if (changed->empty()) {
    topics_.erase(found);
  } else {
    found->second = std::move(changed);
  }
}

Bus::Subscriber::Subscriber(Bus& bus, std::function<void()> wake)
    : bus_(bus), queue_(std::make_shared<Queue>(std::move(wake))) {}

Bus::Subscriber::~Subscriber() { close(); }

std::int32_t Bus::Subscriber::subscribe(std::string_view topic) {
  if (!well_formed_topic(topic)) return SONICORN_ERROR;
  const std::lock_guard lock(mutex_);
  if (closed_) return SONICORN_ERROR;
  if (topics_.contains(topic)) return SONICORN_OK;
  const auto added = topics_.emplace(topic, std::make_shared<Subscription>(queue_)).first;
  try {
    bus_.add(topic, added->second);
  } catch (const std::exception&) {
    topics_.erase(added);
    throw;
  }
  return SONICORN_OK;
}

std::int32_t Bus::Subscriber::unsubscribe(std::string_view topic) {
  if (!well_formed_topic(topic)) return SONICORN_ERROR;
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return SONICORN_OK;
  queue_->drop(topic, *found->second);
  bus_.remove(topic, *found->second);
  topics_.erase(found);
  return SONICORN_OK;
}

std::size_t Bus::Subscriber::take(std::vector<Message>& to, std::size_t most) {
  const std::lock_guard lock(queue_->mutex);
  std::deque<Message>& messages = queue_->messages;
  const std::size_t count = std::min(most, messages.size());
  to.reserve(to.size() + count);
  for (std::size_t i = 0; i < count; ++i) {
    queue_->bytes -= weight_of(messages.front());
    to.push_back(std::move(messages.front()));
    messages.pop_front();
  }
  return count;
}

void Bus::Subscriber::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& [topic, subscription] : topics_) {
    queue_->drop(topic, *subscription);
    bus_.remove(topic, *subscription);
  }
  topics_.clear();
  queue_->end_waking();
}

}  // namespace sonicorn::app
