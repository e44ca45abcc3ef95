"""Short programs of which one line raises."""

from __future__ import annotations

import re

import pytest

from alain_magics.lessons.document import Span
from alain_magics.lessons.teachers.module.examples import Example, find_examples, join_program
from alain_magics.lessons.teachers.module.faults import (
    LINES,
    LONGEST_LINE,
    Fault,
    candidate_lines,
    edge_lines,
    find_faults,
)


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("f([1, 2])", ["f([])"]),
        ("f((1, 2), 'ab')", ["f((), 'ab')", "f((1, 2), '')"]),
        ("f(x, 2)", ["f(x, 0)", "f(x, -1)"]),
        ("f(0)", ["f(-1)"]),
        ("f(-1)", []),
        ("f(True)", []),
        ("f(x, n=3)", ["f(x, n=0)", "f(x, n=-1)"]),
        ("f(g([1]), 'a')", ["f(g([1]), '')"]),
        ("x.f([1])[0]", ["x.f([])[0]", "x.f([1])[10]"]),
        ("f([])", []),
        ("x + 1", []),
        ("y = f(1)", ["y = f(0)", "y = f(-1)"]),
    ],
)
def test_the_edges_of_a_call_are_empty_data_nought_and_minus_one(source, lines):
    assert sorted(edge_lines(source)) == sorted(lines)


def sample(source: str, *setup: str, raises: str = "") -> Example:
    return Example("kit.middle_low", Span(0, 0), (), setup, source, "", raises, ("kit.middle_low",))


def test_a_documented_line_that_raises_is_taken_as_it_is():
    assert list(candidate_lines(sample("middle_low([])", raises="KitError"))) == ["middle_low([])"]
    assert list(candidate_lines(sample("middle_low([1])"))) == ["middle_low([])"]


@pytest.mark.parametrize(
    "example",
    [sample("f(\n[1])"), sample("f(1)", "for x in y:\n    x"), sample(f"f({'x' * LONGEST_LINE})", raises="KitError")],
)
def test_long_lines_and_statements_of_several_lines_are_passed_over(example):
    assert list(candidate_lines(example)) == []


@pytest.fixture(scope="module")
def faults(kit, prover, finish) -> list[tuple[Fault, int, str]]:
    """The faults that the examples of the kit lead to, each with the number of the line that raises, and what."""
    found = []
    for fault in finish(find_faults(kit, prover, find_examples(kit))):
        (outcome,) = finish(prover.reproduce([join_program(fault.imports, "\n".join(fault.lines))]))
        found.append((fault, (outcome.line or 0) - len(fault.imports) - 2, outcome.error))
    return found


def test_every_fault_is_a_short_program_that_raises_something_worth_knowing(faults):
    assert faults
    for fault, _, error in faults:
        assert LINES - 1 <= len(fault.lines) <= LINES
        assert error in {"KitError", "ZeroDivisionError"}


def test_a_fault_is_about_the_object_whose_call_raises(faults):
    for fault, line, _ in faults:
        assert fault.example.calls[0].rpartition(".")[2] in fault.lines[line]


def test_the_fault_does_not_always_stand_in_the_same_place(faults):
    assert len({line for _, line, _ in faults}) > 1


def test_beside_the_fault_stand_calls_of_other_objects_edges_that_hold_among_them(faults):
    for fault, _, _ in faults:
        names = [re.split(r"[(\[]", each)[0] for each in fault.lines]
        assert len(set(names)) == len(names)
    assert any("shares([])" in fault.lines for fault, _, _ in faults)


def test_a_fault_of_an_example_with_set_up_comes_with_its_lines(module, prover, finish):
    document = module(
        '''class Stack:
    """A pile.

    >>> pile = Stack()
    >>> pile.push(3)
    >>> pile.pop()
    3
    >>> empty = Stack()
    >>> empty.items = [1, 2]
    >>> empty.pop(5)
    Traceback (most recent call last):
        ...
    IndexError: pop index out of range
    """

    def __init__(self):
        self.items = []

    def push(self, item):
        """Put on top."""
        self.items.append(item)

    def pop(self, place=-1):
        """Take away."""
        return self.items.pop(place)
''',
        "piles",
    )
    found = finish(find_faults(document, prover, find_examples(document)))
    assert [fault.lines for fault in found] == [("empty = Stack()", "empty.items = [1, 2]", "empty.pop(5)")]


def test_a_type_error_teaches_nothing(module, prover, finish):
    source = "\n".join(
        f"def {name}(x):\n    '''Do.\n\n    >>> {name}([1])\n    1\n    '''\n    return len(x) / len(x) if x else x + 1"
        for name in ("one", "two", "three", "four")
    )
    document = module(source, "typed")
    assert finish(find_faults(document, prover, find_examples(document))) == []


def test_nothing_to_go_wrong_makes_no_fault(kit, prover, finish):
    calm = [example for example in find_examples(kit) if "shares" in example.source]
    assert finish(find_faults(kit, prover, calm)) == []
