"""An answer in a notebook while it comes: drawn as Markdown, at a cost that does not grow with its length."""

from __future__ import annotations

import re
import time
from typing import Any

from alain_magics.display import markup
from alain_magics.display.comparison import Comparison
from alain_magics.display.figures import badge
from alain_magics.display.pane import Pane
from alain_magics.display.panel import Panel
from alain_magics.display.stream import Stream
from alain_magics.text import displayed, plain

# A line that would make a heading of the text before it, but is more likely a list or a rule that begins.
_UNDERLINE = re.compile(r"\n {0,3}(?:-+|=+) *\Z")


class LiveAnswer(Pane):
    """One answer: its thoughts folded, its text in an output for each finished part, the figures below.

    Its first output says what is waited for until there is something to see.
    """

    def __init__(self, asked: dict[str, Any]) -> None:
        super().__init__()
        self._stream = self.streams[asked["slot"]] = Stream(asked)
        self._head = Panel()
        self._thoughts: Panel | None = None
        self._text: Panel | None = None
        self._parts: list[tuple[Panel, str]] = []
        self.draw()
        displayed("")  # imports now what the first token would have to wait for

    def draw(self) -> None:
        """Draw what changed: the open end of the text, the thoughts once they are over, the figures at the end."""
        begun, size, stream = time.monotonic(), 0, self._stream
        if stream.writes:
            if self._text is None:
                size += self._draw_thoughts()
                self._text = Panel() if self._thoughts else self._head
            size += self._draw_text(self._text)
        elif not stream.ended:
            size += self._head.draw({"text/html": markup.quiet(stream.status()), "text/plain": plain(stream.status())})
        if stream.ended:
            self._draw_thoughts()
            self._resolve()
            self._draw_foot()
        self.pace.drew(begun, size)

    def beside_others(self) -> Comparison:
        """Return the view in which the answer stands beside others, in place of this one."""
        for panel in {self._thoughts, self._text, *(panel for panel, _ in self._parts)} - {self._head}:
            if panel:
                panel.clear()
        self._stream.rewind()
        return Comparison(self._head, self.streams)

    def _draw_thoughts(self) -> int:
        if not self._stream.thoughts:
            return 0
        if self._thoughts is None:
            self._thoughts = Panel() if self._text else self._head
        line = self._stream.thoughts_line()
        folded = markup.folded(line, "".join(self._stream.thoughts))
        return self._thoughts.draw({"text/html": folded, "text/plain": plain(line)})

    def _draw_text(self, panel: Panel) -> int:
        size, tail = 0, self._stream.tail
        while (part := tail.take()) is not None:
            size += panel.draw(_markdown(part))
            self._parts.append((panel, part))
            panel = self._text = Panel()
        source = tail.source if self._stream.ended else _UNDERLINE.sub("", tail.source)
        if source.strip() or panel.drawn:
            size += panel.draw(_markdown(source))
        return size

    def _resolve(self) -> None:
        """Draw parts anew whose links lead to references that came later."""
        tail = self._stream.tail
        tail.close()
        if self._text and tail.definitions:
            definitions = "\n".join(["\n", *tail.definitions.values()])
            for panel, part in [*self._parts, (self._text, tail.source)]:
                panel.draw({**_markdown(part + definitions), "text/plain": plain(part)})

    def _draw_foot(self) -> None:
        if not self._text and not self._thoughts:
            self.foot = self._head
            if self._stream.data.get("error"):  # it says all
                self._head.clear()
                return
        data = self._stream.data
        self.foot.draw({"text/html": markup.badge(data), "text/plain": plain(badge(data))})


def _markdown(source: str) -> dict[str, Any]:
    return {"text/markdown": displayed(source), "text/plain": plain(source)}
