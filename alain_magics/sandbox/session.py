"""The sandbox as others see it: sessions that run programs in order and survive all of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn

from alain_magics.errors import ImportFailed, SandboxError, UnknownSource
from alain_magics.sandbox import bubblewrap, interpreter
from alain_magics.sandbox.outcome import Level, Limits, Outcome, Program

_START_SECONDS = 30.0
_STOP_SECONDS = 1.0
_BACKSTOP_SECONDS = 2.0


class Sandbox:
    """Where programs run that nobody has read yet.

    ``level`` says what is wanted: ``isolated`` or nothing, ``limited`` at all events, or the best there is.
    ``import_seconds`` bounds the imports of a session.
    """

    def __init__(
        self,
        level: Literal["auto", "isolated", "limited"] = "auto",
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        *,
        import_seconds: float = 20.0,
    ) -> None:
        self._wanted = level
        self._limits = limits
        self._import_seconds = import_seconds

    @property
    def level(self) -> Level:
        """The level that programs reach, found out once per process by trying.

        Raises :class:`SandboxError` when isolation is wanted and impossible.
        """
        if self._wanted == "limited":
            return "limited"
        obstacle = bubblewrap.obstacle()
        if not obstacle:
            return "isolated"
        if self._wanted == "isolated":
            raise SandboxError(
                f"Code cannot be isolated here: {obstacle}.",
                "Install bubblewrap on a Linux that allows user namespaces, or set isolation to limited.",
            )
        return "limited"

    def session(
        self,
        *,
        imports: Sequence[str] = (),
        seed: int = 0,
        limits: Limits | None = None,
        paths: Sequence[Path] = (),
    ) -> Session:
        """A session whose programs find ``imports`` already imported; an asynchronous context manager.

        ``seed`` is the hash seed and seeds ``random``; ``paths`` are folders to import from, before all others.
        """
        return Session(
            self, imports, seed=seed, limits=limits or self._limits, paths=paths, import_seconds=self._import_seconds
        )

    async def run(
        self, code: str, *, imports: Sequence[str] = (), seed: int = 0, limits: Limits | None = None
    ) -> Outcome:
        """Run one program in a session of its own."""
        async with self.session(imports=imports, seed=seed, limits=limits) as session:
            (outcome,) = await session.run([Program(code)])
        return outcome


class Session:
    """A fork server with one hash seed and one set of imports; made by :meth:`Sandbox.session`.

    Entering it imports, and raises :class:`UnknownSource` or :class:`ImportFailed` when that fails. ``level`` is the
    isolation that was reached. When it is cancelled, what runs is killed; a later program starts a new server.
    """

    level: Level

    def __init__(
        self,
        sandbox: Sandbox,
        imports: Sequence[str],
        *,
        seed: int,
        limits: Limits,
        paths: Sequence[Path],
        import_seconds: float,
        fork: bool = hasattr(os, "fork"),
    ) -> None:
        self._sandbox = sandbox
        self._imports = tuple(imports)
        self._seed = seed
        self._limits = limits
        self._paths = tuple(paths)
        self._import_seconds = import_seconds
        self._fork = fork
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: asyncio.subprocess.Process | None = None
        self._ready = False
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Session:
        self.level = await asyncio.to_thread(lambda: self._sandbox.level)
        if self.level == "limited":
            self._folder = tempfile.TemporaryDirectory(prefix="alain-", ignore_cleanup_errors=True)
        try:
            await self._start()
        except BaseException:
            self._remove_folder()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._stop()
        finally:
            self._remove_folder()

    async def run(self, programs: Sequence[Program]) -> list[Outcome]:
        """Run programs one after the other, each in a process of its own; their outcomes in the same order."""
        async with self._turn:
            return [await self._run_one(program) for program in programs]

    async def _run_one(self, program: Program) -> Outcome:
        if self._server is None:
            await self._start()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.seconds + _BACKSTOP_SECONDS):
                ended, body = await self._ask(program)
            if not self._fork:
                await self._stop()
        except TimeoutError:
            await self._stop()
            ended, body = {"late": True, "status": 0, "seconds": time.monotonic() - started}, b""
        except (ConnectionError, asyncio.IncompleteReadError):
            status = await self._stop()
            ended, body = {"late": False, "status": status, "seconds": time.monotonic() - started}, b""
        except BaseException:
            await self._stop()
            raise
        return self._outcome(ended, body)

    def _outcome(self, ended: dict[str, Any], body: bytes) -> Outcome:
        seconds, status = ended["seconds"], ended["status"]
        report = None if ended["late"] else _read_report(body)
        if report is not None:
            return Outcome(**report, seconds=seconds, level=self.level)
        if ended["late"] or _signal_name(status) == "SIGXCPU":
            error, message = "Timeout", f"ran longer than {self._limits.seconds:g} s"
        else:
            name = _signal_name(status)
            error, message = "Crash", f"killed by {name}" if name else f"left without a report, with status {status}"
        return Outcome("", "", error, message, None, seconds, self.level)

    async def _ask(self, program: Program) -> tuple[dict[str, Any], bytes]:
        assert self._server and self._server.stdin and self._server.stdout
        request = json.dumps({"code": program.code, "argv": program.argv})
        self._server.stdin.write(request.encode() + b"\n")
        await self._server.stdin.drain()
        ended = json.loads(await self._server.stdout.readuntil(b"\n"))
        return ended, await self._server.stdout.readexactly(ended["length"])

    async def _start(self) -> None:
        path = interpreter.search_path(self._paths)
        readable = interpreter.needed_paths(path, self._imports)
        script = Path(__file__).with_name("forkserver.py").read_text(encoding="utf-8")
        command = interpreter.command(script)
        if self._folder is None:
            home = bubblewrap.HOME
            command = bubblewrap.command(command, readable)
        else:
            home = str(Path(self._folder.name).resolve())
            readable.append(Path(home))
        settings = {
            "path": path,
            "imports": self._imports,
            "import_seconds": self._import_seconds,
            "seed": self._seed,
            "seconds": self._limits.seconds,
            "memory_mb": self._limits.memory_mb,
            "output_bytes": self._limits.output_bytes,
            "readable": None if self._folder is None else [os.path.normcase(place) for place in readable],
            "own_processes": self._folder is None,
            "fork": self._fork,
        }
        try:
            self._server = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=interpreter.environment(home, self._seed),
                cwd=None if self._folder is None else home,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox did not start: {error}.", "Run `alain doctor`.") from None
        try:
            await self._wait_until_ready(settings)
        except BaseException:
            await self._stop()
            raise

    async def _wait_until_ready(self, settings: dict[str, Any]) -> None:
        assert self._server and self._server.stdin and self._server.stdout and self._server.stderr
        self._server.stdin.write(json.dumps(settings).encode() + b"\n")
        started = False
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._server.stdin.drain()
                started = bool(await self._server.stdout.readline())
            async with asyncio.timeout(self._import_seconds + _BACKSTOP_SECONDS):
                answer = json.loads(await self._server.stdout.readline() or "{}")
        except (TimeoutError, ConnectionError):
            answer = {"state": "late"}
        if not started:
            status = await self._stop()
            complaint = (await self._server.stderr.read()).decode(errors="replace").strip().splitlines()
            raise SandboxError()
        if answer.get("state") != "ready":
            ...
        self._ready = True

    async def _stop(self) -> int:
        """End the server and what it runs; its exit status."""

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
