"""Program of the sandboxed process: imports once, then runs each program in a forked child of its own.

It is sent to the process as text and uses the standard library alone. It reads lines of JSON from its standard input
(first the configuration, then one request a line) and answers each with a line of JSON on its standard output.
The audit hook guards against accidents and careless code; the isolation around the process is the boundary.
"""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
import random
import select
import signal
import sys
import time
import types
import warnings
from collections.abc import Callable
from typing import Any

FORBIDDEN = (
    "_thread.start_new_thread", "ctypes.", "ftplib.", "http.client.", "imaplib.", "nntplib.", "os.chflags", "os.chmod",
    "os.chown", "os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.link", "os.lockf", "os.mkdir",
    "os.posix_spawn", "os.putenv", "os.remove", "os.removexattr", "os.rename", "os.rmdir", "os.setxattr", "os.spawn",
    "os.startfile", "os.symlink", "os.system", "os.truncate", "os.utime", "poplib.", "pty.spawn", "resource.setrlimit",
    "shutil.", "signal.pthread_kill", "smtplib.", "socket.", "subprocess.", "syslog.", "telnetlib.", "tempfile.",
    "urllib.Request", "webbrowser.", "winreg.",
)  # fmt: skip
ALLOWED_WHILE_IMPORTING = ("_thread.start_new_thread", "ctypes.", "os.putenv", "socket.gethostname", "socket.__new__")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class TooLong(BaseException):
    """The time of a program is over."""


class TooMuch(BaseException):
    """A program printed more than it may."""


class Guard:
    """An audit hook that refuses, and remembers that it did: a program cannot hide it by catching the exception."""

    def __init__(self, readable: list[str] | None) -> None:
        self.mode = "off"
        self.refused = ""
        self._readable = readable
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.mode == "off":
            return
        if event == "open":
            self._opening(*args[:3])
        elif event == "sqlite3.connect":
            if args[0] != ":memory:":
                self.refuse(f"opening the database {args[0]!r}")
        elif event in ("os.listdir", "os.scandir"):
            self._reading(args[0])
        elif event.startswith(FORBIDDEN) and not (self.mode == "import" and event.startswith(ALLOWED_WHILE_IMPORTING)):
            self.refuse(event)

    def _opening(self, path: Any, mode: str | None, flags: int | None) -> None:
        writes = (flags or 0) & WRITING if mode is None else set(mode) & set("wax+")
        if writes and path != os.devnull:
            self.refuse(f"writing to {path!r}")
        self._reading(path)

    def _reading(self, path: Any) -> None:
        if self._readable is None or isinstance(path, int) or path is None:
            return
        full = os.path.realpath(os.fsdecode(path))
        if not any(full == root or full.startswith(root.rstrip(os.sep) + os.sep) for root in self._readable):
            self.refuse(f"reading {os.fsdecode(path)!r}")

    def refuse(self, what: str) -> None:
        """Remember the first thing that was refused, and raise."""
        self.refused = self.refused or what
        raise PermissionError(f"refused in the sandbox: {what}")


class Printed(io.StringIO):
    """Standard output in memory, with a limit in characters."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._size = 0

    def write(self, text: str) -> int:
        self._size += len(text)
        if self._size > self._limit:
            raise TooMuch
        return super().write(text)


def run_imports(names: list[str], seconds: float, guard: Guard) -> dict[str, Any]:
    """Import the modules; the answer names what went wrong, if anything did."""
    printed = sys.stdout = Printed(10_000)
    warnings.simplefilter("ignore")
    set_alarm(signal.ITIMER_REAL, signal.SIGALRM, seconds)
    guard.mode = "import"
    name = error = message = ""
    try:
        for name in names:
            importlib.import_module(name)
    except BaseException as problem:  # noqa: BLE001 - a module may raise anything, SystemExit too
        missing = isinstance(problem, ModuleNotFoundError) and problem.name == name
        error = "Missing" if missing else "Timeout" if isinstance(problem, TooLong) else type(problem).__name__
        message = str(problem)[:300]
    guard.mode = "off"
    set_alarm(signal.ITIMER_REAL, signal.SIGALRM, 0)
    sys.stdout = sys.__stdout__
    if guard.refused and error:
        error, message = "Refused", guard.refused
    guard.refused = ""
    return {"name": name, "error": error, "message": message, "printed": printed.getvalue()[:200]}


def forbid_threads(guard: Guard) -> None:
    """Have every way to start a thread refused: before Python 3.13 no audit event tells of it."""
    import _thread
    import threading

    def refuse(*_: object, **__: object) -> None:
        guard.refuse("starting a thread")

    for module in (_thread, threading):
        for name in ("start_new_thread", "start_new", "start_joinable_thread"):
            for spelling in (name, "_" + name):
                if hasattr(module, spelling):
                    setattr(module, spelling, refuse)


def set_alarm(timer: int, number: int, seconds: float) -> None:
    """Raise :class:`TooLong` in this process after so many seconds of the timer; 0 ends the alarm."""

    def ring(*_: object) -> None:
        raise TooLong

    signal.signal(number, ring)
    signal.setitimer(timer, seconds)


def set_limits(seconds: float, memory_mb: int) -> None:
    """Limit CPU time, memory beyond what is in use already, and file sizes; no core files."""
    import resource

    cpu = int(seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return
    limit = used + memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def execute(code: str, argv: list[str], guard: Guard, output_bytes: int) -> dict[str, Any]:
    """Run a program in this process as a notebook cell and say what came out."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["program", *argv]
    printed = sys.stdout = Printed(output_bytes)
    sys.stderr = io.StringIO()
    result = error = message = ""
    line = None
    guard.mode = "program"
    try:
        tree = ast.parse(code, "<program>")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<program>", "exec"), vars(module))
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<program>", "eval"), vars(module))
            result = "" if value is None else repr(value)
            if len(result) > output_bytes:
                raise TooMuch
    except BaseException as problem:  # noqa: BLE001 - a program may raise anything
        names = {TooLong: "Timeout", TooMuch: "OutputLimit"}
        error = names.get(type(problem), type(problem).__name__)
        message, line = describe(problem)
        result = ""
    guard.mode = "off"
    if guard.refused:
        error, message = "Refused", guard.refused
    return {"stdout": printed.getvalue(), "result": result, "error": error, "message": message, "line": line}


