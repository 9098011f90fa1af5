# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared: each a child process on a loopback port of its own."""

import contextlib
import ctypes
import http.client
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

HELLO = "Hello, world\n"
TEN_KILOBYTES = 10_000
MEGABYTE = 1_000_000
MINIMAL_REQUEST = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST_HEAD = f"POST / HTTP/1.1\r\nContent-Length: {MEGABYTE}\r\nHost: x\r\n\r\n"

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class BenchError(Exception):
    """A measurement could not be made; the text says why."""


class Server:
    """One child process with its descendants, pinned to `core` if given, stopped on leaving `with`.

    `port` None: the child prints "Listening on http://HOST:PORT" as its first such line.
    `seconds` bounds both the start and the stop.
    """

    def __init__(self, name, command, folder, *, core=None, port=None, fds=(), env=None,
                 seconds=15):
        self.name = name
        self.port = port
        self._command = command
        self._core = core
        self._fds = fds
        self._env = env
        self._seconds = seconds
        self._folder = folder
        self._log_path = None

    def __enter__(self):
        with tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".log", dir=self._folder,
                                         delete=False) as log:
            self._log_path = log.name
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                pass_fds=self._fds, env=self._env, preexec_fn=self._before_exec)
        for fd in self._fds:
            os.close(fd)
        try:
            if self.port is None:
                self.port = self._read_port()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _before_exec(self):
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})

    def _read_port(self):
        deadline = time.monotonic() + self._seconds
        output = self._process.stdout.fileno()
        text = ""
        while "\n" not in text.partition("Listening on http://")[2]:
            ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(output, 4096).decode(errors="replace") if ready else ""
            if not piece:
                why = "ended" if ready else f"did not listen within {self._seconds} s"
                raise BenchError(f"{self.name} {why}: {self.log_tail()}")
            text += piece
        return int(text.partition("Listening on http://")[2].split()[0].rsplit(":", 1)[1])

    def log_tail(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as log:
            lines = [line for line in log if not line.startswith("==")]  # "==": valgrind's own
        return "".join(lines)[-400:].strip() or "it wrote nothing to standard error"

    @property
    def pid(self):
        return self._process.pid

    def alive(self):
        return self._process.poll() is None

    def stop(self):
        """Asks it to end, and makes it when it does not within its time."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=self._seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate(timeout=self._seconds)

    def _processes(self):
        parents = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                    parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        family = [self.pid]
        for member in family:
            family.extend(pid for pid, parent in parents.items() if parent == member)
        return family

    def cpu_seconds(self):
        """User and system time of the process and its descendants."""
        ticks = 0
        for pid in self._processes():
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def anonymous_bytes(self):
        """Resident anonymous memory (heap and stacks) of the process and its descendants."""
        total = 0
        for pid in self._processes():
            with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))
        return total * 1024


class Servers:
    """Makes the servers of one run, not yet started; `wrapper` is a command to run one under."""

    def __init__(self, repository, build, folder):
        self._folder = folder
        self._binary = os.path.join(build, "bin", "sonicorn")
        self._hello = os.path.join(build, "apps", "hello.so")
        self._compile(repository)

    def _compile(self, repository):
        here = os.path.join(repository, "tests", "bench")
        compiler = os.environ.get("CC", "cc")
        for name in ("load", "paced", "raw_epoll", "raw_echo"):
            self._cc(compiler, os.path.join(here, f"{name}.c"), "-o", self.path(name))
        for app in ("bench_app", "filter_app", "bus_app", "slow_app"):
            self._cc(compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-fvisibility=hidden",
                     "-I" + os.path.join(repository, "plugin-sdk", "include"),
                     os.path.join(here, f"{app}.c"), "-o", self.path(f"{app}.so"))
        with open(self.path("ten_kilobytes"), "wb") as file:
            file.write(bytes(TEN_KILOBYTES))

    @staticmethod
    def _cc(compiler, *arguments):
        subprocess.run([compiler, "-std=c11", "-O2", *arguments], check=True)

    def path(self, name):
        return os.path.join(self._folder, name)

    def sonicorn(self, app=None, *, wrapper=(), **options):
        return self.sonicorn_of([app or self._hello], wrapper=wrapper, **options)

    def sonicorn_filtered(self, *, wrapper=(), **options):
        return self.sonicorn_of([self.path("filter_app.so"), self._hello], wrapper=wrapper,
                                **options)

    def sonicorn_with_bus(self, *, wrapper=(), **options):
        app = self.path("bus_app.so")
        return self.sonicorn_of([f"/subscriber={app}", f"/publisher={app}"], wrapper=wrapper,
                                **options)

    def sonicorn_slow(self, threads, queue, **options):
        """An app whose calls take 20 ms, on so many threads and with so many calls that wait."""
        configuration = os.path.join(tempfile.mkdtemp(dir=self._folder), "slow.toml")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(f"blocking_threads = {threads}\n[limits]\nqueue = {queue}\n")
        return self.sonicorn_of([self.path("slow_app.so"), "-c", configuration], **options)

    def sonicorn_of(self, apps, *, wrapper=(), **options):
        control = os.path.join(tempfile.mkdtemp(dir=self._folder), "control")
        command = [*wrapper, self._binary, "serve", *apps, "--bind", "127.0.0.1:0",
                   "--threads", "1", "--control", control]
        server = Server("sonicorn", command, self._folder, **options)
        server.control = control
        return server

    @staticmethod
    def operate(server, method, target):
        """Asks the operator's socket; returns the seconds to the answer, which must be a 200."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection("localhost", timeout=120)
        with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.connect(server.control)
            connection.request(method, target)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status != 200:
            raise BenchError(f"{server.name}: {method} {target}: {text.decode().strip()}")
        return time.monotonic() - begun

    def reload(self, server):
        """Has the server replace its app; returns the seconds from the command to its answer."""
        begun = time.monotonic()
        result = subprocess.run([self._binary, "reload", "--control", server.control, "hello"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                check=False, timeout=120)
        if result.returncode != 0:
            raise BenchError(f"{server.name} did not reload: {result.stderr.strip()}")
        return time.monotonic() - begun

    def raw_epoll(self, body_size=len(HELLO), *, wrapper=(), **options):
        command = [*wrapper, self.path("raw_epoll"), str(len(MINIMAL_REQUEST)), str(body_size)]
        return Server("raw_epoll", command, self._folder, **options)

    def raw_echo(self, **options):
        command = [self.path("raw_echo"), str(len(POST_HEAD)), str(MEGABYTE)]
        return Server("raw_echo", command, self._folder, **options)

    def nginx(self, *, static=False, wrapper=(), **options):
        """One worker in a prefix of its own; it inherits its socket, so that no port is guessed.

        nginx takes the socket for its own only if the configuration names its address, and may read
        that when another is already being made; so two of a kind cannot share a prefix.
        """
        prefix = tempfile.mkdtemp(prefix="nginx-", dir=self._folder)
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        port = listener.getsockname()[1]
        fd = listener.detach()
        answer = (f"root {self._folder}; try_files /ten_kilobytes =404;" if static
                  else f'return 200 "{HELLO[:-1]}\\n";')
        with open(os.path.join(prefix, "nginx.conf"), "w", encoding="utf-8") as file:
            file.write(nginx_configuration(prefix, port, answer))
        command = [*wrapper, nginx_binary(), "-e", "stderr", "-p", prefix,
                   "-c", os.path.join(prefix, "nginx.conf")]
        return Server("nginx", command, self._folder, port=port, fds=(fd,),
                      env={**os.environ, "NGINX": f"{fd};"}, **options)


def nginx_binary():
    for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"):
        if os.access(os.path.join(folder, "nginx"), os.X_OK):
            return os.path.join(folder, "nginx")
    return None


def nginx_configuration(prefix, port, answer):
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""
        {user} daemon off; worker_processes 1;
        pid {prefix}/pid; error_log stderr warn;
        events {{ worker_connections 4096; }}
        http {{
          access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
          default_type text/plain;
          client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
          fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi;
          scgi_temp_path {prefix}/scgi;
          server {{ listen 127.0.0.1:{port}; location / {{ {answer} }} }}
        }}
    """
