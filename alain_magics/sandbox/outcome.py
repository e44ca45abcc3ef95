"""What goes into the sandbox and what comes out: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["isolated", "limited"]


@dataclass(frozen=True)
class Limits:
    """Bounds on one program: CPU seconds, memory in MiB, bytes printed."""

    seconds: float = 1.0
    memory_mb: int = 128
    output_bytes: int = 100_000

    @property
    def clock_seconds(self) -> float:
        """Seconds that may pass on the clock: many more, so that a busy machine spoils nothing."""
        return 4 * self.seconds


@dataclass(frozen=True)
class Program:
    """Python source to run in a fresh process, alone.

    As in a notebook, what it prints counts, and the repr of its last statement if that is an expression
    whose value is not ``None``. ``argv`` is what the program finds in ``sys.argv[1:]``.
    """

    code: str
    argv: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What one program did.

    ``stdout`` is what it printed; ``result`` the repr of the last expression or ``""``. ``error`` is the
    exception's type (``""`` when it ended well; ``Timeout``, ``MemoryError``, ``SystemExit``, ``Refused`` for what
    the guard forbids, ``Crash`` for a killed process, ``OutputLimit``), ``message`` its text, ``line`` the line of
    the program that raised it. ``level`` is the isolation that was really reached.
    """

    stdout: str
    result: str
    error: str
    message: str
    line: int | None
    seconds: float
    level: Level

    @property
    def output(self) -> str:
        """What a notebook would show: the prints, then the result, without a trailing newline."""
        return "\n".join(part for part in (self.stdout.rstrip("\n"), self.result) if part)

    @property
    def ok(self) -> bool:
        """Whether it ended without an error."""
        return not self.error
