"""Any source, read: one text with spans into it, and what was found where.

Offsets count characters of ``Document.text``. Whatever a teacher says can so point at what supports it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from alain_magics.lessons.schema import Citation, Provenance


@dataclass(frozen=True)
class Span:
    """A half-open range of characters of the document's text."""

    start: int
    end: int


@dataclass(frozen=True)
class Heading:
    """A section of the source: its title, its level from 1, and the span of its body."""

    title: str
    level: int
    span: Span


@dataclass(frozen=True)
class CodeBlock:
    """Code that stands in the source, with the language it is marked as."""

    code: str
    language: str
    span: Span
    ref: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the source: header, rows, and where it stands."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    span: Span
    ref: str = ""


@dataclass(frozen=True)
class Fact:
    """A named value of the source (``hidden_size`` = 1024), and the text that states it."""

    name: str
    value: object
    span: Span
    ref: str = ""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a callable: ``kind`` as in :mod:`inspect`, ``default`` as its repr or ``None``."""

    name: str
    kind: str
    default: str | None = None
    annotation: str = ""


@dataclass(frozen=True)
class ApiObject:
    """A public name of a module: ``path`` as written after import, such as ``statistics.NormalDist.cdf``."""

    path: str
    kind: str
    doc: str
    span: Span
    summary: str = ""
    summary_span: Span = Span(0, 0)
    parameters: tuple[Parameter, ...] | None = None
    owner: str = ""
    raises: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


@dataclass
class Document:
    """A source that was read, whatever its kind."""

    title: str
    text: str
    provenance: Provenance
    headings: list[Heading] = field(default_factory=list)
    code_blocks: list[CodeBlock] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    objects: list[ApiObject] = field(default_factory=list)

    def cite(self, span: Span, ref: str = "") -> Citation:
        """The citation of a span, with what stands there."""
        return Citation(ref=ref, start=span.start, end=span.end, quote=self.text[span.start : span.end])

    def fact(self, name: str) -> Fact | None:
        """The first fact of that name."""
        return next((fact for fact in self.facts if fact.name == name), None)


def text_hash(text: str) -> str:
    """SHA-256 (hexadecimal) of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
