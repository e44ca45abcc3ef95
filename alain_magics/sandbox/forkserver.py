"""Program that runs inside the sandbox: import once, then run each program in a guarded child of its own.

It is sent to a fresh interpreter as text and uses the standard library alone. What were standard input and output
carry lines of JSON. In: the settings, then one line for each program. Out: ``{"state": "started"}``, then
``{"state": "ready"}`` or the reason why the imports failed; then for each program a line that says how its child ended
and how many bytes of report follow. A child can spoil its own report, but holds no pipe that this process answers on.
"""

from __future__ import annotations

import _thread
import gc
import importlib
import io
import json
import math
import os
import random
import select
import signal
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

PROGRAM = "<program>"
GRACE_SECONDS = 0.3
IMPORT_MEMORY_MB = 8192
MESSAGE_CHARACTERS = 2000
READ_BYTES = 1 << 16
UNLOADED = ("_dbm", "_gdbm", "readline")  # they write files and raise no audit event
DISARMED = {"_posixshmem": ("shm_open", "shm_unlink"), "os": ("mkfifo", "mknod"), "posix": ("mkfifo", "mknod")}


def make_guard(
    refuse: Callable[[str], NoReturn], readable: tuple[str, ...] | None, importing: list[bool] | None = None
) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook that calls ``refuse`` with the name of a forbidden action, before it happens.

    ``readable`` lists the folders that may be read, ``None`` for all. With ``importing``, the hook is on while that
    list is not empty, and leaves ctypes alone, through which modules load their libraries. What the hook uses are
    local names here, out of reach of a program that changes globals or attributes of modules.
    """
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    devices = (os.devnull, "/dev/urandom")
    forbidden = {
        "_thread.start_joinable_thread": "starting a thread",
        "_thread.start_new_thread": "starting a thread",
        "gc.get_objects": "listing all objects",
        "gc.get_referrers": "listing all objects",
        "pty.spawn": "starting a process",
        "resource.prlimit": "changing limits",
        "resource.setrlimit": "changing limits",
        "signal.pthread_kill": "sending a signal",
        "sqlite3.enable_load_extension": "loading a library",
        "sqlite3.load_extension": "loading a library",
        "sandbox.disarmed": "changing files",
        "subprocess.Popen": "starting a process",
        "webbrowser.open": "opening a browser",
    }
    forbidden |= dict.fromkeys(("os.kill", "os.killpg"), "sending a signal")
    for action in ("exec", "fork", "forkpty", "posix_spawn", "spawn", "startfile", "startfile/2", "system"):
        forbidden[f"os.{action}"] = "starting a process"
    for action in ("chflags", "chmod", "chown", "link", "lockf", "mkdir", "remove", "removexattr", "rename"):
        forbidden[f"os.{action}"] = "changing files"
    for action in ("rmdir", "setxattr", "symlink", "truncate", "utime"):
        forbidden[f"os.{action}"] = "changing files"
    areas = {
        "_winapi": "using Windows",
        "ctypes": "using ctypes",
        "socket": "using the network",
        "syslog": "writing to the system log",
        "winreg": "using Windows",
    }
    guarded, modules = frozenset((*UNLOADED, *DISARMED)), sys.modules
    fsdecode, plain, getcwd, separator, pardir = os.fsdecode, str.__str__, os.getcwd, os.sep, os.pardir
    join, normpath, normcase, realpath = os.path.join, os.path.normpath, os.path.normcase, os.path.realpath

    def reading(path: str) -> str:
        if readable is None:
            return ""
        full = join(getcwd(), path)
        full = normcase(realpath(full) if pardir in full else normpath(full))
        inside = any(full == folder or full.startswith(folder + separator) for folder in readable)
        return "" if inside else f"reading {path!r}"

    def judge(event: str, arguments: tuple[Any, ...]) -> str:
        if event in forbidden:
            return forbidden[event]
        if event in ("open", "os.listdir", "os.scandir"):
            if not isinstance(arguments[0], (str, bytes)):  # a descriptor, or the current folder
                return ""
            path = plain(fsdecode(arguments[0]))
            if path in devices:
                return ""
            if event == "open" and arguments[2] & writing:
                return f"opening {path!r} for writing"
            return reading(path)
        if event == "import":  # of a file, whose last name decides what is loaded; or of what may be there already
            name = arguments[0].rpartition(".")[2] if arguments[1] else arguments[0]
            return f"loading {name}" if name in guarded and (arguments[1] or name not in modules) else ""
        if event == "sqlite3.connect":  # a database in memory too can attach files
            in_memory = type(arguments[0]) is str and arguments[0] == ":memory:"
            return "" if in_memory and readable is None else "opening a database"
        area = event.partition(".")[0]
        if area == "ctypes" and (importing is not None or arguments == (None,)):
            return ""  # importing ctypes opens Python itself, as numpy does
        return "" if event == "socket.gethostname" else areas.get(area, "")

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        if (importing is None or importing) and (what := judge(event, arguments)):
            refuse(what)

    return guard


class Capture(io.BytesIO):
    """Standard output in memory; ``overflow`` is called when more than ``limit`` bytes are written."""

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        super().__init__()
        self.limit = limit
        self.overflow = overflow

    def write(self, data: Any) -> int:
        """Keep what fits."""
        data = bytes(data)
        room = self.limit - self.tell()
        written = super().write(data[: max(room, 0)])
        if len(data) > room:
            self.overflow()
        return written

    def close(self) -> None:
        """Keep what was printed when the program closes its output."""


def disarm() -> None:
    """Put what changes files unheard out of reach; whoever tries to import some modules finds them not installed."""

    def disarmed(*_: Any, **__: Any) -> NoReturn:
        sys.audit("sandbox.disarmed")
        raise PermissionError("not in the sandbox")

    sys.modules.update(dict.fromkeys(UNLOADED))  # type: ignore[arg-type]
    for module, names in DISARMED.items():
        with suppress(ImportError):
            loaded = importlib.import_module(module)
            for name in names:
                if hasattr(loaded, name):
                    os.supports_dir_fd.discard(getattr(loaded, name))
                    setattr(loaded, name, disarmed)


def announce_threads() -> None:
    """Have starting a thread raise the audit event that Python raises itself since 3.12."""
    start = _thread.start_new_thread

    def announced(*arguments: Any) -> int:
        sys.audit("_thread.start_new_thread", *arguments)
        return start(*arguments)

    for module in (_thread, sys.modules.get("threading")):
        for name in ("start_new_thread", "start_new", "_start_new_thread"):
            if hasattr(module, name):
                setattr(module, name, announced)


def write_all(descriptor: int, data: bytes, write: Callable[[int, memoryview], int] = os.write) -> None:
    """Write bytes to a pipe, however many; ``write`` is held here because a program can change ``os``."""
    view = memoryview(data)
    while view:
        view = view[write(descriptor, view) :]


def line_of_frame(frame: types.FrameType | None) -> int | None:
    """The innermost line of the program that is being run in a frame."""
    while frame and frame.f_code.co_filename != PROGRAM:
        frame = frame.f_back
    return frame.f_lineno if frame else None


def describe(error: BaseException) -> tuple[str, str, int | None]:
    """Type, message and line in the program of an exception."""
    line = None
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == PROGRAM:
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == PROGRAM:
        return type(error).__name__, str(error.msg), error.lineno
    try:
        message = str(error)[:MESSAGE_CHARACTERS]
    except BaseException:  # noqa: BLE001 (an exception of the program's own)
        message = ""
    return type(error).__name__, message, line


def execute(code: str, namespace: dict[str, Any]) -> str:
    """Run code as a notebook cell and return the repr of its last expression, if that is not ``None``."""
    tree: Any = compile(code, PROGRAM, "exec", 0x400, dont_inherit=True)  # ast.PyCF_ONLY_AST, without importing ast
    last = tree.body.pop() if tree.body and type(tree.body[-1]).__name__ == "Expr" else None
    exec(compile(tree, PROGRAM, "exec", dont_inherit=True), namespace)  # noqa: S102 (what this file is for)
    if last is None:
        return ""
    tree = compile("0", PROGRAM, "eval", 0x400, dont_inherit=True)
    tree.body = last.value
    value = eval(compile(tree, PROGRAM, "eval", dont_inherit=True), namespace)  # noqa: S307
    return "" if value is None else repr(value)


def run_program(program: dict[str, Any], settings: dict[str, Any], deliver: Callable[[bytes], None]) -> NoReturn:
    """Run one program in this process, deliver a report as JSON, and end the process."""
    encode, leave, frame_of = json.dumps, os._exit, sys._getframe
    setitimer = getattr(signal, "setitimer", lambda *_: None)  # not on Windows

    def finish(error: str = "", message: str = "", line: int | None = None, result: str = "") -> NoReturn:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL) if hasattr(signal, "ITIMER_PROF") else ():
            setitimer(timer, 0)
        with suppress(ValueError):  # the program detached it
            stdout.flush()
        printed = capture.getvalue()
        if len(printed) + len(result) > capture.limit:
            error, message, result = "OutputLimit", f"more than {capture.limit} bytes of output", ""
        report = {
            "stdout": printed.decode("utf-8", "replace"),
            "result": result,
            "error": error,
            "message": message,
            "line": line,
        }
        deliver(encode(report).encode())
        leave(0)

    def overflow() -> NoReturn:
        finish("OutputLimit", f"more than {capture.limit} bytes of output", line_of_frame(frame_of()))

    def refuse(what: str) -> NoReturn:
        finish("Refused", f"{what} is not allowed in the sandbox", line_of_frame(frame_of()))

    def late(_: int, frame: types.FrameType | None) -> NoReturn:
        finish("Timeout", f"ran longer than {settings['seconds']:g} s", line_of_frame(frame))

    capture = Capture(settings["output_bytes"], overflow)
    stdout = sys.stdout = io.TextIOWrapper(capture, encoding="utf-8", newline="\n")
    sys.argv = ["program", *program["argv"]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    random.seed(settings["seed"])
    limit_resources(settings)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, late)
        signal.signal(signal.SIGPROF, late)
        setitimer(signal.ITIMER_REAL, settings["clock_seconds"])
        setitimer(signal.ITIMER_PROF, settings["seconds"])
        setitimer(signal.ITIMER_VIRTUAL, settings["seconds"] + GRACE_SECONDS)  # SIGVTALRM ends a loop in C
    readable = settings["readable"]
    sys.addaudithook(make_guard(refuse, None if readable is None else tuple(readable)))
    try:
        result = execute(program["code"], main.__dict__)
    except BaseException as error:  # noqa: BLE001 (whatever the program raises is its outcome)
        described = describe(error)
        error.__traceback__ = None
        main.__dict__.clear()  # so that there is memory to report with
        finish(*described)
    finish(result=result)


def limit_resources(settings: dict[str, Any]) -> None:
    """Bound what a child uses. The system too refuses it threads and processes of its own, except to root."""
    if resource is None:
        return
    seconds = math.ceil(settings["clock_seconds"]) + 1
    bounds = {"CPU": seconds, "FSIZE": 0, "CORE": 0, "NPROC": 0, "AS": settings["address_space"]}
    for name, bound in bounds.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (bound, bound))


def address_space(more_megabytes: int) -> int:
    """Size in bytes of this process's address space, grown by so much; no bound where it cannot be known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 (pathlib takes long to import)
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return resource.RLIM_INFINITY
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = used + (more_megabytes << 20)
    return bound if hard == resource.RLIM_INFINITY else min(bound, hard)


