"""The stand-in of a notebook without this package draws and decides exactly as the package does."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics.lessons.exercises import check_exercise
from alain_magics.lessons.graded import without_keys
from alain_magics.lessons.notebook.standin import SETUP
from alain_magics.lessons.payload import encode
from alain_magics.lessons.questions import as_html, as_text
from alain_magics.lessons.schema import Exercise, Lesson, Option, Provenance, Question, Section, Test

texts = st.one_of(st.sampled_from(["", "`x` < y", "a\nb", "\x1b[1m", "`", "&amp;"]), st.text(max_size=20))
options = st.lists(st.builds(Option, text=texts, correct=st.booleans()), max_size=4)
questions = st.builds(
    Question,
    form=st.sampled_from(["predict", "numeric", "single"]),
    stem=texts,
    code=texts,
    options=options,
    literal=st.booleans(),
    answer=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    unit=texts,
    explanation=texts,
)


@pytest.fixture(scope="module")
def standin() -> dict[str, Any]:
    """The names that the set-up cell leaves where the package cannot be imported."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    package = sys.modules.pop("alain_magics")
    sys.modules["alain_magics"] = None  # type: ignore[assignment]
    try:
        exec("\n".join(line for line in SETUP.splitlines() if not line.startswith("%")), namespace)
    finally:
        sys.modules["alain_magics"] = package
    return namespace


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions)
def test_it_draws_any_question_as_the_package_does(standin: dict[str, Any], question: Question) -> None:
    views = {"text/plain": as_text(question), "text/html": as_html(question)}
    assert standin["question"](encode(question))._repr_mimebundle_() == views


def test_it_draws_a_graded_question_as_the_package_does(standin: dict[str, Any]) -> None:
    question = Question(form="single", stem="?", options=[Option(text="a", correct=True), Option(text="b")])
    section = Section(title="One", steps=[question])
    (bare,) = without_keys(Lesson(title="T", source=Provenance(kind="k", ref="r"), sections=[section])).questions()
    assert standin["question"](encode(bare))._repr_mimebundle_()["text/html"] == as_html(bare)


@pytest.mark.parametrize(
    "source", ["def f(n): ...", "def f(n): return n", "def f(n): return 1 / 0", "", "def f(n): return 2 * n"]
)
@pytest.mark.parametrize("tests", [[Test(call="f(1)", output="2"), Test(call="f(2)", output="4")], []])
def test_it_knows_whether_an_exercise_is_solved(standin: dict[str, Any], source: str, tests: list[Test]) -> None:
    exercise = Exercise(id="e", task="", starter="", solution="", tests=tests)
    standin.pop("f", None)
    exec(source, standin)
    verdict = check_exercise(exercise, standin)
    views = standin["check"](encode(exercise))._repr_mimebundle_()
    assert (views["text/plain"] == "Solved.") is verdict.solved
    if verdict.solved or source == "def f(n): ...":
        assert views == verdict.views()


def test_the_package_is_used_where_it_is_there(shell: Any) -> None:
    shell.run_cell(SETUP).raise_error()
    assert shell.user_ns["question"].__module__ == "alain_magics.widgets.question"
    assert shell.user_ns["check"].__module__ == "alain_magics.widgets.exercise"
    assert shell.display_formatter.format(range(3))[0]["text/plain"] == "range(0, 3)"
