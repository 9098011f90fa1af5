#include "store.hpp"

#include <stdexcept>

namespace {

constexpr int kBusyTimeoutMs = 5000;

[[noreturn]] void fail(sqlite3* database, const char* doing) {
  throw std::runtime_error(std::string("SQLite, ") + doing + ": " +
                           (database == nullptr ? "out of memory" : sqlite3_errmsg(database)));
}

}  // namespace

// One prepared statement with its parameters bound. The mutex of the store must be held while it
// lives.
class Store::Statement {
 public:
  Statement(sqlite3* database, std::string_view sql) : database_(database) {
    const int size = static_cast<int>(sql.size());
    if (sqlite3_prepare_v2(database, sql.data(), size, &statement_, nullptr) != SQLITE_OK) {
      fail(database, "preparing a statement");
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(std::int64_t value) {
    check(sqlite3_bind_int64(statement_, ++bound_, value));
    return *this;
  }

  // `text` must live until the last step.
  Statement& bind(std::string_view text) {
    check(sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC,
                              SQLITE_UTF8));
    return *this;
  }

  Statement& bind_null() {
    check(sqlite3_bind_null(statement_, ++bound_));
    return *this;
  }

  // Whether there is a row.
  bool step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail(database_, "running a statement");
    return result == SQLITE_ROW;
  }

  // The row of a statement that selects id, title, done.
  Todo todo() const {
    const auto* title = reinterpret_cast<const char*>(sqlite3_column_text(statement_, 1));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, 1));
    return {sqlite3_column_int64(statement_, 0),
            title == nullptr ? std::string() : std::string(title, size),
            sqlite3_column_int(statement_, 2) != 0};
  }

 private:
  void check(int result) {
    if (result != SQLITE_OK) fail(database_, "binding a value");
  }

  sqlite3* database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

Store::Store(const std::string& path) {
  sqlite3* opened = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  database_.reset(opened);
  if (result != SQLITE_OK) fail(opened, ("opening " + path).c_str());
  sqlite3_busy_timeout(opened, kBusyTimeoutMs);
  execute("PRAGMA journal_mode = WAL");
  execute(
      "CREATE TABLE IF NOT EXISTS todo ("
      "id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, done INTEGER NOT NULL)");
}

std::vector<Todo> Store::list() {
  const std::lock_guard lock(mutex_);
  Statement statement(database_.get(), "SELECT id, title, done FROM todo ORDER BY id");
  std::vector<Todo> todos;
  while (statement.step()) todos.push_back(statement.todo());
  return todos;
}

std::optional<Todo> Store::get(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_.get(), "SELECT id, title, done FROM todo WHERE id = ?");
  if (!statement.bind(id).step()) return std::nullopt;
  return statement.todo();
}

Todo Store::create(std::string_view title, bool done) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_.get(), "INSERT INTO todo (title, done) VALUES (?, ?)");
  statement.bind(title).bind(std::int64_t{done}).step();
  return {sqlite3_last_insert_rowid(database_.get()), std::string(title), done};
}

std::optional<Todo> Store::update(std::int64_t id, const TodoChange& change) {
  const std::lock_guard lock(mutex_);
  // One statement, so that two changes of one todo at once cannot undo each other.
  Statement statement(database_.get(),
                      "UPDATE todo SET title = coalesce(?, title), done = coalesce(?, done) "
                      "WHERE id = ? RETURNING id, title, done");
  change.title ? statement.bind(*change.title) : statement.bind_null();
  change.done ? statement.bind(std::int64_t{*change.done}) : statement.bind_null();
  if (!statement.bind(id).step()) return std::nullopt;
  Todo updated = statement.todo();
  statement.step();
  return updated;
}

bool Store::remove(std::int64_t id) {
  const std::lock_guard lock(mutex_);
  Statement statement(database_.get(), "DELETE FROM todo WHERE id = ?");
  statement.bind(id).step();
  return sqlite3_changes(database_.get()) != 0;
}

void Store::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    fail(database_.get(), sql);
  }
}
