"""What the parsers of marked-up answers share: markers found in a text that comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alain_magics.runtimes.base import Delta, ReasoningDelta, TextDelta

Kind = type[TextDelta] | type[ReasoningDelta]

THINKING = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}
"""The tags around what a model thinks."""

LINE_ENDS = "\r\n"
BLANKS = " \t\r\n"


class Markers:
    """A set of markers, none the beginning of another."""

    def __init__(self, *markers: str) -> None:
        self._pattern = re.compile("|".join(map(re.escape, markers)) or "(?!)")
        self._begun = frozenset(marker[:length] for marker in markers for length in range(1, len(marker)))
        self._longest = max(map(len, self._begun), default=0)

    def split(self, text: str, *, last: bool) -> tuple[str, str, str]:
        """Return what stands before the first marker, the marker, and the rest.

        Without a marker, the rest is the end of the text that may be the beginning of one; nothing when it is the last.
        """
        if found := self._pattern.search(text):
            return text[: found.start()], found.group(), text[found.end() :]
        if not last:
            for length in range(min(len(text), self._longest), 0, -1):
                if text[-length:] in self._begun:
                    return text[:-length], "", text[-length:]
        return text, "", ""


class MarkupParser:
    """Turns the text of an answer into events; the pieces it comes in make no difference to the result.

    ``flags`` are remarks for the record. ``delta`` says where text goes, ``passing`` the same while all text without
    ``<`` and ``[`` goes there as it is: the short way that most pieces take.
    """

    def __init__(self, flags: list[str]) -> None:
        self.flags = flags
        self.delta: Kind | None = None
        self.passing: Kind | None = None
        self._held = ""
        self._trimmed = ""  # characters that belong to the marker before where they follow it
        self._events: list[Delta] = []

    def feed(self, text: str) -> Sequence[Delta]:
        """Take the next piece and return the events that it settles."""
        passing = self.passing
        if passing is not None and "<" not in text and "[" not in text:
            return (passing(text),) if text else ()
        return self._run(self._held + text, last=False)

    def finish(self) -> Sequence[Delta]:
        """Return what was held back: the answer has ended."""
        return self._run(self._held, last=True)

    def _run(self, text: str, *, last: bool) -> Sequence[Delta]:
        self._events = []
        self._held = self._scan(text, last)
        self.passing = self._passing()
        return self._events

    def _scan(self, text: str, last: bool) -> str:
        """Emit what the text settles and return the rest, to be seen again with more; nothing when it is the last."""
        raise NotImplementedError

    def _passing(self) -> Kind | None:
        return None if self._held or self._trimmed else self.delta

    def _trim(self, text: str) -> str:
        if self._trimmed and (text := text.lstrip(self._trimmed)):
            self._trimmed = ""
        return text

    def _emit(self, text: str) -> None:
        if text and self.delta is not None:
            self._events.append(self.delta(text))

    def _flag(self, remark: str) -> None:
        if remark not in self.flags:
            self.flags.append(remark)
