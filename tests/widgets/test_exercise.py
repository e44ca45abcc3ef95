"""The check cell of an exercise in a shell: it sees the user's functions and never raises."""

from __future__ import annotations

from typing import Any

import pytest

from alain_magics import check
from alain_magics.lessons.exercises import UNSOLVED
from alain_magics.lessons.payload import encode
from alain_magics.lessons.schema import Exercise, Question, Test

EXERCISE = Exercise(
    id="e",
    task="Double it.",
    starter="def double(n):\n    return ...",
    solution="def double(n):\n    return 2 * n",
    tests=[Test(call="double(2)", output="4")],
)


def shown(shell: Any, *cells: str) -> dict[str, str]:
    """What the last of some cells shows, by MIME type."""
    for cell in cells:
        result = shell.run_cell(cell)
        result.raise_error()
    data, _ = shell.display_formatter.format(result.result)
    return data


def check_cell(payload: str) -> str:
    return f"from alain_magics import check\ncheck({payload!r})"


def test_the_untouched_starter_shows_the_text_that_is_stored(shell: Any) -> None:
    views = shown(shell, EXERCISE.starter, check_cell(encode(EXERCISE)))
    assert views == {"text/plain": UNSOLVED, "text/html": f"<p>{UNSOLVED}</p>"}


def test_the_solution_in_the_users_cell_is_solved(shell: Any) -> None:
    assert shown(shell, EXERCISE.solution, check_cell(encode(EXERCISE)))["text/plain"] == "Solved."


def test_a_wrong_attempt_shows_what_it_gave(shell: Any) -> None:
    views = shown(shell, "def double(n):\n    return n ** 3", check_cell(encode(EXERCISE)))
    assert views["text/plain"] == "Not solved yet: `double(2)` should give `4`, gave `8`."
    assert "<code>double(2)</code> should give <code>4</code>" in views["text/html"]


def test_a_function_of_another_name_is_not_found(shell: Any) -> None:
    assert "define `double`" in shown(shell, "def dubble(n): return 2 * n", check_cell(encode(EXERCISE)))["text/plain"]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ("rubbish", "Not checked: The encoded part of this cell is damaged."),
        (encode(Question(form="single", stem="?")), "Not checked: this cell holds a question."),
    ],
)
def test_what_is_no_exercise_is_reported(payload: str, says: str) -> None:
    assert check(payload)._repr_mimebundle_()["text/plain"].startswith(says)
