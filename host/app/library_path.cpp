#include "app/library_path.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

namespace sonicorn::app {
namespace {

#if defined(__x86_64__)
constexpr std::string_view kPlatform = "x86_64";
#elif defined(__aarch64__)
constexpr std::string_view kPlatform = "aarch64";
#else
constexpr std::string_view kPlatform = "riscv64";
#endif

std::string multiarch() { return std::string(kPlatform) + "-linux-gnu"; }

// Configurations that include one another end here.
constexpr int kDeepestInclude = 8;

void read_configuration(const std::filesystem::path& file, int depth,
                        std::vector<std::filesystem::path>& folders);

void include(const std::string& pattern, const std::filesystem::path& from, int depth,
             std::vector<std::filesystem::path>& folders) {
  const std::filesystem::path whole = from.parent_path() / pattern;
  glob_t found{};
  if (::glob(whole.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      read_configuration(found.gl_pathv[i], depth + 1, folders);
    }
  }
  ::globfree(&found);
}

void read_configuration(const std::filesystem::path& file, int depth,
                        std::vector<std::filesystem::path>& folders) {
  if (depth > kDeepestInclude) return;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    if (!(words >> word) || word == "hwcap") continue;
    if (word == "include") {
      while (words >> word) include(word, file, depth, folders);
      continue;
    }
    do {
      if (word.front() == '/') folders.emplace_back(word.substr(0, word.find('=')));
    } while (words >> word);
  }
}

struct Token {
  std::string_view name;
  std::string value;
};

}  // namespace

std::vector<std::filesystem::path> system_library_folders() {
  std::vector<std::filesystem::path> folders;
  read_configuration("/etc/ld.so.conf", 0, folders);
  for (const char* root : {"/lib/", "/usr/lib/"}) folders.emplace_back(root + multiarch());
  for (const char* folder : {"/lib64", "/usr/lib64", "/lib", "/usr/lib"}) {
    folders.emplace_back(folder);
  }
  return folders;
}

std::vector<std::string> split_library_path(std::string_view list) {
  std::vector<std::string> entries;
  if (list.empty()) return entries;
  while (true) {
    const auto end = list.find_first_of(":;");
    const std::string_view entry = list.substr(0, end);
    entries.emplace_back(entry.empty() ? std::string_view(".") : entry);
    if (end == std::string_view::npos) return entries;
    list.remove_prefix(end + 1);
  }
}

bool names_origin(std::string_view entry) {
  return entry.find("$ORIGIN") != std::string_view::npos ||
         entry.find("${ORIGIN}") != std::string_view::npos;
}

std::string expanded(std::string_view entry, const std::filesystem::path& origin) {
  const Token tokens[] = {{"ORIGIN", origin.string()},
                          {"LIB", "lib/" + multiarch()},
                          {"PLATFORM", std::string(kPlatform)}};
  std::string text;
  while (!entry.empty()) {
    const auto token =
        std::find_if(std::begin(tokens), std::end(tokens), [entry](const Token& each) {
          return entry.starts_with(fmt::format("${}", each.name)) ||
                 entry.starts_with(fmt::format("${{{}}}", each.name));
        });
    if (token == std::end(tokens)) {
      text += entry.front();
      entry.remove_prefix(1);
      continue;
    }
    text += token->value;
    entry.remove_prefix(token->name.size() + (entry[1] == '{' ? 3 : 1));
  }
  return text;
}

}  // namespace sonicorn::app
