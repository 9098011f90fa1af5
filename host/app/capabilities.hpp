#pragma once

#include <sonicorn/capability/log.h>
#include <sonicorn/capability/shutdown.h>
#include <sonicorn/server.h>

#include <chrono>
#include <span>
#include <string>
#include <string_view>

namespace sonicorn::app {

// The ids of what this server delivers, "NAME/REV". What an app requires must be among them.
std::span<const std::string_view> offered_capabilities();

// Whether `id` reads "name/REV" or "com.example.name/REV".
bool well_formed_capability(std::string_view id);

// The server as one generation of one app sees it (sonicorn_server). It outlives every call into
// that generation and does not move; get_capability may be called from any thread.
class ServerView : private sonicorn_server {
 public:
  struct Facts {
    std::string app_name;
    std::string mount;     // "" for the root
    std::string settings;  // JSON object
    std::chrono::milliseconds grace;
    std::chrono::milliseconds least_shutdown;
  };

  explicit ServerView(Facts facts);
  ServerView(const ServerView&) = delete;
  ServerView& operator=(const ServerView&) = delete;

  const sonicorn_server* abi() const { return this; }

 private:
  static const void* get_capability_of(const sonicorn_server* server, const char* id);
  static void write_log(const sonicorn_server* server, uint32_t level, const char* text,
                        uint64_t text_size);

  Facts facts_;
  sonicorn_shutdown_promise shutdown_{};
  sonicorn_log log_{};
};

}  // namespace sonicorn::app
