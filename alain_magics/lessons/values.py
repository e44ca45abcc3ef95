"""Comparing printed values: as text, as what they parse to, and by the kind of thing they are."""

from __future__ import annotations

import ast
import cmath
import re
from typing import Any

_HEAD = re.compile(r"^(?:<class|[A-Za-z_][\w.]*(?=\())")


def parsed(text: str) -> Any:
    """The value that a printed literal stands for, or the text itself."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text


def same_value(one: str, two: str) -> bool:
    """Whether two printed values are one: same text but for case and space, or equal when parsed (floats to 1e-9)."""
    if "".join(one.split()).casefold() == "".join(two.split()).casefold():
        return True
    return _equal(parsed(one), parsed(two))


def _equal(first: Any, second: Any) -> bool:
    """Whether two literals are equal; numbers to 1e-9, also within lists and tuples."""
    if isinstance(first, int) and isinstance(second, int):
        return first == second
    if isinstance(first, int | float | complex) and isinstance(second, int | float | complex):
        try:
            return cmath.isclose(first, second, rel_tol=1e-9, abs_tol=1e-12)
        except OverflowError:  # an integer beyond all floats
            return first == second
    if type(first) is type(second) and isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    return type(first) is type(second) and bool(first == second)


def shape(text: str) -> str:
    """The kind of thing a printed value is: its literal type, or the name that its repr begins with."""
    value = parsed(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    if not isinstance(value, str) or text[:1] in "'\"":
        return type(value).__name__
    head = _HEAD.match(text)
    return head[0] if head else "text"


def workable(text: str) -> bool:
    """Whether somebody can tell a printed value apart by thinking: no number in it has more than six digits."""
    return all(len(digits.replace(".", "").strip("0")) <= 6 for digits in re.findall(r"\d[\d.]*", text))