def import_modules(settings: dict[str, Any], send: Callable[..., None]) -> None:
    """Import what programs will use; when that fails, say why and end the process."""
    leave = os._exit
    name = ""

    def fail(state: str, message: str = "") -> NoReturn:
        send(state=state, module=name, message=message)
        leave(0)

    importing = [True]
    readable = settings["readable"]
    roots = None if readable is None else tuple(readable)
    capture = Capture(settings["output_bytes"], lambda: fail("printed"))
    stdout = sys.stdout = io.TextIOWrapper(capture, encoding="utf-8")
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (address_space(IMPORT_MEMORY_MB), most))
        signal.setitimer(signal.ITIMER_REAL, settings["import_seconds"])  # SIGALRM ends this process
    sys.addaudithook(make_guard(lambda what: fail("refused", what), roots, importing))
    for name in settings["imports"]:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name == name.partition(".")[0]:
                fail("missing")
            fail("raised", f"ModuleNotFoundError: {error}")
        except SystemExit as error:
            fail("left", str(error))
        except BaseException as error:  # noqa: BLE001 (whatever the module raises is reported)
            kind, message, _ = describe(error)
            fail("raised", f"{kind}: {message}" if message else kind)
        stdout.flush()
        if capture.tell():
            fail("printed")
    importing.clear()
    if resource is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        settings["address_space"] = address_space(settings["memory_mb"])


