# SPDX-License-Identifier: Apache-2.0
"""The measurements. Each starts its servers, bounds itself in time and returns numbers."""

import contextlib
import glob
import os
import re
import select
import socket
import statistics
import subprocess
import tempfile
import urllib.request
import time

from servers import MINIMAL_REQUEST, BenchError

SHORT_RUN, LONG_RUN = 2_000, 12_000  # requests; both multiples of the batch of 16
LOAD_SECONDS = 120
UNDER_TOOL_SECONDS = 60
CONNECTIONS = 1_000
# The first processor for the server, the last for the load.
CORES = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))


def run_load(servers, server, kind, count):
    """`count` requests over one connection; an error if any of them was not answered with a 200."""
    command = [servers.path("load"), str(server.port), kind, str(count), str(LOAD_SECONDS)]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False,
                            preexec_fn=lambda: os.sched_setaffinity(0, {CORES[1]}))
    if result.returncode != 0:
        why = result.stderr.strip() or f"no end of {count} requests within {LOAD_SECONDS} s"
        raise BenchError(f"{server.name}: {why}")


def instructions_per_request(servers, make, kind, waking=False, reloads=0):
    """Slope of two run lengths under callgrind, user space only: start and stop cancel out.

    Server and load share a processor, so that the next request is there whenever the server looks
    for it; `waking`: they have one each, and the server goes to sleep before every request.
    `reloads`: of the app, before the load.
    """
    counted = []
    for count in (SHORT_RUN, LONG_RUN):
        folder = tempfile.mkdtemp(dir=servers.path(""))
        wrapper = ["valgrind", "--tool=callgrind", "--trace-children=yes",
                   f"--callgrind-out-file={folder}/%p"]
        core = CORES[0] if waking else CORES[1]
        with make(wrapper=wrapper, core=core, seconds=UNDER_TOOL_SECONDS) as server:
            for _ in range(reloads):
                servers.reload(server)
            run_load(servers, server, kind, count)
        counted.append(sum(map(callgrind_total, glob.glob(f"{folder}/*"))))
    if counted[0] == 0:
        raise BenchError(f"{server.name}: callgrind counted nothing: {server.log_tail()}")
    return (counted[1] - counted[0]) / (LONG_RUN - SHORT_RUN)


def bus_messages_per_second(make):
    """What one publishing app gets through to one subscribing app, the best of three times."""
    best = 0.0
    with make() as server:
        for _ in range(3):
            url = f"http://127.0.0.1:{server.port}/publisher"
            with urllib.request.urlopen(url, timeout=LOAD_SECONDS) as answer:
                best = max(best, float(answer.read()))
    return best


def callgrind_total(path):
    with open(path, encoding="utf-8") as file:
        total = re.search(r"^totals: (\d+)", file.read(), re.M)
    return int(total[1]) if total else 0


def system_calls_per_request(servers, make, kind):
    """{name: calls per request}, slope of two run lengths under strace; rare ones are left out."""
    counted = [system_calls(servers, make, kind, count) for count in (SHORT_RUN, LONG_RUN)]
    slopes = {name: (calls - counted[0].get(name, 0)) / (LONG_RUN - SHORT_RUN)
              for name, calls in counted[1].items()}
    return {name: slope for name, slope in slopes.items() if slope >= 0.005}


def system_calls(servers, make, kind, count):
    out = os.path.join(tempfile.mkdtemp(dir=servers.path("")), "counts")
    os.mkfifo(out)
    counts = os.open(out, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # -D makes the server our child and strace its grandchild, whose end is the end of the fifo.
        wrapper = ["strace", "-D", "-f", "-c", "-U", "calls,name", "-o", out]
        with make(wrapper=wrapper, core=CORES[1], seconds=UNDER_TOOL_SECONDS) as server:
            run_load(servers, server, kind, count)
        text = b""
        while select.select([counts], [], [], UNDER_TOOL_SECONDS)[0]:
            piece = os.read(counts, 65536)
            if not piece:
                break
            text += piece
    finally:
        os.close(counts)
    found = re.findall(r"^\s*(\d+)\s+([a-z_0-9]+)\s*$", text.decode(), re.M)
    if not found:
        raise BenchError(f"{server.name}: strace counted nothing")
    return {name: int(calls) for calls, name in found if name != "total"}


class Sample:
    """One round of wrk against one server."""

    def __init__(self, requests_per_second, cpu_us, busy):
        self.requests_per_second = requests_per_second
        self.cpu_us = cpu_us
        self.busy = busy  # share of one core that the server used


def wrk_round(server, seconds, connections, script):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", "Host: x"]
    command += ["-s", script] if script else []
    cpu_before, begun = server.cpu_seconds(), time.monotonic()
    command.append(f"http://127.0.0.1:{server.port}/")
    output = subprocess.run(["taskset", "-c", str(CORES[1]), *command],
                            stdout=subprocess.PIPE, text=True, check=True,
                            timeout=seconds + LOAD_SECONDS).stdout
    if not server.alive():
        raise BenchError(f"{server.name} ended under load: {server.log_tail()}")
    cpu, elapsed = server.cpu_seconds() - cpu_before, time.monotonic() - begun
    requests = int(re.search(r"(\d+) requests in", output)[1])
    if requests == 0 or "Non-2xx" in output or "Socket errors" in output:
        raise BenchError(f"{server.name}: not every request succeeded:\n{output}")
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", output)[1])
    return Sample(rate, cpu / requests * 1e6, cpu / elapsed)


def throughput(contenders, *, rounds, seconds, connections):
    """{name: [Sample of each round]} of contenders (name, make, wrk script or None).

    The rounds are interleaved, and each begins with another contender.
    """
    samples = {name: [] for name, _, _ in contenders}
    with contextlib.ExitStack() as stack:
        running = [(name, stack.enter_context(make(core=CORES[0])), script)
                   for name, make, script in contenders]
        for turn in range(rounds):
            for at in range(len(running)):
                name, server, script = running[(turn + at) % len(running)]
                samples[name].append(wrk_round(server, seconds, connections, script))
    return samples


def ratio(samples, others, quantity):
    """Median of the ratios of each round: drift of the machine hits both sides of a round alike."""
    return statistics.median(getattr(mine, quantity) / getattr(other, quantity)
                             for mine, other in zip(samples, others))


def open_connection(server):
    """A connection that has had one request answered."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(MINIMAL_REQUEST.encode())
    answer = b""
    while not re.search(rb"\r\n\r\n.", answer, re.S):  # a body this short comes whole
        piece = connection.recv(4096)
        if not piece:
            raise BenchError(f"{server.name} closed a connection instead of answering")
        answer += piece
    return connection


def memory_per_connection(make):
    """Bytes of anonymous memory that one of CONNECTIONS idle keep-alive connections adds."""
    with make() as server, contextlib.ExitStack() as stack:
        for _ in range(10):  # what a server allocates once is not a connection's
            open_connection(server).close()
        before = server.anonymous_bytes()
        connections = [stack.enter_context(open_connection(server)) for _ in range(CONNECTIONS)]
        growth = server.anonymous_bytes() - before
        for connection in connections:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                if connection.recv(1) == b"":
                    raise BenchError(f"{server.name} closed an idle connection")
    return growth / CONNECTIONS
