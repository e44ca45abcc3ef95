"""Checking what a learner wrote: nothing it does breaks the check, and an encoded test can call nothing else."""

from __future__ import annotations

import functools
import os
import types
from typing import Any

import pytest

from alain_magics.lessons.exercises import UNSOLVED, Verdict, check_exercise
from alain_magics.lessons.schema import Exercise, Test

TESTS = [Test(call="answer([1, 2])", output="[2, 1]"), Test(call="answer(values='ab')", output="'ba'")]


def exercise(*tests: Test) -> Exercise:
    return Exercise(id="e", task="", starter="", solution="", tests=list(tests or TESTS))


def cell(source: str) -> dict[str, Any]:
    """The names that a cell leaves in a user's namespace."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


@pytest.mark.parametrize(
    "source",
    [
        "def answer(values):\n    return values[::-1]",
        "answer = lambda values: values[::-1]",
        "def answer(values):\n    # ... is gone\n    return values[::-1]",
    ],
)
def test_a_solution_passes(source: str) -> None:
    assert check_exercise(exercise(), cell(source)) == Verdict(True, "Solved.")


def test_a_decorated_solution_passes() -> None:
    namespace = cell("def answer(values): return values[::-1]")
    namespace["answer"] = functools.lru_cache(namespace["answer"])
    assert check_exercise(exercise(Test(call="answer('ab')", output="'ba'")), namespace).solved


@pytest.mark.parametrize(
    "source",
    [
        "def answer(values):\n    ...",
        "def answer(values):\n    return ...",
        "def answer(values):\n    pass",
        "def answer(values):\n    return sorted(values, key=...)",
        "def answer(values):\n    first = ...\n    return first + values",
    ],
)
def test_an_untouched_starter_always_gives_the_same_text(source: str) -> None:
    assert check_exercise(exercise(), cell(source)) == Verdict(False, UNSOLVED)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def answer(values): return values", "`answer([1, 2])` should give `[2, 1]`, gave `[1, 2]`."),
        (
            "def answer(values): return list(values)[::-1]",
            "`answer(values='ab')` should give `'ba'`, gave `['b', 'a']`.",
        ),
        ("def answer(values): return 1 / 0", "should give `[2, 1]`, raised `ZeroDivisionError: division by zero`."),
        ("def answer(): return 1", "raised `TypeError: answer() takes 0 positional arguments but 1 was given`."),
        ("def answer(values): raise SystemExit(3)", "raised `SystemExit: 3`."),
        ("def answer(values): return answer(values)", "raised `RecursionError: "),
        ("def answer(values): return 'x' * 1000", "xxx…`."),
        (
            "class Bad:\n  def __repr__(self): raise ValueError('no')\ndef answer(values): return Bad()",
            "`ValueError: no`.",
        ),
        (
            "class Bad(Exception):\n  def __str__(self): raise ValueError('no')\ndef answer(values): raise Bad",
            "raised `Bad`.",
        ),
        ("class Odd(BaseException): pass\ndef answer(values): raise Odd('x')", "raised `Odd: x`."),
        (
            "class Meta(type):\n  __name__ = property(lambda cls: 1 / 0)\n"
            "class Bad(Exception, metaclass=Meta): pass\ndef answer(values): raise Bad('x')",
            "raised `Bad: x`.",
        ),
        (
            "class Text(str):\n  __eq__ = __len__ = __getitem__ = lambda *_: 1 / 0\n"
            "class Odd:\n  def __repr__(self): return Text('odd')\ndef answer(values): return Odd()",
            "gave `odd`.",
        ),
        ("def answer(values):\n  answer.__wrapped__ = answer\n  return 3", "gave `3`."),
        ("", "define `answer` with `def` in the cell above and run that cell first."),
        ("answer = 5", "define `answer` with `def`"),
    ],
)
def test_a_wrong_attempt_says_what_it_gave(source: str, says: str) -> None:
    verdict = check_exercise(exercise(), cell(source))
    assert not verdict.solved
    assert verdict.text.startswith("Not solved yet: ")
    assert says in verdict.text


def test_none_may_be_the_right_answer() -> None:
    solved = exercise(Test(call="answer(1)", output="None"))
    assert check_exercise(solved, cell("def answer(n): return None")).solved


def test_an_interrupt_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        check_exercise(exercise(), cell("def answer(values): raise KeyboardInterrupt"))


CANARY: list[str] = []


@pytest.mark.parametrize(
    "call",
    [
        "__import__('os').system('true')",
        "answer(__import__('os').system('true'))",
        "os.system('true')",
        "answer(*print('x'))",
        "answer(**{'a': 1})",
        "answer([n for n in (1, 2)])",
        "answer.__globals__",
        "(lambda: answer(1))()",
        "answer(1); answer(2)",
        "answer(",
        "answer(" + "(" * 5000,
        "",
    ],
)
def test_a_test_that_is_more_than_a_call_with_plain_values_is_not_run(call: str) -> None:
    namespace = cell("import os\ndef answer(*args, **kwargs): raise AssertionError('called')")
    verdict = check_exercise(exercise(Test(call=call, output="0")), namespace)
    assert not verdict.solved
    assert verdict.text == f"Not checked: the test `{call}` is not a call with plain values."


@pytest.mark.parametrize("function", [os.system, CANARY.append, exec, types.SimpleNamespace, functools.partial(print)])
def test_a_test_calls_only_what_a_cell_defined(function: Any) -> None:
    namespace = {"__name__": "__main__", "answer": function}
    verdict = check_exercise(exercise(Test(call="answer('CANARY')", output="0")), namespace)
    assert "define `answer`" in verdict.text
    assert CANARY == []


def test_an_exercise_without_tests_is_never_solved() -> None:
    bare = exercise().model_copy(update={"tests": []})
    assert check_exercise(bare, cell("def answer(values): return values")) == Verdict(False, UNSOLVED)


def test_the_views_show_code_and_escape_everything() -> None:
    verdict = Verdict(False, "gave `<b>` \x1b[31m")
    assert verdict.views() == {
        "text/plain": "gave `<b>` \ufffd[31m",
        "text/html": "<p>gave <code>&lt;b&gt;</code> \x1b[31m</p>",
    }
