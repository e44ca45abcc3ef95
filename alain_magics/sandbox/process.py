"""The near end of a fork server: start it, ask it, and end it with everything it runs."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alain_magics.errors import AlainError, ImportFailed, SandboxError, UnknownSource
from alain_magics.sandbox.outcome import Program

_START_SECONDS = 30.0
_STOP_SECONDS = 1.0
_BACKSTOP_SECONDS = 2.0
_SHOWN_CHARACTERS = 300
_START_ADVICE = "See whether `python -c pass` works here, or set isolation to limited."
_TEXTS = ("stdout", "result", "error", "message")
_CHUNK_BYTES = 1 << 16
_MOST_BYTES = 1 << 28  # of a report: more than any limit on output lets pass
_GARBAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)  # what reading JSON of any kind raises


def script() -> str:
    """The program that the sandboxed interpreter runs."""
    return Path(__file__).with_name("forkserver.py").read_text(encoding="utf-8")


def parse_report(body: bytes) -> dict[str, Any] | None:
    """The report of a program, or ``None`` if it is none: the program may have written to its pipe."""
    try:
        report = json.loads(body)
        texts = {key: report[key].encode("utf-8", "replace").decode() for key in _TEXTS}
        line = report["line"]
    except _GARBAGE:
        return None
    return {**texts, "line": line} if line is None or type(line) is int else None


def parse_answer(line: bytes) -> dict[str, str]:
    """What a server says of its imports: state, module and message; that it died where this cannot be read."""
    try:
        answer = json.loads(line)
        texts = {key: answer[key].encode("utf-8", "replace").decode() for key in answer}
    except _GARBAGE:
        texts = {}
    return {"state": "died", **texts}


def parse_ended(line: bytes) -> tuple[Reply, int]:
    """What a server says of a program that ended, and how many bytes of report follow; ``ValueError`` for garbage."""
    try:
        fields = json.loads(line)
        late, status, seconds, length = (fields[key] for key in ("late", "status", "seconds", "length"))
        whole = (type(late), type(status), type(seconds), type(length)) == (bool, int, float, int)
        if whole and 0 <= seconds < math.inf and 0 <= length <= _MOST_BYTES:
            return Reply(late, status, seconds), length
    except _GARBAGE as error:
        raise ValueError("no reply") from error
    raise ValueError("no reply")


def signal_name(status: int) -> str:
    """Name of the signal that ended a process, from its exit status or that of bubblewrap around it; or empty."""
    number = -status if status < 0 else status - 128
    return signal.Signals(number).name if number in set(signal.Signals) else ""


@dataclass(frozen=True)
class Reply:
    """How a program's process ended: killed for being ``late``, or with an exit ``status``; and what it reported."""

    late: bool
    status: int
    seconds: float
    body: bytes = b""


class ServerProcess:
    """A running fork server; ``settings`` are those that ``forkserver.py`` reads."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        pipes: Any = process  # all three were asked for
        self._process = process
        self._requests: asyncio.StreamWriter = pipes.stdin
        self._replies: asyncio.StreamReader = pipes.stdout
        self._complaints: asyncio.StreamReader = pipes.stderr
        self._ready = False

    @classmethod
    async def start(
        cls, command: Sequence[str], environment: dict[str, str], folder: str | None, settings: dict[str, Any]
    ) -> ServerProcess:
        """Start a server and wait until it has imported.

        Raises :class:`UnknownSource` or :class:`ImportFailed` for what cannot be imported, :class:`SandboxError`
        when the interpreter does not start.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox did not start: {error}.", _START_ADVICE) from None
        server = cls(process)
        try:
            await server._import(settings)
        except BaseException:
            await server.stop()
            raise
        return server

    async def _import(self, settings: dict[str, Any]) -> None:
        self._requests.write(json.dumps(settings).encode() + b"\n")
        try:
            async with asyncio.timeout(_START_SECONDS):
                started = await self._replies.readline()
        except (TimeoutError, ConnectionError):
            started = b""
        if not started:
            await self.stop()
            complaint = (await self._complaints.read()).decode(errors="replace").strip().splitlines()
            reason = complaint[-1] if complaint else "its interpreter gave no answer"
            raise SandboxError(f"The sandbox did not start: {reason[:_SHOWN_CHARACTERS]}.", _START_ADVICE)
        try:
            async with asyncio.timeout(settings["import_seconds"] + _BACKSTOP_SECONDS):
                line = await self._replies.readline()
        except TimeoutError:
            answer = {"state": "late"}
        except ValueError:  # a line without end
            answer = {"state": "died"}
        else:
            answer = parse_answer(line)
            if not line:
                name = signal_name(await self.stop())
                answer = {"state": "late"} if name == "SIGALRM" else {"state": "died", "message": name}
        if answer["state"] != "ready":
            raise _import_error({"module": ", ".join(settings["imports"]), "message": "", **answer}, settings)
        self._ready = True

    @property
    def running(self) -> bool:
        """Whether it can be asked again."""
        return self._process.returncode is None

    async def ask(self, program: Program, seconds: float) -> Reply:
        """Run a program, which may take so many seconds; whatever becomes of the server, there is a reply in time."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds + _BACKSTOP_SECONDS):
                self._requests.write(json.dumps({"code": program.code, "argv": program.argv}).encode() + b"\n")
                await self._requests.drain()
                reply, length = parse_ended(await self._replies.readuntil(b"\n"))
                return replace(reply, body=await self._replies.readexactly(length))
        except TimeoutError:
            await self.stop()
            return Reply(late=True, status=0, seconds=time.monotonic() - began)
        except (ConnectionError, EOFError, ValueError, asyncio.LimitOverrunError):  # it ended, or was tampered with
            return Reply(late=False, status=await self.stop(), seconds=time.monotonic() - began)

    async def stop(self) -> int:
        """End the server and what it runs; its exit status.

        A server that is ready ends by itself, and its child with it, when its input is closed. One that imports is
        killed, and so is what does not end soon.
        """
        self._requests.close()
        try:
            async with asyncio.timeout(_STOP_SECONDS if self._ready else 0):
                return await self._ended()
        except TimeoutError:
            self._kill()
            return await self._ended()
        except BaseException:
            self._kill()
            raise

    async def _ended(self) -> int:
        """Wait for the end; asyncio does not see it while replies that nobody reads fill the pipe."""
        while await self._replies.read(_CHUNK_BYTES):
            pass
        return await self._process.wait()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # it has just ended by itself
            if os.name == "nt":
                self._process.kill()
            else:  # the server leads a group of processes, in which its children stay
                os.killpg(self._process.pid, signal.SIGKILL)


def _import_error(answer: dict[str, str], settings: dict[str, Any]) -> AlainError:
    name, message = (" ".join(answer[key].split())[:_SHOWN_CHARACTERS] for key in ("module", "message"))
    if answer["state"] == "missing":
        return UnknownSource(
            f"There is no module named {name.partition('.')[0]}.", "Check the spelling, or install it here first."
        )
    happened = {
        "raised": f"Importing {name} failed: {message}.",
        "left": f"{name} ended Python while it was imported.",
        "late": f"{name} was not imported within {settings['import_seconds']:g} s.",
        "died": f"{name} crashed Python while it was imported{f' ({message})' if message else ''}.",
        "printed": f"{name} prints while it is imported.",
        "refused": f"{name} does more than define names while it is imported: {message}.",
    }
    what = happened.get(answer["state"], happened["died"])
    return ImportFailed(what, "Choose a module, or a submodule, that imports without side effects.")
