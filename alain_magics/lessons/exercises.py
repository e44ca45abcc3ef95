"""Checking an exercise: the learner's function is called as its tests say."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from alain_magics.lessons.schema import Exercise, Test
from alain_magics.text import inline, plain

UNSOLVED = "Not solved yet: write your code in the cell above, run it, then run this cell again."
_LONGEST = 200  # characters of a value that is shown


@dataclass(frozen=True)
class Verdict:
    """Whether an exercise is solved, and what is said about it: text in which `backticks` mark code."""

    solved: bool
    text: str

    def views(self) -> dict[str, str]:
        """The verdict by MIME type."""
        return {"text/plain": plain(self.text), "text/html": f"<p>{inline(self.text)}</p>"}


def check_exercise(exercise: Exercise, namespace: Mapping[str, Any]) -> Verdict:
    """Run the tests of an exercise with the functions of a namespace; stop at the first that fails.

    A test is a call of one function by its name with literal arguments, and the function must be one that was defined
    in the namespace itself: an encoded test cannot call anything else. What the function raises is reported; only a
    ``KeyboardInterrupt`` goes through.
    """
    if not exercise.tests:
        return Verdict(False, UNSOLVED)
    for test in exercise.tests:
        problem = _problem(test, namespace)
        if problem:
            return Verdict(False, problem)
    return Verdict(True, "Solved.")


def _problem(test: Test, namespace: Mapping[str, Any]) -> str:
    """What is wrong with one test, or ``""``."""
    try:
        name, arguments, keywords = _read_call(test.call)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return f"Not checked: the test `{test.call}` is not a call with plain values."
    function: Any = namespace.get(name)
    if not _defined_here(function, namespace):
        return f"Not solved yet: define `{name}` with `def` in the cell above and run that cell first."
    try:
        value = function(*arguments, **keywords)
        given = str.__str__(repr(value))  # what a repr gives may be more than a string
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a learner's code may raise anything
        value, given = None, ""
        raised = f"raised `{_described(error)}`"
    else:
        raised = f"gave `{given if len(given) <= _LONGEST else given[:_LONGEST] + '…'}`"
    if given == test.output:
        return ""
    if value is ... or _has_gap(function) or (value is None and given):
        return UNSOLVED
    return f"Not solved yet: `{test.call}` should give `{test.output}`, {raised}."


def _described(error: BaseException) -> str:
    """Type and message of an exception, as far as it can tell them."""
    name = type.__dict__["__name__"].__get__(type(error))
    try:
        return f"{name}: {str(error)[:_LONGEST]}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  a learner's exception too may raise anything
        return str(name)


def _read_call(call: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Name and arguments of a call; ``ValueError`` where it is more than that."""
    node = ast.parse(call.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(call)
    arguments = [ast.literal_eval(argument) for argument in node.args]
    keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    if len(keywords) < len(node.keywords):
        raise ValueError(call)
    return node.func.id, arguments, keywords


def _defined_here(function: Any, namespace: Mapping[str, Any]) -> bool:
    """Whether this is a function that a cell defined, decorated or not."""
    try:
        inner = inspect.unwrap(function) if callable(function) else None
    except Exception:  # noqa: BLE001  any attribute of a foreign object may be computed
        return False
    return isinstance(inner, types.FunctionType) and inner.__module__ == namespace.get("__name__")


def _has_gap(function: Callable[..., Any]) -> bool:
    """Whether a function still holds the ``...`` of the starter."""
    try:
        inner: Any = inspect.unwrap(function)
        return any(constant is ... for constant in inner.__code__.co_consts)
    except Exception:  # noqa: BLE001  it may have changed while it ran
        return False
