"""A sandboxed Python process that runs programs one after another, each alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from alain_magics.errors import ImportFailed, SandboxError, UnknownSource
from alain_magics.sandbox import bubblewrap
from alain_magics.sandbox.outcome import Level, Limits, Outcome, Program

IMPORT_SECONDS = 20.0
LONGEST_ANSWER = 256 * 1024 * 1024


class Session:
    """One process with some modules imported; use it as an asynchronous context manager.

    Entering raises :class:`UnknownSource` or :class:`ImportFailed` for modules that cannot be imported.
    """

    def __init__(
        self,
        level: Level,
        limits: Limits,
        *,
        imports: Sequence[str] = (),
        paths: Sequence[Path] = (),
        seed: int = 0,
        fork: bool = hasattr(os, "fork"),
    ) -> None:
        self.level = level
        self._limits = limits
        self._imports = list(imports)
        self._paths = list(paths)
        self._seed = seed
        self._fork = fork
        self._process: asyncio.subprocess.Process | None = None
        self._home = ""

    async def __aenter__(self) -> Session:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def run(self, programs: Sequence[Program]) -> list[Outcome]:
        """Run programs one after another; what one does to its process does not reach the next."""
        return [await self._run(program) for program in programs]

    async def _run(self, program: Program) -> Outcome:
        loop = asyncio.get_running_loop()
        started = loop.time()
        if self._process is None or self._process.returncode is not None:
            await self._start()
        try:
            async with asyncio.timeout(self._limits.seconds * 3 + 10):
                answer = await self._ask({"code": program.code, "argv": list(program.argv)})
        except TimeoutError:
            answer = None
        except asyncio.CancelledError:
            await self._stop()
            raise
        seconds = loop.time() - started
        if answer is None or not self._fork:
            await self._stop()
        if answer is None:
            return Outcome("", "", "Crash", "the sandbox had to be started again", None, seconds, self.level)
        return Outcome(**answer, seconds=seconds, level=self.level)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Send a line and read one; ``None`` when the process is gone or does not speak."""
        assert self._process and self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            line = await self._process.stdout.readline()
            answer = json.loads(line) if line else None
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    async def _start(self) -> None:
        """Start the process and have it import; raise what became of the imports."""
        isolated = self.level == "isolated"
        if not isolated:
            self._home = tempfile.mkdtemp(prefix="alain-")
        script = (Path(__file__).parent / "forkserver.py").read_text(encoding="utf-8")
        program = [sys.executable, "-s", "-P", "-B", "-c", script]
        command = bubblewrap.command(program, self._paths) if isolated else program
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment(bubblewrap.HOME if isolated else self._home),
            cwd=None if isolated else self._home,
            start_new_session=True,
            limit=LONGEST_ANSWER,
        )
        try:
            async with asyncio.timeout(IMPORT_SECONDS + 5):
                answer = await self._ask(self._configuration(isolated))
        except TimeoutError:
            answer = {"name": ", ".join(self._imports), "error": "Timeout", "message": "", "printed": ""}
        if answer is None:
            await self._stop()
            if self._imports:
                raise ImportFailed(
                    f"{self._imports[0]} ended the interpreter while it was imported.", "Try another module."
                )
            raise SandboxError("the sandboxed Python does not start.", "Try --isolation limited.")
        raise_import_problem(answer)

    def _configuration(self, isolated: bool) -> dict[str, Any]:
        readable = [*bubblewrap.python_folders(self._paths), self._home, "/usr/share/zoneinfo", "/etc/localtime"]
        readable += [os.path.realpath(folder) for folder in readable] + ["/dev", "/proc/self"]
        known = [entry for entry in sys.path if entry]
        return {
            "imports": self._imports,
            "paths": [str(path.resolve()) for path in self._paths] + known,
            "readable": None if isolated else readable,
            "seed": self._seed,
            "seconds": self._limits.seconds,
            "memory_mb": self._limits.memory_mb,
            "output_bytes": self._limits.output_bytes,
            "import_seconds": IMPORT_SECONDS,
            "fork": self._fork,
        }

    def _environment(self, home: str) -> dict[str, str]:
        """Nothing of this process's environment but the search path of programs."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": home,
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": str(self._seed),
            "PYTHONIOENCODING": "utf-8",
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }

    async def _stop(self) -> None:
        """End the process with all its children, and remove its folder."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
            if process.stdout is not None:
                with contextlib.suppress(OSError):
                    await process.stdout.read()
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = ""


def raise_import_problem(answer: dict[str, Any]) -> None:
    """Raise what kept a module from being imported, if anything did."""
    name, error, message = answer["name"], answer["error"], answer["message"]
    advice = "Only modules that can be imported without side effects are taught."
    if error == "Missing":
        raise UnknownSource(f"there is no module {name}.", "Check its name, or install it.")
    if error == "Timeout":
        raise ImportFailed(f"importing {name} took longer than {IMPORT_SECONDS:.0f} s.", advice)
    if error == "SystemExit":
        raise ImportFailed(f"{name} ends the program when it is imported.", advice)
    if error == "Refused":
        raise ImportFailed(f"{name} does something when it is imported that is refused: {message}.", advice)
    if error:
        raise ImportFailed(f"importing {name} raises {error}: {message}".rstrip(": ") + ".", advice)
    if answer["printed"]:
        raise ImportFailed(f"{name} prints when it is imported: {answer['printed'].split()[0]!r} …", advice)
