#!/usr/bin/env bash
# The SDK as an outsider meets it: installed alone, found by find_package, used in four lines of CMake, for
# an app in C, one in C++, and for every sample; the .so files are then looked at. Then its test host is used.
# Usage: outsider.sh SOURCE_DIR
set -euo pipefail

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset CFLAGS CXXFLAGS LDFLAGS Sonicorn_DIR Sonicorn_ROOT CMAKE_PREFIX_PATH

fail() {
  echo "FAILED: $*"
  exit 1
}

# build FOLDER NAME [ARGUMENT...]: configures and builds a project against the installed SDK alone.
build() {
  cmake -S "$1" -B "$work/build/$2" -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/sdk" \
    -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror" \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror" "${@:3}" >"$work/log" 2>&1 &&
    cmake --build "$work/build/$2" -j 2 >>"$work/log" 2>&1
}

# exports FILE: what it defines for others, a line each.
exports() { nm -D --defined-only "$1" | awk '{print $2, $3}' | sort; }

# examine FILE SYMBOL...: exactly these functions are exported, and nothing about the file is odd.
examine() {
  local file=$1 expected
  shift
  expected=$(printf 'T sonicorn_%s\n' "$@" | sort)
  [[ "$(exports "$file")" == "$expected" ]] || fail "$file exports $(exports "$file")"
  readelf -SW "$file" | grep >/dev/null '\.note\.sonicorn *NOTE' || fail "$file has no note"
  readelf -nW "$file" | grep >/dev/null 'Build ID' || fail "$file has no build-id"
  readelf -sW "$file" | grep >/dev/null UNIQUE && fail "$file has unique symbols"
  readelf -lW "$file" | grep GNU_STACK | grep >/dev/null 'RWE' && fail "$file has an executable stack"
  return 0
}

cmake -S "$source/plugin-sdk" -B "$work/sdk-build" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
cmake --install "$work/sdk-build" --prefix "$work/sdk" >"$work/log" 2>&1 || fail "$(cat "$work/log")"

mkdir "$work/in-cpp" "$work/in-c" "$work/misspelt" "$work/unmarked"
cat >"$work/in-cpp/CMakeLists.txt" <<'FILE'
cmake_minimum_required(VERSION 3.21)
project(in-cpp LANGUAGES CXX)
find_package(Sonicorn 1.0 REQUIRED)
sonicorn_add_app(in-cpp app.cpp VERSION 1.2 DESCRIPTION "Says \"hello\"; twice")
FILE
cat >"$work/in-cpp/app.cpp" <<'FILE'
#include <sonicorn/app.hpp>
#include <string>
template <class T> int& counter() { static int count = 0; return count; }
struct App {
  sonicorn::Response on_request(const sonicorn::Request&) {
    return sonicorn::Response::text(std::to_string(++counter<App>()));
  }
  void shutdown() {}
};
SONICORN_APP(App, on_request, shutdown)
FILE
cat >"$work/in-c/CMakeLists.txt" <<'FILE'
cmake_minimum_required(VERSION 3.21)
project(in-c LANGUAGES C)
find_package(Sonicorn 1.0 REQUIRED)
sonicorn_add_app(in-c app.c VERSION 1.2 DESCRIPTION "Says \"hello\"; twice")
FILE
cat >"$work/in-c/app.c" <<'FILE'
#include <sonicorn/sonicorn.h>
int visible_by_default(void);
int visible_by_default(void) { return 1; }
int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  (void)context, (void)state;
  return SONICORN_OK;
}
FILE
build "$work/in-cpp" in-cpp || fail "$(cat "$work/log")"
build "$work/in-c" in-c || fail "$(cat "$work/log")"
examine "$work/build/in-cpp/in-cpp.so" start on_request shutdown
examine "$work/build/in-c/in-c.so" health
for file in "$work/build/in-cpp/in-cpp.so" "$work/build/in-c/in-c.so"; do
  strings "$file" | grep -F >/dev/null '{"version": "1.2", "description": "Says \"hello\"; twice"}' ||
    fail "$file lacks the manifest of its build"
done

