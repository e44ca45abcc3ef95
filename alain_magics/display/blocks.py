"""A Markdown text that is still coming, cut into parts: what is finished need never be drawn again.

Parts end where blocks end. A block that does not end (code, a table, a paragraph) is cut within, and what follows
begins so that it means the same. Every part stands for itself, so that each can be made safe on its own.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

SOFT = 4_000
"""Characters of the open end from which on a part is taken off where a block ends."""

HARD = 8_000
"""Characters beyond which a block that does not end is cut within."""

_LEAST = SOFT // 4  # characters of a part, where blocks allow it


class Tail:
    """The open end of a text; ``definitions`` are the link references of all that came."""

    def __init__(self) -> None:
        self.source = ""
        self.definitions: dict[str, str] = {}

    def feed(self, text: str) -> None:
        """Add what came."""
        self.source += text
        if "\r" in self.source:
            self.source = re.sub(r"\r\n|\r(?!\Z)", "\n", self.source)

    def take(self) -> str | None:
        """Take off and return the next part that is finished; ``None`` where all is still open."""
        if len(self.source) <= SOFT:
            return None
        window = self.source[: 2 * HARD]
        if len(window) <= HARD:  # what the last line is shows at its end
            window = window[: window.rfind("\n") + 1]
        tokens = self._parse(window)
        at, beginning = _cut(window, tokens)
        if not at:
            return None
        part, self.source = self.source[:at], beginning + self.source[at:]
        return part

    def close(self) -> None:
        """Look for link references in what is left."""
        self._parse(self.source)

    def _parse(self, source: str) -> list[Token]:
        environment: dict[str, dict[str, dict[str, str]]] = {}
        tokens = _parser().parse(source, environment)
        for label, reference in environment.get("references", {}).items():
            self.definitions.setdefault(label, f"[{label}]: <{reference['href']}>")
        return tokens


@cache
def _parser() -> MarkdownIt:
    """The blocks that text.py knows, without what is in them."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("inline")


class _Block(NamedTuple):
    """A block, whatever it is in: its token, where it stands in the text, and where its first line ends."""

    token: Token
    start: int
    head: int
    end: int


def _cut(source: str, tokens: list[Token]) -> tuple[int, str]:
    """Where the part ends (0: nowhere yet), and what must stand before the rest."""
    lines = [0, *accumulate(len(line) + 1 for line in source.split("\n"))]
    blocks = [
        _Block(token, lines[token.map[0]], lines[token.map[0] + 1], lines[token.map[1]])
        for token in tokens
        if token.map
    ]
    ends = [block.start for block in blocks if block.token.level == 0 and _LEAST <= block.start <= HARD]
    if ends:
        return ends[-1], ""
    return _cut_within(source, blocks) if len(source) > HARD else (0, "")


def _cut_within(source: str, blocks: list[_Block]) -> tuple[int, str]:
    """The same for a block that is too long: at an item or a line, else at a space."""
    items = [block.start for block in blocks if block.token.type == "list_item_open" and block.token.level == 1]
    items = [at for at in items if HARD // 2 <= at <= HARD]
    if items:
        return items[-1], ""
    at = source.rfind("\n", HARD // 2, HARD) + 1 or source.rfind(" ", HARD // 2, HARD) + 1 or HARD
    at += len(source[at:]) - len(source[at:].lstrip("\n"))
    before = [block for block in blocks if block.start < at]
    beginning = ""
    if before and before[-1].token.type == "fence" and (at < before[-1].end or not _closed(source, before[-1])):
        beginning = _opening(source, before[-1])
    for block in before:
        if block.token.type == "table_open" and block.token.level == 0 and at < block.end:
            beginning = "".join(source[block.start :].splitlines(keepends=True)[:2])  # the names of the columns
    return at, beginning if len(beginning) < _LEAST else ""


def _opening(source: str, fence: _Block) -> str:
    """A line that opens the code again, in a list as deep as it stood."""
    lead = source[fence.start : source.index(fence.token.markup, fence.start)]
    if fence.token.level == 0:
        lead = ""
    elif ">" not in lead and len(lead) > 1:
        lead = "- " * (len(lead) // 2 - 1) + "-" + " " * (1 + len(lead) % 2)
    return f"{lead}{fence.token.markup}{fence.token.info}\n"


def _closed(source: str, fence: _Block) -> bool:
    """Whether code has its end, which a fence need not have."""
    *_, last = source[fence.head : fence.end].rstrip("\n").split("\n")
    ending, mark = last.strip(" >\t"), fence.token.markup
    return ending.startswith(mark) and not ending.strip(mark[0])
