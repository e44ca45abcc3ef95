"""What running a program in the sandbox costs beside a fresh interpreter, and what each level stops.

Run ``python benchmarks/sandbox.py``. Rounds of all subjects alternate, and the median round counts; each program
imports ``statistics`` and computes a mean.
"""

from __future__ import annotations

import asyncio
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from alain_magics.errors import SandboxError
from alain_magics.sandbox import Level, Limits, Program, Sandbox, Session

ROUNDS = 7
FORKED, FRESH = 100, 5
ITEM = "import statistics\nstatistics.mean([1, 2, 3])"
LIMITS = Limits(seconds=1.0, memory_mb=256)

CANARIES = {
    "computes": "sum(range(10))",
    "reads a standard module": "import os; len(open(os.__file__).read()) > 0",
    "reads /etc/passwd": "open('/etc/passwd').read()",
    "lists other folders": "import os; os.listdir('/var')",
    "writes a file": "open('x', 'w')",
    "writes a file, catches the exception": "try:\n    open('x', 'w')\nexcept Exception:\n    pass",
    "deletes a file": "import os; os.remove('x')",
    "empties a file as its history": "import readline; readline.write_history_file('x')",
    "attaches a database file": "import sqlite3; sqlite3.connect(':memory:').execute(\"attach 'x' as x\").fetchall()",
    "makes a pipe": "import os; os.mkfifo('x')",
    "takes shared memory": "import _posixshmem, os; _posixshmem.shm_open('/alain', os.O_CREAT | os.O_RDWR, mode=0o600)",
    "opens a socket": "import socket; socket.socket()",
    "starts a process": "import subprocess; subprocess.run(['true'])",
    "forks": "import os; os.fork()",
    "starts a thread": "import threading; threading.Thread(target=print).start()",
    "calls C": "import ctypes; ctypes.CDLL(None).getpid()",
    "kills its parent": "import os; os.kill(os.getppid(), 9)",
    "kills its parent unseen": "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
    "raises its limits": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "loops": "while True: pass",
    "loops in C": "import itertools; sum(itertools.count())",
    "blocks signals and loops": "import signal\nsignal.pthread_sigmask(0, range(1, 65))\nwhile True: pass",
    "sleeps": "import time; time.sleep(60)",
    "takes 10 GB": "bytearray(10**10)",
    "prints without end": "while True: print('x' * 1000)",
    "recurses without end": "def f(): f()\nf()",
    "waits for input": "input()",
    "exits": "import sys; sys.exit()",
    "exits at once": "import os; os._exit(0)",
    "crashes": "import faulthandler; faulthandler._sigsegv()",
    "closes every descriptor": "import os; os.closerange(0, 100)",
    "writes garbage to every descriptor": (
        "import os\nfor fd in range(100):\n    try: os.write(fd, b'x')\n    except OSError: pass"
    ),
}


def levels() -> list[Level]:
    """The levels that this machine reaches."""
    try:
        return [Sandbox("isolated").level, "limited"]
    except SandboxError as error:
        print(f"{error}\n")
        return ["limited"]


async def milliseconds(times: int, work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds for each of so many items of work."""
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) / times * 1000


async def measure_costs() -> None:
    """Print a table of milliseconds for each program."""
    async with AsyncExitStack() as stack:
        subjects: dict[str, tuple[int, Callable[[], Awaitable[object]]]] = {}

        async def fresh() -> None:
            for _ in range(FRESH):
                await asyncio.to_thread(subprocess.run, [sys.executable, "-I", "-c", ITEM], check=True)

        def batch(session: Session) -> Callable[[], Awaitable[object]]:
            return lambda: session.run([Program(ITEM)] * FORKED)

        def alone(sandbox: Sandbox) -> Callable[[], Awaitable[object]]:
            async def sessions() -> None:
                for _ in range(FRESH):
                    await sandbox.run(ITEM, imports=("statistics",))

            return sessions

        subjects["fresh interpreter (`python -I`)"] = FRESH, fresh
        for level in levels():
            sandbox = Sandbox(level, Limits(seconds=20))
            session = await stack.enter_async_context(sandbox.session(imports=("statistics",)))
            subjects[f"{level}: a session for each program"] = FRESH, alone(sandbox)
            subjects[f"{level}: one session for all"] = FORKED, batch(session)
        rounds = [
            {name: await milliseconds(times, work) for name, (times, work) in subjects.items()} for _ in range(ROUNDS)
        ]
    medians = {name: statistics.median(each[name] for each in rounds) for name in subjects}
    base = next(iter(medians.values()))
    print("| a program in | ms | fresh interpreter = 1 |\n|---|---:|---:|")
    for name, median in medians.items():
        print(f"| {name} | {median:.1f} | {median / base:.2f} |")


async def try_canaries() -> None:
    """Print a table of what each level does with each canary; after each, the next program must run."""
    reached = levels()
    rows = {name: [name] for name in CANARIES}
    for level in reached:
        async with Sandbox(level, LIMITS).session() as session:
            for name, code in CANARIES.items():
                outcome, following = await session.run([Program(code), Program("6 * 7")])
                told = outcome.error or f"`{outcome.output}`"
                rows[name].append(told if following.result == "42" else f"{told}, and the next program failed")
    print(f"\n| a program that | {' | '.join(reached)} |\n|---|{'---|' * len(reached)}")
    for row in rows.values():
        print(f"| {' | '.join(row)} |")


def main() -> None:
    """Print both tables."""
    assert not Path("x").exists(), "the canaries write to a file named x"
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    asyncio.run(measure_costs())
    asyncio.run(try_canaries())
    assert not Path("x").exists()


if __name__ == "__main__":
    main()
