r"""Put values of variables into the text of a cell.

The exact ``{name}`` of an existing variable becomes its value, once: what a value contains is not looked at again.
``{{name}}`` stands for ``{name}`` itself. Every other brace (JSON, templates) stays as it was typed, and so does all
that LaTeX puts in braces: the arguments of a command, as in ``\frac{a}{b}``, and what follows ``_`` or ``^``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alain_magics.errors import KeyMisused
from alain_magics.keys import Key, dotenv

_SECRET_VARIABLE = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")
_SHORTEST_SECRET = 12  # characters; shorter values of such variables are words like "true"
_GROUP = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*+\})*+\})*+\}"  # with two more inside each other
_NAME = re.compile(
    rf"(?P<latex>\\[A-Za-z]+\*?(?:\[[^\[\]\n]*\]|{_GROUP})+|[_^]{_GROUP})"
    r"|\{\{(?P<escaped>[^\W\d]\w*)\}\}|\{(?P<name>[^\W\d]\w*)\}"
)


@dataclass(frozen=True)
class Interpolated:
    """The text, and how many characters each variable put into it."""

    text: str
    sent: dict[str, int]


def interpolate(text: str, namespace: Mapping[str, Any], folder: Path | None = None) -> Interpolated:
    """Replace the names of variables of ``namespace`` by ``str`` of their values; ``folder`` may hold a ``.env``.

    Raises :class:`~alain_magics.errors.KeyMisused` where a value is a key, or holds one of the environment's or of the
    ``.env``.
    """
    sent: dict[str, int] = {}

    def value(match: re.Match[str]) -> str:
        name = match["escaped"] or match["name"]
        if match["latex"] or name not in namespace:
            return match[0]
        if match["escaped"]:
            return f"{{{name}}}"
        put = str(namespace[name])
        if _is_secret(namespace[name], put, folder):
            raise KeyMisused(f"{{{name}}} holds a key, which must not go to a model.", "Take it out of the text.")
        sent[name] = sent.get(name, 0) + len(put)
        return put

    return Interpolated(_NAME.sub(value, text), sent)


def _is_secret(value: object, text: str, folder: Path | None) -> bool:
    """Whether a value is of a type made for secrets, or contains one of the environment's or of the folder's."""
    if isinstance(value, Key) or type(value).__name__ in ("SecretStr", "SecretBytes", "Secret"):
        return True
    stored = dotenv(folder / ".env") if folder else {}
    return any(
        secret and len(secret) >= _SHORTEST_SECRET and secret in text
        for name, secret in (*os.environ.items(), *stored.items())
        if _SECRET_VARIABLE.search(name.upper())
    )
