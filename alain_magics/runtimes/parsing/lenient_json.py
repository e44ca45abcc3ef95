r"""Read JSON as models write it, take nothing for granted, and say what was wrong.

Liberties with punctuation are taken in stride and named: commas too many or missing, other quotes, unquoted keys,
comments, Python's ``True``, ``False`` and ``None``, line ends and stray quotes in strings, backslashes that escape
nothing. No value is ever made up: where the text cannot be read any further, what is complete before that place is
the result, and ``defect`` names what is wrong. One pass, no recursion: the time is in proportion to the text, also
for hostile text, unlike that of json_repair (measured on 64 KB of strings without commas: 50 seconds).

LaTeX in JSON loses its backslashes in every parser: ``"\frac"`` is a form feed and "rac". A backslash that was an
escape by accident is restored: always for ``\b`` and ``\f`` before a letter; for ``\n``, ``\r`` and ``\t`` where
the word is a LaTeX command within a formula.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

DEEPEST = 200
"""Levels of nesting beyond which nothing is read."""

LONGEST_NUMBER = 4000
"""Digits beyond which nothing is read: Python itself refuses a little more."""

LONGEST_PATH = 80
"""Characters of a place in the structure that are told."""

_COMMANDS = (
    "nabla ne neg neq ni nmid nolimits not notin nsim nsubseteq nu rangle rbrace rceil re ref rfloor rho right"
    " rightarrow rightharpoonup rm root tan tanh tau text textbf textit textrm tfrac therefore theta tilde times to"
    " top triangle triangleq"
).split()
_LITERALS = {"true": True, "false": False, "null": None}
_PYTHON = {"True": True, "False": False, "None": None}

_TOKEN = re.compile(
    r"""
    (?P<space>[\s\ufeff\u200b]+ | //[^\n]* | /\*.*?\*/)
    | (?P<mark>[{}\[\],:])
    | "(?P<double>(?:[^"\\]++ | \\. | "(?!\s*(?:[,:}\]"] | /[/*] | \Z)))*+)"
    | '(?P<single>(?:[^'\\]++ | \\. | (?<=\w)'(?=\w))*+)'
    | “(?P<curly>(?:[^”\\]++ | \\.)*+)”
    | (?P<number>-?(?:0|[1-9]\d*+)(?:\.\d++)?(?:[eE][+-]?\d++)?)(?=[\s,:}\]/]|\Z)
    | (?P<word>[^\W\d]\w*+)(?=[\s,:}\]/]|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_STRINGS = {"double": "", "single": "single quotes", "curly": "typographic quotes"}
_QUOTES = "\"'”"
_ESCAPE = re.compile(
    r"\\(?:u(?P<pair>[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2})|u(?P<code>(?![dD][89a-fA-F])[\da-fA-F]{4})"
    r"|(?P<control>[bfnrt])(?P<letters>[A-Za-z]*)|(?P<other>.))",
    re.DOTALL,
)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_RAW_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_QUOTING = re.compile(r"""[^"]*+(?:(?<![^\s(\[{=,;:/'-])"(?=\S)[^"]++(?<=\S)"(?!\w)[^"]*+)++""")
_UNCLEAR = "it is not clear where a string ends"
_GARBAGE = re.compile(r"[^\s,:{}\[\]]{1,20}")
_CUT = re.compile(r"[\w.+-]+\Z")
LOST_BACKSLASH = re.compile(rf"(?<!\\)(?:\\\\)*\\(?:[bf][A-Za-z]|(?:{'|'.join(_COMMANDS)})(?![A-Za-z]))")
"""Finds an escape that may be a lost backslash of LaTeX."""


class _Unreadable(Exception):
    """Nothing more can be read; the argument says why."""


class _Cut(_Unreadable):
    """The text ends too early."""


class Reading:
    """What could be read from the bracket at ``start`` on.

    ``value`` is the value, or the largest part of it that is sure (``None`` where nothing is), ``complete`` says which.
    ``defect`` is the first thing that is wrong, ``liberties`` are malformations that do no harm. ``end`` is where the
    reading stopped.
    """

    def __init__(self, text: str, start: int) -> None:
        self.value: Any = None
        self.complete = False
        self.defect = ""
        self.liberties: list[str] = []
        self.start = self.end = start
        self._text = text
        self._open: list[Any] = []  # the containers that are open, the outermost first
        self._keys: list[str] = []  # for each of them the present key, "" in an array
        self._expect = "value"  # or "first" (of a container), "next" (after a comma), "colon", "comma"
        self._unsure: Literal["", "comma", "member"] = ""  # what has still to confirm that the last value ended there
        try:
            while not self.complete:
                self._read_token()
            self.complete = not self.defect
        except _Unreadable as reason:
            self._give_up(reason)

    def _read_token(self) -> None:
        token = _TOKEN.match(self._text, self.end)
        if token is None:
            raise self._no_token()
        kind, content = str(token.lastgroup), token[str(token.lastgroup)]
        if kind == "space":
            if content[0] == "/":
                if '"' in content:
                    raise _Unreadable(_UNCLEAR)  # a string that lost a quote, rather than a comment
                self._take_liberty("a comment")
        elif kind == "mark" and content not in "{[":
            self._punctuation(content)
        else:
            if token.end() == len(self._text) and kind in ("number", "word"):
                raise _Cut(f"the text ends within a {kind}")
            self._prepare_value(kind)
            if self._expect != "value" and isinstance(self._open[-1], dict):
                self._key(kind, content)
            elif kind == "mark":
                self._begin(content)
            else:
                if kind in _STRINGS:  # so the string before it has ended where it seemed to
                    self._unsure = ""
                self._add(self._scalar(kind, content))
                self._expect, self._unsure = "comma", "member" if kind in _STRINGS else "comma"
        self.end = token.end()

    def _no_token(self) -> _Unreadable:
        garbage = _GARBAGE.match(self._text, self.end)
        if garbage is None:
            return _Cut(f"the text ends within {'an object' if isinstance(self._open[-1], dict) else 'an array'}")
        if garbage[0][0] in "\"'“":
            return _Cut("the text ends within a string")
        if _CUT.match(self._text, self.end):
            return _Cut("the text ends within a value")
        return _Unreadable(f"{garbage[0]!r} is no JSON")

    def _prepare_value(self, kind: str) -> None:
        """See that a value or key may stand here."""
        if self._expect == "comma":
            in_array = isinstance(self._open[-1], list)
            if kind not in _STRINGS and not (in_array and kind == "mark"):
                raise _Unreadable("a comma or a closing bracket is missing")
            if self._text[self.end - 1] in _QUOTES:
                raise _Unreadable(_UNCLEAR)
            self._take_liberty("a missing comma")
            self._expect = "next"
        elif self._expect == "colon":
            raise _Unreadable("a colon is missing")

    def _punctuation(self, mark: str) -> None:
        container, expect = self._open[-1], self._expect
        if self._unsure == "comma" or mark in "}]" or (mark == ":" and expect == "colon"):
            self._unsure = ""
        if mark == ":":
            if expect != "colon":
                raise _Unreadable("a colon stands in the wrong place")
            self._expect = "value"
        elif mark == ",":
            if expect == "comma":
                self._expect = "next"
            elif isinstance(container, dict) and expect in ("first", "next"):
                self._take_liberty("a comma too many")
            else:
                raise _Unreadable("a value is missing")
        else:
            if expect in ("colon", "value"):
                raise _Unreadable("a value is missing")
            if (mark == "}") != isinstance(container, dict):
                raise _Unreadable(f"{mark!r} closes what it did not open")
            if expect == "next":
                self._take_liberty("a comma too many")
            self._open.pop()
            self._keys.pop()
            self._expect = "comma"
            self.complete = not self._open

    def _key(self, kind: str, content: str) -> None:
        if kind == "word":
            self._take_liberty("a key without quotes")
            self._keys[-1] = content
        elif kind in _STRINGS:
            if kind == "double" and '"' in _ESCAPED.sub("", content):
                raise _Unreadable(_UNCLEAR)
            self._keys[-1] = self._string(kind, content)
        else:
            raise _Unreadable("a key is missing")
        self._expect = "colon"

    def _begin(self, bracket: str) -> None:
        if len(self._open) == DEEPEST:
            raise _Unreadable(f"it is nested deeper than {DEEPEST} levels")
        container: dict[str, Any] | list[Any] = {} if bracket == "{" else []
        if self._open:
            self._add(container)
        else:
            self.value = container
        self._open.append(container)
        self._keys.append("")
        self._expect, self._unsure = "first", ""

    def _add(self, value: Any) -> None:
        container, key = self._open[-1], self._keys[-1]
        if isinstance(container, list):
            container.append(value)
            return
        if key in container:
            self.defect = self.defect or f"{self._path()} occurs twice"
            del container[key]
        container[key] = value  # now the last one

    def _scalar(self, kind: str, content: str) -> Any:
        if kind == "number":
            if len(content) > LONGEST_NUMBER:
                raise _Unreadable(f"a number has more than {LONGEST_NUMBER} digits")
            number = float(content) if set(content) & set(".eE") else int(content)
            if not math.isfinite(number):
                raise _Unreadable(f"{content} is beyond what a number can hold")
            return number
        if kind != "word":
            return self._string(kind, content)
        if content in _PYTHON:
            self._take_liberty(f"Python's {content}")
            return _PYTHON[content]
        if content not in _LITERALS:
            raise _Unreadable(f"{content[:20]!r} is no value of JSON")
        return _LITERALS[content]

    def _string(self, kind: str, content: str) -> str:
        if liberty := _STRINGS[kind]:
            self._take_liberty(liberty)
        elif '"' in content and '"' in (bare := _ESCAPED.sub("_", content)):
            if not _QUOTING.fullmatch(bare):
                raise _Unreadable(_UNCLEAR)
            self._take_liberty("quotes within a string")
        if _RAW_CONTROL.search(content):
            self._take_liberty("a line end within a string")
        return self._unescaped(content) if "\\" in content else content

    def _unescaped(self, content: str) -> str:
        seen, dollars, brackets = 0, 0, 0

        def in_formula(at: int) -> bool:
            nonlocal seen, dollars, brackets
            piece, seen = content[seen:at], at
            dollars += piece.replace("$$", "$").count("$")
            brackets += sum(map(piece.count, ("\\(", "\\["))) - sum(map(piece.count, ("\\)", "\\]")))
            return dollars % 2 == 1 or brackets > 0

        def meant(escape: re.Match[str]) -> str:
            if pair := escape["pair"]:
                return bytes.fromhex(pair[:4] + pair[6:]).decode("utf-16-be")
            if code := escape["code"]:
                return chr(int(code, 16))
            if control := escape["control"]:
                word = control + escape["letters"]
                lost = len(word) > 1 if control in "bf" else word in _COMMANDS and in_formula(escape.start())
                if lost:
                    self._take_liberty(f"the lost backslash of \\{word[:20]}")
                    return "\\" + word
                return _CONTROLS[control] + escape["letters"]
            other: str = escape["other"]
            if other in '"\\/':
                return other
            self._take_liberty("a backslash that escapes nothing")
            return other if other == "'" else "\\" + other

        return _ESCAPE.sub(meant, content)

    def _take_liberty(self, malformation: str) -> None:
        if malformation not in self.liberties:
            self.liberties.append(malformation)

    def _path(self) -> str:
        """Return the place in the structure, such as ``sections[2].title``."""
        path = ""
        for container, key in zip(self._open, self._keys, strict=True):
            if isinstance(container, dict):
                path += f".{key[:40]}" if key else ""
            else:
                inside = container is not self._open[-1] or self._expect == "comma"
                path += f"[{len(container) - inside}]"
        path = path.lstrip(".")
        return path if len(path) <= LONGEST_PATH else f"…{path[-LONGEST_PATH:]}"

    def _give_up(self, reason: _Unreadable) -> None:
        """Keep what is sure."""
        path = self._path()
        self.defect = self.defect or (f"{reason} in {path}" if path else str(reason))
        if self._unsure and not isinstance(reason, _Cut):
            _remove_last(self._open[-1])
        while len(self._open) > 1 and not self._open[-1]:
            self._open.pop()
            _remove_last(self._open[-1])
        self.value = self.value or None


def _remove_last(container: Any) -> None:
    if isinstance(container, list):
        container.pop()
    else:
        container.popitem()
