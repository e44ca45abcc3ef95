"""Exercises: solvable from what the task says, and by nothing else."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.lessons.exercises import check_exercise
from alain_magics.lessons.schema import Exercise
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.exercise import (
    TESTS,
    ExerciseMaker,
    function_source,
    other_arguments,
    variations,
)
from alain_magics.lessons.teachers.module.siblings import Siblings


def make(document: ModuleDocument, prover: Any, finish: Any, source: str) -> Exercise | None:
    """The exercise of the fullest documented example with this last line."""
    example = [example for example in find_examples(document) if example.source == source][-1]
    return finish(ExerciseMaker(document, prover, Siblings(document), "beginner").exercise(example))


@pytest.fixture(scope="module")
def turning(kit, prover, finish) -> Exercise:
    """An exercise about the kit."""
    return make(kit, prover, finish, "turn_left(letters, 2)")


@pytest.fixture
def solved(folder, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says whether a cell with this code solves an exercise."""
    monkeypatch.syspath_prepend(str(folder))

    def run(exercise: Exercise, code: str) -> bool:
        names: dict[str, Any] = {"__name__": "cell"}
        exec(compile(code, "<cell>", "exec"), names)
        return check_exercise(exercise, names).solved

    return run


def blanked(exercise: Exercise, expression: str) -> str:
    """The starter with the gap filled by an expression."""
    return exercise.starter.replace("return ...", f"return {expression}")


def test_the_gap_is_the_documented_expression(turning):
    assert turning.starter == "from kit import turn_left, turn_right\n\ndef answer(letters):\n    return ..."
    assert turning.solution == blanked(turning, "turn_left(letters, 2)")
    assert turning.objective == "kit.turn_left"
    assert turning.citations[0].quote == "Return the items moved to the left, the first ones to the end."


def test_the_solution_passes(turning, solved):
    assert solved(turning, turning.solution)


@pytest.mark.parametrize(
    "expression",
    ["...", "letters", "None", "['c', 'a', 'b']", "letters[::-1]", "turn_right(letters, 2)", "turn_left(letters)"],
)
def test_the_gap_the_identity_constants_and_other_calls_fail(turning, solved, expression):
    assert not solved(turning, blanked(turning, expression))


def test_no_constant_passes_since_every_test_has_another_output(turning):
    outputs = [test.output for test in turning.tests]
    assert len(set(outputs)) == len(outputs) == TESTS


def test_the_task_says_all_that_is_needed(turning):
    assert "expression that uses `kit`" in turning.task
    assert "Return the items moved to the left, the first ones to the end”." in turning.task
    assert "Pass it `2` as well." in turning.task
    for test in turning.tests[:2]:
        assert f"`{test.call}` gives `{test.output}`" in turning.task


def test_the_first_example_is_the_documented_one(turning):
    assert (turning.tests[0].call, turning.tests[0].output) == ("answer(['a', 'b', 'c'])", "['c', 'a', 'b']")


def test_the_proof_has_the_solution_on_every_test_and_the_starter_on_the_first(turning):
    assert [run.how for run in turning.proof.runs] == ["solution"] * TESTS + ["starter"]
    for test, run in zip(turning.tests, turning.proof.runs, strict=False):
        assert run.code == f"{turning.solution}\n\n{test.call}"
        assert run.output == test.output
    assert turning.proof.runs[-1].output == "Ellipsis"
    assert turning.proof == turning.proof.sealed()


def test_statements_between_data_and_result_stay_in_the_function(module, prover, finish, solved):
    document = module(
        '''def squeeze(text, gap='-'):
    """Put the words of a text together.

    >>> text = 'a bc def'
    >>> text = text.upper()
    >>> squeeze(text, gap='_')
    'A_BC_DEF'
    """
    return gap.join(text.split())
''',
        "squeezing",
    )
    exercise = make(document, prover, finish, "squeeze(text, gap='_')")
    assert "    text = text.upper()\n    return ..." in exercise.starter
    assert "Pass it `gap='_'` as well." in exercise.task
    assert solved(exercise, exercise.solution)


