"""``progress`` sums up what was answered."""

from __future__ import annotations

from datetime import UTC, datetime

from alain_magics.commands.base import Context, Done
from alain_magics.commands.progress import ProgressRequest, command
from alain_magics.commands.runner import events
from alain_magics.store.attempts import Attempt
from alain_magics.workspace import open_workspace


def progress() -> Done:
    (done,) = events(command, Context(open_workspace()), ProgressRequest())
    assert isinstance(done, Done)
    return done


def answer(lesson: str, question: str, correct: bool, minute: int) -> None:
    workspace = open_workspace()
    moment = datetime(2025, 3, 1, 12, minute, tzinfo=UTC)
    workspace.attempts.record(Attempt(workspace.user, lesson, lesson.title(), question, 1, correct, time=moment))


def test_without_answers_it_says_how_to_begin():
    done = progress()
    assert done.data["lessons"] == []
    assert done.text.startswith("No question was answered yet.")


def test_each_lesson_has_a_line_and_its_numbers():
    answer("statistics", "a", False, 0)
    answer("statistics", "a", True, 1)
    answer("statistics", "b", True, 2)
    answer("random", "c", False, 3)
    done = progress()
    first, second = done.text.splitlines()
    assert first.startswith("Random      0 of 1 right, 0 at once, last 2025-03-01 ")
    assert second.startswith("Statistics  2 of 2 right, 1 at once, last 2025-03-01 ")
    assert done.data["lessons"][1] == {
        "lesson_id": "statistics",
        "title": "Statistics",
        "answered": 2,
        "right": 2,
        "right_at_once": 1,
        "last": "2025-03-01T12:02:00+00:00",
    }


def test_the_answers_of_others_do_not_count(monkeypatch):
    answer("statistics", "a", True, 0)
    monkeypatch.setenv("ALAIN_USER", "somebody-else")
    assert progress().data == {"user": "somebody-else", "lessons": []}
