#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "supervisor/names.hpp"
#include "supervisor/supervisor.hpp"

// What a reload is to change, and the builds for it.
namespace sonicorn::supervisor {

namespace log = core::log;

namespace {

bool has(const KeptBuild& build, app::Attribute attribute) {
  return build != nullptr && build->inspection.attributes.has(attribute);
}

bool is_exclusive(const KeptBuild& build) {
  return build != nullptr && build->inspection.overlap == app::Overlap::exclusive;
}

// Of which no two generations may run at once in a process.
bool must_be_alone(const KeptBuild& old, const KeptBuild& next) {
  return is_exclusive(old) || is_exclusive(next) ||
         (has(old, app::Attribute::save_state) && has(next, app::Attribute::load_state));
}

// What a build loses that whoever runs the one before relies on; empty: nothing.
std::string loss(const app::Build& old, const app::Build& next, const std::string& name) {
  for (const app::Attribute attribute : {app::Attribute::shutdown, app::Attribute::save_state}) {
    if (!old.inspection.attributes.has(attribute) || next.inspection.attributes.has(attribute)) {
      continue;
    }
    return fmt::format(
        "app {}: the new build declares no {}, which the running one does; declare it, or reload "
        "with --force",
        name, app::name_of(attribute));
  }
  return {};
}

}  // namespace

bool is_same(const config::App& one, const config::App& other) {
  return one.file.lexically_normal() == other.file.lexically_normal() && one.mount == other.mount &&
         one.name == other.name && one.body == other.body && one.overrun == other.overrun;
}

// The configuration as it is to be, and which apps of it get a new build. The result is a fault.
std::string Supervisor::plan_reload() {
  Reload& reload = *reload_;
  const ReloadWish& wish = reload.wish;
  reload.text = order_.text;
  reload.config = config_;
  config::Config fresh = config_;
  if (!wish.rollback) {
    const auto text = config::read_file(order_.flags);
    if (!text) return text.error().message;
    config::Loaded loaded = order_.read(order_.flags, *text);
    std::string faults;
    for (const core::Error& error : loaded.errors) faults += error.message + "; ";
    if (!faults.empty()) return faults + "mend the configuration and reload again";
    fresh = std::move(loaded.config);
    if (wish.only.empty()) {
      reload.text = *text;
      reload.config = fresh;
    }
  }
  bool found = wish.only.empty();
  for (config::App& wanted : reload.config.apps) {
    const auto served = std::find_if(served_.begin(), served_.end(), [&](const Served& each) {
      return is_same(each.wanted, wanted);
    });
    Reload::App next;
    if (served != served_.end()) {
      next.next = *served;
      next.old = served->build;
      next.old_name = served->name;
      next.old_generation = served->generation;
    }
    next.next.wanted = wanted;
    const std::string name = served != served_.end() ? served->name : name_of(wanted, nullptr);
    const bool meant = wish.only.empty() || name == wish.only;
    if (meant && !wish.only.empty()) {
      found = true;
      // Of the configuration, its settings alone.
      for (const config::App& each : fresh.apps) {
        if (is_same(each, wanted)) next.next.wanted.settings = each.settings;
      }
    }
    next.replaces = meant && gets_new_build(next, served == served_.end());
    if (meant && wish.rollback && next.next.previous == nullptr) {
      return fmt::format("app {}: no build before this one is kept", name);
    }
    reload.apps.push_back(std::move(next));
  }
  return found ? std::string() : no_such_app(wish.only);
}

bool Supervisor::gets_new_build(const Reload::App& app, bool is_new) const {
  if (is_new || app.old == nullptr || reload_->wish.always || reload_->wish.rollback) return true;
  if (!is_current(*app.old)) return true;
  const auto served = std::find_if(served_.begin(), served_.end(), [&](const Served& each) {
    return is_same(each.wanted, app.next.wanted);
  });
  const bool new_settings = served->wanted.settings != app.next.wanted.settings;
  return new_settings && !has(app.old, app::Attribute::reload);
}

void Supervisor::make_builds() {
  reload_->building = 1;
  for (Reload::App& app : reload_->apps) {
    if (!app.replaces) continue;
    if (reload_->wish.rollback) {
      // The copy of the build before may still be loaded.
      auto copied = builder_.copy(*app.next.previous);
      if (copied) {
        app.next.build = *std::move(copied);
      } else {
        reload_->faults.push_back(copied.error().message);
      }
      continue;
    }
    ++reload_->building;
    builder_.make(app.next.wanted, reload_->config, [this, &app](Builder::Made made) {
      if (stage_ == Stage::done) return;  // the reload is gone
      for (const std::string& warning : made.warnings) {
        log::warning("{}: {}", app.next.wanted.file.string(), warning);
      }
      for (const core::Error& reason : made.reasons) {
        reload_->faults.push_back(app::with_path(app.next.wanted.file, reason.message));
      }
      app.next.build = std::move(made.build);
      on_build();
    });
  }
  on_build();
}

// Whether a new app would run beside one that leaves with this reload, though one of them may never
// run twice. The result is a fault.
std::string Supervisor::runs_twice(const Reload::App& fresh) const {
  for (const Served& served : served_) {
    const bool leaves = std::none_of(
        reload_->apps.begin(), reload_->apps.end(),
        [&](const Reload::App& each) { return is_same(each.next.wanted, served.wanted); });
    const bool is_related =
        served.name == fresh.next.name || served.wanted.file == fresh.next.wanted.file;
    if (!leaves || !is_related || served.build == nullptr) continue;
    if (!is_exclusive(served.build) && !is_exclusive(fresh.next.build)) continue;
    return fmt::format(
        "app {}: it is exclusive and would run twice for a moment, at {} and at {}; take it out of "
        "the configuration, reload, then add it again",
        fresh.next.name, served.wanted.mount, fresh.next.wanted.mount);
  }
  return {};
}

// Whether it is one that ended workers, and would do it again. The result is a fault.
std::string Supervisor::still_quarantined(const Reload::App& app) const {
  const bool changes = app.next.build->inspection.build_id != app.old->inspection.build_id ||
                       std::none_of(served_.begin(), served_.end(), [&](const Served& each) {
                         return is_same(each.wanted, app.next.wanted) &&
                                each.wanted.settings == app.next.wanted.settings;
                       });
  if (changes || reload_->wish.forced || quarantine_.names().count(app.next.name) == 0) return {};
  return fmt::format(
      "app {0}: it is quarantined, and this is the build that ended workers; bring another one, or "
      "have it try again with 'sonicorn unquarantine {0}'",
      app.next.name);
}

void Supervisor::on_build() {
  if (--reload_->building != 0) return;
  if (stage_ != Stage::serving) reload_->faults.push_back("the server is stopping");
  std::vector<Served*> all;
  for (Reload::App& app : reload_->apps) all.push_back(&app.next);
  if (std::string fault = give_names(all); !fault.empty()) {
    reload_->faults.push_back(std::move(fault));
  }
  for (Reload::App& app : reload_->apps) {
    if (!app.replaces || app.next.build == nullptr) continue;
    app.next.generation = next_generation(app.next.wanted);
    if (app.old == nullptr) {
      if (std::string twice = runs_twice(app); !twice.empty()) {
        reload_->faults.push_back(std::move(twice));
      }
      continue;
    }
    if (std::string fault = still_quarantined(app); !fault.empty()) {
      reload_->faults.push_back(std::move(fault));
    }
    if (!reload_->wish.forced && !reload_->wish.rollback) {
      std::string lost = loss(*app.old, *app.next.build, app.next.name);
      if (!lost.empty()) reload_->faults.push_back(std::move(lost));
    }
    app.alone = must_be_alone(app.old, app.next.build);
    if (!app.alone) continue;
    if (auto spare = builder_.copy(*app.old)) {
      app.spare = *std::move(spare);
      app.spare_generation = next_generation(app.next.wanted);
    } else {
      reload_->faults.push_back(spare.error().message);
    }
  }
  if (!reload_->faults.empty()) return end_reload();
  prepare_workers();
}

}  // namespace sonicorn::supervisor
