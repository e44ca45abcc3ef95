"""The sandbox as others see it: sessions that run programs in order and survive all of them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from alain_magics.errors import SandboxError
from alain_magics.sandbox import bubblewrap, interpreter
from alain_magics.sandbox.outcome import Level, Limits, Outcome, Program
from alain_magics.sandbox.process import Reply, ServerProcess, parse_report, script, signal_name


class Sandbox:
    """Where programs run that nobody has read yet.

    ``level`` says what is wanted: ``isolated`` or nothing, ``limited`` at all events, or the best there is (``auto``).
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

    Entering it imports, and raises :class:`~alain_magics.errors.UnknownSource` or
    :class:`~alain_magics.errors.ImportFailed` when that fails. ``level`` is the isolation that was reached.
    Without ``fork``, every program gets an interpreter of its own.
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
        self._server: ServerProcess | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Session:
        self.level = await asyncio.to_thread(lambda: self._sandbox.level)
        if self.level == "limited":
            self._folder = tempfile.TemporaryDirectory(prefix="alain-", ignore_cleanup_errors=True)
        try:
            self._server = await self._start()
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
        """Run programs one after the other, each in a process of its own; their outcomes in the same order.

        When this is cancelled, the program that runs is killed; the session can be used again.
        """
        async with self._turn:
            return [await self._run_one(program) for program in programs]

    async def _run_one(self, program: Program) -> Outcome:
        if self._server is None or not self._server.running:
            self._server = await self._start()
        try:
            reply = await self._server.ask(program, self._limits.clock_seconds)
        except BaseException:
            await self._stop()
            raise
        if not (self._fork and self._server.running):
            await self._stop()
        report = None if reply.late else parse_report(reply.body)
        if report is None:
            error, message = self._reason(reply)
            return Outcome("", "", error, message, None, reply.seconds, self.level)
        return Outcome(**report, seconds=reply.seconds, level=self.level)

    def _reason(self, reply: Reply) -> tuple[str, str]:
        """Error and message for a program that left no report."""
        name = signal_name(reply.status)
        if reply.late or name in ("SIGXCPU", "SIGVTALRM", "SIGPROF"):
            return "Timeout", f"ran longer than {self._limits.seconds:g} s"
        return "Crash", f"killed by {name}" if name else f"ended Python with status {reply.status}"

    async def _start(self) -> ServerProcess:
        path = interpreter.search_path(self._paths)
        readable = interpreter.needed_paths(path, self._imports)
        command = interpreter.command(script())
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
            "clock_seconds": self._limits.clock_seconds,
            "memory_mb": self._limits.memory_mb,
            "output_bytes": self._limits.output_bytes,
            "readable": None if self._folder is None else [os.path.normcase(place) for place in readable],
            "own_processes": self._folder is None,
            "fork": self._fork,
        }
        folder = None if self._folder is None else home
        return await ServerProcess.start(command, interpreter.environment(home, self._seed), folder, settings)

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
