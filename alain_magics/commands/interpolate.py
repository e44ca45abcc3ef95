"""Put values of variables into the text of a cell.

The exact ``{name}`` of an existing variable becomes its value, once: what a value contains is not looked at again.
``{{name}}`` stands for ``{name}`` itself. Every other brace (LaTeX, JSON, templates) stays as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"\{\{(?P<escaped>[^\W\d]\w*)\}\}|\{(?P<name>[^\W\d]\w*)\}")


@dataclass(frozen=True)
class Interpolated:
    """The text, and how many characters each variable put into it."""

    text: str
    sent: dict[str, int]


def interpolate(text: str, namespace: Mapping[str, Any]) -> Interpolated:
    """Replace the names of variables of ``namespace`` by ``str`` of their values."""
    sent: dict[str, int] = {}

    def value(match: re.Match[str]) -> str:
        name = match["escaped"] or match["name"]
        if name not in namespace:
            return match[0]
        if match["escaped"]:
            return f"{{{name}}}"
        put = str(namespace[name])
        sent[name] = sent.get(name, 0) + len(put)
        return put

    return Interpolated(_NAME.sub(value, text), sent)
