// SPDX-License-Identifier: Apache-2.0
#include "module.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <filesystem>
#include <sonicorn/testing/error.hpp>
#include <vector>

namespace sonicorn::testing::detail {
namespace {

// The files that are loaded. To load one again is to get the same object again, statics and all.
std::vector<std::string>& loaded() {
  static std::vector<std::string> paths;
  return paths;
}

}  // namespace

Module::Module(const std::string& file) : name_(std::filesystem::path(file).filename().string()) {
  std::error_code failure;
  path_ = std::filesystem::canonical(file, failure).string();
  if (failure) throw Refused(name_ + " is not there: " + file);
  if (std::find(loaded().begin(), loaded().end(), path_) != loaded().end()) {
    throw Refused(name_ +
                  " is loaded already, and a process has one copy of a file: shut that app down "
                  "first, or load a copy of the file");
  }
  handle_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) throw Refused(name_ + " cannot be loaded: " + ::dlerror());
  loaded().push_back(path_);
}

Module::~Module() {
  std::erase(loaded(), path_);
  ::dlclose(handle_);
}

void* Module::find(const char* symbol) const {
  void* const address = ::dlsym(handle_, symbol);
  link_map* own = nullptr;
  if (address == nullptr || ::dlinfo(handle_, RTLD_DI_LINKMAP, &own) != 0) return nullptr;
  Dl_info info{};
  void* owner = nullptr;
  if (::dladdr1(address, &info, &owner, RTLD_DL_LINKMAP) == 0 || owner != own) return nullptr;
  void* found = nullptr;
  ::dladdr1(address, &info, &found, RTLD_DL_SYMENT);
  const auto* const entry = static_cast<const ElfW(Sym)*>(found);
  if (entry != nullptr && ELF64_ST_TYPE(entry->st_info) == STT_OBJECT) {
    throw Refused(name_ + " exports " + symbol +
                  " as data, not as a function: define the function that sonicorn/attributes.h "
                  "declares");
  }
  return address;
}

Functions Module::functions() const {
  Functions functions;
#define SONICORN_TESTING_FIND(name) \
  functions.name = reinterpret_cast<decltype(functions.name)>(find("sonicorn_" #name));
  SONICORN_ATTRIBUTES(SONICORN_TESTING_FIND)
#undef SONICORN_TESTING_FIND
  return functions;
}

}  // namespace sonicorn::testing::detail