def read_report(report: int, requests: int, deadline: float, most: int) -> tuple[bytes, bool]:
    """What a child reports until it closes its pipe, and whether it is late; ``EOFError`` when nobody asks any more."""
    data = bytearray()
    while len(data) <= most:
        ready, _, _ = select.select([report, requests], [], [], max(0, deadline - time.monotonic()))
        if requests in ready:  # nothing is asked before the answer: the other side has gone
            raise EOFError
        if not ready:
            return bytes(data), True
        chunk = os.read(report, READ_BYTES)
        if not chunk:
            return bytes(data), False
        data += chunk
    return b"", False


def fork_program(line: bytes, settings: dict[str, Any], requests: int, replies: int) -> tuple[dict[str, Any], bytes]:
    """Run one program in a child; return how that ended, and its report."""
    started = time.monotonic()
    leave = os._exit
    reading, report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for descriptor in (requests, replies, reading):
                os.close(descriptor)
            run_program(json.loads(line), settings, partial(write_all, report))
        finally:
            leave(1)
    os.close(report)
    deadline = started + settings["clock_seconds"] + GRACE_SECONDS
    try:
        body, late = read_report(reading, requests, deadline, 8 * settings["output_bytes"] + READ_BYTES)
    finally:  # in a process space of its own, whatever the child left behind ends with it
        os.kill(-1 if settings["own_processes"] else child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(reading)
    return {"late": late, "status": status, "seconds": time.monotonic() - started}, body


def serve() -> None:
    """Answer until the other side closes its end; without ``os.fork``, answer once."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)

    def send(**fields: Any) -> None:
        write_all(replies, json.dumps(fields).encode() + b"\n")

    settings = json.loads(requests.readline())
    if sys.version_info < (3, 12):
        announce_threads()
    sys.path[:] = settings["path"]
    disarm()
    send(state="started")
    import_modules(settings, send)
    send(state="ready")
    gc.freeze()
    for line in requests:
        if not settings["fork"]:

            def answer(body: bytes, started: float = time.monotonic()) -> None:
                send(late=False, status=0, seconds=time.monotonic() - started, length=len(body))
                write_all(replies, body)

            run_program(json.loads(line), settings, answer)
        try:
            ended, body = fork_program(line, settings, requests.fileno(), replies)
        except EOFError:
            return
        send(**ended, length=len(body))
        write_all(replies, body)


if __name__ == "__main__":
    serve()
