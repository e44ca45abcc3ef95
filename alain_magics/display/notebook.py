"""What a command does, shown below the cell of a notebook."""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alain_magics.commands.base import Done, Partial, Progress
from alain_magics.display import markup
from alain_magics.display.answer import LiveAnswer
from alain_magics.display.comparison import Comparison
from alain_magics.display.panel import Pace, Panel
from alain_magics.display.views import View, describe
from alain_magics.text import plain


class NotebookView(View):
    """Progress in one output, which is emptied when the work ended; pieces of the result in outputs of their own.

    ``answers``: answers of models are shown as they come.
    """

    def __init__(self, *, answers: bool = True) -> None:
        self._answers = answers
        self._answer: LiveAnswer | Comparison | None = None
        self._progress = Panel()
        self._latest: Progress | None = None
        self._begun = time.monotonic()
        self._pace = Pace()

    def progress(self, event: Progress) -> None:
        """Draw, unless that was done just before."""
        self._latest = event
        if self._pace.due:
            self._draw()

    def idle(self) -> None:
        """Draw what is not drawn yet; the seconds go on."""
        if self._latest:
            self._draw()
        if self._answer:
            self._answer.idle()

    def partial(self, event: Partial) -> None:
        """Show a piece of the result."""
        data = event.data
        match event.kind:
            case "lesson":
                _link(str(data["title"]), Path(data["path"]))
            case "answer" | "delta" | "end" | "tool" if not self._answers:
                pass
            case "answer":
                self._begin(data)
            case "delta" if self._answer:
                self._answer.delta(data["slot"], data["text"], data["reasoning"])
            case "end" if self._answer:
                self._answer.end(data["slot"], data)
            case "tool":
                line = plain(f"{data['name']}({data['arguments']})")
                Panel().draw({"text/html": markup.folded(line, data["result"]), "text/plain": line})

    def finish(self, done: Done | None) -> None:
        """Empty the progress: the result, or the error, says what there is to say. Offer to copy what was answered."""
        self._progress.clear()
        if done and self._answer:
            self._answer.offer(done.data.get("sent") or {})

    def stop(self) -> None:
        """Leave everything as far as it came, and say of an answer that it was stopped."""
        if self._answer:
            self._answer.stop()

    def allows(self, question: str) -> bool:
        """Ask below the cell; where nobody can be asked, the answer is no."""
        from IPython.core.error import StdinNotImplementedError

        self.idle()
        try:
            return input(f"{plain(question)} Allow it? [y/N] ").strip().lower() in ("y", "yes")
        except (StdinNotImplementedError, EOFError):
            return False

    def _begin(self, asked: dict[str, Any]) -> None:
        """Show an answer, beside the one that comes already."""
        self.shown = True
        now = self._answer
        if now is None or now.ended:
            self._answer = LiveAnswer(asked)
        else:
            if isinstance(now, LiveAnswer):
                now = self._answer = now.beside_others()
            now.add(asked)

    def _draw(self) -> None:
        assert self._latest
        begun = time.monotonic()
        text = f"{describe(self._latest)} · {begun - self._begun:.0f} s"
        shown = markup.progress(text, self._latest.done, self._latest.total)
        self._pace.drew(begun, self._progress.draw({"text/plain": plain(text), "text/html": shown}))


def _link(title: str, path: Path) -> None:
    """Show the title of a notebook, as a link where the page can follow it."""
    text = html.escape(title)
    if path.is_relative_to(Path.cwd()):  # where links of a notebook begin
        text = f'<a href="{quote(path.relative_to(Path.cwd()).as_posix())}" target="_blank">{text}</a>'
    Panel().draw({"text/plain": plain(f"{title}: {path}"), "text/html": text})
