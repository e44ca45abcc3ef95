"""Which objects of a module are alike enough that telling them apart is worth a question."""

from __future__ import annotations

import re

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.sources.module import ModuleDocument

_WORD = re.compile(r"[a-z]{3,}")
NEAR = 3


def words(text: str) -> set[str]:
    """The words of a name or a sentence, in lower case, plural endings removed."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", text).lower()
    return {word.removesuffix("s") for word in _WORD.findall(spaced)}


def required(item: ApiObject) -> tuple[str, ...] | None:
    """Names of the parameters that a call must give; ``None`` where the signature is unknown."""
    if item.parameters is None:
        return None
    positional = {"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD"}
    return tuple(p.name for p in item.parameters if p.default is None and p.kind in positional)


def closeness(one: ApiObject, two: ApiObject, together: bool) -> int:
    """How alike two objects are: same parameters 2, shared stem 2, similar summaries 1, listed together 1."""
    if one.kind != two.kind or one.owner != two.owner:
        return 0
    points = int(together)
    mine, theirs = required(one), required(two)
    points += 2 * (mine is not None and mine == theirs and bool(mine))
    if words(one.name) & words(two.name) or _common_start(one.name, two.name) >= 4:
        points += 2
    first, second = words(one.summary), words(two.summary)
    if first and second and len(first & second) / len(first | second) >= 0.3:
        points += 1
    return points


def _common_start(one: str, two: str) -> int:
    count = 0
    for a, b in zip(one, two, strict=False):
        if a != b:
            break
        count += 1
    return count


class Siblings:
    """The near objects of each object, nearest first."""

    def __init__(self, document: ModuleDocument) -> None:
        self._document = document
        self._groups = [
            {
                item.path
                for item in document.objects
                if not item.owner and re.search(rf"\b{re.escape(item.name)}\b", body)
            }
            for body in (
                document.text[h.span.start : h.span.end]
                for h in document.headings
                if h.level == 2 and document.object(h.title) is None
            )
        ]
        self._known: dict[str, list[ApiObject]] = {}

    def of(self, path: str) -> list[ApiObject]:
        """The siblings of an object."""
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def near(self, path: str) -> list[ApiObject]:
        """Objects of the same kind and class, the siblings first: what a name could be confused with."""
        item = self._document.object(path)
        if item is None:
            return []
        first = self.of(path)
        rest = [
            other
            for other in self._document.objects
            if other is not item and other not in first and (other.kind, other.owner) == (item.kind, item.owner)
        ]
        rest.sort(key=lambda other: -closeness(item, other, together=False))
        return first + rest

    def _find(self, path: str) -> list[ApiObject]:
        item = self._document.object(path)
        if item is None:
            return []
        scored = []
        for order, other in enumerate(self._document.objects):
            if other.path == item.path or other.name.startswith("_"):
                continue
            together = any({item.path, other.path} <= group for group in self._groups)
            points = closeness(item, other, together)
            if points >= NEAR:
                scored.append((-points, order, other))
        return [other for _, _, other in sorted(scored, key=lambda entry: entry[:2])]
