#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the built server beside nginx and a raw epoll loop; README.md explains each number."""

import argparse
import functools
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import measures  # noqa: E402
import overload  # noqa: E402
import reloads  # noqa: E402
from servers import TEN_KILOBYTES, BenchError, Servers, nginx_binary  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
PARTS = ("instructions", "throughput", "memory", "syscalls", "bus", "reload", "overload")
REQUESTS = {"minimal": "minimal", "browser": "browser-like", "pipelined": "pipelined by 16"}
INSTRUCTION_TARGETS = {"minimal": 2_000, "browser": 5_500, "pipelined": 1_100}
MEMORY_TARGET = 1_024
FILTER_TARGET = 250
BUS_TARGET = 500_000
RELOADS = 20
RELOAD_TARGET_MS = 60
RELOAD_P99_TARGET = 1.5
RELOADABLE_TARGET = 40
OVERLOAD_SECONDS = 30
GOODPUT_TARGET = 0.9
REFUSAL_TARGET_MS = 50
CONTROL_TARGET_MS = 100


def verdict(met):
    return "met" if met else "MISSED"


class Bench:
    """One run: prints each part as it is measured, and remembers what could not be."""

    def __init__(self, servers, options):
        self.failures = []
        self._servers = servers
        self._options = options
        self._contenders = {"sonicorn": servers.sonicorn, "nginx": servers.nginx,
                            "raw loop": servers.raw_epoll}
        if nginx_binary() is None:
            print("nginx is left out: not installed, apt-get install nginx-light")
            del self._contenders["nginx"]

    def run(self, part):
        getattr(self, f"_{part}")()

    def _try(self, measure, *arguments, **named):
        """What `measure` returns, or None, and the reason is kept for the end."""
        try:
            return measure(*arguments, **named)
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            self.failures.append(str(error))
            return None

    @staticmethod
    def _lacks(tool, package):
        if shutil.which(tool) is None:
            print(f"  skipped: {tool} is not installed, apt-get install {package}")
            return True
        return False

    def _instructions(self):
        print("\nInstructions per request: user space, callgrind, slope of "
              f"{measures.SHORT_RUN:,} and {measures.LONG_RUN:,} requests over one connection;\n"
              "waking: the server sleeps before each request; else the next one is there already")
        if self._lacks("valgrind", "valgrind"):
            return
        columns = [*self._contenders.items(), ("sonicorn, waking", self._servers.sonicorn)]
        print(f"  {'request':<17}{'target':>7}" + "".join(f"{name:>18}" for name, _ in columns))
        for kind, target in INSTRUCTION_TARGETS.items():
            print(f"  {REQUESTS[kind]:<17}{target:>7,}", end="", flush=True)
            for name, make in columns:
                cell = self._instructions_cell(name, make, kind, target)
                print(f"{cell:>18}", end="", flush=True)
            print()
        plain = self._try(measures.instructions_per_request, self._servers,
                          self._servers.sonicorn, "minimal")
        filtered = self._try(measures.instructions_per_request, self._servers,
                             self._servers.sonicorn_filtered, "minimal")
        if plain is not None and filtered is not None:
            pair = filtered - plain
            print(f"  a pair of pre_request and post_request that do nothing: {pair:,.0f} more, "
                  f"target <= {FILTER_TARGET}: {verdict(pair <= FILTER_TARGET)}")

    def _instructions_cell(self, name, make, kind, target):
        if name == "raw loop" and kind == "browser":
            return "-"  # it counts bytes, and knows one size of request only
        value = self._try(measures.instructions_per_request, self._servers, make, kind,
                          waking=name.endswith("waking"))
        if value is None:
            return "failed"
        return f"{value:,.0f}" + (f" {verdict(value <= target)}" if name == "sonicorn" else "")

    def _throughput(self):
        print(f"\nCPU and requests/s: wrk, {self._options.rounds} interleaved rounds of "
              f"{self._options.seconds} s, median and best; ratios: median of the rounds' ratios;\n"
              "busy: share of its core that the server used (well below 100 %: wrk is the limit)")
        if self._lacks("wrk", "wrk") or self._lacks("taskset", "util-linux"):
            return
        for title, connections, contenders, targets in self._cases():
            samples = self._try(measures.throughput, contenders,
                                rounds=self._options.rounds, seconds=self._options.seconds,
                                connections=connections)
            if samples is None:
                print(f"  {title}: failed")
                continue
            print_samples(f"{title} ({connections} connections)", samples)
            for quantity, other, target in targets:
                print_target(samples, quantity, other, target)

    def _cases(self):
        """Yields (title, connections, [(name, make, script)], [(quantity, of whom, target)])."""
        servers = self._servers
        script = functools.partial(os.path.join, HERE)
        bench_app = functools.partial(servers.sonicorn, servers.path("bench_app.so"))
        plain = [(name, make, None) for name, make in self._contenders.items()]
        yield ("hello, 13 bytes", 64, plain,
               [("cpu_us", "nginx", 0.90), ("cpu_us", "raw loop", 1.05)])
        pipelined = [(name, make, script("pipelined.lua")) for name, make, _ in plain]
        unpipelined = [("nginx, one at a time", make, None) for name, make, _ in plain
                       if name == "nginx"]
        yield ("hello, pipelined by 16", 64, pipelined + unpipelined,
               [("requests_per_second", "nginx", 8.0),
                ("requests_per_second", "nginx, one at a time", 8.0)])
        ten_kilobytes = {"sonicorn": bench_app,
                         "nginx": functools.partial(servers.nginx, static=True),
                         "raw loop": functools.partial(servers.raw_epoll, TEN_KILOBYTES)}
        yield ("10 KB body, nginx: a static file", 64,
               [(name, ten_kilobytes[name], None) for name in self._contenders],
               [("cpu_us", "nginx", 0.65)])
        yield ("1 MB POST, echoed", 8,
               [("sonicorn", bench_app, script("post.lua")),
                ("raw loop, copying", servers.raw_echo, script("post.lua"))],
               [("cpu_us", "raw loop, copying", 1.3)])

    def _memory(self):
        print(f"\nMemory of an idle keep-alive connection: anonymous resident bytes, over "
              f"{measures.CONNECTIONS:,} connections that had one answer each")
        for name, make in self._contenders.items():
            value = self._try(measures.memory_per_connection, make)
            text = "failed" if value is None else f"{value:,.0f}"
            if value is not None and name == "sonicorn":
                text += f"  target <= {MEMORY_TARGET:,}: {verdict(value <= MEMORY_TARGET)}"
            print(f"  {name:<10}{text}", flush=True)

    def _bus(self):
        print("\nbus/1: messages a second from one publishing app to one subscribing app")
        rate = self._try(measures.bus_messages_per_second, self._servers.sonicorn_with_bus)
        if rate is not None:
            print(f"  {rate:,.0f}  target >= {BUS_TARGET:,}: {verdict(rate >= BUS_TARGET)}")

    def _reload(self):
        print(f"\nReload of hello: {RELOADS} in a row of an idle server, from `sonicorn reload` to its "
              "answer")
        times = self._try(reloads.reload_seconds, self._servers, self._servers.sonicorn, RELOADS)
        if times is not None:
            median = statistics.median(times) * 1000
            print(f"  median {median:.1f} ms, longest {max(times) * 1000:.1f} ms  target < "
                  f"{RELOAD_TARGET_MS} ms: {verdict(median < RELOAD_TARGET_MS)}", flush=True)
        self._latency_of_reloads()
        self._cost_of_reloads()

    def _latency_of_reloads(self):
        print(f"p99 of a client that asks every {reloads.INTERVAL_US} us while hello is replaced again "
              f"and again, {reloads.PAUSE * 1000:.0f} ms after the last time, beside rounds without")
        measured = self._try(reloads.latencies, self._servers, self._servers.sonicorn,
                             rounds=self._options.rounds, seconds=self._options.seconds)
        if measured is None:
            return
        pairs, times = measured
        ratio = statistics.median(busy / calm for calm, busy in pairs)
        calm, busy = (statistics.median(side) for side in zip(*pairs))
        print(f"  without {calm:,.0f} us, with {len(times)} reloads {busy:,.0f} us (each took "
              f"{statistics.median(times) * 1000:.0f} ms), ratio {ratio:.2f}  target <= "
              f"{RELOAD_P99_TARGET}: {verdict(ratio <= RELOAD_P99_TARGET)}", flush=True)

    def _cost_of_reloads(self):
        if self._lacks("valgrind", "valgrind"):
            return
        cost = [self._try(measures.instructions_per_request, self._servers,
                          self._servers.sonicorn, "minimal", reloads=count) for count in (0, 5)]
        if None not in cost:
            more = cost[1] - cost[0]
            print(f"  a request to an app that was replaced 5 times: {more:+,.0f} instructions, "
                  f"target <= {RELOADABLE_TARGET}: {verdict(more <= RELOADABLE_TARGET)}")

    def _overload(self):
        print(f"\nOverload: {OVERLOAD_SECONDS} s of three times what can be served, "
              f"{overload.CAPACITY:.0f} requests a second ({overload.THREADS} threads, "
              f"{overload.SERVICE * 1000:.0f} ms a call)")
        make = functools.partial(self._servers.sonicorn_slow, overload.THREADS, overload.QUEUE)
        measured = self._try(overload.overload, make, OVERLOAD_SECONDS)
        if measured is None:
            return
        peak, goodput, refusals, control = measured
        share = goodput / peak
        print(f"  served {goodput:.0f}/s of {peak:.0f}/s at the peak: {share:.0%}  target >= "
              f"{GOODPUT_TARGET:.0%}: {verdict(share >= GOODPUT_TARGET)}")
        for what, times, target in (("refusals", refusals, REFUSAL_TARGET_MS),
                                    ("health and control", control, CONTROL_TARGET_MS)):
            p99 = statistics.quantiles(times, n=100)[98] * 1000
            print(f"  {what}: {len(times):,}, p99 {p99:.1f} ms, longest {max(times) * 1000:.1f} ms  "
                  f"target p99 <= {target} ms: {verdict(p99 <= target)}", flush=True)

    def _syscalls(self):
        print("\nSystem calls per request: strace, the same slope")
        if self._lacks("strace", "strace"):
            return
        for kind in ("minimal", "pipelined"):
            for name, make in self._contenders.items():
                calls = self._try(measures.system_calls_per_request, self._servers, make, kind)
                text = "failed" if calls is None else f"{sum(calls.values()):.2f}: " + ", ".join(
                    f"{call} {calls[call]:.2f}" for call in sorted(calls))
                print(f"  {REQUESTS[kind]:<17}{name:<10}{text}", flush=True)


