"""The HTML of an answer's surroundings in a notebook. All text in it is escaped; colours follow the page's own."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from alain_magics.display.figures import figures, name_of, remarks
from alain_magics.text import plain

# Page scripts that draw formulas leave elements of these classes alone.
_LITERAL = 'class="mathjax_ignore tex2jax_ignore"'
_QUIET = "color: color-mix(in srgb, currentColor 75%, transparent); font-size: 0.9em; overflow-wrap: anywhere"
_LINE = "1px solid color-mix(in srgb, currentColor 25%, transparent)"


def quiet(text: str) -> str:
    """A line of small print."""
    return f'<div {_LITERAL} style="{_QUIET}">{escaped(text)}</div>'


def progress(text: str, done: int, total: int) -> str:
    """A bar (``total`` 0: nobody knows how long it will be) and what is being done."""
    value = f' value="{done}" max="{total}"' if total else ""
    return f'<div {_LITERAL}><progress{value} style="vertical-align: middle"></progress> {escaped(text)}</div>'


def folded(line: str, text: str) -> str:
    """A long text folded to a line until the reader opens it."""
    return (
        f'<details {_LITERAL} style="{_QUIET}"><summary style="cursor: pointer">{escaped(line)}</summary>'
        f'<div style="margin: 4px 0 8px 4px; padding-left: 12px; border-left: {_LINE}; white-space: pre-wrap; '
        f'max-height: 24em; overflow-y: auto" tabindex="0">{escaped(text)}</div></details>'
    )


def badge(answer: Mapping[str, Any], *, named: bool = True) -> str:
    """Who answered and the figures; below them what is odd."""
    line = escaped(" · ".join(figures(answer)))
    if named:
        line = f"<strong>{escaped(name_of(answer))}</strong> · {line}"
    odd = "".join(f"<div>{escaped(remark)}</div>" for remark in remarks(answer))
    return f'<div {_LITERAL} style="{_QUIET}">{line}{odd}</div>'


def column(name: str, *content: str) -> str:
    """One of several answers."""
    return (
        f'<section aria-label="{escaped(name)}" style="min-width: 0; padding: 8px 12px; border: {_LINE}; '
        f'border-radius: 8px; overflow-x: auto"><div {_LITERAL} style="font-weight: 600; overflow-wrap: anywhere">'
        f"{escaped(name)}</div>{''.join(content)}</section>"
    )


def grid(columns: list[str]) -> str:
    """Answers side by side, one below the other where there is no room."""
    style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(16rem, 100%), 1fr)); gap: 12px"
    return f'<div style="{style}; align-items: start">{"".join(columns)}</div>'


def escaped(text: str) -> str:
    """Text that is nothing but text in HTML, also between quotation marks."""
    return html.escape(plain(text))
