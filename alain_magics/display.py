"""Show what a command does: one line that keeps changing in a notebook, plain lines in a terminal."""

from __future__ import annotations

import html
import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from alain_magics.commands.base import Command, Context, Done, Partial, Progress, Request
from alain_magics.commands.runner import events
from alain_magics.errors import AlainError
from alain_magics.text import plain

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

PERIOD = 0.08
"""Seconds between two drawings at least: 12.5 a second."""

LINE_PERIOD = 1.0
"""The same for lines in a terminal, which stay."""


class View:
    """Where events are shown, always by the thread that called; this one shows nothing."""

    def progress(self, event: Progress) -> None:
        """Show how far the work is, now or a little later."""

    def partial(self, event: Partial) -> None:
        """Show a piece of the result."""

    def idle(self) -> None:
        """Nothing came for a moment: draw what was put off."""

    def finish(self) -> None:
        """The work ended: with a result, or with an error that says itself what happened."""


class Result:
    """What a command gave: shows as text, or as JSON where that was asked for; ``data`` is plain data."""

    def __init__(self, done: Done, as_json: bool = False) -> None:
        self.data = done.data
        self.exit_status = done.exit_status
        self._text = json.dumps(done.data, indent=2) if as_json else plain(done.text)

    def __repr__(self) -> str:
        return self._text


def show(command: Command, context: Context, request: Request, view: View) -> Done:
    """Run a command, show what it does, and return its end."""
    end = None
    with closing(events(command, context, request, view.idle)) as stream:
        try:
            for event in stream:
                if isinstance(event, Progress):
                    view.progress(event)
                elif isinstance(event, Partial):
                    view.partial(event)
                elif isinstance(event, Done):
                    end = event
        except AlainError:  # its line says what there is to say
            view.finish()
            raise
    if end is None:
        raise RuntimeError(f"the command {command.name} gave no result")
    view.finish()
    return end


class NotebookView(View):
    """One display that is drawn anew at most every :data:`PERIOD`; it is emptied when the work ended."""

    def __init__(self) -> None:
        self._handle: DisplayHandle | None = None
        self._latest: Progress | None = None
        self._drawn = ""
        self._begun = self._drawn_at = time.monotonic()

    def progress(self, event: Progress) -> None:
        """Draw, unless that was done just before."""
        self._latest = event
        if self._handle is None or time.monotonic() - self._drawn_at >= PERIOD:
            self.idle()

    def idle(self) -> None:
        """Draw what is not drawn yet; the seconds go on."""
        if self._latest:
            text = f"{describe(self._latest)} · {time.monotonic() - self._begun:.0f} s"
            if text != self._drawn:
                self._draw(text, _bar(self._latest) + html.escape(text))

    def partial(self, event: Partial) -> None:
        """Show a piece of the result in a display of its own."""
        from IPython.display import display

        if event.kind == "lesson":
            title, path = str(event.data["title"]), Path(event.data["path"])
            markup = html.escape(title)
            if path.is_relative_to(Path.cwd()):  # where links of a notebook begin
                link = quote(path.relative_to(Path.cwd()).as_posix())
                markup = f'<a href="{link}" target="_blank">{markup}</a>'
            bundle = {"text/plain": plain(f"{title}: {path}"), "text/html": markup}
            display(bundle, raw=True)  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        """Empty the display: the result, or the error, says what there is to say."""
        if self._handle:
            self._draw("", "")

    def _draw(self, text: str, markup: str) -> None:
        from IPython.display import display

        bundle = {"text/plain": plain(text), "text/html": markup}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)  # type: ignore[no-untyped-call]
        self._drawn, self._drawn_at = text, time.monotonic()


class TerminalView(View):
    """Lines on the standard error: one when the work turns to something else, and one a second while it goes on."""

    def __init__(self) -> None:
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

    def idle(self) -> None:
        """Print what is not printed yet, once it is time."""
        if self._latest != self._printed and time.monotonic() - self._printed_at >= LINE_PERIOD:
            self._print()

    def _print(self) -> None:
        assert self._latest is not None
        print(plain(describe(self._latest)), file=sys.stderr, flush=True)
        self._printed, self._printed_at = self._latest, time.monotonic()


def shell_view() -> View:
    """Return the view for a shell: lines where the standard error is a terminal, else nothing."""
    return TerminalView() if sys.stderr.isatty() else View()


def describe(event: Progress) -> str:
    """What is being done, and how much of it is done, as text."""
    return f"{event.what} ({event.done} of {event.total})" if event.total else event.what


def _bar(event: Progress) -> str:
    value = f' value="{event.done}" max="{event.total}"' if event.total else ""
    return f'<progress{value} style="vertical-align: middle"></progress> '


def show_notices(notices: list[str]) -> None:
    """Print what the user should know, once, on the standard error."""
    while notices:
        print(plain(notices.pop(0)), file=sys.stderr)
