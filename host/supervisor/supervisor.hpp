#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/load.hpp"
#include "core/crash_report.hpp"
#include "process/child.hpp"
#include "supervisor/backoff.hpp"
#include "supervisor/builder.hpp"
#include "supervisor/control.hpp"
#include "supervisor/file_watch.hpp"
#include "supervisor/hooks.hpp"
#include "supervisor/journal.hpp"
#include "supervisor/merge.hpp"
#include "supervisor/pid_file.hpp"
#include "supervisor/quarantine.hpp"
#include "supervisor/reload.hpp"
#include "supervisor/serve.hpp"
#include "supervisor/systemd.hpp"
#include "supervisor/worker_process.hpp"
#include "worker/listening_socket.hpp"

namespace sonicorn::supervisor {

// The life of the process that keeps a server: it owns the addresses, and starts, watches, replaces
// and stops the workers that serve on them. It loads no app, so none can hurt it. Everything is an
// event of one loop on the main thread.
class Supervisor final : public Control {
 public:
  explicit Supervisor(Order order);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Returns the exit status.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  enum class Stage { starting, serving, stopping, done };

  // The place of one worker: who serves there, or when somebody will again.
  struct Slot {
    Slot(boost::asio::io_context& io, unsigned index_, const config::Workers& limits)
        : index(index_), backoff(limits), timer(io) {}

    unsigned index;
    std::unique_ptr<WorkerProcess> current;    // null: it died and waits to be started again
    std::unique_ptr<WorkerProcess> successor;  // comes up while the current one serves
    Backoff backoff;
    boost::asio::steady_timer timer;  // for the next start
    unsigned restarts = 0;
    bool spawning = false;               // a hook is asked first
    std::uint64_t requests_allowed = 0;  // of the current one; 0: no limit
    Clock::duration lived{};             // what the last one that died did
  };

  // A worker that is to be replaced, and who wants to know how that went.
  struct Replacement {
    unsigned index = 0;
    std::uint32_t reason = 0;  // SONICORN_REASON_...
    std::string why;
    Done done;
  };

  // supervisor.cpp: the whole
  bool open(const std::vector<int>& given);
  void tell(config::Hook hook, Json context);
  bool bind_sockets(const std::vector<int>& given);
  void keep_watchdog_fed();
  void watch_signals();
  void on_signal(int number);
  void on_stop_signal(int number);
  void begin();
  void spawn_all();
  void begin_stop(std::uint32_t reason, int signal, const std::string& message);
  void end_if_stopped();
  void finish();
  void set_workers(unsigned count);
  unsigned workers_to_be() const;
  void quarantine(const std::string& app);
  std::string status_text() const;
  void tell_status();
  void tell_health();
  static const char* name_of_reason(std::uint32_t reason);

  // first_builds.cpp, reload*.cpp: what is served, and how that is changed
  void make_first_builds();
  void on_first_builds();
  void tell_made(const config::App& wanted, const std::vector<std::string>& warnings,
                 const std::vector<core::Error>& reasons) const;
  std::uint64_t next_generation(const config::App& wanted);
  Json builds_of_workers() const;
  void wish(ReloadWish wanted);
  void next_reload();
  void watch_files();
  void on_file_changed(const std::filesystem::path& file);
  std::string plan_reload();
  bool gets_new_build(const Reload::App& app, bool is_new) const;
  void make_builds();
  void on_build();
  void prepare_workers();
  void drop_reload(const std::string& fault);
  void commit_reload();
  void take_over();
  void note_switches();
  void try_with_new_workers();
  void on_tried(const std::string& fault);
  void end_reload();
  void follow_edition();
  Json result_of(const Reload& reload) const;
  std::chrono::milliseconds reload_limit() const;
  void prepare_in(const std::vector<pid_t>& first, const std::vector<pid_t>& rest,
                  const Json& message);
  void on_all_prepared();
  void ask_reloading(const std::vector<pid_t>& whom, const char* what, const Json& more,
                     std::function<void(std::string fault)> done);
  std::string fault_of_silence(pid_t pid);
  WorkerProcess* worker_of(pid_t pid) const;
  std::string runs_twice(const Reload::App& fresh) const;
  std::string still_quarantined(const Reload::App& app) const;
  void tell_reloading(const char* what, std::function<void()> done);
  bool end_astray(pid_t pid);
  bool takes_part(const WorkerProcess& worker) const;

  // history.cpp: the journal
  void open_journal();
  void on_life(WorkerProcess& worker, const Json& said);
  void forget_lives(const WorkerProcess& worker);

  // probation.cpp: the return to the build before
  void watch_probation();
  void check_probation();
  void on_probation_failed(const std::string& app, const std::string& why);
  bool is_served(const std::string& app, std::uint64_t generation) const;
  std::string no_such_app(const std::string& app) const;

  // workers.cpp: the workers
  enum class Place { current, successor };

