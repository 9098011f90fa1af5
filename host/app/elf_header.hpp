#pragma once

#include <elf.h>

#include <cstdint>
#include <string_view>

#include "core/result.hpp"

namespace sonicorn::app {

// The relocation by which code of this machine takes static thread-local storage.
extern const std::uint32_t kStaticTlsRelocation;

// The ELF header of a shared object for this machine. Each message is the rest of a sentence that
// begins with the file's name.
// Errors: app.not_elf, app.wrong_class, app.wrong_machine, app.not_shared_object, app.truncated,
// app.malformed_elf.
core::Result<Elf64_Ehdr> read_elf_header(std::string_view bytes);

// What to say of a file whose headers speak of `wanted` bytes and that has `size`: app.truncated.
core::Error truncated_elf(std::uint64_t wanted, std::size_t size);

// app.malformed_elf
core::Error malformed_elf(std::string_view what);

}  // namespace sonicorn::app
