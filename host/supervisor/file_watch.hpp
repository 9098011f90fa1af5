#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

struct inotify_event;

namespace sonicorn::supervisor {

// Watches files that are written anew as a whole: in place, by a rename, in pieces, or by a link on
// the way to them that is turned. For the thread of `io`.
class FileWatch {
 public:
  // `changed` is called with a file when its content was the same in two looks, `quiet` apart, and
  // `is_complete` says that it is whole; one that is not is looked at again, and told of all the
  // same when it has not changed for 10 times that. A file whose content is what it was when it was
  // told of last, or that of its copy, is not told of.
  FileWatch(boost::asio::io_context& io,
            std::function<void(const std::filesystem::path& file)> changed,
            std::function<bool(const std::string& content)> is_complete,
            std::chrono::milliseconds quiet = std::chrono::milliseconds(200));

  // A file, and a copy of it as it is known.
  struct Watched {
    std::filesystem::path file;
    std::filesystem::path copy;
  };
  // These and no others from now on.
  void watch(const std::vector<Watched>& files);
  void stop();

 private:
  struct File {
    std::size_t told = 0;  // a hash of the content that was told of last
    std::size_t seen = 0;  // of what was there at the last look
    int looks = 0;         // without a change, though it is not complete
    bool due = false;      // something has happened to it
  };

  // A folder that is watched, and of what in it.
  struct Folder {
    int watch = 0;                                              // inotify's; 0 or less: not watched
    std::multimap<std::string, std::filesystem::path> entries;  // a name in it leads to a file
  };

  void add_watches();
  void wait_for_events();
  void read_events();
  void note_event(const inotify_event& event);
  void look_later(std::chrono::milliseconds wait);
  void look();

  boost::asio::io_context& io_;
  std::function<void(const std::filesystem::path&)> changed_;
  std::function<bool(const std::string&)> is_complete_;
  std::chrono::milliseconds quiet_;
  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer timer_;
  bool will_look_ = false;
  std::map<std::filesystem::path, File> files_;
  std::map<std::filesystem::path, Folder> folders_;
};

}  // namespace sonicorn::supervisor
