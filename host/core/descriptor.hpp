#pragma once

#include <unistd.h>

#include <string_view>
#include <utility>

namespace sonicorn::core {

// Owns a file descriptor, and closes it; -1: none.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (number_ >= 0) ::close(release());
  }

 private:
  int number_;
};

// Writes all of it, however many calls that takes. False, with errno, when it cannot.
bool write_all(int file, std::string_view bytes);

}  // namespace sonicorn::core
