#include "support/exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <string_view>

#include "support/client.hpp"

namespace support {
namespace {

constexpr std::size_t kSplitEverywhere =
    320;  // bytes; longer requests are not split at every position

const std::string kProbe = get("/probe?show=path", "Connection: close\r\n");

// All that the server answered on one connection until it closed.
struct Verdict {
  std::vector<int> statuses;
  std::string body;
  bool operator==(const Verdict&) const = default;
};

std::string to_text(const Verdict& verdict) {
  std::string text;
  for (const int status : verdict.statuses) text += std::to_string(status) + " ";
  return text + "\"" + verdict.body.substr(0, 80) + "\"";
}

Verdict verdict_on(Client& client, const Exchange& exchange) {
  const auto responses = client.read_responses(exchange.to_head);
  Verdict verdict;
  for (const Response& response : responses) verdict.statuses.push_back(response.status);
  // The words of a refusal are nobody's business here, what an app answered is.
  if (!responses.empty() && responses[0].status < 300) verdict.body = responses[0].body;
  return verdict;
}

bool deserved(const Verdict& verdict, const Exchange& exchange) {
  const auto& statuses = verdict.statuses;
  if (statuses.empty() || std::find(exchange.statuses.begin(), exchange.statuses.end(),
                                    statuses[0]) == exchange.statuses.end()) {
    return false;
  }
  const bool open = statuses.size() == 2 && statuses[1] == 200;
  const bool closed = statuses.size() == 1;
  if (exchange.then == Then::open     ? !open
      : exchange.then == Then::closed ? !closed
                                      : !(open || closed)) {
    return false;
  }
  return statuses[0] >= 300 || verdict.body == exchange.body;
}

// Single bytes, but larger pieces inside a long run of one byte: that is mere padding, and each
// piece takes the machine two switches between processes.
std::vector<std::string_view> smallest_pieces(std::string_view all) {
  constexpr std::size_t kEdge = 32;
  constexpr std::size_t kInside = 97;
  std::vector<std::string_view> pieces;
  while (!all.empty()) {
    const std::size_t run = std::min(all.find_first_not_of(all[0]), all.size());
    for (std::size_t at = 0; at < run; at += pieces.back().size()) {
      const bool inside = at >= kEdge && at + kInside + kEdge <= run;
      pieces.push_back(all.substr(at, inside ? kInside : 1));
    }
    all.remove_prefix(run);
  }
  return pieces;
}

Verdict try_pieces(const Endpoint& endpoint, const Exchange& exchange,
                   const std::vector<std::string_view>& pieces) {
  Client client(endpoint);
  if (pieces.size() == 1) {
    client.send(pieces[0]);
  } else {
    client.send_pieces(pieces);
  }
  return verdict_on(client, exchange);
}

// Fails the test, and says no more about this exchange, at the first verdict that is not as it
// should be.
class Judge {
 public:
  explicit Judge(const Exchange& exchange) : exchange_(exchange) {}

  bool accepts(const std::string& how, const Endpoint& endpoint,
               const std::vector<std::string_view>& pieces) {
    try {
      const Verdict verdict = try_pieces(endpoint, exchange_, pieces);
      if (!deserved(verdict, exchange_)) return fail(how, "answered " + to_text(verdict));
      if (!first_.statuses.empty() && verdict != first_) {
        return fail(how, "answered " + to_text(verdict) + " instead of " + to_text(first_));
      }
      first_ = verdict;
    } catch (const std::exception& error) {
      return fail(how, error.what());
    }
    CHECK(true);
    return true;
  }

 private:
  bool fail(const std::string& how, const std::string& what) {
    ADD_FAIL_CHECK_AT(__FILE__, __LINE__, exchange_.name << ", sent " << how << ": " << what);
    return false;
  }

  const Exchange& exchange_;
  Verdict first_;
};

}  // namespace

Exchange refused(std::string name, std::string bytes, std::vector<int> statuses) {
  return {std::move(name), std::move(bytes), std::move(statuses), Then::closed};
}

Exchange served(std::string name, std::string bytes, std::string body) {
  return {std::move(name), std::move(bytes), {200}, Then::open, std::move(body)};
}

void check_exchange(const Server& server, const Exchange& exchange) {
  Judge judge(exchange);
  const std::string bytes = exchange.bytes + (exchange.then == Then::closed ? "" : kProbe);
  const std::string_view all = bytes;
  if (!judge.accepts("whole over TCP", server.tcp(), {all})) return;
  if (!judge.accepts("whole over a Unix socket", server.unix_socket(), {all})) return;
  if (exchange.then == Then::closed) {
    const std::string followed = bytes + kProbe;
    if (!judge.accepts("with another request behind it", server.tcp(), {followed})) return;
  }
  if (!judge.accepts("byte by byte", server.unix_socket(), smallest_pieces(all))) return;
  if (exchange.bytes.size() > kSplitEverywhere) return;
  for (std::size_t at = 1; at < exchange.bytes.size(); ++at) {
    if (!judge.accepts("in two pieces split at " + std::to_string(at), server.unix_socket(),
                       {all.substr(0, at), all.substr(at)})) {
      return;
    }
  }
}

void check_exchanges(const Server& server, const std::vector<Exchange>& exchanges) {
  for (const Exchange& exchange : exchanges) check_exchange(server, exchange);
}

}  // namespace support
