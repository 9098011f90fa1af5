#include "config/config.hpp"

#include <algorithm>

namespace sonicorn::config {

const App* same_app(const std::vector<App>& apps, const App& app) {
  const auto path_of = [](const App& one) { return one.file.lexically_normal(); };
  const auto twin = std::find_if(apps.begin(), apps.end(), [&](const App& other) {
    return other.mount == app.mount && path_of(other) == path_of(app);
  });
  return twin == apps.end() ? nullptr : &*twin;
}

}  // namespace sonicorn::config
