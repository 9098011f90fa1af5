#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/crash_record.hpp"

// Which code of an app a thread runs: what the report of a crash tells. All that is read here is
// async-signal-safe; it is written rarely, and never for a request.
namespace sonicorn::core {

// What runs: an attribute or, where none does, a few words.
struct Place {
  std::string_view app;
  std::string_view build_id;  // hexadecimal digits; may be empty
  std::uint64_t generation = 0;
  std::string_view what;
};

// Says of the calling thread where it is, as long as this lives. What the place's texts view
// outlives it.
class PlaceHere {
 public:
  explicit PlaceHere(const Place& place);
  ~PlaceHere();
  PlaceHere(const PlaceHere&) = delete;
  PlaceHere& operator=(const PlaceHere&) = delete;

 private:
  Place before_;
};

// Says the same until the thread ends.
void stay_at(const Place& place);

// Who knows the place of a thread that serves requests, which stores it somewhere else for other
// reasons. Async-signal-safe; false when the calling thread runs no code of an app. One for the
// process; thread-safe.
using PlaceReader = bool (*)(Place& place);
void set_place_reader(PlaceReader reader);

// The calling thread's place; false when it is in none. Async-signal-safe.
bool place_here(Place& place);

struct AddressRange {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;  // behind the last address
};

// The addresses of the loaded object that `address` is in; an empty range when it is in none.
// Async-signal-safe.
AddressRange object_at(std::uintptr_t address);

// Says that code belongs to an app, as long as this lives or until other code is at its addresses:
// that finds the app for a thread that it has started itself. There is room for 1,024 objects; more
// are not found. Thread-safe.
class CodeOfApp {
 public:
  // `place.what` is of no concern; the texts are copied.
  CodeOfApp(std::span<const AddressRange> ranges, const Place& place);
  ~CodeOfApp();
  CodeOfApp(const CodeOfApp&) = delete;
  CodeOfApp& operator=(const CodeOfApp&) = delete;

 private:
  std::vector<std::size_t> entries_;
};

// Whose code the address is in, without what it runs; false when it is no app's.
// Async-signal-safe.
bool find_code_of_app(std::uintptr_t address, PlaceRecord& place);

// Copies the texts, cut to their room. Async-signal-safe.
void store(const Place& from, PlaceRecord& to);

}  // namespace sonicorn::core
