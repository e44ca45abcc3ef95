"""Running a command for somebody: its result, its errors, what it asks the user to allow."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from alain_magics.commands.base import Command, Context, Done, Permission, Request
from alain_magics.commands.registry import find
from alain_magics.display import Result, View, show
from alain_magics.errors import ConsentNeeded, UsageError
from alain_magics.workspace import open_workspace


class Recorded(View):
    """Notes what it is told."""

    def __init__(self, allowed: bool = False) -> None:
        self.told: list[Any] = []
        self._allowed = allowed

    def finish(self, done: Done | None) -> None:
        self.told.append(done)

    def stop(self) -> None:
        self.told.append("stop")

    def allows(self, question: str) -> bool:
        self.told.append(question)
        return self._allowed


def run(view: View, verb: str = "count", **values: Any) -> Done:
    command = find(verb)
    return show(command, Context(open_workspace()), command.request(**values), view)


def test_the_end_of_a_command_is_returned_and_told(plugin):
    view = Recorded()
    done = run(view)
    assert done.data == {"counted": 3}
    assert view.told == [done]


def test_an_error_of_the_user_ends_the_view_without_a_result(plugin):
    view = Recorded()
    with pytest.raises(Exception, match="The source is"):
        run(view, "stumble", how="user")
    assert view.told == [None]


def failing(error: BaseException) -> Command:
    """A command that says what there was, and then fails."""

    async def fail(context, request):
        yield Done({"text": "part"}, "part", 1)
        raise error

    return Command("fail", "fail", Request, fail)


@pytest.mark.parametrize("error", [UsageError("No."), OSError(28, "No space left on device")])
def test_what_there_was_before_an_error_is_kept_and_the_view_ended(error: Exception):
    view, kept = Recorded(), []
    with pytest.raises(type(error)):
        show(failing(error), Context(open_workspace()), Request(), view, kept.append)
    assert [done.text for done in kept] == ["part"]
    assert view.told == [None]


def test_a_mistake_of_the_program_leaves_what_is_shown(plugin):
    view = Recorded()
    with pytest.raises(ZeroDivisionError):
        run(view, "stumble", how="bug")
    assert view.told == []


def test_an_interrupt_stops_the_view(plugin):
    class Interrupted(Recorded):
        def progress(self, event: Any) -> None:
            raise KeyboardInterrupt

    view = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        run(view)
    assert view.told == ["stop"]


def test_a_command_without_a_result_is_a_mistake_of_its_author(plugin):
    with pytest.raises(RuntimeError, match="stumble gave no result"):
        run(View(), "stumble", how="nothing")


def permitted(
    action: Callable[[], Any], view: View, consent: frozenset[str] = frozenset(), outcome: Future[Any] | None = None
) -> Future[Any]:
    """Run a command that asks for a permission; return what became of it."""
    asked: Future[Any] = Future() if outcome is None else outcome

    async def ask(context, request):
        yield Permission("May I?", action, asked)
        yield Done({}, "")

    show(Command("may", "ask", Request, ask), Context(open_workspace(), consent=consent), Request(), view)
    return asked


def test_what_the_user_allows_happens_in_the_thread_that_called():
    view = Recorded(allowed=True)
    assert permitted(threading.get_ident, view).result() == threading.get_ident()
    assert view.told[0] == "May I?"


def test_what_the_user_does_not_allow_does_not_happen():
    ran: list[int] = []
    with pytest.raises(ConsentNeeded):
        permitted(lambda: ran.append(1), Recorded()).result()
    with pytest.raises(ConsentNeeded):
        permitted(lambda: ran.append(1), View()).result()
    assert ran == []


def test_consent_given_before_is_not_asked_for_again():
    view = Recorded()
    assert permitted(lambda: 3, view, frozenset({"execute"})).result() == 3
    assert "May I?" not in view.told


def test_what_was_allowed_may_fail():
    error = permitted(lambda: 1 / 0, Recorded(allowed=True)).exception()
    assert isinstance(error, ZeroDivisionError)


def test_nobody_is_asked_for_what_is_not_wanted_any_more():
    outcome: Future[Any] = Future()
    outcome.cancel()
    view = Recorded(allowed=True)
    permitted(lambda: 1, view, outcome=outcome)
    assert "May I?" not in view.told


def test_a_result_shows_as_text_or_json():
    done = Done({"a": "ü\x9b"}, "text\x1b[31m", 1)
    assert repr(Result(done)) == "text\ufffd[31m"
    assert repr(Result(done, as_json=True)) == '{\n  "a": "\\u00fc\\u009b"\n}'
    assert (Result(done).data, Result(done).exit_status) == ({"a": "ü\x9b"}, 1)


def test_what_a_result_holds_are_its_attributes():
    result = Result(Done({"text": "Hi", "usage": {"input": 3}}, "Hi"))
    assert result.text == "Hi"
    assert result.usage == {"input": 3}
    assert {"text", "usage", "data"} <= set(dir(result))
    with pytest.raises(AttributeError, match="This result has no 'words', but: text, usage"):
        _ = result.words


def test_a_result_can_be_copied_and_kept():
    result = Result(Done({"text": "Hi"}, "Hi"))
    assert copy.deepcopy(result).text == pickle.loads(pickle.dumps(result)).text == "Hi"


def test_a_cell_that_shows_the_result_already_shows_it_once(shell, capsys):
    shell.user_ns["make"] = lambda: Result(Done({}, "the text"), shown_in=shell.execution_count)
    shell.run_cell("made = make()\nmade", store_history=True)
    assert "the text" not in capsys.readouterr().out
    assert shell.user_ns["_"] is shell.user_ns["made"]
    shell.run_cell("made", store_history=True)
    assert "the text" in capsys.readouterr().out