# A wrong export ends the build with what to do.
sed 's/in-c/misspelt/' "$work/in-c/CMakeLists.txt" >"$work/misspelt/CMakeLists.txt"
cat >"$work/misspelt/app.c" <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_EXPORT int32_t sonicorn_shutdwon(void);
int32_t sonicorn_shutdwon(void) { return 0; }
SONICORN_EXPORT int32_t sonicorn_banana;
int32_t sonicorn_banana = 1;
FILE
build "$work/misspelt" misspelt && fail 'a misspelt attribute was built'
grep -q 'sonicorn_shutdwon is not an attribute; did you mean sonicorn_shutdown?' "$work/log" ||
  fail "no remedy: $(cat "$work/log")"
grep -q 'sonicorn_banana is not an attribute; the prefix' "$work/log" ||
  fail "no remedy: $(cat "$work/log")"

# refuse NAME LANGUAGE MESSAGE [ARGUMENT]: the app on standard input is not built, and that is why.
refuse() {
  local name=$1 extension=c
  [[ $2 == CXX ]] && extension=cpp
  mkdir "$work/$name"
  printf '%s\n' 'cmake_minimum_required(VERSION 3.21)' "project($name LANGUAGES $2)" \
    'find_package(Sonicorn 1.0 REQUIRED)' "sonicorn_add_app($name app.$extension ${4-})" \
    >"$work/$name/CMakeLists.txt"
  cat >"$work/$name/app.$extension"
  build "$work/$name" "$name" && fail "$name was built"
  # CMake breaks long lines of a message.
  tr -s ' \n' '  ' <"$work/log" | grep -qF -- "$3" || fail "$name, no remedy: $(cat "$work/log")"
}

# The same where hidden visibility or C++'s names keep it out of the exports.
refuse misspelt-hidden C 'sonicorn_shutdwon is not an attribute; did you mean sonicorn_shutdown?' <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_ABI_MARK;
int32_t sonicorn_shutdwon(const sonicorn_context* context, void* state);
int32_t sonicorn_shutdwon(const sonicorn_context* context, void* state) {
  (void)context, (void)state;
  return SONICORN_OK;
}
FILE
refuse misspelt-mangled CXX 'sonicorn_shutdwon is not an attribute; did you mean sonicorn_shutdown?' <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_ABI_MARK;
int32_t sonicorn_shutdwon(const sonicorn_context*, void*) { return SONICORN_OK; }
FILE
refuse misspelt-extern-c CXX 'sonicorn_on_requst is not an attribute; did you mean sonicorn_on_request?' <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_ABI_MARK;
extern "C" int32_t sonicorn_on_requst(const sonicorn_context*, void*) { return SONICORN_OK; }
FILE
refuse undeclared-c C 'sonicorn_shutdown is not exported: include <sonicorn/sonicorn.h>' <<'FILE'
#include <sonicorn/manifest.h>
SONICORN_ABI_MARK;
int sonicorn_shutdown(const void* context, void* state);
int sonicorn_shutdown(const void* context, void* state) { return context == state; }
FILE
refuse undeclared-cpp CXX 'sonicorn_shutdown is not exported: include <sonicorn/sonicorn.h>' <<'FILE'
#include <sonicorn/manifest.h>
SONICORN_ABI_MARK;
int sonicorn_shutdown(const void* context, void* state) { return context == state; }
FILE
refuse contradiction C "its manifests give \"version\" as '2' and as '1.2; [a'" \
  'VERSION "1.2; [a" DESCRIPTION "Says \"hello\""' <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_MANIFEST({"name": "twice", "version": "2", "description": "Says \"hello\"", "uses": ["log/1"]});
FILE

# Static functions are the app's own.
mkdir "$work/static"
printf '%s\n' 'cmake_minimum_required(VERSION 3.21)' 'project(static LANGUAGES C)' \
  'find_package(Sonicorn 1.0 REQUIRED)' 'sonicorn_add_app(static app.c VERSION 2)' \
  >"$work/static/CMakeLists.txt"
cat >"$work/static/app.c" <<'FILE'
#include <sonicorn/sonicorn.h>
SONICORN_MANIFEST({"name": "static", "version": "2"});
__attribute__((noinline)) static int32_t sonicorn_lookup(const sonicorn_context* context) {
  return sonicorn_fail(context, "nothing to look up");
}
__attribute__((noinline)) static int32_t sonicorn_parse_all(const sonicorn_context* context) {
  return sonicorn_lookup(context);
}
int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  (void)state;
  return sonicorn_parse_all(context);
}
FILE
build "$work/static" static || fail "$(cat "$work/log")"
examine "$work/build/static/static.so" health

