"""A terminal: lines about the work and thoughts on its standard error, answers on the standard output."""

from __future__ import annotations

import io
import time

import pytest

from alain_magics.commands.base import Context, Done, Partial, Progress
from alain_magics.commands.registry import find
from alain_magics.display import TerminalView, show, terminal, transcript
from alain_magics.workspace import open_workspace
from tests.display.conftest import asked, ended, piece

FIGURES = "3.0 s, first token after 0.3 s · 186 tokens/s · 12 tokens in, 500 out\n"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def use_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let the standard error of a test be a terminal, and return it."""
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    return screen


def tell(*events: Partial) -> TerminalView:
    """A view that was shown these events."""
    view = TerminalView()
    for event in events:
        view.partial(event)
    return view


def test_a_terminal_gets_a_line_when_the_work_changes(monkeypatch):
    screen = use_terminal(monkeypatch)
    view = TerminalView()
    for event in [Progress("one", 1, 9), Progress("one", 2, 9), Progress("two\x1b[2J")]:
        view.progress(event)
    assert screen.getvalue() == "one (1 of 9)\ntwo\ufffd[2J\n"


def test_a_terminal_gets_a_line_now_and_then_while_the_work_goes_on(monkeypatch):
    screen = use_terminal(monkeypatch)
    monkeypatch.setattr(terminal, "LINE_PERIOD", 0.05)
    view = TerminalView()
    view.progress(Progress("one", 1, 9))
    view.progress(Progress("one", 2, 9))
    time.sleep(0.06)
    view.idle()
    view.idle()
    assert screen.getvalue() == "one (1 of 9)\none (2 of 9)\n"


def test_a_stream_that_is_no_terminal_gets_nothing(plugin, capsys):
    command = find("count")
    show(command, Context(open_workspace()), command.request(), TerminalView())
    assert capsys.readouterr() == ("", "")


def test_text_goes_to_the_output_as_it_comes_and_figures_elsewhere(capsys):
    view = tell(asked(), piece("\n\nHel"), piece("lo\r\nthere"))
    assert capsys.readouterr() == ("Hello\nthere", "")
    view.partial(ended(text="Hello there"))
    view.finish(Done({}, ""))
    assert capsys.readouterr() == ("\n", f"test/parrot-1 · {FIGURES}")
    assert view.shown


def test_text_cannot_steer_the_terminal(capsys):
    tell(asked(), piece("a\x1b"), piece("]0;owned\x07\x9b31mb"), ended())
    assert capsys.readouterr().out == "a\ufffd]0;owned\ufffd\ufffd31mb\n"


def test_thoughts_are_dim_and_only_for_a_terminal(monkeypatch, capsys):
    screen = use_terminal(monkeypatch)
    tell(asked(), piece(reasoning="let me\x1b[31m "), piece(reasoning="see"), piece("Yes.\n"), ended())
    assert capsys.readouterr().out == "Yes.\n"
    assert screen.getvalue() == (f"\x1b[2mlet me\ufffd[31m \x1b[0m\x1b[2msee\x1b[0m\ntest/parrot-1 · {FIGURES}")


def test_without_a_terminal_there_are_no_thoughts(capsys):
    tell(asked(), piece(reasoning="let me see"), piece("Yes."), ended())
    assert capsys.readouterr() == ("Yes.\n", f"test/parrot-1 · {FIGURES}")


def test_answers_that_come_together_are_printed_one_after_the_other(capsys):
    view = tell(asked(0), asked(1), piece("b1 ", slot=1), piece("a1 ", slot=0), piece("b2", slot=1))
    assert capsys.readouterr().out == "## test/parrot-1\n\na1 "
    view.partial(ended(1))
    view.partial(piece("a2", slot=0))
    assert capsys.readouterr() == ("a2", "")
    view.partial(ended(0))
    out, err = capsys.readouterr()
    assert out == "\n\n## test/parrot-2\n\nb1 b2\n"
    assert err == f"test/parrot-1 · {FIGURES}test/parrot-2 · {FIGURES}"


def test_of_answers_that_come_together_one_may_fail(capsys):
    tell(
        asked(0),
        asked(1),
        ended(0, error="It broke.", usage=None, tokens_per_second=None),
        piece("b", slot=1),
        ended(1),
    )
    out, err = capsys.readouterr()
    assert out == "## test/parrot-1\n\n\n## test/parrot-2\n\nb\n"
    assert err.startswith("It broke.\n")


def test_an_answer_after_another_needs_no_heading(capsys):
    tell(asked(), piece("one"), ended(), asked(), piece("two"), ended())
    assert capsys.readouterr().out == "one\ntwo\n"


def test_an_error_before_anything_came_speaks_for_itself(capsys):
    view = tell(asked(), ended(error="Nothing listens there."))
    view.finish(None)
    assert capsys.readouterr() == ("", "")


def test_an_interrupt_ends_the_line(capsys):
    tell(asked(), piece("half")).stop()
    assert capsys.readouterr().out == "half\n"


def test_what_a_tool_gave_is_a_line(capsys):
    tell(asked(), ended(), Partial("tool", {"name": "add", "arguments": "{}", "result": "3\x1b"}))
    assert capsys.readouterr().err.endswith("add({}) gave: 3\ufffd\n")


def test_a_model_that_is_slow_is_named_once(monkeypatch):
    screen = use_terminal(monkeypatch)
    monkeypatch.setattr(transcript, "PATIENCE", 0.02)
    view = tell(asked())
    view.idle()
    assert screen.getvalue() == ""
    time.sleep(0.03)
    view.idle()
    view.idle()
    assert screen.getvalue() == "\x1b[2mwaiting for test/parrot-1…\x1b[0m\n"


def test_nothing_of_an_answer_is_shown_where_json_was_asked_for(capsys):
    view = TerminalView(answers=False)
    for event in [asked(), piece("a"), ended()]:
        view.partial(event)
    view.finish(Done({}, ""))
    assert capsys.readouterr() == ("", "")
    assert not view.shown


@pytest.mark.parametrize(("typed", "allowed"), [("y\n", True), ("Yes\n", True), ("n\n", False), ("", False)])
def test_the_user_is_asked_on_the_terminal(monkeypatch, typed: str, allowed: bool):
    screen = use_terminal(monkeypatch)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    assert TerminalView().allows("Call add\x1b(1)?") is allowed
    assert screen.getvalue() == "Call add\ufffd(1)? Allow it? [y/N] "


def test_without_a_terminal_the_answer_is_no(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert TerminalView().allows("Call it?") is False
    assert capsys.readouterr() == ("", "")
