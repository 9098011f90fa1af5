#!/usr/bin/env python3
"""Runs a command that, with all that it starts, stands still for a moment again and again, as on a machine that is
busy or paused: what a test, or the server, takes for granted about time shows. Needs root and version 2 of cgroups."""
import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def cgroup_root():
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.procs").exists() and (folder / "cgroup.controllers").exists():
            return folder
    sys.exit("stalls.py: no cgroup2 file system at /sys/fs/cgroup; mount one, or run this where systemd does")


def join(group):
    (group / "cgroup.procs").write_text(str(os.getpid()))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the moments; printed")
    parser.add_argument("--every", type=float, default=5,
                        help="seconds between two standstills, about (default %(default)s)")
    parser.add_argument("--least", type=float, default=0.3, help="seconds of the shortest (default %(default)s)")
    parser.add_argument("--most", type=float, default=2, help="seconds of the longest (default %(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run, as in ctest --test-dir build-test")
    given = parser.parse_args()
    if not given.command:
        parser.error("there is no command to run")
    return given


def main():
    given = arguments()
    chance = random.Random(given.seed)
    group = Path(tempfile.mkdtemp(prefix="stalls-", dir=cgroup_root()))
    count = 0
    try:
        child = subprocess.Popen(given.command, preexec_fn=lambda: join(group))
        while True:
            try:
                child.wait(chance.uniform(0.5, 1.5) * given.every)
                break
            except subprocess.TimeoutExpired:
                (group / "cgroup.freeze").write_text("1")
                time.sleep(chance.uniform(given.least, given.most))
                (group / "cgroup.freeze").write_text("0")
                count += 1
    finally:
        (group / "cgroup.freeze").write_text("0")
        left = (group / "cgroup.procs").read_text().split()
        print(f"stalls.py: {count} standstills, seed {given.seed}"
              + (f"; left over: {' '.join(left)}" if left else ""), file=sys.stderr)
        if not left:
            os.rmdir(group)
    sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


if __name__ == "__main__":
    main()