def describe(problem: BaseException) -> tuple[str, int | None]:
    """The text of an exception and the innermost line of the program that it passed."""
    try:
        message = str(problem)[:500]
    except BaseException:  # noqa: BLE001 - a program defines its exceptions
        message = ""
    line = problem.lineno if isinstance(problem, SyntaxError) else None
    trace = problem.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<program>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return message, line


def in_child(request: dict[str, Any], config: dict[str, Any], guard: Guard) -> dict[str, Any]:
    """What a forked child does: limits, then the program."""
    seconds = config["seconds"]
    random.seed(config["seed"])
    forbid_threads(guard)
    try:
        set_limits(seconds, config["memory_mb"])
        set_alarm(signal.ITIMER_PROF, signal.SIGPROF, seconds)
        set_alarm(signal.ITIMER_REAL, signal.SIGALRM, seconds * 3)
        answer = execute(request["code"], request["argv"], guard, config["output_bytes"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except MemoryError:
        return failure("MemoryError")
    except TooLong:
        return failure("Timeout")
    return answer


def failure(error: str, message: str = "") -> dict[str, Any]:
    """The answer where a program left none."""
    return {"stdout": "", "result": "", "error": error, "message": message, "line": None}


def fork_and_wait(request: dict[str, Any], config: dict[str, Any], guard: Guard, private: list[int]) -> dict[str, Any]:
    """Run a request in a forked child; whatever the child does, there is an answer in time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        for descriptor in private:
            os.close(descriptor)
        try:
            data = json.dumps(in_child(request, config, guard)).encode()
            while data:
                data = data[os.write(writing, data) :]
        finally:
            os._exit(0)
    os.close(writing)
    data, ended = collect(reading, time.monotonic() + config["seconds"] * 3 + 1, 8 * config["output_bytes"] + 100_000)
    os.close(reading)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    try:
        answer = json.loads(data)
        if ended and isinstance(answer, dict) and set(answer) == set(failure("")):
            return answer
    except ValueError:
        pass
    if not ended or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGPROF, signal.SIGALRM)):
        return failure("Timeout", "it was ended by force")
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
    return failure("Crash", f"the process ended without an answer ({number})")


def collect(descriptor: int, deadline: float, most: int) -> tuple[bytes, bool]:
    """Read until the end, the deadline or the limit; say whether the end was reached."""
    data = b""
    while len(data) <= most:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return data, False
        piece = os.read(descriptor, 65536)
        if not piece:
            return data, True
        data += piece
    return data, False


def serve() -> None:
    """Read the configuration, import, then answer requests until the input ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    config = json.loads(requests.readline())
    sys.path[:0] = config["paths"]
    guard = Guard(config["readable"])

    def answer(data: dict[str, Any]) -> None:
        line = json.dumps(data).encode() + b"\n"
        while line:
            line = line[os.write(answers, line) :]

    answer(run_imports(config["imports"], config["import_seconds"], guard))
    run: Callable[..., dict[str, Any]] = fork_and_wait
    for line in requests:
        request = json.loads(line)
        if config["fork"]:
            answer(run(request, config, guard, [answers, requests.fileno()]))
        else:
            answer(in_child(request, config, guard))
            return


if __name__ == "__main__":
    serve()
