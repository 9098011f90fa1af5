#!/bin/bash
# The service is what it is said to be: systemd rates its exposure at 1.5 or less, and takes both units.
# Exit status 77: skipped, for there is no systemd to ask.
set -euo pipefail
cd "$(dirname "$0")/../host/supervisor"

if ! command -v systemd-analyze >/dev/null; then
  echo "skipped: systemd-analyze is not installed (apt-get install systemd)"
  exit 77
fi

# The threshold is in tenths.
rating=$(systemd-analyze security --no-pager --offline=true --threshold=15 sonicorn.service) || {
  echo "FAILED: $rating"
  exit 1
}
tail -n 1 <<<"$rating"

# The units are verified beside a server of their name: where they look for one is not where this is built.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s|^ExecStart=sonicorn|ExecStart=/bin/true|" sonicorn.service >"$work/sonicorn.service"
cp sonicorn.socket "$work"
complaints=$(systemd-analyze verify "$work/sonicorn.service" "$work/sonicorn.socket" 2>&1 |
  grep -F "$work" || true)
if [[ $complaints ]]; then
  echo "FAILED: $complaints"
  exit 1
fi
