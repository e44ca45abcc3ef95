"""What a command does, shown in a terminal: answers on the standard output, everything else on the standard error."""

from __future__ import annotations

import sys
import time

from alain_magics.commands.base import Done, Partial, Progress
from alain_magics.display.transcript import Transcript
from alain_magics.display.views import View, describe
from alain_magics.text import plain

LINE_PERIOD = 1.0
"""Seconds between two lines about the same work: lines stay."""


class TerminalView(View):
    """Answers of models as text, and lines about the work where the standard error is a terminal.

    There is one line when the work turns to something else, and one a second while it goes on. ``answers``: answers
    of models are shown.
    """

    def __init__(self, *, answers: bool = True) -> None:
        self._live = sys.stderr.isatty()
        self._transcript = Transcript(live=self._live) if answers else None
        self._latest: Progress | None = None
        self._printed: Progress | None = None
        self._printed_at = 0.0

    def progress(self, event: Progress) -> None:
        """Print a line, unless one about the same thing was printed just before."""
        self._latest = event
        if self._printed is None or event.what != self._printed.what:
            self._print()
        else:
            self.idle()

    def partial(self, event: Partial) -> None:
        """Print a piece of an answer."""
        if self._transcript is None:
            return
        data = event.data
        match event.kind:
            case "answer":
                self.shown = True
                self._transcript.begin(data)
            case "delta":
                self._transcript.delta(data["slot"], data["text"], data["reasoning"])
            case "end":
                self._transcript.end(data["slot"], data)
            case "tool":
                print(plain(f"{data['name']}({data['arguments']}) gave: {data['result']}"), file=sys.stderr, flush=True)

    def idle(self) -> None:
        """Print what is not printed yet, once it is time."""
        if self._latest != self._printed and time.monotonic() - self._printed_at >= LINE_PERIOD:
            self._print()
        if self._transcript:
            self._transcript.idle()

    def finish(self, done: Done | None) -> None:
        """End the line that an answer has begun."""
        self.stop()

    def stop(self) -> None:
        """End the line that an answer has begun."""
        if self._transcript:
            self._transcript.stop()

    def allows(self, question: str) -> bool:
        """Ask on the terminal; without one, the answer is no."""
        self.stop()
        return ask(f"{question} Allow it?")

    def _print(self) -> None:
        assert self._latest is not None
        self._printed, self._printed_at = self._latest, time.monotonic()
        if self._live:
            print(plain(describe(self._latest)), file=sys.stderr, flush=True)


def ask(question: str) -> bool:
    """Ask for a yes or no on the terminal; without one, the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{plain(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