printf '%s\n' 'cmake_minimum_required(VERSION 3.21)' 'project(unmarked LANGUAGES C)' \
  'find_package(Sonicorn 1.0 REQUIRED)' 'sonicorn_add_app(unmarked app.c)' \
  >"$work/unmarked/CMakeLists.txt"
cp "$work/in-c/app.c" "$work/unmarked/app.c"
build "$work/unmarked" unmarked && fail 'an app without an ABI mark was built'
grep -q 'it has no ABI mark' "$work/log" || fail "no remedy: $(cat "$work/log")"

# Samples and plugins are projects of their own.
for folder in "$source"/samples/*/ "$source"/plugins/*/; do
  name=$(basename "$folder")
  cp -r "$folder" "$work/sample-$name"
  build "$work/sample-$name" "$name" || fail "$name: $(cat "$work/log")"
  readelf -sW "$work/build/$name/$name.so" | grep >/dev/null UNIQUE && fail "$name has unique symbols"
  exports "$work/build/$name/$name.so" | grep -v '^T sonicorn_' && fail "$name exports more"
  echo "$name built"
done
examine "$work/build/hello-c/hello-c.so" on_request
examine "$work/build/hello/hello.so" start on_request
examine "$work/build/background-thread/background-thread.so" start on_request shutdown
examine "$work/build/todo/todo.so" start on_request shutdown
examine "$work/build/auth-filter/auth-filter.so" start pre_request post_request shutdown
examine "$work/build/greeter/greeter.so" start on_request on_event
examine "$work/build/picky/picky.so" on_request
examine "$work/build/start-page/start-page.so" start on_request

# The test host comes with the SDK: for a test in any framework, here none.
mkdir "$work/tested"
cat >"$work/tested/CMakeLists.txt" <<'FILE'
cmake_minimum_required(VERSION 3.21)
project(tested LANGUAGES CXX)
find_package(Sonicorn 1.0 REQUIRED COMPONENTS testing)
sonicorn_add_app(tested tested.cpp)
enable_testing()
add_executable(tested-test test.cpp tested.cpp)
target_link_libraries(tested-test PRIVATE Sonicorn::testing)
add_test(NAME tested COMMAND tested-test $<TARGET_FILE:tested>)
FILE
cat >"$work/tested/tested.cpp" <<'FILE'
#include <sonicorn/app.hpp>
namespace {
struct App {
  sonicorn::Response on_request(const sonicorn::Request&) { return sonicorn::Response::text("hi"); }
  void shutdown() {}
};
}  // namespace
SONICORN_APP(App, on_request, shutdown)
FILE
cat >"$work/tested/test.cpp" <<'FILE'
#include <cstdio>
#include <sonicorn/app.hpp>
#include <sonicorn/testing/test_host.hpp>

struct Other {
  sonicorn::Response on_request() { return sonicorn::Response::text("other"); }
};

static bool serves(sonicorn::testing::App app, const char* body) {
  return app.start() && app.get("/").body == body && app.shutdown();
}

int main(int, char** arguments) {
  sonicorn::testing::Host host;
  const bool right = serves(host.load(arguments[1]), "hi") && serves(host.link(), "hi") &&
                     serves(host.link<Other>(), "other");
  std::puts(right ? "right" : "wrong");
  return right ? 0 : 1;
}
FILE
build "$work/tested" tested -DCMAKE_BUILD_TYPE=Debug || fail "$(cat "$work/log")"
ctest --test-dir "$work/build/tested" --no-tests=error --output-on-failure >"$work/log" 2>&1 ||
  fail "$(cat "$work/log")"

# The tests of the samples are an outsider's, too; this one is of a project in C.
build "$work/sample-hello-c" hello-c-tested -DSONICORN_TESTS=ON -DCMAKE_BUILD_TYPE=Debug || fail "$(cat "$work/log")"
ctest --test-dir "$work/build/hello-c-tested" --no-tests=error --output-on-failure >"$work/log" 2>&1 ||
  fail "$(cat "$work/log")"
echo 'passed'