@pytest.mark.parametrize(
    ("name", "body", "documented"),
    [
        ("identity", "return data", "[1, 2, 3]"),
        ("constant", "return 7", "7"),
        ("truth", "return len(data) > 1", "True"),
        ("printer", "print(data)", "[1, 2, 3]"),
        ("unsteady", "return object()", "7"),
        ("longwinded", "return 'x' * 99", repr("x" * 99)),
    ],
)
def test_no_exercise_where_its_tests_would_not_tell_right_from_wrong(module, prover, finish, name, body, documented):
    source = f'def make(data):\n    """Make it.\n\n    >>> make([1, 2, 3])\n    {documented}\n    """\n    {body}\n'
    assert make(module(source, f"exercise_{name}"), prover, finish, "make([1, 2, 3])") is None


def test_no_exercise_that_another_function_would_solve(module, prover, finish):
    one = 'def add_up(data):\n    """Add up.\n\n    >>> add_up([1, 2, 3])\n    6\n    """\n    return sum(data)\n'
    document = module(one + one.replace("add_up", "add_down"), "exercise_twins")
    assert make(document, prover, finish, "add_up([1, 2, 3])") is None


def test_a_function_like_no_other_makes_an_exercise(module, prover, finish, solved):
    source = 'def alone(data):\n    """Add up.\n\n    >>> alone([1, 2, 3])\n    6\n    """\n    return sum(data)\n'
    exercise = make(module(source, "exercise_alone"), prover, finish, "alone([1, 2, 3])")
    assert solved(exercise, exercise.solution)
    assert not solved(exercise, blanked(exercise, "print(alone(data))"))


def test_no_exercise_that_the_data_itself_would_solve(module, prover, finish):
    source = '''def same(data):
    """Give it back as it is.

    >>> data = [1, 2, 3]
    >>> data = data[::-1]
    >>> same(data)
    [3, 2, 1]
    """
    return list(data)
'''
    assert make(module(source, "exercise_same"), prover, finish, "same(data)") is None


def test_no_exercise_without_a_summary_to_say_what_is_needed(module, prover, finish):
    document = module("def make(data):\n    '''>>> make([1, 2, 3])\n    6\n    '''\n    return sum(data)\n", "silent")
    assert make(document, prover, finish, "make([1, 2, 3])") is None


@pytest.mark.parametrize("source", ["tally.top(2)", "shares([Ratio(1, 2), Ratio(3, 2)])", "middle_low([])"])
def test_no_exercise_where_the_data_is_no_plain_literal_or_the_example_raises(kit, prover, finish, source):
    assert make(kit, prover, finish, source) is None


def test_an_example_of_nothing_known_is_no_exercise(kit, prover, finish):
    example = Example("kit", kit.objects[0].span, (), ("data = [1, 2, 3]",), "sum(data)", "6", "", ())
    assert finish(ExerciseMaker(kit, prover, Siblings(kit), "beginner").exercise(example)) is None


@pytest.mark.parametrize(
    ("expression", "others"),
    [
        ("f(x)", ""),
        ("f(x, 2)", "2"),
        ("f(2, x, key=len)", "2, key=len"),
        ("m.f(x)[y]", ""),
        ("list(f(x, 'a'))", "'a'"),
        ("f(x)[0]", None),
        ("f(x) + 1", None),
        ("f(f(x))", None),
        ("g(x)", None),
    ],
)
def test_constants_beside_the_call_are_named_and_elsewhere_cannot_be_known(expression, others):
    assert other_arguments(expression, "f", "x") == others


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=2)
    | st.lists(st.integers(0, 9), min_size=2).map(tuple)
    | st.text("abc", min_size=2)
    | st.dictionaries(st.text("abc", max_size=3), st.integers(0, 9) | st.text("abc"), min_size=2)
)
def test_other_inputs_are_code_for_values_of_the_same_type(value):
    found = [ast.literal_eval(text) for text in variations(value)]
    assert len(found) >= 3
    assert {type(other) for other in found} == {type(value)}


def test_a_function_holds_the_statements_and_returns_the_result():
    source = function_source(("import m",), "x", ("x = m.f(x)", "for y in x:\n    m.g(y)"), "m.h(x)")
    assert source == ("import m\n\ndef answer(x):\n    x = m.f(x)\n    for y in x:\n        m.g(y)\n    return m.h(x)")
