"""Running programs to be sure: twice under different hash seeds, remembered, and sealed as proofs."""

from __future__ import annotations

import asyncio
import platform
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

from alain_magics.lessons.schema import Proof, Run
from alain_magics.sandbox import Limits, Outcome, Program, Sandbox, Session

SEEDS = (0, 1)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_ACCIDENTS = {"Timeout", "Refused", "Crash", "MemoryError", "OutputLimit", "SystemExit"}


def python_version() -> str:
    """Major and minor version: what decides whether a recorded output can be expected again."""
    return ".".join(platform.python_version_tuple()[:2])


class Prover:
    """Two sandbox sessions with the same imports and different hash seeds.

    A program runs at most once per seed: its outcome is remembered. Use it as an asynchronous context manager.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        imports: Sequence[str] = (),
        *,
        paths: Sequence[Path] = (),
        versions: dict[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._imports = tuple(imports)
        self._paths = tuple(paths)
        self._limits = limits
        self._sessions: list[Session] = []
        self._stack = AsyncExitStack()
        self._known: list[dict[str, Outcome]] = [{} for _ in SEEDS]
        self.versions = {"python": python_version(), **(versions or {})}

    async def __aenter__(self) -> Prover:
        try:
            for seed in SEEDS:
                session = self._sandbox.session(
                    imports=self._imports, seed=seed, limits=self._limits, paths=self._paths
                )
                self._sessions.append(await self._stack.enter_async_context(session))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def run(self, codes: Sequence[str], which: int = 0) -> list[Outcome]:
        """Run programs under one seed, in order of first mention; the ones already known are not run again."""
        known = self._known[which]
        new = [code for code in dict.fromkeys(codes) if code not in known]
        outcomes = await self._sessions[which].run([Program(code) for code in new])
        known.update(zip(new, outcomes, strict=True))
        return [known[code] for code in codes]

    async def run_spread(self, codes: Sequence[str]) -> list[Outcome]:
        """Run programs once each, spread over both sessions: for what needs one seed only."""
        both = [code for code in dict.fromkeys(codes) if all(code not in known for known in self._known)]
        half = len(both) // 2
        await asyncio.gather(self.run(both[:half], 0), self.run(both[half:], 1))
        return [next(known[code] for known in self._known if code in known) for code in codes]

    async def reproduce(self, codes: Sequence[str]) -> list[Outcome | None]:
        """Run programs under both seeds; ``None`` where the outcomes differ or show an address."""
        first, second = await asyncio.gather(self.run(codes, 0), self.run(codes, 1))
        return [
            one if _shown(one) == _shown(two) and stable(one) else None for one, two in zip(first, second, strict=True)
        ]

    def why_not(self, code: str) -> str:
        """Why a program that was run could not be reproduced: what stopped it, or that its output changes."""
        outcome = self._known[0][code]
        if outcome.error in _ACCIDENTS:
            return f"{outcome.error}: {outcome.message}"
        return "its output differs from run to run"

    def proof(self, runs: list[Run]) -> Proof:
        """Seal runs as a proof that names versions, seeds and the isolation that was reached."""
        level = self._sessions[0].level
        return Proof(runs=runs, versions=self.versions, isolation=level, seeds=list(SEEDS)).sealed()


def stable(outcome: Outcome) -> bool:
    """Whether an outcome can be expected again: no address in it, and no limit that was hit."""
    return outcome.error not in _ACCIDENTS and not _ADDRESS.search(f"{outcome.output} {outcome.message}")


def _shown(outcome: Outcome) -> tuple[str, str, str, int | None]:
    """What a lesson may say about an outcome."""
    return outcome.output, outcome.error, outcome.message, outcome.line


def run_of(code: str, outcome: Outcome, how: str = "key", option: int | None = None) -> Run:
    """The record of a program and its outcome."""
    return Run(code=code, output=outcome.output, error=outcome.error, line=outcome.line, how=how, option=option)
