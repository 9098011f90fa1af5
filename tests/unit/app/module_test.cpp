#include "app/module.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/stat.h>

#include "app/library_clash.hpp"
#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

struct Prepared {
  std::string bytes;
  Inspection inspection;
  fs::path copy;
};

Prepared prepared(const RuntimeDir& folder, std::string_view name) {
  auto bytes = read_module_file(fixture(name));
  REQUIRE_MESSAGE(bytes.has_value(), bytes.error().message);
  Inspection inspection = inspect(*bytes, fixture(name), {});
  auto copy = write_private_copy(folder, *bytes, inspection.name, 1);
  REQUIRE_MESSAGE(copy.has_value(), copy.error().message);
  return {*std::move(bytes), std::move(inspection), *std::move(copy)};
}

bool still_loaded(const fs::path& file) {
  void* const handle = ::dlopen(file.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle != nullptr) ::dlclose(handle);
  return handle != nullptr;
}

TEST_CASE("a private copy is new each time, whole, and not to be changed") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const std::string bytes(100'000, 'x');
  const auto first = write_private_copy(*folder, bytes, "../a b/\xff", 1);
  const auto second = write_private_copy(*folder, bytes, "../a b/\xff", 1);
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(*first != *second);
  for (const fs::path& copy : {*first, *second}) {
    CHECK(copy.parent_path() == folder->path());
    CHECK(read_module_file(copy).value() == bytes);
    struct stat status {};
    REQUIRE(::stat(copy.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0500);
  }
}

TEST_CASE("a private copy that cannot be written is an error that names the setting") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  fs::remove_all(folder->path());
  const auto copy = write_private_copy(*folder, "x", "a", 1);
  REQUIRE_FALSE(copy.has_value());
  CHECK(copy.error().id == "host.private_copy");
  CHECK(copy.error().message.find("runtime_dir") != std::string::npos);
}

TEST_CASE("exactly the declared attributes are resolved, and the code goes with the module") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const Prepared app = prepared(*folder, "calls_libc");
  {
    const auto module = Module::load(app.copy, app.inspection);
    REQUIRE_MESSAGE(module.has_value(), module.error().message);
    CHECK(module->path() == app.copy);
    CHECK((module->attributes().on_request != nullptr));
    CHECK((module->attributes().shutdown == nullptr));
    CHECK((module->attributes().start == nullptr));
    CHECK(still_loaded(app.copy));
  }
  CHECK_FALSE(still_loaded(app.copy));
}

TEST_CASE("two copies of one app do not share their functions") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const Prepared first = prepared(*folder, "only_on_request");
  const Prepared second = prepared(*folder, "only_on_request");
  const auto one = Module::load(first.copy, first.inspection);
  const auto two = Module::load(second.copy, second.inspection);
  REQUIRE(one.has_value());
  REQUIRE(two.has_value());
  CHECK((one->attributes().on_request != two->attributes().on_request));
}

TEST_CASE("an attribute of a library that the app needs is not the app's") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  Prepared app = prepared(*folder, "borrows");
  {
    const auto module = Module::load(app.copy, app.inspection);
    REQUIRE_MESSAGE(module.has_value(), module.error().message);
    CHECK((module->attributes().on_request != nullptr));
    CHECK((module->attributes().start == nullptr));
  }
  app.inspection.attributes.add(Attribute::start);
  const auto wrong = Module::load(app.copy, app.inspection);
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().id == "app.foreign_attribute");
  CHECK(wrong.error().message.find("sonicorn_start") != std::string::npos);
}

TEST_CASE("what the loader refuses is told in its words, about the app's own file") {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const Prepared app = prepared(*folder, "missing_symbol");
  const auto module = Module::load(app.copy, app.inspection);
  REQUIRE_FALSE(module.has_value());
  CHECK(module.error().id == "app.load_failed");
  const std::string& message = module.error().message;
  CHECK_MESSAGE(message.find("function_that_nobody_defines") != std::string::npos, message);
  CHECK_MESSAGE(message.find(app.copy.string()) == std::string::npos, message);
}

// A copy of the app with the libraries of one of the two folders beside it.
Prepared prepared_beside(const RuntimeDir& copies, const fs::path& folder, std::string_view text) {
  const std::string libraries = std::string(SONICORN_FIXTURE_DIR) + "/beside_" + std::string(text);
  fs::copy(libraries, folder);
  fs::copy(fixture("needs_beside"), folder);
  const fs::path file = folder / "needs_beside.so";
  auto bytes = read_module_file(file);
  REQUIRE(bytes.has_value());
  Inspection inspection = inspect(*bytes, file, {});
  REQUIRE_MESSAGE(inspection.loadable(), to_text(inspection));
  CHECK(inspection.libraries_beside.size() == 2);
  auto copy = write_private_copy(copies, *bytes, inspection.name, 1);
  REQUIRE(copy.has_value());
  const auto copied = copy_libraries_beside(*copy, inspection.libraries_beside);
  REQUIRE_MESSAGE(copied.has_value(), copied.error().message);
  return {*std::move(bytes), std::move(inspection), *std::move(copy)};
}

TEST_CASE("libraries beside the app are loaded from copies, and one that is the same is shared") {
  const TemporaryFolder parent;
  const TemporaryFolder here;
  const TemporaryFolder there;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const Prepared app = prepared_beside(*folder, here.path(), "one");
  const Prepared same = prepared_beside(*folder, there.path(), "one");
  {
    const auto module = Module::load(app.copy, app.inspection);
    REQUIRE_MESSAGE(module.has_value(), module.error().message);
    const fs::path copy = library_copy(app.copy, "libbeside.so");
    CHECK(loaded_as("libbeside.so") == copy);
    CHECK(loaded_as("libbeside_inner.so") == library_copy(app.copy, "libbeside_inner.so"));
    CHECK(library_original(copy) == here.path() / "libbeside.so");
    const auto other = Module::load(same.copy, same.inspection);
    REQUIRE_MESSAGE(other.has_value(), other.error().message);
    CHECK(loaded_as("libbeside.so") == copy);
  }
  CHECK(loaded_as("libbeside.so").empty());
  CHECK(loaded_as("libbeside_inner.so").empty());
}

TEST_CASE("an app is refused while another library of a name that it needs is loaded") {
  const TemporaryFolder parent;
  const TemporaryFolder here;
  const TemporaryFolder there;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const Prepared one = prepared_beside(*folder, here.path(), "one");
  const Prepared two = prepared_beside(*folder, there.path(), "two");
  {
    const auto module = Module::load(one.copy, one.inspection);
    REQUIRE_MESSAGE(module.has_value(), module.error().message);
    const auto clash = Module::load(two.copy, two.inspection);
    REQUIRE_FALSE(clash.has_value());
    CHECK(clash.error().id == "app.library_clash");
    const std::string& message = clash.error().message;
    for (const TemporaryFolder* each : {&here, &there}) {
      CHECK_MESSAGE(message.find(each->path() / "libbeside_inner.so") != std::string::npos,
                    message);
    }
  }
  const auto alone = Module::load(two.copy, two.inspection);
  CHECK_MESSAGE(alone.has_value(), alone.error().message);
}

}  // namespace
}  // namespace sonicorn::app
