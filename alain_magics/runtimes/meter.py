"""What stands between a turn and its cost: reserve before, settle after, release when nothing was spent.

The free meter lets everything pass; the ledger brings one that keeps accounts and caps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from alain_magics.runtimes.base import ChatRequest, Usage


@dataclass(frozen=True)
class Reservation:
    """Room for the worst case of one turn; ``id`` is the meter's own."""

    id: str = ""


class Meter(Protocol):
    """Keeps accounts of turns. Each reservation is settled or released exactly once, whatever happens to the turn."""

    async def reserve(self, runtime: str, request: ChatRequest) -> Reservation:
        """Set the worst case aside; an :class:`~alain_magics.errors.AlainError` where that goes beyond a cap."""

    async def settle(self, reservation: Reservation, model: str, usage: Usage) -> int | None:
        """Book what was used, also by a turn that was cut; return its cost in micro-dollars, ``None``: unknown."""

    async def release(self, reservation: Reservation) -> None:
        """Give the reservation back: nothing was sent, or nothing was used."""


class FreeMeter:
    """Reserves nothing and books nothing."""

    async def reserve(self, runtime: str, request: ChatRequest) -> Reservation:
        """Let every turn pass."""
        return Reservation()

    async def settle(self, reservation: Reservation, model: str, usage: Usage) -> int | None:
        """Book nothing; the cost is unknown."""
        return None

    async def release(self, reservation: Reservation) -> None:
        """Do nothing."""
