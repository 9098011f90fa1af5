#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/app.hpp"

namespace sonicorn::routing {

// Whether `path` lies under `mount` ("" or "/prefix"), on a border of segments.
inline bool holds(std::string_view mount, std::string_view path) {
  return path.starts_with(mount) &&
         (path.size() == mount.size() || mount.empty() || path[mount.size()] == '/');
}

// A mount of which no request is let through.
struct Closed {
  std::string mount;  // "" or "/prefix"
  bool filter;        // what is missing there filters requests, or nobody knows
};

// Finds the app of a path: the longest mount that is a prefix of it and ends at a segment's border
// ("/a" has "/a" and "/a/b", not "/ab"). Built once, then only read, from any thread.
class Router {
 public:
  // Mounts `app`, which outlives the router: as a handler, as a filter, as both, as what it
  // declares. REQUIRES: no other handler has its mount (handler_at).
  void add(app::App& app);

  // The handler that has this mount ("" or "/prefix"), or null.
  const app::App* handler_at(std::string_view mount) const;

  // Unmounts `app`, when it is mounted.
  void remove(const app::App& app);

  // No request for a path under that mount is let through that no app below it handles; where a
  // filter is missing, none.
  void close(Closed closed);

  // Below this mount the server answers for its health, whoever is mounted there.
  void keep_for_health(const std::string& mount) {
    health_ = mount;
    close({mount, true});
  }
  // What is behind that mount in the path; empty: it is not there.
  std::string_view health_in(std::string_view path) const {
    if (health_.empty() || !holds(health_, path)) return {};
    return path.substr(health_.size());
  }

  // Whether a path for which find() has nobody is under a mount that is closed.
  bool is_closed(std::string_view path) const;

  // The apps that filter requests under their mount, in the order they were added.
  const std::vector<app::App*>& filters() const { return filters_; }

  // Whether any app follows requests from without their handler: a filter, or one that is told of
  // disconnects.
  bool follows() const { return follows_; }

  // The app whose mount holds `path` (decoded, without dot segments, beginning with a slash), or
  // null where there is none or its mount is closed.
  app::App* find(std::string_view path) const;

 private:
  app::App* find_open(std::string_view path) const;

  std::vector<app::App*> apps_;  // longest mount first
  std::vector<app::App*> filters_;
  std::vector<Closed> closed_;  // longest mount first
  bool follows_ = false;
  std::string health_;
};

}  // namespace sonicorn::routing
