"""Calls made without an example: only from reviewed inputs, and only those whose result depends on all of them."""

from __future__ import annotations

import ast

import pytest

from alain_magics.lessons.teachers.module.inputs import ROWS, calls_of, derived_examples, telling
from tests.lessons.modules import document_of


def calls(signature: str) -> list[str]:
    return calls_of(document_of(f"def one{signature}: 'One.'").object("sample.one"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.names)
def test_every_row_has_two_different_inputs_and_says_what_holds_of_them(row):
    first, second = row.values
    assert ast.dump(ast.parse(first)) != ast.dump(ast.parse(second))
    assert row.names.split()
    assert row.holds


def test_no_name_stands_in_two_rows():
    names = [name for row in ROWS for name in row.names.split()]
    assert len(set(names)) == len(names)


def test_calls_differ_from_the_first_in_one_argument_each():
    assert calls("(text, width)") == [
        "one('hello big world', 12)",
        "one('one two  three', 12)",
        "one('hello big world', 20)",
    ]


def test_parameters_with_defaults_are_left_alone():
    assert calls("(width, deep=True, *, text='a')") == ["one(12)", "one(20)"]


@pytest.mark.parametrize("signature", ["()", "(mystery)", "(text, mystery)", "(text, width, sep, n)", "(*text)"])
def test_no_calls_where_an_argument_is_unknown_or_there_are_none_or_many(signature):
    assert calls(signature) == []


def test_no_calls_of_classes_and_methods():
    document = document_of(
        "class One:\n    'One.'\n    def __init__(self, text): pass\n    def two(self, text): 'Two.'"
    )
    assert [calls_of(item) for item in document.objects] == [[], []]


@pytest.mark.parametrize(
    ("output", "tells"),
    [
        ("'HELLO'", True),
        ("True", False),
        ("None", False),
        ("[]", False),
        ("''", False),
        ("", False),
        ("'a'", False),
        ("a\nb", False),
        ("1" * 61, False),
    ],
)
def test_a_result_is_short_and_more_than_an_argument(output, tells):
    assert telling("one('a')", output) is tells


SOURCE = '''
def shout(text):
    """Make it loud."""
    return text.upper()

def pairs_of(iterable):
    """Go by pairs."""
    yield from zip(iterable, iterable[1:])

def length(text):
    """Always the same."""
    return 7

def echo(text):
    """Give it back."""
    return text

def ignore(text, width):
    """Only one counts."""
    return text[::-1]

def fails(text):
    """Never works."""
    raise ValueError(text)

def varies(text):
    """Different each time."""
    return object()

def unknown(mystery):
    """Nobody knows."""
    return 3
'''


def test_only_calls_whose_result_depends_on_every_argument_are_kept(module, prover, finish):
    document = module(SOURCE, "derived")
    found = finish(derived_examples(document, prover, document.objects))
    assert [(example.source, example.want) for example in found] == [
        ("shout('hello big world')", "'HELLO BIG WORLD'"),
        ("shout('one two  three')", "'ONE TWO  THREE'"),
        ("list(pairs_of(['b', 'a', 'c', 'a']))", "[('b', 'a'), ('a', 'c'), ('c', 'a')]"),
        ("list(pairs_of(['x', 'z', 'z', 'y']))", "[('x', 'z'), ('z', 'z'), ('z', 'y')]"),
    ]


def test_a_derived_call_cites_the_summary_and_runs_as_it_stands(module, prover, finish):
    document = module(SOURCE, "derived")
    example = finish(derived_examples(document, prover, [document.object("derived.shout")]))[0]
    assert document.cite(example.span).quote == "Make it loud."
    assert (example.ref, example.calls) == ("derived.shout", ("derived.shout",))
    (outcome,) = finish(prover.reproduce([example.program]))
    assert outcome.output == example.want
