#include "core/place.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace sonicorn::core {
namespace {

// Initialised without code, so that a handler may read it on any thread.
constinit thread_local Place here{};

constinit std::atomic<PlaceReader> place_reader{nullptr};
static_assert(std::atomic<PlaceReader>::is_always_lock_free);

// A handler on this very thread sees the place as a whole, or the one before.
void move_to(const Place& place) {
  here.app = {};
  std::atomic_signal_fence(std::memory_order_seq_cst);
  here.build_id = place.build_id;
  here.generation = place.generation;
  here.what = place.what;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  here.app = place.app;
}

struct Entry {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};  // 0: the entry is free; written last
  PlaceRecord place{};
  const CodeOfApp* owner = nullptr;  // for those who write
};

constexpr std::size_t kEntries = 1024;
constinit Entry entries[kEntries];
constinit std::atomic<std::size_t> entries_used{0};  // those behind were never used
constinit std::mutex entries_mutex;                  // of those who write

}  // namespace

PlaceHere::PlaceHere(const Place& place) : before_(here) { move_to(place); }
PlaceHere::~PlaceHere() { move_to(before_); }

void stay_at(const Place& place) { move_to(place); }

void set_place_reader(PlaceReader reader) { place_reader.store(reader, std::memory_order_release); }

bool place_here(Place& place) {
  if (!here.app.empty()) {
    place = here;
    return true;
  }
  const PlaceReader reader = place_reader.load(std::memory_order_acquire);
  return reader != nullptr && reader(place);
}

AddressRange object_at(std::uintptr_t address) {
  dl_find_object found{};
  if (::_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return {};
  return {reinterpret_cast<std::uintptr_t>(found.dlfo_map_start),
          reinterpret_cast<std::uintptr_t>(found.dlfo_map_end)};
}

CodeOfApp::CodeOfApp(std::span<const AddressRange> ranges, const Place& place) {
  const std::lock_guard lock(entries_mutex);
  for (const AddressRange& range : ranges) {
    // Code that was there has gone, unnoticed.
    for (Entry& entry : entries) {
      if (entry.begin.load(std::memory_order_relaxed) < range.end &&
          range.begin < entry.end.load(std::memory_order_relaxed)) {
        entry.end.store(0, std::memory_order_release);
        entry.owner = nullptr;
      }
    }
    const auto free = std::find_if(std::begin(entries), std::end(entries), [](const Entry& entry) {
      return entry.end.load(std::memory_order_relaxed) == 0;
    });
    if (free == std::end(entries) || range.end == 0) continue;
    const auto index = static_cast<std::size_t>(free - std::begin(entries));
    entries_.push_back(index);
    free->owner = this;
    store(place, free->place);
    free->begin.store(range.begin, std::memory_order_relaxed);
    free->end.store(range.end, std::memory_order_release);
    if (index >= entries_used.load(std::memory_order_relaxed)) {
      entries_used.store(index + 1, std::memory_order_release);
    }
  }
}

CodeOfApp::~CodeOfApp() {
  const std::lock_guard lock(entries_mutex);
  for (const std::size_t index : entries_) {
    if (entries[index].owner == this) entries[index].end.store(0, std::memory_order_release);
  }
}

bool find_code_of_app(std::uintptr_t address, PlaceRecord& place) {
  const std::size_t used = entries_used.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < used; ++i) {
    const std::uintptr_t end = entries[i].end.load(std::memory_order_acquire);
    if (address >= end || address < entries[i].begin.load(std::memory_order_relaxed)) continue;
    place = entries[i].place;
    return true;
  }
  return false;
}

void store(const Place& from, PlaceRecord& to) {
  const auto copy = [](std::string_view text, std::span<char> room) {
    const std::size_t size = std::min(text.size(), room.size());
    std::copy_n(text.data(), size, room.data());
    std::fill(room.begin() + static_cast<std::ptrdiff_t>(size), room.end(), '\0');
  };
  copy(from.app, to.app);
  copy(from.build_id, to.build_id);
  copy(from.what, to.what);
  to.generation = from.generation;
}

}  // namespace sonicorn::core
