#include "core/symbols.hpp"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

namespace sonicorn::core {
namespace {

template <class T>
using Owned = std::unique_ptr<T, decltype(&std::free)>;

// Separate debug files are found by build-id in the system's folder. The standard callback would
// also load libdebuginfod and ask a server: the dynamic linker's lock may be held by the very
// thread that hangs, and a network is not for now.
constexpr Dwfl_Callbacks kOfProcess{&dwfl_linux_proc_find_elf, &dwfl_build_id_find_debuginfo,
                                    nullptr, nullptr};
constexpr Dwfl_Callbacks kOfFiles{&dwfl_build_id_find_elf, &dwfl_build_id_find_debuginfo,
                                  &dwfl_offline_section_address, nullptr};

std::string demangled(const char* name) {
  int status = 0;
  const Owned<char> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return text ? text.get() : name;
}

// Where the frame's own function calls the one that the address is in, when that was compiled into
// it; the address's own line would be in a file that has nothing to do with the frame's function.
bool place_of_inlined_call(Dwfl_Module* module, std::uintptr_t code, Frame& frame) {
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = ::dwfl_module_addrdie(module, code, &bias);
  if (unit == nullptr) return false;
  // The scopes of an address follow an inlined function to where it is written; those of the
  // innermost one follow it to where it is called.
  Dwarf_Die* innermost = nullptr;
  if (::dwarf_getscopes(unit, code - bias, &innermost) <= 0) return false;
  const Owned<Dwarf_Die> owned_innermost(innermost, &std::free);
  Dwarf_Die* scopes = nullptr;
  const int count = ::dwarf_getscopes_die(innermost, &scopes);
  const Owned<Dwarf_Die> owned_scopes(scopes, &std::free);
  Dwarf_Die* outermost = nullptr;
  for (int i = 0; i < count && ::dwarf_tag(scopes + i) != DW_TAG_subprogram; ++i) {
    if (::dwarf_tag(scopes + i) == DW_TAG_inlined_subroutine) outermost = scopes + i;
  }
  if (outermost == nullptr) return false;
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0;
  Dwarf_Word line = 0;
  Dwarf_Files* files = nullptr;
  if (::dwarf_formudata(::dwarf_attr(outermost, DW_AT_call_file, &attribute), &file) != 0 ||
      ::dwarf_formudata(::dwarf_attr(outermost, DW_AT_call_line, &attribute), &line) != 0 ||
      ::dwarf_getsrcfiles(unit, &files, nullptr) != 0) {
    return false;
  }
  const char* const source = ::dwarf_filesrc(files, file, nullptr, nullptr);
  if (source == nullptr) return false;
  frame.source = source;
  frame.line = static_cast<int>(line);
  return true;
}

// What the module knows of the address, beyond file and offset.
void look_up(Dwfl_Module* module, std::uintptr_t code, Frame& frame) {
  if (const char* const name = ::dwfl_module_addrname(module, code)) {
    frame.function = demangled(name);
  }
  if (place_of_inlined_call(module, code, frame)) return;
  if (Dwfl_Line* const line = ::dwfl_module_getsrc(module, code)) {
    const char* const source =
        ::dwfl_lineinfo(line, nullptr, &frame.line, nullptr, nullptr, nullptr);
    if (source != nullptr) frame.source = source;
  }
}

}  // namespace

Symbols Symbols::of_this_process() {
  Dwfl* const dwfl = ::dwfl_begin(&kOfProcess);
  if (dwfl != nullptr) {
    ::dwfl_linux_proc_report(dwfl, ::getpid());
    ::dwfl_report_end(dwfl, nullptr, nullptr);
  }
  return Symbols(dwfl);
}

Symbols Symbols::of_files() { return Symbols(::dwfl_begin(&kOfFiles)); }

Symbols::~Symbols() { ::dwfl_end(dwfl_); }
Symbols::Symbols(Symbols&& other) noexcept
    : dwfl_(std::exchange(other.dwfl_, nullptr)), files_(std::move(other.files_)) {}

Frame Symbols::frame_at(std::uintptr_t code) const {
  Frame frame;
  frame.offset = code;
  frame.address = code;
  Dwfl_Module* const module = dwfl_ != nullptr ? ::dwfl_addrmodule(dwfl_, code) : nullptr;
  if (module == nullptr) return frame;
  Dwarf_Addr start = 0;
  const std::string_view path =
      ::dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
  frame.file = path.substr(path.rfind('/') + 1);
  GElf_Addr bias = 0;
  frame.offset = code - (::dwfl_module_getelf(module, &bias) != nullptr ? bias : start);
  look_up(module, code, frame);
  return frame;
}

Frame Symbols::frame_in(const std::string& file, std::uintptr_t offset) {
  Frame frame;
  frame.file = file.substr(file.rfind('/') + 1);
  frame.offset = offset;
  if (dwfl_ == nullptr || !file.starts_with('/')) return frame;
  const auto [entry, is_new] = files_.try_emplace(file, nullptr);
  std::error_code failure;
  if (is_new && std::filesystem::is_regular_file(file, failure)) {
    ::dwfl_report_begin_add(dwfl_);
    entry->second = ::dwfl_report_offline(dwfl_, file.c_str(), file.c_str(), -1);
    ::dwfl_report_end(dwfl_, nullptr, nullptr);
  }
  GElf_Addr bias = 0;
  if (entry->second == nullptr || ::dwfl_module_getelf(entry->second, &bias) == nullptr) {
    return frame;
  }
  look_up(entry->second, bias + offset, frame);
  return frame;
}

}  // namespace sonicorn::core
