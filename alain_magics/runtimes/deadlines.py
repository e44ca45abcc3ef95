"""How long a runtime may take, and the watch that ends the wait for one that takes longer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

DRAIN = 0.1
"""Seconds to wait for the end of a stream whose content is complete, so that its connection can be used again."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds to wait: for a connection, for the first content, and for more content after that."""

    connect: float = 5.0
    first: float = 60.0
    silence: float = 60.0


class Watch:
    """Cancels the task that waits for bytes when a deadline passes; the time between waits does not count.

    It looks only when the deadline would pass, and then again where content has come meanwhile: a chunk sets no timer.
    """

    def __init__(self, deadlines: Deadlines, began: float) -> None:
        self.begun = False
        """Whether content has come."""
        self.expired = False
        """Whether a deadline has passed."""
        self.limit = deadlines.first
        """The seconds that are allowed now."""
        self.last = began
        """When content came, or that which else began the wait; on the clock of ``time.monotonic``."""
        self.waiting: asyncio.Task[Any] | None = None
        self.completed = False
        """Whether only the end is awaited."""
        self._silence = deadlines.silence
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(0, self._look)

    def content(self) -> None:
        """Start the deadline of silence anew: keep-alives alone don't."""
        self.last = time.monotonic()
        if not self.begun:
            self.begun = True
            self._expect(self._silence)

    def complete(self) -> None:
        """Expect nothing more but the end, and that soon; only the first call counts."""
        if not self.completed:
            self.last = time.monotonic()
            self.completed = True
            self._expect(DRAIN)

    def close(self) -> None:
        """Watch no more."""
        self._timer.cancel()

    def _expect(self, limit: float) -> None:
        self.limit = limit
        self._timer.cancel()
        self._timer = self._loop.call_later(limit, self._look)

    def _look(self) -> None:
        left = self.last + self.limit - time.monotonic()
        if left <= 0 and self.waiting:
            self.expired = True
            self.waiting.cancel()
        else:
            self._timer = self._loop.call_later(max(left, DRAIN), self._look)
