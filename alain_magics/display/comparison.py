"""Answers side by side in a notebook, all coming at the same time, in one output."""

from __future__ import annotations

import time
from typing import Any

from alain_magics.display import markup
from alain_magics.display.pane import Pane
from alain_magics.display.panel import Panel
from alain_magics.display.stream import Stream
from alain_magics.text import neutralise_answer, plain, render


class Comparison(Pane):
    """Two or more answers in a grid; the longer they are, the more rarely they are drawn."""

    def __init__(self, panel: Panel, streams: dict[int, Stream]) -> None:
        super().__init__()
        self.streams = streams
        self._panel = panel
        self._rendered: dict[int, str] = {}

    def add(self, asked: dict[str, Any]) -> None:
        """Show one more answer."""
        self.streams[asked["slot"]] = Stream(asked)
        self.draw()

    def draw(self) -> None:
        """Draw all answers."""
        begun = time.monotonic()
        grid = markup.grid([self._column(slot, stream) for slot, stream in self.streams.items()])
        texts = []
        for stream in self.streams.values() if self.ended else ():
            parts = (f"{stream.name}:", "".join(stream.texts), stream.data.get("error"))
            texts.append("\n".join(filter(None, parts)))
        self.pace.drew(begun, self._panel.draw({"text/html": grid, "text/plain": plain("\n\n".join(texts))}))

    def rows(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the names alone, since the figures stand in the grid, of answers that can be copied."""
        copied = [answer for answer in answers if answer["text"] or answer["snippets"]]
        return [{**row, "figures": "", "remarks": []} for row in super().rows(copied)]

    def below(self, answers: list[dict[str, Any]]) -> dict[str, str]:
        """Return nothing: all stands in the grid."""
        return {"text/html": "", "text/plain": ""}

    def _column(self, slot: int, stream: Stream) -> str:
        """Return the HTML of one answer; finished parts are rendered once.

        The thoughts are in it once all answers are there, since what is drawn anew does not stay open.
        """
        while (part := stream.tail.take()) is not None:
            self._rendered[slot] = self._rendered.get(slot, "") + _html(part)
        above, below = "", ""
        if stream.thoughts and self.ended:
            above = markup.folded(stream.thoughts_line(), "".join(stream.thoughts))
        elif stream.thoughts and stream.writes:
            above = markup.quiet(stream.thoughts_line())
        if stream.ended:
            below = markup.quiet(stream.data.get("error") or "") + markup.badge(stream.data, named=False)
        elif not stream.writes:
            below = markup.quiet(stream.status())
        return markup.column(stream.name, above, self._rendered.get(slot, ""), _html(stream.tail.source), below)


def _html(markdown: str) -> str:
    return render(neutralise_answer(markdown))
