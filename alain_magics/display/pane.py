"""What one answer and several side by side have in common while they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from alain_magics.display import markup
from alain_magics.display.figures import badge, figures, name_of, remarks
from alain_magics.display.panel import WIDGET, Pace, Panel
from alain_magics.display.stream import Stream
from alain_magics.text import plain


class Pane(ABC):
    """Answers by their slots; what is below them is drawn in ``foot``."""

    def __init__(self) -> None:
        self.streams: dict[int, Stream] = {}
        self.foot = Panel()
        self.pace = Pace()

    @property
    def ended(self) -> bool:
        """Whether no more comes."""
        return all(stream.ended for stream in self.streams.values())

    def delta(self, slot: int, text: str, reasoning: str) -> None:
        """Add what came, and draw it: at once where something begins, else when it is time."""
        if self.streams[slot].add(text, reasoning) or self.pace.due:
            self.draw()

    def end(self, slot: int, data: dict[str, Any]) -> None:
        """Draw the end of an answer."""
        self.streams[slot].end(data)
        self.draw()

    def stop(self) -> None:
        """Draw what is left of answers that were interrupted, and say so."""
        for stream in self.streams.values():
            if not stream.ended:
                stream.stop()
        self.draw()

    def idle(self) -> None:
        """Draw what was put off; the seconds go on."""
        if self.pace.due and not self.ended:
            self.draw()

    def offer(self, sent: dict[str, int]) -> None:
        """Put buttons that copy answers below them; ``sent``: how much which variable put into the prompt."""
        from alain_magics.widgets.answer import AnswerBar

        for stream in self.streams.values():
            stream.data = {**stream.data, "sent": sent}
        self.draw()
        data = [stream.data for stream in self.streams.values()]
        bundle, _ = AnswerBar(self.rows(data), self.below(data))._repr_mimebundle_()
        self.foot.draw(bundle, WIDGET)

    def rows(self, answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the lines with the buttons need, one for each answer."""
        return [
            {
                "name": plain(name_of(answer)),
                "figures": plain(" · ".join(figures(answer))),
                "remarks": [plain(remark) for remark in remarks(answer)],
                "text": answer["text"],
                "snippets": answer["snippets"],
            }
            for answer in answers
        ]

    def below(self, answers: list[dict[str, Any]]) -> dict[str, str]:
        """Return the same where there are no buttons."""
        return {
            "text/html": "".join(map(markup.badge, answers)),
            "text/plain": plain("\n".join(map(badge, answers))),
        }

    @abstractmethod
    def draw(self) -> None:
        """Draw all that came."""
