"""Markdown, read into headings, passages, tables and code, each with its span.

Raw HTML is passed over; nothing is rendered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alain_magics.lessons.document import CodeBlock, Heading, Span, Table

if TYPE_CHECKING:
    from markdown_it.token import Token

MOST_CHARACTERS = 100_000
_NEWLINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Passage:
    """A paragraph or list item: its plain text (code in `backticks`), and where it stands."""

    text: str
    span: Span


@dataclass
class Markdown:
    """What a Markdown text consists of."""

    headings: list[Heading] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    code_blocks: list[CodeBlock] = field(default_factory=list)


def read_markdown(text: str, offset: int = 0) -> Markdown:
    """Read a text from ``offset`` on; the structure of the first 100,000 characters is read, the rest passed over.

    Spans count from the start of ``text``.
    """
    from markdown_it import MarkdownIt

    body = text[offset : offset + MOST_CHARACTERS]
    return _Reader(text, offset, len(body)).read(MarkdownIt("commonmark").enable("table").parse(body))


class _Reader:
    def __init__(self, text: str, offset: int, length: int) -> None:
        self._text = text
        self._end = offset + length
        newlines = [match.end() for match in _NEWLINE.finditer(text, offset, self._end)]
        self._lines = [offset, *newlines, self._end]
        self._found = Markdown()
        self._open: list[tuple[int, str, int]] = []

    def read(self, tokens: list[Token]) -> Markdown:
        for index, token in enumerate(tokens):
            if token.type == "heading_open":
                self._heading(token, tokens[index + 1])
            elif token.type == "paragraph_open":
                self._passage(token, tokens[index + 1])
            elif token.type in ("fence", "code_block"):
                language = token.info.split()[0] if token.info.split() else ""
                self._found.code_blocks.append(CodeBlock(token.content, language, self._span(token)))
            elif token.type == "table_open":
                self._table(tokens, index)
        self._close(1, self._end)
        self._found.headings.sort(key=lambda heading: heading.span.start)
        return self._found

    def _span(self, token: Token) -> Span:
        """The characters of a block, without the white space around them."""
        first, last = token.map or (0, 0)
        start, end = self._lines[first], self._lines[min(last, len(self._lines) - 1)]
        block = self._text[start:end]
        return Span(start + len(block) - len(block.lstrip()), end - len(block) + len(block.rstrip()))

    def _heading(self, token: Token, inline: Token) -> None:
        level, span = int(token.tag[1]), self._span(token)
        self._close(level, span.start)
        self._open.append((level, plain_text(inline).replace("`", ""), span.end))

    def _close(self, level: int, end: int) -> None:
        """End the bodies of all open headings that a heading of this level ends."""
        while self._open and self._open[-1][0] >= level:
            opened, title, start = self._open.pop()
            self._found.headings.append(Heading(title, opened, Span(start, end)))

    def _passage(self, token: Token, inline: Token) -> None:
        text = plain_text(inline)
        if text:
            self._found.passages.append(Passage(text, self._span(token)))

    def _table(self, tokens: list[Token], index: int) -> None:
        rows: list[list[str]] = []
        span = self._span(tokens[index])
        while tokens[index].type != "table_close":
            if tokens[index].type == "tr_open":
                rows.append([])
            elif tokens[index].type == "inline":
                rows[-1].append(plain_text(tokens[index]).replace("`", ""))
            index += 1
        self._found.tables.append(Table(tuple(rows[0]), tuple(tuple(row) for row in rows[1:]), span))


def plain_text(inline: Token) -> str:
    """The text of an inline token without marks, images and HTML; code keeps its `backticks`."""
    parts = []
    for child in inline.children or []:
        if child.type == "text":
            parts.append(child.content)
        elif child.type == "code_inline":
            parts.append("`" + child.content.replace("`", "") + "`")
        elif child.type in ("softbreak", "hardbreak", "html_inline"):
            parts.append(" ")
    return " ".join("".join(parts).split())
