"""Run a command and show what it does; what a view is, and the result that is left."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

from alain_magics.commands.base import Command, Context, Done, Partial, Permission, Progress, Request
from alain_magics.commands.runner import events
from alain_magics.errors import AlainError, ConsentNeeded
from alain_magics.text import plain


class View:
    """Where events are shown, always by the thread that called; this one shows nothing and allows nothing.

    ``shown``: the view has shown the result itself, as it came.
    """

    shown = False

    def progress(self, event: Progress) -> None:
        """Show how far the work is, now or a little later."""

    def partial(self, event: Partial) -> None:
        """Show a piece of the result."""

    def idle(self) -> None:
        """Nothing came for a moment: draw what was put off."""

    def finish(self, done: Done | None) -> None:
        """The work ended: with a result, or (``None``) with an error that says itself what happened."""

    def stop(self) -> None:
        """The user interrupted the work."""

    def allows(self, question: str) -> bool:
        """Ask the user whether something may happen."""
        return False


class Result:
    """What a command gave: shows as text, or as JSON where that was asked for.

    ``data`` is plain data; its items are attributes too: ``result.text``, ``result.usage``. Where ``shown_in`` is the
    number of the cell that runs, the cell shows nothing more, since it shows the result already.
    """

    def __init__(self, done: Done, as_json: bool = False, shown_in: int | None = None) -> None:
        self.data = done.data
        self.exit_status = done.exit_status
        self._text = json.dumps(done.data, indent=2) if as_json else plain(done.text)
        self._shown_in = shown_in

    def __repr__(self) -> str:
        return self._text

    def __getattr__(self, name: str) -> Any:
        data = {} if name.startswith("_") else self.__dict__.get("data", {})
        if name not in data:
            raise AttributeError(f"This result has no {name!r}, but: {', '.join(data)}.")
        return data[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.data]

    def _ipython_display_(self) -> None:
        """Show nothing in the cell that shows the result already; else leave it to IPython."""
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is None or shell.execution_count != self._shown_in:
            raise NotImplementedError


def show(
    command: Command,
    context: Context,
    request: Request,
    view: View,
    keep: Callable[[Done], None] = lambda done: None,
) -> Done:
    """Run a command, show what it does, and return its end; ``keep`` gets that too, even where an error follows it."""
    end = None
    with closing(events(command, context, request, view.idle)) as stream:
        try:
            for event in stream:
                match event:
                    case Progress():
                        view.progress(event)
                    case Partial():
                        view.partial(event)
                    case Permission():
                        _decide(event, context, view)
                    case Done():
                        end = event
                        keep(event)
        except (AlainError, OSError):  # its line says what there is to say
            view.finish(None)
            raise
        except KeyboardInterrupt:
            stream.close()
            for event in stream.rest():
                match event:
                    case Partial():
                        view.partial(event)
                    case Done():
                        keep(event)
            view.stop()
            raise
    if end is None:
        raise RuntimeError(f"the command {command.name} gave no result")
    view.finish(end)
    return end


def _decide(permission: Permission, context: Context, view: View) -> None:
    """Do what the user allows, in this thread, and say what came of it."""
    if not permission.outcome.set_running_or_notify_cancel():
        return
    if "execute" not in context.consent and not view.allows(permission.question):
        permission.outcome.set_exception(ConsentNeeded("You did not allow it.", "--yes allows it without asking."))
        return
    try:
        value = permission.action()
    except Exception as error:  # noqa: BLE001  # whatever was allowed may raise; who asked for it deals with that
        permission.outcome.set_exception(error)
    else:
        permission.outcome.set_result(value)


def describe(event: Progress) -> str:
    """What is being done, and how much of it is done, as text."""
    return f"{event.what} ({event.done} of {event.total})" if event.total else event.what


def show_notices(notices: list[str]) -> None:
    """Print what the user should know, once, on the standard error."""
    while notices:
        print(plain(notices.pop(0)), file=sys.stderr)
