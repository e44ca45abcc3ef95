"""Notice that a model repeats itself without end, so that its answer can be cut.

What counts as a loop, looking back from the end of the text:

- **Repetition**: a unit of up to ``LONGEST_UNIT`` characters that repeats itself exactly, until ``REPEATS`` repeats or
  ``REPEATED`` characters (about 190 tokens) have followed the first, whichever comes first. For units that only draw
  lines or leave space (rules, empty table cells, indentation) the characters alone count: these come in long runs in
  sound answers, and tokenizers have tokens for whole runs of them.
- **Ellipses**: ``ELLIPSES`` of the last ``ELLIPSIS_WINDOW`` characters are "…". Models that fall into this loop strew
  words between, so that nothing repeats exactly.
- **Near-repetition**, in the mode ``full``: the same prose, with at least ``WORDS`` words in a row, in which only
  numbers change.

Refrains, tables, counting lists and short arrays of zeros are no loops; a table of more than ``REPEATED`` characters
of equal rows is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alain_magics.settings import LoopMode

LONGEST_UNIT = 400
REPEATS = 168
REPEATED = 760
ELLIPSES = 120
ELLIPSIS_WINDOW = 200
WORDS = 4

_EVERY = 32  # characters between two looks: a loop is noticed this much later than it counts
_PROBE = 32  # characters that must recur for a closer look
_KEPT = LONGEST_UNIT + REPEATED + 1
_DRAWN = frozenset(" \t\r\n-=_*#~.+|:─━═│┃║")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_PROSE = re.compile(rf"(?:[^\W\d_]+[ ,;:]+){{{WORDS - 1}}}[^\W\d_]+")


def loop_detector(mode: LoopMode) -> LoopDetector | None:
    """Return a detector for one answer; ``None`` where none is wanted."""
    return None if mode == "off" else LoopDetector(numbers=mode == "full")


class LoopDetector:
    """Looks at the end of an answer while it comes."""

    def __init__(self, *, numbers: bool) -> None:
        self._numbers = numbers
        self._tail = ""
        self._pieces: list[str] = []
        self._new = 0

    def feed(self, text: str) -> bool:
        """Take the next piece; return whether the text ends in a loop."""
        self._pieces.append(text)
        self._new += len(text)
        return self._new >= _EVERY and self._look()

    def _look(self) -> bool:
        tail = self._tail + "".join(self._pieces)
        self._pieces.clear()
        self._new = 0
        self._tail = tail[-_KEPT:]
        found = _repetition(tail) is not None or _ellipses(tail)
        return found or (self._numbers and _near_repetition(tail))


def _repetition(tail: str) -> int | None:
    """Return where the first repeat begins if the text ends in exact repeats.

    The last characters of such a text occur a unit earlier too, so only these places are looked at.
    """
    end = len(tail)
    at = end - _PROBE
    lowest = max(0, at - LONGEST_UNIT)
    while (at := tail.rfind(tail[-_PROBE:], lowest, at + _PROBE - 1)) >= 0:
        period = end - _PROBE - at
        needed = REPEATED if _DRAWN.issuperset(tail[-period:]) else min(REPEATS * period, REPEATED)
        if needed + period <= end and tail[-needed:] == tail[-needed - period : -period]:
            start = end - needed
            while start > period and tail[start - 1] == tail[start - 1 - period]:
                start -= 1
            return start
    return None


def _ellipses(tail: str) -> bool:
    """Whether the text ends in a thicket of "…"."""
    return tail.count("…", -ELLIPSIS_WINDOW) >= ELLIPSES


def _near_repetition(tail: str) -> bool:
    """Whether the text ends in prose that repeats but for its numbers."""
    plain = _NUMBER.sub("0", tail)
    start = _repetition(plain)
    return start is not None and _PROSE.search(plain, start) is not None
