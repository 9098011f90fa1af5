#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// What a dying process writes, for another process of the same build on the same machine: a
// CrashHeader, then each frame as a FrameHeader and the bytes of its object's path, and at the end
// one FrameHeader whose path_size is kEndOfFrames.
namespace sonicorn::core {

// Texts are filled up with zeros, and cut when they are longer.
struct PlaceRecord {
  std::array<char, 64> app;  // empty: unknown
  std::array<char, 64> build_id;
  std::array<char, 48> what;
  std::uint64_t generation;
};

inline constexpr std::array<char, 8> kCrashMagic{'c', 'r', 'a', 's', 'h', '/', '1', '\n'};
inline constexpr std::size_t kMostFrames = 256;
inline constexpr std::size_t kLongestObjectPath = 208;  // bytes; of a longer one the end is kept

enum class CrashKind : std::uint32_t { signal = 1, exit = 2, quick_exit = 3 };

struct CrashHeader {
  std::array<char, 8> magic;
  CrashKind kind;
  std::int32_t signal;
  std::int32_t code;    // siginfo_t.si_code
  std::int32_t status;  // of exit
  std::int32_t process;
  std::int32_t thread;
  std::int32_t sender;  // the process that sent the signal; 0: the kernel did
  std::uint32_t stack_overflow;
  std::uint64_t address;  // of the fault
  std::array<char, 16> thread_name;
  PlaceRecord place;
};

struct FrameHeader {
  std::uint64_t code;    // an address inside the function's instruction
  std::uint64_t offset;  // the same in the object's file; without an object, the address
  std::uint32_t path_size;
  std::uint32_t reserved;
};

inline constexpr std::uint32_t kEndOfFrames = 0xffffffff;

static_assert(sizeof(CrashHeader) + kMostFrames * (sizeof(FrameHeader) + kLongestObjectPath) <
                  60'000,
              "an empty pipe takes a whole report, also in writes that do not fill its pages");

}  // namespace sonicorn::core
