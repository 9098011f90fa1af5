#include "http/output.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>

using namespace sonicorn::http;

namespace {

void count(void* argument) { ++*static_cast<int*>(argument); }

std::string gathered(const Output& output) {
  std::array<iovec, 8> vectors{};
  const std::size_t filled = output.gather(vectors);
  std::string all;
  for (std::size_t i = 0; i < filled; ++i) {
    all.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
  }
  return all;
}

Output make(std::string_view borrowed, int& released) {
  Output output;
  output.append("head ");
  output.borrow(borrowed, {&count, &released});
  output.append(" tail");
  return output;
}

}  // namespace

TEST_SUITE("http.output") {
  TEST_CASE("own and borrowed bytes leave in order, however few at a time") {
    constexpr std::string_view borrowed = "BORROWED";
    const std::string all = "head BORROWED tail";
    for (std::size_t step = 1; step <= all.size(); ++step) {
      int released = 0;
      Output output = make(borrowed, released);
      std::string sent;
      while (!output.empty()) {
        const std::string left = gathered(output);
        CHECK(left == all.substr(sent.size()));
        CHECK(output.size() == left.size());
        CHECK(released == (sent.size() >= 13 ? 1 : 0));
        const std::size_t now = std::min(step, left.size());
        sent += left.substr(0, now);
        output.consume(now);
      }
      CHECK(sent == all);
      CHECK(released == 1);
    }
  }

  TEST_CASE("a release is called exactly once, also when the bytes are never sent or move") {
    int released = 0;
    {
      Output first = make("x", released);
      Output second = std::move(first);
      Output third;
      third = std::move(second);
      CHECK(gathered(third) == "head x tail");
      CHECK(released == 0);
    }
    CHECK(released == 1);
    {
      Output output = make("x", released);
      output.clear();
      CHECK(released == 2);
      CHECK(output.empty());
    }
    CHECK(released == 2);
  }

  TEST_CASE("keep copies what is borrowed without a release, from the byte that is next") {
    std::string fleeting = "FLEETING";
    int released = 0;
    Output output;
    output.append("a");
    output.borrow(fleeting, {});
    output.append("b");
    output.borrow("STAYS", {&count, &released});
    CHECK(output.fleeting());
    output.consume(3);
    output.keep();
    fleeting.assign(8, '!');
    CHECK_FALSE(output.fleeting());
    CHECK(gathered(output) == "EETINGbSTAYS");
    CHECK(released == 0);
    output.consume(12);
    CHECK(released == 1);
    CHECK(output.empty());
  }
}
