#!/bin/sh
# Fuzzes briefly: run.sh TARGET CORPUS [SECONDS]. What it finds stays out of the source tree, but an input that
# fails is kept in the current folder and named in the output.
set -eu
target=$1
corpus=$2
seconds=${3:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$corpus/." "$work"
"$target" "$work" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=5 -print_final_stats=1 \
  -artifact_prefix="$PWD/$(basename "$target")-"
