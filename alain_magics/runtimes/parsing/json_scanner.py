"""Report the members of one array or object of a JSON text while the text still comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import from_json

_STRUCTURE = re.compile(r'["{}\[\],:]')
_BRACKETS = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'["\\]')


@dataclass(slots=True)
class Member:
    """A member that is complete: its index or key, and its JSON text as it came."""

    key: int | str
    text: str


class JsonScanner:
    """Follows the depth of a JSON text; ``feed`` returns the members that closed at ``path``.

    ``path`` leads from the root to an array or object: keys and indices, nothing for the root itself. What stands
    before the first bracket that can be the root is skipped, what follows the root too. Nothing is checked: a text
    that is no JSON gives what its brackets and quotes suggest.
    """

    def __init__(self, path: Sequence[str | int] = ()) -> None:
        self.done = False
        self._path = tuple(path)
        self._roots = "{[" if not path else "{" if isinstance(path[0], str) else "["
        self._depth = 0
        self._keys: list[int | str] = []  # where we are in each open container that lies on the path
        self._awaits_key = False
        self._wanted = _STRUCTURE  # what to look for next
        self._escaped = False
        self._reading = False  # a key on the path, or a member
        self._read: list[str] = []
        self._start = 0  # of what is read, within the present piece

    def feed(self, text: str) -> Sequence[Member]:
        """Take the next piece and return the members that closed in it."""
        if self.done:
            return ()
        if self._wanted.search(text) is None and not self._escaped:
            if self._reading:
                self._read.append(text)
            return ()
        members: list[Member] = []
        self._start = 0
        at = 0
        if self._escaped and text:
            self._escaped, at = False, 1
        while not self.done and (found := self._wanted.search(text, at)):
            at = found.end()
            if self._wanted is not _IN_STRING:
                self._structure(found.group(), text, at, members)
            elif found.group() == '"':
                self._wanted = _STRUCTURE if self._depth == len(self._keys) else _BRACKETS
                if self._depth == len(self._keys):
                    self._string(text, at, members)
            elif at < len(text):
                at += 1
            else:
                self._escaped = True
        if self._reading:
            self._read.append(text[self._start :])
        return members

    def _structure(self, char: str, text: str, at: int, members: list[Member]) -> None:
        here = self._depth == len(self._keys)
        if char in "{[":
            if self._leads_on(char, here):
                self._keys.append("" if char == "{" else 0)
                self._awaits_key = char == "{"
                if char == "[":
                    self._begin(at)
            elif not self._depth:
                return
            self._depth += 1
        elif not self._depth:
            return
        elif char == '"':
            if here and self._awaits_key:
                self._begin(at - 1, key=True)
            self._wanted = _IN_STRING
            return
        elif char in "}]":
            if here:
                self._report(text, at - 1, members)
                self._keys.pop()
                self._awaits_key = False
                self.done = not self._keys
            self._depth -= 1
            if not here and self._depth == len(self._keys):
                self._report(text, at, members)
        elif char == ":":
            self._awaits_key = False
            self._begin(at)
        else:
            self._report(text, at - 1, members)
            key = self._keys[-1]
            if isinstance(key, int):
                self._keys[-1] = key + 1
                self._begin(at)
            else:
                self._awaits_key = True
        self._wanted = _STRUCTURE if self._depth == len(self._keys) else _BRACKETS

    def _leads_on(self, char: str, here: bool) -> bool:
        """Whether the container that opens lies on the path."""
        level = len(self._keys)
        if not level:
            return char in self._roots
        return here and not self._awaits_key and level <= len(self._path) and self._keys[-1] == self._path[level - 1]

    def _string(self, text: str, at: int, members: list[Member]) -> None:
        """A string ends within a container on the path."""
        if not self._awaits_key:
            self._report(text, at, members)
        elif self._reading:
            literal = self._take(text, at)
            try:
                self._keys[-1] = str(from_json(literal))
            except ValueError:
                self._keys[-1] = literal[1:-1]

    def _begin(self, at: int, *, key: bool = False) -> None:
        if key or len(self._keys) > len(self._path):
            self._reading, self._read, self._start = True, [], at

    def _report(self, text: str, at: int, members: list[Member]) -> None:
        if self._reading and (member := self._take(text, at).strip()):
            members.append(Member(self._keys[-1], member))

    def _take(self, text: str, at: int) -> str:
        self._reading = False
        return "".join([*self._read, text[self._start : at]])
