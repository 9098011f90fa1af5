#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace sonicorn::app {

// One entry of an object's dynamic symbol table. The name is a view into the file's bytes.
struct ElfSymbol {
  std::string_view name;
  std::uint8_t type = 0;        // STT_...
  std::uint8_t binding = 0;     // STB_...
  std::uint8_t visibility = 0;  // STV_...
  bool defined = false;

  bool is_function() const;
  // Whether other objects can find it here: defined, global, weak or unique, not hidden.
  bool is_exported() const;
  // Whether the loader fails when nobody defines it.
  bool is_required() const;
};

struct ElfNote {
  std::string_view name;  // without its zero byte
  std::uint32_t type = 0;
  std::string_view content;
};

// A version that an object needs of a library (DT_VERNEED). Views into the file's bytes.
struct ElfVersionNeed {
  std::string_view library;
  std::string_view version;
  bool weak = false;  // the loader goes on without it
};

// What a shared object says of itself to the dynamic loader, read from the file's bytes without
// running any of them. Reads program headers only, so a file without section headers is complete
// (ELF-64 Object File Format 1.5; System V gABI 4.1 chapter 5).
//
// A value of views: the bytes must outlive it. Any bytes may be given; what is out of bounds is an
// error or left out, never read. Thread-safe as any const value.
class ElfImage {
 public:
  // Errors: app.not_elf, app.wrong_class, app.wrong_machine, app.not_shared_object, app.truncated,
  // app.malformed_elf. Each message is the rest of a sentence that begins with the file's name.
  static core::Result<ElfImage> parse(std::string_view bytes);

  const std::vector<ElfSymbol>& symbols() const { return symbols_; }
  const std::vector<ElfNote>& notes() const { return notes_; }
  const std::vector<std::string_view>& needed() const { return needed_; }
  const std::vector<ElfVersionNeed>& needed_versions() const { return needed_versions_; }
  // Empty for an object without versions, which the loader takes for any.
  const std::vector<std::string_view>& defined_versions() const { return defined_versions_; }
  std::string_view soname() const { return soname_; }
  std::string_view rpath() const { return rpath_; }
  std::string_view runpath() const { return runpath_; }

  // Its program interpreter, when it has one: only an executable needs that, and libc.
  std::string_view interpreter() const { return interpreter_; }
  // Whether it is marked as a position-independent executable.
  bool is_executable() const { return pie_; }
  // Whether it asks to stay in the process after it was closed.
  bool no_delete() const { return no_delete_; }
  // Whether it takes thread-local storage that cannot grow once a process runs.
  bool static_tls() const { return static_tls_; }
  bool executable_stack() const { return executable_stack_; }
  // In lower-case hexadecimal digits; empty when it has none.
  std::string build_id() const;

 private:
  class Reader;
  ElfImage() = default;

  std::vector<ElfSymbol> symbols_;
  std::vector<ElfNote> notes_;
  std::vector<std::string_view> needed_;
  std::vector<ElfVersionNeed> needed_versions_;
  std::vector<std::string_view> defined_versions_;
  std::string_view soname_;
  std::string_view rpath_;
  std::string_view runpath_;
  std::string_view interpreter_;
  bool pie_ = false;
  bool no_delete_ = false;
  bool static_tls_ = false;
  bool executable_stack_ = true;  // the loader's default for an object that does not say
};

}  // namespace sonicorn::app
