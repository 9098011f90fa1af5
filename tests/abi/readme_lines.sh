#!/usr/bin/env bash
# The SDK's README tells the truth: its two apps are built by its two compiler lines, as they stand there.
# Usage: readme_lines.sh SOURCE_DIR
set -euo pipefail

source=$1
readme=$source/plugin-sdk/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "FAILED: $*"
  exit 1
}

# block LANGUAGE PATTERN: the code block of that language with a line that matches.
block() {
  awk -v open="^\`\`\`$1\$" -v wanted="$2" '
    $0 ~ open { inside = 1; text = ""; next }
    /^```$/ && inside { inside = 0; if (text ~ wanted) { printf "%s", text; exit } next }
    inside { text = text $0 "\n" }' "$readme"
}

# check FILE SYMBOL...: exactly these functions, none of them unique, and the mark.
check() {
  local file=$1 symbol
  shift
  for symbol in "$@"; do
    nm -D --defined-only "$file" | grep >/dev/null " T sonicorn_$symbol\$" || fail "$file: no $symbol"
  done
  [[ $(nm -D --defined-only "$file" | grep -c ' sonicorn_') == "$#" ]] || fail "$file exports others"
  nm -D "$file" | grep ' u ' && fail "$file has unique symbols"
  readelf -SW "$file" | grep >/dev/null '\.note\.sonicorn' || fail "$file has no mark"
}

ln -s "$source/plugin-sdk" "$work/plugin-sdk"
cd "$work"

block c 'sonicorn_on_request' >hello.c
line=$(block sh '^cc ')
[[ -s hello.c && -n $line ]] || fail 'no app in C, or no line for it, in the README'
bash -euc "$line" || fail "$line"
check hello.so on_request
rm hello.so

block cpp 'SONICORN_APP' >hello.cpp
line=$(block sh '^g[+][+] ')
[[ -s hello.cpp && -n $line ]] || fail 'no app in C++, or no line for it, in the README'
bash -euc "$line" || fail "$line"
check hello.so start on_request shutdown

# What the header itself makes is not unique even without the flag for it.
bash -euc "${line//-fno-gnu-unique/}" || fail 'without -fno-gnu-unique'
nm -DC hello.so | grep ' u .*sonicorn' && fail 'the SDK makes unique symbols'

# The table of attributes is the header's list.
while read -r attribute; do
  grep -q "^| \`$attribute\` |" "$readme" || fail "$attribute is not in the README's table"
done < <(sed -n 's/^  X(\([a-z_]*\)).*/\1/p' "$source/plugin-sdk/include/sonicorn/attributes.h")
echo 'passed'
