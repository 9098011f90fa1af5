#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

// A new project: an app's source, its test and their build.
namespace sonicorn::dev {

// A project to write. REQUIRES: fault_of_name(name) is empty.
struct Project {
  std::string name;               // of the app, of its target and of its .so file
  std::string language;           // one of languages()
  std::filesystem::path folder;   // missing, or empty
  std::filesystem::path sdk_dir;  // where its build finds the SDK; empty: CMake looks for it
};

// What a project can be written in: "c", "cpp".
std::vector<std::string> languages();

// Why an app cannot be called so, and what is allowed: a sentence. Empty: it can. A name is that of
// a file, of a target of CMake and, with _ for -, of an identifier.
std::string fault_of_name(std::string_view name);

// `text` with what the project says in place of @NAME@, @IDENTIFIER@ and @HINT@.
std::string fill_in(std::string_view text, const Project& project);

// Writes the project and returns its files, relative to its folder. Errors: host.project, when the
// folder is there and not empty, or when something cannot be written; what was written by then
// stays.
core::Result<std::vector<std::filesystem::path>> write_project(const Project& project);

// The folder with the SDK's SonicornConfig.cmake that belongs to the program `executable`: that of
// its build tree, or where both were installed. Empty: there is none beside it.
std::filesystem::path sdk_of(const std::filesystem::path& executable);

}  // namespace sonicorn::dev
