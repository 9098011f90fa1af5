# SPDX-License-Identifier: Apache-2.0
"""What is served, and how fast the rest is refused, when far more is asked than can be served."""

import http.client
import threading
import time

from servers import BenchError, Servers

THREADS, QUEUE, SERVICE = 4, 16, 0.020  # seconds a call; so 200 requests a second
CAPACITY = THREADS / SERVICE
CLIENTS = 60


class Clients:
    """Keep-alive clients that ask at `rate` requests a second in all; 0: as fast as answers come."""

    def __init__(self, server, count, rate):
        self.served, self.refusals, self.faults = [], [], []
        self._server = server
        self._pause = count / rate if rate else 0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i * self._pause / count,))
                         for i in range(count)]

    def run(self, seconds):
        for thread in self._threads:
            thread.start()
        self._over.wait(seconds)
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self.faults:
            raise BenchError(f"{self._server.name}: {self.faults[0]}")
        return len(self.served) / seconds

    def _run(self, offset):
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
        due = time.monotonic() + offset
        try:
            while not self._over.wait(max(0, due - time.monotonic())):
                due += self._pause
                begun = time.monotonic()
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                took = time.monotonic() - begun
                if answer.status not in (200, 503):
                    raise BenchError(f"a request was answered with {answer.status}")
                (self.served if answer.status == 200 else self.refusals).append(took)
        except (OSError, http.client.HTTPException, BenchError) as fault:
            self.faults.append(f"{type(fault).__name__}: {fault}")
        finally:
            connection.close()


class Watch:
    """Within `with`: asks the operator's socket again and again; `times` has how long that took."""

    def __init__(self, server, targets):
        self.times = []
        self._server, self._targets = server, targets
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(0.1):
            for target in self._targets:
                self.times.append(Servers.operate(self._server, "GET", target))


def overload(make, seconds):
    """(goodput at capacity, goodput at three times that, refusal times, control times)."""
    with make() as server:
        peak = Clients(server, THREADS * 2, 0).run(min(seconds, 5))
        clients = Clients(server, CLIENTS, 3 * CAPACITY)
        with Watch(server, ("/readyz", "/status")) as watch:
            goodput = clients.run(seconds)
    if not clients.refusals or not watch.times:
        raise BenchError(f"{server.name}: nothing was refused, so it was no overload")
    return peak, goodput, clients.refusals, watch.times
