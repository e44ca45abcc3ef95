"""Numbers of bytes as a stem shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A rounded number of bytes: ``text`` for people, with its unit, and ``code`` for a program, in bytes."""

    text: str
    code: str


def unit_of(size: float) -> tuple[str, str]:
    """The unit in which a number of bytes is best given, and its bytes as program text."""
    return ("GB", "1e9") if size >= 1e9 else ("MB", "1e6")


def figure(size: float, digits: int = 4, unit: tuple[str, str] | None = None) -> Figure:
    """A number of bytes to so many digits that count, in its best unit or the one given."""
    name, scale = unit or unit_of(size)
    value = float(f"{size / float(scale):.{digits}g}")
    return Figure(f"{value:,.12g} {name}", f"{value * float(scale):.12g}")