  void spawn(Slot& slot, Place place);
  void on_spawn_allowed(Slot& slot, Place place, bool ok);
  void on_spawn_failed(Slot& slot);
  std::unique_ptr<WorkerProcess> start_worker(Slot& slot);
  void allow_requests(Slot& slot);
  void start_again(Slot& slot);
  Slot* slot_at(unsigned index);
  void on_message(WorkerProcess& worker, const Json& message);
  void on_prepared(WorkerProcess& worker);
  void admit(WorkerProcess& worker);
  void on_serving(WorkerProcess& worker);
  void announce();
  void on_control(const Json& message);
  void replace(Replacement wanted);
  void replace_next();
  void replaced(const std::string& fault);
  bool is_replacing(unsigned index) const;
  bool is_replacing() const { return replacing_ && awaited_ == nullptr; }
  void retire(std::unique_ptr<WorkerProcess> worker, std::uint32_t reason, const std::string& why);
  Slot* slot_of(const WorkerProcess& worker);
  std::chrono::milliseconds stop_limit() const;
  template <class Use>
  void each_worker(Use use) const {
    for (const auto& slot : slots_) {
      if (slot->current) use(*slot->current);
      if (slot->successor) use(*slot->successor);
    }
    for (const auto& worker : leaving_) use(*worker);
  }
  bool all_serve() const;

  // wear.cpp: what is looked at while workers serve
  void apply_limits(const Reload& over);
  void watch_pulse();
  void look_for_pulse(WorkerProcess& worker);
  void end_without_pulse(pid_t pid);
  std::chrono::milliseconds pulse_limit() const;
  void watch_limits();
  void check_limits(Slot& slot);

  // ends.cpp: what becomes of a worker's end
  void on_ended(WorkerProcess& worker, WorkerProcess::End end);
  void sort_end(WorkerProcess& worker, const WorkerProcess::End& end);
  void on_current_ended(Slot& slot, std::unique_ptr<WorkerProcess> worker,
                        const WorkerProcess::End& end);
  void on_successor_ended(Slot& slot, std::unique_ptr<WorkerProcess> worker,
                          const WorkerProcess::End& end);
  void on_leaver_ended(std::unique_ptr<WorkerProcess> worker, const WorkerProcess::End& end);
  std::string note_death(const WorkerProcess& worker, const WorkerProcess::End& end,
                         bool counts = true);
  void try_again(Slot& slot);
  void print_backtrace(const core::CrashReport& report, const std::vector<std::byte>& record);
  void tell_of_end(const WorkerProcess& worker, const WorkerProcess::End& end);

  // overview.cpp: Control
  bool is_ready(std::string& why_not) const override;
  Json status() const override;
  void workers(std::function<void(Json)> done) override;
  void apps(std::function<void(Json)> done) override;
  void metrics(std::function<void(std::string)> done) override;
  void drain(std::string app, Done done) override;
  void stop(std::string message, Done done) override;
  void restart_worker(std::optional<unsigned> index, Done done) override;
  void unquarantine(const std::string& app, Done done) override;
  void reload(std::string app, bool forced, std::function<void(Json)> done) override;
  void rollback(std::string app, std::function<void(Json)> done) override;
  void commit(const std::string& app, Done done) override;
  Json history(const std::string& app, std::size_t most) const override;
  void ask_all(const char* what, Json more, std::chrono::milliseconds more_time,
               std::function<void(std::vector<Said>)> done);
  bool is_reloading(const std::string& app) const;
  void wait_until_idle(Clock::time_point deadline, Done done);
  std::string own_metrics(const std::vector<Said>& said) const;

  Order order_;
  config::Config config_;
  boost::asio::io_context io_{1};
  process::Children children_;
  boost::asio::posix::stream_descriptor signals_{io_};
  boost::asio::steady_timer hard_end_{io_};
  boost::asio::steady_timer limits_timer_{io_};
  boost::asio::steady_timer pulse_timer_{io_};
  Hooks hooks_;
  Notifier notifier_;
  boost::asio::steady_timer watchdog_timer_{io_};
  std::optional<PidFile> pid_file_;
  std::minstd_rand chance_{std::random_device{}()};

  Stage stage_ = Stage::starting;
  Clock::time_point started_ = Clock::now();
  bool draining_ = false;
  std::optional<std::string> health_;  // what workers were told last of why it is not ready
  bool leaving_word_ = false;          // on_exit runs
  unsigned names_looked_up_ = 0;       // backtraces that are about to be printed
  int stop_signal_ = 0;                // the first
  Clock::time_point stopped_at_;
  std::uint32_t stop_reason_ = 0;
  int status_ = 0;
  std::vector<Done> stop_waiters_;

  std::vector<worker::ListeningSocket> sockets_;
  std::shared_ptr<void> control_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<std::unique_ptr<WorkerProcess>> leaving_;
  std::deque<Replacement> to_replace_;
  bool replacing_ = false;                  // the first of them
  const WorkerProcess* awaited_ = nullptr;  // the successor serves; this one's end completes that
  std::optional<unsigned> workers_to_be_;   // a reload is waited for
  Quarantine quarantine_;
  std::uint64_t restarts_ = 0;
  std::uint64_t dropped_lines_ = 0;  // by workers that have ended, of the log
  std::uint64_t dropped_access_lines_ = 0;

  Builder builder_{io_, children_};
  std::vector<Served> served_;                        // as config_.apps
  std::uint64_t edition_ = 1;                         // of that: changes with it
  std::set<std::string> drained_;                     // apps that take no requests until replaced
  std::map<std::string, std::uint64_t> generations_;  // the last of each app
  std::map<std::string, std::vector<Json>> retired_;  // what became of generations of each app
  Journal journal_;
  std::map<std::pair<pid_t, std::uint64_t>, std::uint64_t> lives_;  // what workers began, as told
  std::uint64_t serving_event_ = 0;
  std::deque<ReloadWish> wishes_;
  std::unique_ptr<Reload> reload_;  // null: nothing is being changed
  boost::asio::steady_timer probation_timer_{io_};
  FileWatch file_watch_;
};

}  // namespace sonicorn::supervisor
