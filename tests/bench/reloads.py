# SPDX-License-Identifier: Apache-2.0
"""What reloads cost: their own time, and what a client sees of them."""

import os
import subprocess
import threading

from measures import CORES, LOAD_SECONDS
from servers import BenchError

INTERVAL_US = 250  # from one request to the next: 4,000 a second
PAUSE = 0.1  # seconds from one reload to the next


def reload_seconds(servers, make, count):
    """[seconds from the command to its answer] of `count` reloads of an idle server."""
    with make() as server:
        return [servers.reload(server) for _ in range(count)]


class Reloading:
    """Within `with`: reloads the server's app again and again; `times` has what each took."""

    def __init__(self, servers, server):
        self.times = []
        self._fault = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(servers, server))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault

    def _run(self, servers, server):
        try:
            while not self._over.wait(PAUSE):
                self.times.append(servers.operate(server, "POST", "/reload?app=hello"))
        except (BenchError, OSError, subprocess.SubprocessError) as fault:
            self._fault = fault


def p99_us(servers, server, seconds):
    """What 99 % of the requests of a round stayed within; none of them may have failed."""
    command = [servers.path("paced"), str(server.port), str(seconds * 1000), str(INTERVAL_US)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            check=False, timeout=seconds + LOAD_SECONDS,
                            preexec_fn=lambda: os.sched_setaffinity(0, {CORES[1]}))
    if result.returncode != 0:
        raise BenchError(f"{server.name}: {result.stderr.strip()}")
    return float(result.stdout.split()[2])


def latencies(servers, make, *, rounds, seconds):
    """[(p99 without, p99 with reloads)] of interleaved rounds, and the times of the reloads."""
    pairs, times = [], []
    with make(core=CORES[0]) as server:
        for _ in range(rounds):
            calm = p99_us(servers, server, seconds)
            with Reloading(servers, server) as reloading:
                busy = p99_us(servers, server, seconds)
            if not reloading.times:
                raise BenchError("no reload ended within a round; make it longer with --seconds")
            pairs.append((calm, busy))
            times += reloading.times
    return pairs, times
