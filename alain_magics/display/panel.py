"""One output of a cell that can be drawn anew, and how often that may be done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

PERIOD = 0.1
"""Seconds between two drawings at least: ten a second."""

SHARE = 0.1
"""How much of the kernel's time drawing may take."""

BYTES = 250_000
"""Bytes a second that drawings may send to the page, and so bound what the page has to do."""

WIDGET = {"alain": "answer"}
"""Metadata of an output that holds a widget: the JupyterLab extension drops the reference once its kernel is gone."""


class Panel:
    """An output of the cell that runs: made when it is first drawn, changed in place after that."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._drawn: dict[str, Any] = {}

    @property
    def drawn(self) -> bool:
        """Whether there is anything to see."""
        return any(self._drawn.values())

    def draw(self, bundle: dict[str, Any], metadata: dict[str, str] | None = None) -> int:
        """Show views of one thing (by MIME type); return how many characters went to the page, 0 for no change."""
        from IPython.display import display

        if bundle == self._drawn:
            return 0
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True, metadata=metadata)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True, metadata=metadata)  # type: ignore[no-untyped-call]
        self._drawn = bundle
        return sum(map(len, bundle.values()))

    def clear(self) -> None:
        """Show nothing any more."""
        if self._handle:
            self.draw({"text/plain": "", "text/html": ""})


class Pace:
    """When the next drawing is due: rarely, and the more rarely the more a drawing costs."""

    def __init__(self) -> None:
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to draw."""
        return time.monotonic() >= self._next

    def drew(self, begun: float, size: int) -> None:
        """Note a drawing of so many characters that began at a time of ``time.monotonic``."""
        now = time.monotonic()
        self._next = now + max(PERIOD, (now - begun) / SHARE, size / BYTES)
