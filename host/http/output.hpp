#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "http/request.hpp"

namespace sonicorn::http {

// What an app wants called when its bytes are no longer needed.
struct Release {
  void (*function)(void*) = nullptr;
  void* argument = nullptr;

  void operator()() const {
    if (function != nullptr) function(argument);
  }
};

// Bytes on their way to a peer: text that was copied here, and large bodies that are borrowed. Not
// thread-safe; movable. The destructor releases what is still borrowed.
class Output {
 public:
  Output() = default;
  ~Output() { clear(); }
  Output(Output&& other) noexcept;
  Output& operator=(Output&& other) noexcept;

  bool empty() const { return size() == 0; }
  std::size_t size() const { return own_.size() - own_sent_ + borrowed_left_; }

  void append(std::string_view bytes) { own_.append(bytes); }
  // Room for `count` bytes at the end; commit() makes them part of it.
  char* reserve(std::size_t count) { return own_.reserve(count); }
  void commit(std::size_t count) { own_.commit(count); }

  // Sends `bytes` without copying them. They stay valid until `release` is called; without one,
  // until keep() or the end of sending.
  void borrow(std::string_view bytes, Release release);

  // Whether something is borrowed without a release: it must be sent, or kept, before its memory is
  // used for something else.
  bool fleeting() const { return !borrowed_.empty() && borrows_unreleased(); }
  // Copies what is borrowed without a release.
  void keep() {
    if (fleeting()) copy_fleeting();
  }

  // The unsent bytes in order, as far as `vectors` reaches; returns how many were filled.
  std::size_t gather(std::span<iovec> vectors) const;
  // The first `count` bytes were sent.
  void consume(std::size_t count);
  void clear();
  // Gives memory back when it is more than `keep_bytes`.
  void trim(std::size_t keep_bytes) { own_.trim(keep_bytes); }

  // The unsent bytes when nothing is borrowed; else empty.
  std::string_view plain() const {
    return borrowed_.empty() ? own_.view().substr(own_sent_) : std::string_view();
  }

 private:
  struct Borrowed {
    std::size_t position;  // in own_, before which it stands
    std::string_view bytes;
    Release release;
  };

  bool borrows_unreleased() const;
  void copy_fleeting();

  ByteBuffer own_;
  std::size_t own_sent_ = 0;
  std::vector<Borrowed> borrowed_;
  std::size_t borrowed_left_ = 0;
};

}  // namespace sonicorn::http
