"""Answers in a terminal: one after the other, however they come."""

from __future__ import annotations

import sys
import time
from typing import Any

from alain_magics.display.figures import badge, name_of
from alain_magics.text import plain

PATIENCE = 1.0
"""Seconds without a sign of the model until a line says who is waited for."""

_DIM, _NORMAL = "\x1b[2m", "\x1b[0m"


class _Entry:
    """One answer: what of it is not shown yet."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.name = name_of(asked)
        self.asked_at = time.monotonic()
        self.pieces: list[tuple[str, str]] = []
        self.end: dict[str, Any] | None = None
        self.begun = False


class Transcript:
    """The text goes to the standard output as it comes; figures, and thoughts if ``live``, to the standard error.

    Of answers that come at the same time the first is shown, the others are kept until it ended.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._entries: dict[int, _Entry] = {}  # by slot, those not shown to their end; it is the turn of the first
        self._several = False
        self._in_line = self._in_thoughts = self._said = False

    def begin(self, asked: dict[str, Any]) -> None:
        """An answer is on its way."""
        self._several = bool(self._entries)
        self._entries[asked["slot"]] = _Entry(asked)
        self._said = False

    def delta(self, slot: int, text: str, reasoning: str) -> None:
        """Show what came, if it is the turn of that answer."""
        self._entries[slot].pieces.append((text, reasoning))
        self._flush()

    def end(self, slot: int, data: dict[str, Any]) -> None:
        """Show the figures of an answer, and go on with the next."""
        self._entries[slot].end = data
        self._flush()

    def idle(self) -> None:
        """Say once who is waited for."""
        for entry in list(self._entries.values())[:1]:
            late = time.monotonic() - entry.asked_at > PATIENCE
            if self._live and late and not (entry.begun or self._said):
                self._say(f"{_DIM}waiting for {plain(entry.name)}…{_NORMAL}")
                self._said = True

    def stop(self) -> None:
        """End the line that was begun."""
        if self._in_thoughts:
            print(file=sys.stderr, flush=True)
        if self._in_line:
            print(flush=True)
        self._in_thoughts = self._in_line = False

    def _flush(self) -> None:
        while self._entries:
            slot, entry = next(iter(self._entries.items()))
            for piece in entry.pieces:
                self._write(entry, *piece)
            entry.pieces.clear()
            if entry.end is None:
                return
            self._close(entry, entry.end)
            del self._entries[slot]

    def _write(self, entry: _Entry, text: str, reasoning: str) -> None:
        if reasoning and self._live:
            print(f"{_DIM}{plain(reasoning)}{_NORMAL}", end="", file=sys.stderr, flush=True)
            self._in_thoughts = True
        if not entry.begun:
            text = text.lstrip()
        if not text:
            return
        if self._in_thoughts:
            self.stop()
        self._head(entry)
        text = plain(text.replace("\r", ""))
        print(text, end="", flush=True)
        self._in_line = not text.endswith("\n")

    def _head(self, entry: _Entry) -> None:
        if self._several and not entry.begun:
            print(f"## {plain(entry.name)}\n", flush=True)
        entry.begun = True

    def _close(self, entry: _Entry, data: dict[str, Any]) -> None:
        self.stop()
        if self._several:
            self._head(entry)
            if data.get("error"):
                self._say(plain(data["error"]))
        if entry.begun or not data.get("error"):
            self._say(plain(badge(data)))
        if self._several and len(self._entries) > 1:
            print(flush=True)

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
