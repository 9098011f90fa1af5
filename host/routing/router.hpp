#pragma once

#include <string_view>
#include <vector>

#include "app/app.hpp"

namespace sonicorn::routing {

// Finds the app of a path: the longest mount that is a prefix of it and ends at a segment's border
// ("/a" has "/a" and "/a/b", not "/ab"). Built once, then only read, from any thread.
class Router {
 public:
  // Mounts `app`, which outlives the router. False when its mount is taken already.
  bool add(app::App& app);

  // Unmounts `app`, when it is mounted.
  void remove(const app::App& app);

  // The app whose mount holds `path` (decoded, without dot segments, beginning with a slash), or
  // null.
  app::App* find(std::string_view path) const;

 private:
  std::vector<app::App*> apps_;  // longest mount first
};

}  // namespace sonicorn::routing
