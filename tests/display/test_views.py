"""How work and results are shown: rarely enough, never out of date, and never as anything but text."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from alain_magics import display
from alain_magics.commands.base import Context, Done, Partial, Progress
from alain_magics.commands.registry import find
from alain_magics.display import NotebookView, Result, TerminalView, View, shell_view, show
from alain_magics.workspace import open_workspace


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def published(shell) -> list[dict[str, Any]]:
    """What is published to the page."""
    shell.display_pub = CapturingDisplayPublisher(parent=shell)
    return shell.display_pub.outputs


def texts(published: list[dict[str, Any]]) -> list[str]:
    return [output["data"]["text/plain"] for output in published]


def run(view: View, verb: str = "count", **values) -> Done:
    command = find(verb)
    return show(command, Context(open_workspace()), command.request(**values), view)


def test_the_result_of_a_command_is_returned_and_the_display_emptied(plugin, published):
    assert run(NotebookView()).data == {"counted": 3}
    assert texts(published)[0] == "counting <b> (1 of 3) · 0 s"
    assert texts(published)[-1] == ""


def test_a_notebook_gets_one_display_that_is_drawn_rarely(plugin, published):
    begun = time.monotonic()
    run(NotebookView(), to=300, pause=0.001)
    seconds = time.monotonic() - begun
    drawn = [output for output in published if "progress" in output["data"]["text/html"]]
    assert 2 <= len(drawn) <= seconds * 15 + 1
    assert len({output["transient"]["display_id"] for output in drawn}) == 1
    assert [output["update"] for output in drawn] == [False] + [True] * (len(drawn) - 1)


def test_what_was_put_off_is_drawn_when_nothing_comes(published):
    view = NotebookView()
    view.progress(Progress("first"))
    view.progress(Progress("second"))
    assert texts(published) == ["first · 0 s"]
    view.idle()
    view.idle()
    assert texts(published) == ["first · 0 s", "second · 0 s"]


def test_what_is_shown_cannot_be_markup_or_steer_a_terminal(plugin, published):
    view = NotebookView()
    view.progress(Progress("<script>alert(1)</script>\x1b[31m", 1, 2))
    view.partial(Partial("lesson", {"title": '<b onclick="x">', "path": str(Path.cwd() / 'a"><script>.ipynb')}))
    for output in published:
        assert "\x1b" not in output["data"]["text/plain"]
        assert "<script" not in output["data"]["text/html"]
        assert "<b " not in output["data"]["text/html"]
    assert 'max="2"' in published[0]["data"]["text/html"]


def test_a_lesson_is_linked_where_the_page_can_reach_it(published, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NotebookView().partial(Partial("lesson", {"title": "Numbers", "path": str(tmp_path / "a" / "my numbers.ipynb")}))
    NotebookView().partial(Partial("lesson", {"title": "Numbers", "path": "/elsewhere/numbers.ipynb"}))
    reachable, elsewhere = published
    assert reachable["data"]["text/html"] == '<a href="a/my%20numbers.ipynb" target="_blank">Numbers</a>'
    assert elsewhere["data"] == {"text/html": "Numbers", "text/plain": "Numbers: /elsewhere/numbers.ipynb"}


def test_a_piece_of_a_kind_that_is_not_known_is_not_shown(published):
    NotebookView().partial(Partial("something new", {}))
    assert published == []


def test_an_error_keeps_what_was_shown(plugin, published):
    with pytest.raises(ZeroDivisionError):
        run(NotebookView(), "stumble", how="bug")
    assert texts(published) == ["stumbling · 0 s"]


def test_a_command_without_a_result_is_a_mistake_of_its_author(plugin):
    with pytest.raises(RuntimeError, match="stumble gave no result"):
        run(View(), "stumble", how="nothing")


def test_a_terminal_gets_a_line_when_the_work_changes(monkeypatch, plugin):
    monkeypatch.setattr("sys.stderr", Terminal())
    view = shell_view()
    assert isinstance(view, TerminalView)
    for event in [Progress("one", 1, 9), Progress("one", 2, 9), Progress("two\x1b[2J")]:
        view.progress(event)
    assert display.sys.stderr.getvalue() == "one (1 of 9)\ntwo\ufffd[2J\n"


def test_a_terminal_gets_a_line_now_and_then_while_the_work_goes_on(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(display, "LINE_PERIOD", 0.05)
    view = TerminalView()
    view.progress(Progress("one", 1, 9))
    view.progress(Progress("one", 2, 9))
    time.sleep(0.06)
    view.idle()
    view.idle()
    assert display.sys.stderr.getvalue() == "one (1 of 9)\none (2 of 9)\n"


def test_a_stream_that_is_no_terminal_gets_nothing(plugin, capsys):
    run(shell_view())
    assert capsys.readouterr() == ("", "")


def test_a_result_shows_as_text_or_json():
    done = Done({"a": "ü\x9b"}, "text\x1b[31m", 1)
    assert repr(Result(done)) == "text\ufffd[31m"
    assert repr(Result(done, as_json=True)) == '{\n  "a": "\\u00fc\\u009b"\n}'
    assert (Result(done).data, Result(done).exit_status) == ({"a": "ü\x9b"}, 1)
