#include "core/crash_report.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../app/temporary_folder.hpp"
#include "dying_child.hpp"

namespace ends {

[[gnu::noinline, gnu::visibility("hidden")]] void of_a_report() { std::abort(); }

}  // namespace ends

namespace sonicorn::core {
namespace {

CrashHeader sound_header() {
  CrashHeader header{};
  header.magic = kCrashMagic;
  header.kind = CrashKind::signal;
  header.signal = SIGSEGV;
  header.code = 1;
  header.process = 100;
  header.thread = 101;
  header.address = 0xabc;
  std::memcpy(header.thread_name.data(), "io-0", 4);
  std::memcpy(header.place.app.data(), "hello", 5);
  std::memcpy(header.place.what.data(), "on_request", 10);
  header.place.generation = 3;
  return header;
}

// A record, piece by piece.
class Record {
 public:
  explicit Record(const CrashHeader& header) { put(&header, sizeof(header)); }
  Record& frame(std::string_view path, std::uint32_t path_size) {
    const FrameHeader frame{0x1010, 0x10, path_size, 0};
    put(&frame, sizeof(frame));
    put(path.data(), path.size());
    return *this;
  }
  Record& frame(std::string_view path) {
    return frame(path, static_cast<std::uint32_t>(path.size()));
  }
  Record& end() { return frame("", kEndOfFrames); }

  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  void put(const void* bytes, std::size_t size) {
    const auto* const from = static_cast<const std::byte*>(bytes);
    bytes_.insert(bytes_.end(), from, from + size);
  }

  std::vector<std::byte> bytes_;
};

TEST_CASE("a record is read as it was written") {
  const auto report =
      parse_crash_report(Record(sound_header()).frame("/a/hello.1.so").frame("").end().bytes());
  REQUIRE(report.has_value());
  CHECK(report->whole);
  REQUIRE(report->frames.size() == 2);
  CHECK(report->frames[0].object == "/a/hello.1.so");
  CHECK(report->frames[0].offset == 0x10);
  CHECK(report->frames[0].code == 0x1010);
  CHECK(summary(*report) ==
        "app hello: on_request ended the worker by SIGSEGV at 0xabc (generation 3, thread 101 "
        "io-0)");
  CHECK(to_lines(plain_frames(*report)) ==
        std::vector<std::string>{"#0 ?? (hello.1.so+0x10)", "#1 ?? (0x10)"});
  // There are no such files.
  CHECK(to_lines(named_frames(*report)) == to_lines(plain_frames(*report)));
}

TEST_CASE("a record may be cut off anywhere") {
  const std::vector<std::byte> all =
      Record(sound_header()).frame("/a/hello.1.so").frame("/b").end().bytes();
  for (std::size_t size = 0; size < all.size(); ++size) {
    CAPTURE(size);
    const auto report = parse_crash_report(std::span(all).first(size));
    CHECK(report.has_value() == (size >= sizeof(CrashHeader)));
    if (!report) CHECK(report.error().id == "core.no_crash_report");
    if (report) CHECK_FALSE(report->whole);
    if (report) CHECK(report->frames.size() <= 2);
  }
}

TEST_CASE("what is no record is an error") {
  CHECK(parse_crash_report({}).has_error());
  CrashHeader header = sound_header();
  header.magic[0] = 'C';
  CHECK(parse_crash_report(Record(header).end().bytes()).has_error());
  header = sound_header();
  header.kind = static_cast<CrashKind>(9);
  CHECK(parse_crash_report(Record(header).end().bytes()).has_error());
}

TEST_CASE("a frame that makes no sense ends the frames") {
  const auto too_long =
      parse_crash_report(Record(sound_header()).frame("/a").frame("/b", 0x7fffffff).end().bytes());
  REQUIRE(too_long.has_value());
  CHECK(too_long->frames.size() == 1);
  CHECK_FALSE(too_long->whole);
  Record many(sound_header());
  for (std::size_t i = 0; i <= kMostFrames; ++i) many.frame("/a");
  const auto too_many = parse_crash_report(many.end().bytes());
  REQUIRE(too_many.has_value());
  CHECK(too_many->frames.size() == kMostFrames);
  CHECK_FALSE(too_many->whole);
}

TEST_CASE("texts that nobody ended or made printable are harmless") {
  CrashHeader header = sound_header();
  header.place.app.fill('x');
  header.place.what.fill('\n');
  header.thread_name.fill('\x80');
  const auto report = parse_crash_report(Record(header).end().bytes());
  REQUIRE(report.has_value());
  CHECK(report->app == std::string(header.place.app.size(), 'x'));
  CHECK(report->what == std::string(header.place.what.size(), '?'));
  CHECK(report->thread_name == std::string(header.thread_name.size(), '?'));
}

TEST_CASE("the subcommand prints the frames of a record with names, and refuses what is none") {
  const Death death = death_of(ends::of_a_report);
  const app::TemporaryFolder folder;
  const auto print = [&](std::string_view bytes, std::string& printed) {
    const std::string command = std::string(SONICORN_EXECUTABLE) + " crash-report <" +
                                folder.write("report", bytes).string() + " 2>&1";
    FILE* const output = ::popen(command.c_str(), "r");
    REQUIRE(output != nullptr);
    std::array<char, 4096> buffer{};
    while (std::fgets(buffer.data(), static_cast<int>(buffer.size()), output) != nullptr) {
      printed += buffer.data();
    }
    const int status = ::pclose(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  std::string frames;
  CHECK(print({reinterpret_cast<const char*>(death.bytes.data()), death.bytes.size()}, frames) ==
        0);
  INFO(frames);
  CHECK(frames.starts_with("#0 "));
  CHECK(frames.find(" ends::of_a_report() at ") != std::string::npos);
  CHECK(frames.find("crash_report_test.cpp:") != std::string::npos);
  CHECK(frames.find("(unit_test+0x") != std::string::npos);
  std::string error;
  CHECK(print("nonsense", error) == 1);
  CHECK(error == "these 8 bytes are no crash report\n");
}

}  // namespace
}  // namespace sonicorn::core
