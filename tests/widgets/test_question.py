"""The kernel's side of a question: what the browser is told, when, and what is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell

from alain_magics import question
from alain_magics.errors import PayloadError
from alain_magics.lessons.payload import encode
from alain_magics.lessons.questions import as_html, as_text
from alain_magics.lessons.schema import Exercise, Option, Question
from alain_magics.store.attempts import Attempt
from alain_magics.widgets.question import QuestionCard
from alain_magics.workspace import close_workspaces, open_workspace

VIEW = "application/vnd.jupyter.widget-view+json"
CHOICE = Question(
    form="predict",
    stem="What does `median([1, 2, 3, 4])` give?",
    options=[
        Option(text="3", feedback="canary-high", call="median_high([1, 2, 3, 4])"),
        Option(text="2.5", correct=True, feedback="canary-right"),
    ],
    literal=True,
    hint="Look at the middle.",
    explanation="canary-explanation",
)
NUMBER = Question(
    form="numeric",
    stem="How many?",
    answer=1024.0,
    unit="layers",
    options=[Option(text="4096", feedback="canary-slip")],
)


@pytest.fixture(autouse=True)
def fresh_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and close what was opened."""
    monkeypatch.chdir(tmp_path)
    yield
    close_workspaces()


def check(card: QuestionCard, answer: Any) -> dict[str, Any]:
    """Check an answer as the browser does; return the verdict."""
    card._handle_custom_msg({"kind": "check", "answer": answer}, [])
    assert card.verdict is not None
    return card.verdict


def kept(asked: Question) -> list[Any]:
    """The answers in the store."""
    workspace = open_workspace()
    return [(attempt.answer, attempt.correct) for attempt in workspace.attempts.all(workspace.user, asked.content_id())]


def test_a_cell_shows_the_widget_and_beside_it_html_and_text_of_the_question() -> None:
    data, _ = DisplayFormatter().format(question(encode(CHOICE)))
    assert set(data) == {VIEW, "text/html", "text/plain"}
    assert data["text/html"] == as_html(CHOICE)
    assert data["text/plain"] == as_text(CHOICE)


def test_html_and_text_do_not_depend_on_what_was_answered() -> None:
    before = question(encode(CHOICE))._repr_mimebundle_()[0]
    card = question(encode(CHOICE))
    check(card, 0)
    for later in [card, question(encode(CHOICE))]:
        after = later._repr_mimebundle_()[0]
        assert {**after, VIEW: None} == {**before, VIEW: None}


@pytest.mark.parametrize("asked", [CHOICE, NUMBER], ids=["choice", "number"])
def test_key_and_feedback_stay_in_the_kernel_until_an_answer_is_checked(asked: Question) -> None:
    card = question(encode(asked))
    state = {name: value for name, value in card.get_state().items() if name not in {"_esm", "_css"}}
    sent = json.dumps(state, default=str)
    assert "canary" not in sent
    assert "correct" not in sent
    assert "1024" not in sent
    assert "4096" not in sent
    assert "median_high" not in sent


def test_a_check_is_answered_with_what_is_said_about_that_option_only() -> None:
    card = question(encode(CHOICE))
    verdict = check(card, 0)
    assert (verdict["correct"], verdict["text"], verdict["call"]) == (False, "canary-high", "median_high([1, 2, 3, 4])")
    assert "canary-right" not in json.dumps(card.verdict)
    assert check(card, 1)["correct"] is True


def test_the_same_answer_can_be_checked_twice() -> None:
    card = question(encode(CHOICE))
    changes: list[Any] = []
    card.observe(changes.append, "verdict")
    check(card, 0)
    check(card, 0)
    assert len(changes) == 2


def test_a_typed_number_is_graded() -> None:
    card = question(encode(NUMBER))
    assert check(card, "1,024 layers")["correct"] is True
    assert check(card, "4096")["correct"] is False


@pytest.mark.parametrize(
    "content", [{}, {"kind": "check"}, {"kind": "check", "answer": None}, {"kind": "x", "answer": 0}]
)
def test_a_message_that_is_no_check_is_passed_over(content: dict[str, Any]) -> None:
    card = question(encode(CHOICE))
    card._handle_custom_msg(content, [])
    assert card.verdict is None
    assert kept(CHOICE) == []


@pytest.mark.parametrize(("asked", "answer"), [(CHOICE, 7), (CHOICE, "1"), (NUMBER, "many")])
def test_what_is_no_answer_is_not_kept(asked: Question, answer: Any) -> None:
    verdict = check(question(encode(asked)), answer)
    assert verdict["correct"] is None
    assert verdict["text"]
    assert kept(asked) == []


