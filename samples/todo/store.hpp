#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// One thing to do.
struct Todo {
  std::int64_t id = 0;
  std::string title;
  bool done = false;
};

// What an update sets; the rest stays as it is.
struct TodoChange {
  std::optional<std::string> title;
  std::optional<bool> done;
};

// The things to do, in an SQLite database. Any number of threads may use it at once. Each function
// throws std::runtime_error when the database fails.
class Store {
 public:
  // Opens the file `path`, and makes it if need be; ":memory:" is a database that ends with the
  // store.
  explicit Store(const std::string& path);

  std::vector<Todo> list();
  std::optional<Todo> get(std::int64_t id);
  Todo create(std::string_view title, bool done);

  // The outcome; nullopt when there is none of this id.
  std::optional<Todo> update(std::int64_t id, const TodoChange& change);

  // False when there is none of this id.
  bool remove(std::int64_t id);

 private:
  class Statement;
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };

  void execute(const char* sql);

  std::mutex mutex_;
  std::unique_ptr<sqlite3, Close> database_;
};
