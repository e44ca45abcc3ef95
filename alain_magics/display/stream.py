"""What is known of an answer while it comes."""

from __future__ import annotations

import time
from typing import Any

from alain_magics.display.blocks import Tail
from alain_magics.display.figures import STOPPED, duration, name_of

_GLIMPSE = 90  # characters of the thoughts that are shown while they come


class Stream:
    """An answer that comes in pieces.

    ``data`` is what can be said of it: little at first, all once it ``ended``. ``writes``: there is text to be seen.
    ``tail`` holds the text that is not shown for good yet.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        self.name = name_of(asked)
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.tail = Tail()
        self.writes = False
        self.ended = False
        self.data = asked
        self._begun = time.monotonic()
        self._thinking: float | None = None  # since when
        self._thought = 0.0  # seconds of thinking that is over

    def add(self, text: str, reasoning: str) -> bool:
        """Add what came; return whether something begins with it: the answer, or its text."""
        begins = not (self.texts or self.thoughts)
        if begins:
            self.data = {**self.data, "first_token_seconds": time.monotonic() - self._begun}
        if reasoning:
            self._thinking = self._thinking or time.monotonic()
            self.thoughts.append(reasoning)
        if text:
            self._rest()
            self.texts.append(text)
            self.tail.feed(text)
            if not self.writes and text.strip():
                self.writes = begins = True
        return begins

    def end(self, data: dict[str, Any]) -> None:
        """Note what the end says."""
        self._rest()
        self.ended = True
        self.data = data

    def stop(self) -> None:
        """The user wants no more of it."""
        seconds = time.monotonic() - self._begun
        self.end({**self.data, "seconds": seconds, "text": "".join(self.texts), "flags": [STOPPED]})

    def rewind(self) -> None:
        """Show the text once more from its beginning."""
        self.tail = Tail()
        self.tail.feed("".join(self.texts))

    def status(self) -> str:
        """What it does while there is no text: it waits, or thinks, and about what."""
        now = time.monotonic()
        if not self.thoughts:
            return f"waiting for {self.name}… {now - self._begun:.0f} s"
        thoughts = " ".join("".join(self.thoughts[-_GLIMPSE:]).split())
        last = thoughts if len(thoughts) <= _GLIMPSE else f"…{thoughts[-_GLIMPSE:]}"
        return f"{self.name} thinks… {now - (self._thinking or now) + self._thought:.0f} s · {last}"

    def thoughts_line(self) -> str:
        """How long and how much it thought."""
        words = len("".join(self.thoughts).split())
        return f"Thought for {duration(self._thought)} · {words:,} {'word' if words == 1 else 'words'}"

    def _rest(self) -> None:
        if self._thinking is not None:
            self._thought += time.monotonic() - self._thinking
            self._thinking = None
