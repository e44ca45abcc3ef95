"""Running code that nobody has read yet: isolated or limited, each program in a process of its own.

``isolated`` uses bubblewrap: no network, no files but Python's own, other processes out of sight. ``limited`` is a
separate process with its own folder, limits and an audit hook: it stops accidents and careless code, and is no
boundary against a determined attacker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from alain_magics.errors import SandboxError
from alain_magics.sandbox.outcome import Level, Limits, Outcome, Program
from alain_magics.sandbox.session import Session

__all__ = ["Level", "Limits", "Outcome", "Program", "Sandbox", "Session"]


class Sandbox:
    """Makes sessions at one level; ``auto`` is the strictest that this machine can do."""

    def __init__(self, level: Literal["auto", "isolated", "limited"] = "auto", limits: Limits | None = None) -> None:
        self._asked = level
        self._limits = limits or Limits()

    @property
    def level(self) -> Level:
        """The level that sessions reach, found by trying; :class:`SandboxError` when the one asked for cannot be."""
        from alain_magics.sandbox import bubblewrap

        if self._asked == "limited":
            return "limited"
        trouble = bubblewrap.problem()
        if not trouble:
            return "isolated"
        if self._asked == "isolated":
            raise SandboxError(
                f"code cannot be isolated on this machine: {trouble}.",
                "Install bubblewrap (Debian: apt install bubblewrap), or use --isolation limited.",
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
        """A process with ``imports`` done, hash seed ``seed``, and ``paths`` added to its module search path."""
        return Session(self.level, limits or self._limits, imports=imports, paths=paths, seed=seed)

    async def run(self, code: str, *, imports: Sequence[str] = (), limits: Limits | None = None) -> Outcome:
        """Run one program in a session of its own."""
        async with self.session(imports=imports, limits=limits) as session:
            (outcome,) = await session.run([Program(code)])
        return outcome
