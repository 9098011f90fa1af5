#include "routing/router.hpp"

#include <algorithm>
#include <utility>

namespace sonicorn::routing {

void Router::add(app::App& app) {
  const app::Generation& generation = app.current();
  if (generation.handles_requests()) {
    const auto shorter = [&](const app::App* other) {
      return other->mount().size() < app.mount().size();
    };
    apps_.insert(std::find_if(apps_.begin(), apps_.end(), shorter), &app);
  }
  if (generation.filters_requests()) filters_.push_back(&app);
  follows_ =
      follows_ || generation.filters_requests() || generation.attributes().on_disconnect != nullptr;
}

const app::App* Router::handler_at(std::string_view mount) const {
  const auto has_it = [&](const app::App* app) { return app->mount() == mount; };
  const auto found = std::find_if(apps_.begin(), apps_.end(), has_it);
  return found == apps_.end() ? nullptr : *found;
}

void Router::remove(const app::App& app) {
  std::erase(apps_, &app);
  std::erase(filters_, &app);
}

void Router::close(Closed closed) {
  const auto shorter = [&](const Closed& other) {
    return other.mount.size() < closed.mount.size();
  };
  const auto place = std::find_if(closed_.begin(), closed_.end(), shorter);
  closed_.insert(place, std::move(closed));
}

bool Router::is_closed(std::string_view path) const {
  return std::any_of(closed_.begin(), closed_.end(),
                     [&](const Closed& closed) { return holds(closed.mount, path); });
}

app::App* Router::find_open(std::string_view path) const {
  app::App* found = nullptr;
  for (app::App* const app : apps_) {
    if (!holds(app->mount(), path)) continue;
    found = app;
    break;
  }
  for (const Closed& closed : closed_) {
    if (!holds(closed.mount, path)) continue;
    if (closed.filter || found == nullptr || closed.mount.size() > found->mount().size()) {
      return nullptr;
    }
  }
  return found;
}

app::App* Router::find(std::string_view path) const {
  if (!closed_.empty()) return find_open(path);
  for (app::App* app : apps_) {
    const std::string_view mount = app->mount();
    if (mount.empty()) return app;
    if (holds(mount, path)) return app;
  }
  return nullptr;
}

}  // namespace sonicorn::routing