def print_samples(title, samples):
    unit = "nginx" if "nginx" in samples else list(samples)[-1]
    short = "x " + unit.split()[0]
    print(f"  {title:<50}{'req/s':>9}{'best':>10}{short:>8}{'CPU us':>9}{'best':>8}{short:>8}"
          f"{'busy':>6}")
    for name, rounds in samples.items():
        rates = [sample.requests_per_second for sample in rounds]
        cpu = [sample.cpu_us for sample in rounds]
        print(f"    {name:<48}{statistics.median(rates):>9,.0f}{max(rates):>10,.0f}"
              f"{measures.ratio(rounds, samples[unit], 'requests_per_second'):>8.2f}"
              f"{statistics.median(cpu):>9.2f}{min(cpu):>8.2f}"
              f"{measures.ratio(rounds, samples[unit], 'cpu_us'):>8.2f}"
              f"{statistics.median(sample.busy for sample in rounds):>6.0%}")


def print_target(samples, quantity, other, target):
    if other not in samples:
        return
    value = measures.ratio(samples["sonicorn"], samples[other], quantity)
    what, sign, met = (("CPU", "<=", value <= target) if quantity == "cpu_us" else
                       ("requests/s", ">=", value >= target))
    print(f"    -> {what} x {other}: {value:.2f}, target {sign} {target:.2f}: {verdict(met)}",
          flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(REPOSITORY, "build"), metavar="FOLDER",
                        help="where bin/sonicorn and apps/hello.so are (default: build)")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each throughput case (5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a round (2)")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    for file in ("bin/sonicorn", "apps/hello.so"):
        if not os.path.exists(os.path.join(options.build, file)):
            parser.error(f"{os.path.join(options.build, file)} is not there; run ./dev build first")
    return options


def allow_many_connections():
    """A thousand connections need more descriptors than the usual soft limit leaves a server."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main():
    options = parse_arguments()
    allow_many_connections()
    load = os.getloadavg()[0]
    print(f"Linux {platform.release()}, {len(os.sched_getaffinity(0))} processors, load {load:.1f}"
          + ("; the machine is not idle, trust instructions more than times" if load > 0.5 else ""))
    with tempfile.TemporaryDirectory(prefix="sonicorn-bench-") as folder:
        bench = Bench(Servers(REPOSITORY, os.path.abspath(options.build), folder), options)
        for part in options.only or PARTS:
            bench.run(part)
    for failure in dict.fromkeys(bench.failures):
        print(f"\nnot measured: {failure}")
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
