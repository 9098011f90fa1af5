// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/testing/functions.hpp>
#include <string>

namespace sonicorn::testing::detail {

// One loaded NAME.so, unloaded by the destructor.
class Module {
 public:
  // Throws Refused when it cannot be loaded, or is loaded by another Module now.
  explicit Module(const std::string& file);
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module();

  // The attributes that the object itself defines. A plain dlsym would also find those of the
  // libraries that it needs. Throws Refused for one that is no function.
  Functions functions() const;

 private:
  void* find(const char* symbol) const;

  std::string path_;  // canonical
  std::string name_;  // of the file
  void* handle_ = nullptr;
};

// The attributes that are part of this executable.
Functions linked_functions();

}  // namespace sonicorn::testing::detail
