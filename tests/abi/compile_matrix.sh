#!/usr/bin/env bash
# Every public header compiles without a warning in every language that it is for, alone and with all the
# others, with each compiler that is installed.
# Usage: compile_matrix.sh INCLUDE_DIR
set -euo pipefail

include=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
checks=0
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

c_headers=$(cd "$include" && find sonicorn -name '*.h' | sort)
cpp_headers=$(cd "$include" && find sonicorn -name '*.hpp' | sort)

# compile COMPILER LANGUAGE STANDARD SOURCE
compile() {
  local compiler=$1 language=$2 standard=$3 source=$4
  checks=$((checks + 1))
  if ! "$compiler" -x "$language" "-std=$standard" -fsyntax-only "${warnings[@]}" -I"$include" \
    "$source"; then
    echo "FAILED: $compiler -std=$standard: $(head -1 "$source")"
    failures=$((failures + 1))
  fi
}

# compile_headers COMPILER LANGUAGE STANDARD EACH HEADER...: all together, twice over; each alone if EACH is 1.
compile_headers() {
  local compiler=$1 language=$2 standard=$3 each=$4 header
  shift 4
  for header in "$@" "$@"; do echo "#include <$header>"; done >"$work/all"
  compile "$compiler" "$language" "$standard" "$work/all"
  [[ $each == 1 ]] || return 0
  for header in "$@"; do
    echo "#include <$header>" >"$work/one"
    compile "$compiler" "$language" "$standard" "$work/one"
  done
}

# The name under which a compiler knows C++23, or nothing.
cpp23() {
  local standard
  for standard in c++23 c++2b; do
    if "$1" -x c++ "-std=$standard" -fsyntax-only /dev/null 2>/dev/null; then
      echo "$standard"
      return
    fi
  done
}

for pair in 'gcc g++' 'clang clang++' 'clang-14 clang++-14'; do
  read -r cc cxx <<<"$pair"
  command -v "$cc" "$cxx" >/dev/null || continue
  [[ $cc == clang-14 ]] && command -v clang >/dev/null && continue
  newest=$(cpp23 "$cxx")
  [[ -n $newest ]] || { echo "$cxx knows no C++23"; failures=$((failures + 1)); continue; }
  # Alone in the oldest and the newest standard of each language; together in all of them.
  for standard in c11 c17; do
    # shellcheck disable=SC2086
    compile_headers "$cc" c "$standard" "$([[ $standard == c11 ]] && echo 1 || echo 0)" $c_headers
  done
  for standard in c++17 c++20 "$newest"; do
    # shellcheck disable=SC2086
    compile_headers "$cxx" c++ "$standard" "$([[ $standard == c++17 ]] && echo 1 || echo 0)" $c_headers
  done
  for standard in c++20 "$newest"; do
    # shellcheck disable=SC2086
    compile_headers "$cxx" c++ "$standard" "$([[ $standard == c++20 ]] && echo 1 || echo 0)" $cpp_headers
    for app in "$(dirname "$0")"/apps/*.cpp; do compile "$cxx" c++ "$standard" "$app"; done
  done
  for standard in c11 c17; do
    for app in "$(dirname "$0")"/apps/*.c; do compile "$cc" c "$standard" "$app"; done
  done
  echo "$cc, $cxx up to $newest"
done

((checks > 0)) || { echo 'no pair of C and C++ compilers found'; exit 1; }
echo "$checks checks, $failures failed"
((failures == 0))
