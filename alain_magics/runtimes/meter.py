"""What stands between a turn and its cost: reserve before, settle after, release when nothing was spent.

The free meter lets everything pass; the ledger brings one that keeps accounts and caps.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from alain_magics.ledger import prices
from alain_magics.runtimes.base import ChatRequest, Runtime, Usage


@dataclass(frozen=True)
class Reservation:
    """Room for the worst case of one turn of a runtime; ``id`` is the meter's own."""

    runtime: str
    local: bool
    id: str = ""


class Meter(Protocol):
    """Keeps accounts of turns. Each reservation is settled or released exactly once, whatever happens to the turn."""

    async def reserve(self, runtime: Runtime, request: ChatRequest) -> Reservation:
        """Set the worst case aside; an :class:`~alain_magics.errors.AlainError` where that goes beyond a cap."""

    async def settle(self, reservation: Reservation, model: str, usage: Usage) -> int | None:
        """Book what was used, also by a turn that was cut; return its cost in micro-dollars, ``None``: unknown."""

    async def release(self, reservation: Reservation) -> None:
        """Give the reservation back: nothing was sent, or nothing was used."""


class FreeMeter:
    """Keeps no accounts; it only knows what turns cost."""

    async def reserve(self, runtime: Runtime, request: ChatRequest) -> Reservation:
        """Let every turn pass, and have the price data loaded while the model is asked."""
        if not runtime.local:
            asyncio.get_running_loop().run_in_executor(None, prices.prepare, runtime.name)
        return Reservation(runtime.name, runtime.local)

    async def settle(self, reservation: Reservation, model: str, usage: Usage) -> int | None:
        """Return the cost: nothing on this machine, else what the price data says."""
        if reservation.local:
            return 0
        tokens = usage.input, usage.output, usage.cached
        return await asyncio.to_thread(prices.cost, reservation.runtime, model, *tokens)

    async def release(self, reservation: Reservation) -> None:
        """Do nothing."""
