#!/usr/bin/env bash
# Mistakes with SONICORN_APP must not compile, and the first thing said must be what to do.
# Usage: teaching_errors.sh INCLUDE_DIR
set -euo pipefail

include=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
checks=0

compilers=()
for candidate in g++ clang++ clang++-14; do
  if command -v "$candidate" >/dev/null; then
    # clang++ and clang++-14 are often one program.
    case " ${compilers[*]} " in *" clang++ "*) [[ $candidate == clang++-14 ]] && continue ;; esac
    compilers+=("$candidate")
  fi
done

# expect NAME MESSAGE ERRORS: the source on standard input gives MESSAGE and at most ERRORS errors.
expect() {
  local name=$1 message=$2 most=$3 compiler output errors
  { echo '#include <sonicorn/app.hpp>'; cat; } >"$work/case.cpp"
  for compiler in "${compilers[@]}"; do
    checks=$((checks + 1))
    if output=$("$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -I"$include" \
      "$work/case.cpp" 2>&1); then
      echo "$name ($compiler): compiled, but should not"
      failures=$((failures + 1))
      continue
    fi
    errors=$(grep -c ' error: ' <<<"$output" || true)
    if ! grep -qF -- "$message" <<<"$output"; then
      echo "$name ($compiler): does not say: $message"
      echo "$output"
      failures=$((failures + 1))
    elif ((errors > most)); then
      echo "$name ($compiler): $errors errors where $most say it"
      echo "$output"
      failures=$((failures + 1))
    fi
  done
}

# accept NAME: the source on standard input compiles without a warning.
accept() {
  local name=$1 compiler
  { echo '#include <sonicorn/app.hpp>'; cat; } >"$work/case.cpp"
  for compiler in "${compilers[@]}"; do
    checks=$((checks + 1))
    if ! "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
      -Werror -I"$include" "$work/case.cpp"; then
      echo "$name ($compiler): should compile"
      failures=$((failures + 1))
    fi
  done
}

expect 'listed without a member' \
  "SONICORN_APP: 'shutdown' is listed but Hello has no such member" 1 <<'CASE'
struct Hello { sonicorn::Response on_request(const sonicorn::Request&); };
SONICORN_APP(Hello, on_request, shutdown)
CASE

expect 'the shape is in the message' 'void shutdown(const sonicorn::Shutdown& why);' 1 <<'CASE'
struct Hello {};
SONICORN_APP(Hello, shutdown)
CASE

expect 'misspelt' \
  "SONICORN_APP: 'shutdwon' is not an attribute; did you mean 'shutdown'? The attributes are: start" \
  1 <<'CASE'
struct Hello { void shutdown(); };
SONICORN_APP(Hello, shutdwon)
CASE

expect 'misspelt beside a right one' "'on_requst' is not an attribute; did you mean 'on_request'?" \
  1 <<'CASE'
struct Hello { void shutdown(); };
SONICORN_APP(Hello, shutdown, on_requst)
CASE

expect 'nothing like an attribute' "SONICORN_APP: 'banana' is not an attribute; the attributes are:" \
  1 <<'CASE'
struct Hello {};
SONICORN_APP(Hello, banana)
CASE

expect 'not listed' \
  "SONICORN_APP: Hello has a member 'shutdown' that is not listed" 1 <<'CASE'
struct Hello {
  sonicorn::Response on_request(const sonicorn::Request&);
  void shutdown(const sonicorn::Shutdown&);
};
SONICORN_APP(Hello, on_request)
CASE

expect 'not listed and overloaded' "has a member 'drain' that is not listed" 1 <<'CASE'
struct Hello { void drain(); void drain(int); };
SONICORN_APP(Hello)
CASE

expect 'not listed and private' "has a member 'reload' that is not listed" 1 <<'CASE'
class Hello { void reload(); };
SONICORN_APP(Hello)
CASE

expect 'not listed and inherited' "has a member 'health' that is not listed" 1 <<'CASE'
struct Base { void health(); };
struct Hello : Base {};
SONICORN_APP(Hello)
CASE

# Its private and overloaded members could not be found.
for members in 'void shutdown();' 'void shutdown(); void shutdown(int);' 'private: void shutdown();' ''; do
  expect "a final class { $members }" 'SONICORN_APP: Hello must not be final' 1 <<CASE
struct Hello final { $members };
SONICORN_APP(Hello)
CASE
done

expect 'a final class with a listed member' 'SONICORN_APP: Hello must not be final' 1 <<'CASE'
struct Hello final { void shutdown(); };
SONICORN_APP(Hello, shutdown)
CASE

# Two: the compiler also says that there are two functions.
expect 'listed twice' "SONICORN_APP: 'shutdown' is listed twice for Hello" 2 <<'CASE'
struct Hello { void shutdown(); void health(); };
SONICORN_APP(Hello, shutdown, health, shutdown)
CASE

expect 'start listed' "SONICORN_APP: do not list 'start': the constructor of Hello" 1 <<'CASE'
struct Hello {};
SONICORN_APP(Hello, start)
CASE

expect 'start as a member' 'Hello::start would never be called: the constructor' 1 <<'CASE'
struct Hello { void start(); };
SONICORN_APP(Hello)
CASE

expect 'wrong parameter' \
  'SONICORN_APP: Hello::on_request cannot be called as the attribute is' 1 <<'CASE'
struct Hello { sonicorn::Response on_request(std::string); };
SONICORN_APP(Hello, on_request)
CASE

expect 'wrong result' 'Hello::on_request cannot be called as the attribute is' 1 <<'CASE'
struct Hello { std::string on_request(const sonicorn::Request&); };
SONICORN_APP(Hello, on_request)
CASE

expect 'a bool does not say what it means' 'Hello::drain cannot be called as the attribute is' \
  1 <<'CASE'
struct Hello { bool drain(); };
SONICORN_APP(Hello, drain)
CASE

expect 'listed but private' 'Hello::shutdown cannot be called as the attribute is; it must be public' \
  1 <<'CASE'
class Hello { void shutdown(); };
SONICORN_APP(Hello, shutdown)
CASE

expect 'no usable constructor' 'SONICORN_APP: the server cannot make a Hello' 1 <<'CASE'
struct Hello { explicit Hello(int); };
SONICORN_APP(Hello)
CASE

# Two: the compiler also names the function that is missing.
expect 'abstract' 'SONICORN_APP: the server cannot make a Hello' 2 <<'CASE'
struct Hello { virtual void f() = 0; virtual ~Hello() = default; };
SONICORN_APP(Hello)
CASE

expect 'table of no capability' 'T is the table of no capability' 9 <<'CASE'
struct Mine {};
const Mine* find(sonicorn::Server& server) { return server.capability<Mine>(); }
CASE

# The text of an array on the stack is gone when the answer is sent.
expect 'borrowing the stack' 'constant' 9 <<'CASE'
sonicorn::Response answer() {
  const char text[] = "gone";
  return sonicorn::Response::text(text);
}
CASE

accept 'nothing listed' <<'CASE'
struct Hello {};
SONICORN_APP(Hello)
CASE

accept 'in a namespace, with a semicolon, beside a manifest' <<'CASE'
SONICORN_MANIFEST({"name": "hello", "blocking": false});
namespace mine {
class Hello {
 public:
  explicit Hello(sonicorn::Server&) {}
  void shutdown() {}
};
}  // namespace mine
SONICORN_APP(mine::Hello, shutdown);
CASE

# export NAME SYMBOL...: the source on standard input, built as an app is, exports exactly these.
export_exactly() {
  local name=$1 compiler found expected
  shift
  expected=$(printf 'T sonicorn_%s\n' "$@" | sort)
  { echo '#include <sonicorn/app.hpp>'; cat; } >"$work/case.cpp"
  for compiler in "${compilers[@]}"; do
    checks=$((checks + 1))
    found=
    if "$compiler" -std=c++20 -shared -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -Wall \
      -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I"$include" "$work/case.cpp" \
      -o "$work/case.so"; then
      found=$(nm -D --defined-only "$work/case.so" | awk '$3 ~ /^sonicorn_/ {print $2, $3}' | sort)
    fi
    if [[ $found != "$expected" ]]; then
      echo "$name ($compiler): exports '$found', not '$expected'"
      failures=$((failures + 1))
    fi
  done
}

# Every attribute: each has a definition of its own, and GCC takes the header's visibility into no namespace.
app=$(dirname "$0")/apps/every_attribute.cpp
every=$(sed -n 's/^  X(\([a-z_]*\)).*/\1/p' "$include/sonicorn/attributes.h")
for where in '' 'namespace mine {' 'namespace mine::inner {' 'namespace {'; do
  # shellcheck disable=SC2086
  export_exactly "in '$where'" $every < <(
    grep '^#include' "$app"
    echo "$where"
    grep -v '^#include' "$app"
    [[ -z $where ]] || echo '}')
done

accept 'text that may be handed over' <<'CASE'
sonicorn::Response literal() { return sonicorn::Response::text("literal"); }
sonicorn::Response moved() { return sonicorn::Response::text(std::string(9000, 'x')); }
sonicorn::Response copied(std::string_view text) { return sonicorn::Response::text(text); }
sonicorn::Response buffer() {
  char text[8] = "abc";
  return sonicorn::Response::text(text);
}
CASE

((checks > 0)) || { echo 'no C++ compiler found'; exit 1; }
echo "$checks checks, $failures failed (${compilers[*]})"
((failures == 0))
