# SPDX-License-Identifier: Apache-2.0
"""What reloads cost: their own time, and what a client sees of them."""

import re
import subprocess
import threading

from measures import CORES, LOAD_SECONDS
from servers import BenchError

CONNECTIONS = 4
PAUSE = 0.1  # seconds from one reload to the next
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


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
                self.times.append(servers.reload(server))
        except (BenchError, OSError, subprocess.SubprocessError) as fault:
            self._fault = fault


def p99_seconds(server, seconds):
    """What 99 % of the requests of a round of wrk stayed within; none of them may have failed."""
    command = ["taskset", "-c", str(CORES[1]), "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
               "--latency", f"http://127.0.0.1:{server.port}/"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                            timeout=seconds + LOAD_SECONDS).stdout
    found = re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise BenchError(f"{server.name}: not every request succeeded:\n{output}")
    return float(found[1]) * UNITS[found[2]]


def latencies(servers, make, *, rounds, seconds):
    """[(p99 without, p99 with reloads)] of interleaved rounds, and the times of the reloads."""
    pairs, times = [], []
    with make(core=CORES[0]) as server:
        for _ in range(rounds):
            calm = p99_seconds(server, seconds)
            with Reloading(servers, server) as reloading:
                busy = p99_seconds(server, seconds)
            if not reloading.times:
                raise BenchError("no reload ended within a round; make it longer with --seconds")
            pairs.append((calm, busy))
            times += reloading.times
    return pairs, times