def test_every_attempt_is_kept_with_its_lesson() -> None:
    asked = CHOICE.model_copy(update={"lesson": {"id": "l-1", "title": "Medians"}})
    card = question(encode(asked))
    check(card, 0)
    check(card, 1)
    assert kept(asked) == [(0, False), (1, True)]
    (progress,) = open_workspace().attempts.summary(open_workspace().user)
    assert (progress.lesson_id, progress.title, progress.right, progress.right_at_once) == ("l-1", "Medians", 1, 0)


@pytest.mark.parametrize("lesson", ["text", 5, {}, {"id": None, "title": ["x"]}, {"id": "x" * 1000}])
def test_a_lesson_that_is_badly_named_does_not_lose_the_answer(lesson: Any) -> None:
    asked = CHOICE.model_copy(update={"lesson": lesson})
    assert check(question(encode(asked)), 1)["trouble"] == ""
    assert kept(asked) == [(1, True)]


@pytest.mark.parametrize(("asked", "answer"), [(CHOICE, 0), (CHOICE, 1), (NUMBER, "1024")])
def test_the_earlier_answer_is_there_when_the_cell_is_run_again(asked: Question, answer: Any) -> None:
    first = check(question(encode(asked)), answer)
    again = question(encode(asked)).verdict
    assert again == first | {"earlier": True}


def test_another_question_and_another_user_have_no_earlier_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    check(question(encode(CHOICE)), 1)
    assert question(encode(CHOICE.model_copy(update={"stem": "Another?"}))).verdict is None
    monkeypatch.setenv("ALAIN_USER", "somebody-else")
    assert question(encode(CHOICE)).verdict is None


@pytest.mark.parametrize("answer", [[1], {"a": 1}, None, 99, "1", 1.5])
def test_an_earlier_answer_that_fits_no_option_is_passed_over(answer: Any) -> None:
    workspace = open_workspace()
    attempt = Attempt(workspace.user, "", "", CHOICE.content_id(), answer, correct=True)
    workspace.attempts.record(attempt)
    assert question(encode(CHOICE)).verdict is None


def test_a_new_answer_after_an_earlier_one_is_an_answer_of_now() -> None:
    check(question(encode(CHOICE)), 0)
    card = question(encode(CHOICE))
    assert check(card, 1)["earlier"] is False
    assert kept(CHOICE) == [(0, False), (1, True)]


def test_an_answer_may_come_on_another_thread() -> None:
    card = question(encode(CHOICE))
    check(card, 0)
    thread = threading.Thread(target=check, args=(card, 1))
    thread.start()
    thread.join()
    assert card.verdict is not None
    assert card.verdict["correct"] is True
    assert kept(CHOICE) == [(0, False), (1, True)]


def test_answers_stay_in_the_project_when_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALAIN_DATA_DIR")
    (tmp_path / "alain.toml").touch()
    card = question(encode(CHOICE))
    monkeypatch.chdir("/")
    check(card, 1)
    monkeypatch.chdir(tmp_path)
    assert kept(CHOICE) == [(1, True)]


def test_where_nothing_can_be_kept_the_question_works_and_says_so(private_data: Path) -> None:
    (private_data / "alain.db").mkdir()
    card = question(encode(CHOICE))
    verdict = check(card, 1)
    assert verdict["correct"] is True
    assert verdict["trouble"].startswith("This attempt was not kept: ")
    assert "\n" not in verdict["trouble"]
    assert str(private_data) in verdict["trouble"]


def test_settings_that_are_wrong_do_not_stop_a_question(tmp_path: Path) -> None:
    (tmp_path / "alain.toml").write_text("isolation = 3")
    verdict = check(question(encode(CHOICE)), 1)
    assert verdict["correct"] is True
    assert "isolation = 3 is not possible" in verdict["trouble"]


def test_a_database_that_was_set_aside_is_said_once(private_data: Path) -> None:
    (private_data / "alain.db").write_bytes(b"not a database" * 1000)
    card = question(encode(CHOICE))
    assert "was damaged" in check(card, 0)["trouble"]
    assert check(card, 0)["trouble"] == ""


def test_a_question_without_its_key_says_so_and_keeps_nothing() -> None:
    asked = CHOICE.model_copy(update={"options": [Option(text="3"), Option(text="2.5")]})
    verdict = check(question(encode(asked)), 1)
    assert verdict["correct"] is None
    assert verdict["text"]


def test_a_damaged_cell_and_an_exercise_are_refused_in_one_line() -> None:
    with pytest.raises(PayloadError, match="damaged"):
        question("eyJ")
    exercise = Exercise(id="e", task="t", starter="...", solution="1", tests=[])
    with pytest.raises(PayloadError, match=r"holds an exercise\. Show it with check"):
        question(encode(exercise))


def test_a_damaged_cell_shows_one_line_without_a_traceback(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shell.run_cell("from alain_magics import question\nquestion('eyJ')")
    assert isinstance(result.error_in_exec, PayloadError)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).strip() == str(result.error_in_exec)
