#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An app that was built against ABI 1.0, and is kept as it was built, works in this build's server.

Usage: loads_abi_1_0.py SONICORN
SONICORN is the server's executable. Exit status 77: the kept app is not for this machine.
"""

import ctypes
import http.client
import json
import os
import platform
import select
import signal
import subprocess
import sys
import tempfile
import time

APP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures/abi-1.0/abi-1.0.so")
PATIENCE = 120  # seconds for what is expected to happen: sanitizers and a busy machine
SKIPPED = 77

# Of ABI 1.0, said here once more: the server's own list may grow.
ATTRIBUTES = """start load_state health ready on_request pre_request post_request on_disconnect
    on_websocket_open on_websocket_message on_websocket_close on_event thread_start thread_exit
    reload save_state drain shutdown describe""".split()
CAPABILITIES = """shutdown/1 drain/1 reload/1 state/1 request_events/1 events/1 streaming/1
    deferred/1 websocket/1 log/1 metrics/1 timer/1 background/1 bus/1 control/1
    thread_check/1""".split()

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

failures = 0


def check(holds, what):
    global failures
    if not holds:
        failures += 1
        print(f"FAILED: {what}")


def check_equal(found, expected, what):
    check(found == expected, f"{what}: {found!r}, expected {expected!r}")


def check_inspection(executable):
    result = subprocess.run([executable, "inspect", "--json", APP], stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=PATIENCE, check=False)
    check_equal(result.returncode, 0, "status of inspect")
    report = json.loads(result.stdout)
    check_equal(report["loadable"], True, "loadable")
    check_equal(report["reasons"], [], "reasons")
    check_equal(report["hazards"], [], "hazards")
    check_equal(report["abi"], "1.0", "abi")
    check_equal(report["name"], "abi-1.0", "name")
    check_equal(report["version"], "1.0", "version")
    check_equal(sorted(report["attributes"]), sorted(ATTRIBUTES), "attributes")
    check_equal(report["unknown_attributes"], [], "unknown attributes")
    check_equal(report["requires"], ["shutdown/1"], "requires")
    check_equal(sorted(report["uses"]), sorted(CAPABILITIES[1:]), "uses")
    check_equal(report["state_schema"], "abi/1.0", "state_schema")


class Server:
    """`sonicorn serve` of the app as a child process, killed on leaving `with` unless it ended."""

    def __init__(self, executable, folder):
        self.journal_path = os.path.join(folder, "journal")
        self._log_path = os.path.join(folder, "log")
        self._folder = folder
        self._executable = executable

    def __enter__(self):
        config = os.path.join(self._folder, "sonicorn.toml")
        runtime = os.path.join(self._folder, "runtime")
        os.mkdir(runtime)
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'bind = "127.0.0.1:0"\n[[app]]\nfile = "{APP}"\nmount = "/"\n'
                       f'settings = {{ journal = "{self.journal_path}" }}\n')
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                [self._executable, "serve", "-c", config], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env={**os.environ, "TMPDIR": runtime},
                preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        try:
            self.port = self._read_port()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read_port(self):
        deadline = time.monotonic() + PATIENCE
        text = b""
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self._process.stdout], [], [], left)[0]:
                break
            more = os.read(self._process.stdout.fileno(), 4096)
            if not more:
                break
            text += more
            for line in text.split(b"\n")[:-1]:
                if line.startswith(b"Listening on "):
                    return int(line.rstrip(b"/").rpartition(b":")[2])
        raise RuntimeError("the server does not listen")

    def ask(self, method, path, body=None):
        """The status, the header fields and the body of the answer to one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def stop(self):
        """The exit status after SIGTERM."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def log(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def journal(self):
        with open(self.journal_path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def check_answers(server):
    status, headers, body = server.ask("GET", "/")
    check_equal((status, headers["X-Abi"], body), (201, "1.0", b"released\n"), "GET /")
    status, _, body = server.ask("POST", "/echo?a=1", b"\0borrowed\xff" * 1000)
    check_equal((status, body), (200, b"\0borrowed\xff" * 1000), "POST /echo")
    status, _, _ = server.ask("GET", "/declined")
    check_equal(status, 404, "GET /declined")
    status, _, body = server.ask("GET", "/failed")
    check_equal(status, 500, "GET /failed")
    check(b"as 1.0 does" not in body, "the text of an error was sent to a client")

    status, headers, body = server.ask("GET", "/state")
    check_equal((status, headers["Content-Type"]), (200, "application/json"), "GET /state")
    state = json.loads(body)
    print(json.dumps(state))
    check(state["abi_minor"] >= 0, "abi_minor")
    check_equal(state["faults"], 0, "faults until /state")
    check_equal(state["counts"]["start"], 1, "calls of start")
    check_equal(state["counts"]["on_request"], 5, "calls of on_request")
    check_equal(state["counts"]["shutdown"], 0, "calls of shutdown before the stop")
    check_equal(sorted(state["capabilities"]), sorted(CAPABILITIES), "capabilities asked for")
    for delivered in ("shutdown/1", "drain/1", "reload/1", "request_events/1", "events/1", "log/1",
                      "metrics/1", "timer/1", "background/1", "bus/1", "control/1",
                      "thread_check/1"):
        check(state["capabilities"][delivered], f"{delivered} is NULL")


def check_journal(journal):
    calls = [line["call"] for line in journal if "call" in line]
    for line in journal:
        check("fault" not in line, f"the app found a broken promise: {line.get('fault')}")
    check_equal(calls.count("start"), 1, "calls of start")
    check_equal(calls[:1], ["start"], "the first call")
    check_equal(calls.count("on_request"), 5, "calls of on_request")
    check_equal(calls.count("body_release"), 1, "releases of the one body that has a release")
    for once in ("ready", "drain", "background_body", "background_end", "shutdown"):
        check_equal(calls.count(once), 1, f"calls of {once}")
    check_equal(calls.count("pre_request"), 5, "calls of pre_request")
    check_equal(calls.count("post_request"), 5, "calls of post_request")
    check("health" in calls[:calls.index("ready")], "no health before ready")
    check(calls.index("ready") < calls.index("on_request"), "a request before ready")
    check(calls.index("drain") < calls.index("shutdown"), "drain after shutdown")
    check("thread_start" in calls, "no thread_start")
    check_equal(calls.count("thread_exit"), calls.count("thread_start"), "calls of thread_exit")
    check("thread_exit" not in calls[calls.index("shutdown"):], "thread_exit after shutdown")
    check("on_request" not in calls[calls.index("shutdown"):], "a request after shutdown")
    threads = {line["thread"] for line in journal if line.get("call") in ("start", "shutdown")}
    check_equal(len(threads), 1, "threads of start and shutdown")
    ends = [line for line in journal if "reason" in line]
    check_equal(ends, [{"reason": 1, "signal": int(signal.SIGTERM), "faults": 0}], "the end")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    executable = sys.argv[1]
    if platform.machine() != "x86_64":
        print(f"the app of ABI 1.0 was built for x86_64; this is {platform.machine()}")
        sys.exit(SKIPPED)
    check_inspection(executable)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(executable, folder)
        try:
            with server:
                check_answers(server)
                check_equal(server.stop(), 0, "exit status after SIGTERM")
            check_journal(server.journal())
            check("an app of ABI 1.0 speaks" in server.log(), "log/1 wrote nothing")
            check("fails as 1.0 does" in server.log(), "the text of an error was not logged")
        finally:
            if failures or sys.exc_info()[0]:
                print("the server's log:", server.log(), sep="\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
