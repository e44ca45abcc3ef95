"""Progress and pieces of results in a notebook: drawn rarely, never out of date, and never as anything but text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import StdinNotImplementedError

from alain_magics.commands.base import Context, Done, Partial, Progress
from alain_magics.commands.registry import find
from alain_magics.display import NotebookView, show
from alain_magics.display.panel import PERIOD
from alain_magics.workspace import open_workspace
from tests.display.conftest import Page


def texts(published: Page) -> list[str]:
    return [output["data"]["text/plain"] for output in published]


def run(verb: str = "count", **values: Any) -> Done:
    command = find(verb)
    return show(command, Context(open_workspace()), command.request(**values), NotebookView())


def test_progress_is_shown_and_emptied(plugin, published):
    assert run().data == {"counted": 3}
    assert texts(published)[0] == "counting <b> (1 of 3) · 0 s"
    assert published[-1]["data"] == {"text/plain": "", "text/html": ""}


def test_a_notebook_gets_one_display_that_is_drawn_rarely(plugin, published):
    begun = time.monotonic()
    run(to=300, pause=0.001)
    seconds = time.monotonic() - begun
    drawn = [output for output in published if "progress" in output["data"]["text/html"]]
    assert 2 <= len(drawn) <= seconds / PERIOD + 2
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
        run("stumble", how="bug")
    assert texts(published) == ["stumbling · 0 s"]


@pytest.mark.parametrize(("typed", "allowed"), [("y", True), (" YES ", True), ("n", False), ("", False)])
def test_the_user_is_asked_below_the_cell(monkeypatch, published, typed: str, allowed: bool):
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return typed

    monkeypatch.setattr("builtins.input", answer)
    assert NotebookView().allows("Call add\x1b[31m(1)?") is allowed
    assert asked == ["Call add\ufffd[31m(1)? Allow it? [y/N] "]


@pytest.mark.parametrize("error", [StdinNotImplementedError, EOFError])
def test_where_nobody_can_be_asked_the_answer_is_no(monkeypatch, published, error: type[Exception]):
    def refuse(_question: str) -> str:
        raise error

    monkeypatch.setattr("builtins.input", refuse)
    assert NotebookView().allows("Call it?") is False
