"""When the pieces of an answer came, as a small picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT, _MARGIN = 640, 240, 32


def timeline(times: Sequence[float], title: str) -> str:
    """Return an SVG of how many pieces had come at each of ``times`` (seconds, ascending)."""
    seconds = max(times, default=0.0) or 1.0
    wide, high = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    points = [(0.0, 0), *((moment, count) for count, moment in enumerate(times, start=1))]
    path = " ".join(
        f"{_MARGIN + wide * moment / seconds:.1f},{_HEIGHT - _MARGIN - high * count / max(len(times), 1):.1f}"
        for moment, count in points
    )
    bottom = _HEIGHT - _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        f'font-size="12" role="img"><title>{escape(title)}</title><rect width="100%" height="100%" fill="white"/>'
        f'<path d="M{_MARGIN} {_MARGIN}V{bottom}H{_WIDTH - _MARGIN}" fill="none" stroke="#767676"/>'
        f'<polyline points="{path}" fill="none" stroke="#0b62a4" stroke-width="2"/>'
        f'<text x="{_MARGIN}" y="20">{escape(title)}: {len(times)} pieces</text>'
        f'<text x="{_WIDTH - _MARGIN}" y="{bottom + 18}" text-anchor="end">{seconds:.2f} s</text></svg>\n'
    )
