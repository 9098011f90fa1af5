#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "process/channel.hpp"
#include "process/child.hpp"

namespace sonicorn::supervisor {

// One worker as the supervisor sees it: a child process, its channel, and the pipe for its last
// words. For the thread of the main loop. Kept until its end was told.
class WorkerProcess {
 public:
  using Json = nlohmann::json;
  using Clock = std::chrono::steady_clock;

  // `admitted`: it was told to serve, and has not said yet that it does.
  enum class State { starting, prepared, admitted, serving, stopping };

  struct Setup {
    unsigned index = 0;
    Json start;                    // the first message, but for "report"
    std::vector<int> descriptors;  // that it gets under their own numbers
    std::uint64_t edition = 0;     // of what is served, that it begins with
    std::chrono::milliseconds answer_time{5'000};
  };

  // How it ended.
  struct End {
    int wait_status = 0;
    std::vector<std::byte> last_words;  // of its crash handler; empty: none
  };

  struct Events {
    std::function<void(WorkerProcess&, Json)> message;             // all but answers
    std::function<void(WorkerProcess&, End)> ended;                // once; may destroy it
    std::function<void(WorkerProcess&, const char* why)> aborted;  // it is about to be killed
  };

  // Starts the process. Errors: host.spawn, host.channel.
  static core::Result<std::unique_ptr<WorkerProcess>> start(boost::asio::io_context& io,
                                                            process::Children& children,
                                                            const Setup& setup, Events events);
  // Kills the process if it still runs.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  unsigned index() const { return index_; }
  pid_t pid() const { return pid_; }
  State state() const { return state_; }
  // Whether its process has. Questions are answered with null from then on.
  bool has_ended() const { return gone_; }
  // Of one that has ended by a crash, what its last words say; empty: nothing.
  const std::string& epitaph() const { return epitaph_; }
  Clock::time_point started() const { return started_; }
  // Of what is served, what it has.
  std::uint64_t edition() const { return edition_; }
  void set_edition(std::uint64_t edition) { edition_ = edition; }
  std::uint64_t resident_bytes() const;  // 0: not known

  // Whether it says that it serves as it should; the text says why not.
  const std::string& why_not_ready() const { return why_not_ready_; }
  // The app that kept it from starting or made it ask to be replaced; empty: none.
  const std::string& blamed() const { return blamed_; }
  std::uint64_t blamed_generation() const { return blamed_generation_; }  // 0: not known
  void blame(std::string app, std::uint64_t generation) {
    blamed_ = std::move(app);
    blamed_generation_ = generation;
  }

  // The step of an app's life that has begun under `key`; empty: it has ended.
  void note_step(std::uint64_t key, std::string step) {
    if (step.empty()) {
      steps_.erase(key);
    } else {
      steps_[key] = std::move(step);
    }
  }
  // The one that began last of those that have not ended; empty: there is none.
  std::string step() const { return steps_.empty() ? std::string() : steps_.rbegin()->second; }

  void send(const char* what, Json more = Json::object());
  // Asks it; the answer is null when it has ended or has not answered in its time, in addition to
  // which it may take `more_time`.
  void ask(const char* what, Json more, std::chrono::milliseconds more_time,
           std::function<void(Json)> done);

  // One question at a time whether it lives. False when the last one is not answered yet.
  bool begin_pulse() { return !std::exchange(pulse_asked_, true); }
  void end_pulse() { pulse_asked_ = false; }

  void serve();
  // Tells it to stop, and whether the server goes on without it. After `limit` it is killed; 0: it
  // takes as long as it wants.
  void stop(std::uint32_t reason, int signal, const std::string& message,
            std::chrono::milliseconds limit, bool goes_on = false);
  void kill();
  // The same, which is told first (Events::aborted).
  void abort(const char* why);
  // Whether it has said that it ends by itself.
  bool has_said_why() const { return ends_by_itself_; }
  // Whether it has said that all of its apps are ended in order.
  bool has_finished() const { return finished_; }

 private:
  struct Question {
    std::function<void(Json)> done;
    std::unique_ptr<boost::asio::steady_timer> deadline;
  };

  WorkerProcess(boost::asio::io_context& io, process::Children& children, const Setup& setup,
                Events events, int channel, int report);

  void on_message(Json message);
  void on_answer(const Json& message);
  void on_end(int wait_status);
  void await_last_messages();
  void on_silence();
  void tell_end();
  std::vector<std::byte> read_last_words() const;
  template <class Then>
  void after(boost::asio::steady_timer& timer, std::chrono::milliseconds time, Then then);

  boost::asio::io_context& io_;
  process::Children& children_;
  unsigned index_;
  pid_t pid_ = -1;
  State state_ = State::starting;
  Clock::time_point started_ = Clock::now();
  std::chrono::milliseconds answer_time_;
  std::uint64_t edition_;
  Events events_;
  process::Channel channel_;
  int report_;
  boost::asio::steady_timer kill_timer_;
  boost::asio::steady_timer end_timer_;  // for its last messages
  bool gone_ = false;                    // the process has ended
  bool silent_ = false;                  // its channel has
  bool ends_by_itself_ = false;          // it said so
  bool finished_ = false;                // and has done so in order
  bool ended_ = false;                   // both, and that is told
  std::optional<End> end_;
  std::map<std::uint64_t, std::string> steps_;
  std::uint64_t heard_ = 0;  // messages
  std::string why_not_ready_ = "the server is starting";
  bool pulse_asked_ = false;
  std::string blamed_;
  std::uint64_t blamed_generation_ = 0;
  std::string epitaph_;
  std::uint64_t next_question_ = 1;
  std::map<std::uint64_t, Question> questions_;
  std::shared_ptr<void> alive_ = std::make_shared<char>();  // as long as this is
};

}  // namespace sonicorn::supervisor
