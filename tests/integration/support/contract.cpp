#include "support/contract.hpp"

#include <chrono>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "support/client.hpp"

namespace support {

bool eventually(const std::function<bool()>& look, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!look()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string patient_times() {
  return "grace = 60\n[limits]\nrequest_time = 120\n[lifecycle]\nstart_time = 120\n"
         "call_time = 120\nhealth_time = 120\n";
}

std::string Contract::app(std::string_view mount, std::string_view fixture_name,
                          std::string_view name, std::string_view settings,
                          std::string_view lines) const {
  std::ostringstream more;
  more << "name = \"" << name << "\"\n"
       << lines << "\nsettings = { journal = \"" << (folder_ / "journal").string()
       << "\", steer = \"" << (folder_ / std::string(name)).string() << "\", gate = \""
       << gate_.path().string() << "\"" << (settings.empty() ? "" : ", ") << settings << " }\n";
  return app_entry(mount, fixture_name, more.str());
}

std::string Contract::settings_json(std::string_view name) const {
  return Json{{"journal", (folder_ / "journal").string()},
              {"steer", (folder_ / std::string(name)).string()},
              {"gate", gate_.path().string()}}
      .dump();
}

void Contract::steer(std::string_view name, std::string_view lines) const {
  const auto file = folder_ / std::string(name);
  const std::filesystem::path fresh = file.string() + ".new";
  write_file(fresh, lines);
  std::filesystem::rename(fresh, file);
}

std::vector<Json> Contract::journal() const {
  std::string text = read_file(folder_ / "journal");
  text.erase(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  std::istringstream all(text);
  std::vector<Json> lines;
  for (std::string line; std::getline(all, line);) lines.push_back(Json::parse(line));
  return lines;
}

std::vector<Json> Contract::journal(std::string_view app) const {
  std::vector<Json> lines = journal();
  std::erase_if(lines, [&](const Json& line) { return line["app"] != app; });
  return lines;
}

std::vector<Json> Contract::calls(std::string_view app, std::string_view call,
                                  std::string_view phase) const {
  std::vector<Json> lines = journal(app);
  std::erase_if(lines,
                [&](const Json& line) { return line["call"] != call || line["phase"] != phase; });
  return lines;
}

Json Contract::wait_for(std::string_view app, std::string_view call, std::string_view phase,
                        std::size_t count) const {
  std::vector<Json> lines;
  const bool came = eventually([&] {
    lines = calls(app, call, phase);
    return lines.size() >= count;
  });
  if (!came) {
    throw std::runtime_error("app " + std::string(app) + ": " + std::string(call) + " (" +
                             std::string(phase) + ") came " + std::to_string(lines.size()) +
                             " times instead of " + std::to_string(count));
  }
  return lines[count - 1];
}

Json Contract::wait_until(std::string_view app, const std::function<bool(const Json&)>& wanted,
                          std::size_t count) const {
  std::vector<Json> lines;
  const bool came = eventually([&] {
    lines = journal(app);
    std::erase_if(lines, [&](const Json& line) { return !wanted(line); });
    return lines.size() >= count;
  });
  if (!came) {
    throw std::runtime_error("app " + std::string(app) + ": an expected call came " +
                             std::to_string(lines.size()) + " times instead of " +
                             std::to_string(count));
  }
  return lines[count - 1];
}

bool has_logged(const std::string& log, const std::vector<std::string>& fragments) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    bool all = true;
    for (const std::string& fragment : fragments) {
      all = all && line.find(fragment) != std::string::npos;
    }
    if (all) return true;
  }
  return false;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

bool logs(const Server& server, const std::vector<std::string>& fragments) {
  return eventually([&] { return has_logged(server.log(), fragments); });
}

void wait_for_answer(const Endpoint& endpoint, const std::string& request,
                     const std::function<bool(int status, const std::string& body)>& wanted) {
  Response last;
  const bool came = eventually([&] {
    last = ask(endpoint, request);
    return wanted(last.status, last.body);
  });
  if (!came) {
    throw std::runtime_error("the last answer to " + request + " was " +
                             std::to_string(last.status) + " " + last.body);
  }
}

}  // namespace support
