// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::testing::detail {

// What the host needs of a manifest (sonicorn/manifest.h), defaults filled in but the name.
struct Manifest {
  std::string name;
  std::vector<std::string> requires_;
  bool blocking = true;
};

// The JSON texts of the Sonicorn notes in an ELF file, "" for a bare ABI mark; nullopt when it has
// none. Throws Refused, beginning with `name`, for what is no ELF file of this machine, or of
// another ABI.
std::optional<std::vector<std::string>> read_notes(const std::string& file,
                                                   const std::string& name);

// Merges and checks them. Throws Refused, beginning with `name`.
Manifest parse_manifest(const std::vector<std::string>& texts, const std::string& name);

bool is_json(std::string_view text);
bool is_json_object(std::string_view text);

}  // namespace sonicorn::testing::detail
