#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/backtrace.hpp"

struct Dwfl;
struct Dwfl_Module;

namespace sonicorn::core {

// Names of code, from the objects' files as they are now. One thread at a time.
class Symbols {
 public:
  // Of the objects that this process has loaded. Takes no lock of the dynamic linker.
  static Symbols of_this_process();
  // Of files that need not be loaded anywhere.
  static Symbols of_files();

  ~Symbols();
  Symbols(Symbols&& other) noexcept;
  Symbols& operator=(Symbols&&) = delete;

  // The function at an address of this process.
  Frame frame_at(std::uintptr_t code) const;

  // The function at an offset into a file, which is what addr2line takes. Without the file, or
  // without names in it, the frame has its name and the offset alone.
  Frame frame_in(const std::string& file, std::uintptr_t offset);

 private:
  explicit Symbols(Dwfl* dwfl) : dwfl_(dwfl) {}

  Dwfl* dwfl_;  // null when there is no memory for it
  std::map<std::string, Dwfl_Module*> files_;
};

}  // namespace sonicorn::core
