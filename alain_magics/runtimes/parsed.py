"""Values out of JSON that somebody else wrote: what is not of the kind that belongs there counts as missing."""

from __future__ import annotations

from typing import Any


def mapping(value: Any, *path: str) -> dict[str, Any]:
    """Return the object at the end of a path of names; an empty one where something else stands there."""
    for name in path:
        value = value.get(name) if type(value) is dict else None
    return value if type(value) is dict else {}


def text(values: dict[str, Any], name: str) -> str:
    """Return the text under a name, or an empty one."""
    value = values.get(name)
    return value if type(value) is str else ""


def count(values: dict[str, Any], name: str) -> int:
    """Return the whole number under a name, 0 where there is none or a negative one."""
    value = values.get(name)
    return value if type(value) is int and value > 0 else 0
