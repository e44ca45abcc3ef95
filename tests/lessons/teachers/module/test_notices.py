"""Remarks about an example: each is true, and the programs that made it true are kept."""

from __future__ import annotations

import pytest

from alain_magics.lessons.document import Span
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.notices import Notice, NoticeMaker
from alain_magics.lessons.teachers.module.siblings import Siblings
from tests.lessons.modules import shown_by

FUNCTIONS = '''
class ToolError(Exception):
    """Raised here."""

def push_down(h, item=9):
    """Put an item in, the heap stays a heap.

    >>> h = [3, 1, 2]
    >>> push_down(h)
    [1, 2, 3, 9]
    """
    h.append(item)
    h.sort()
    return h

def walk(items):
    """Go through the items.

    >>> list(walk([1, 2, 3, 4]))
    [1, 2, 3, 4]
    """
    return iter(items)

def data_of(data):
    """Check the data.

    >>> data_of([5, 6, 7])
    18
    """
    if not data:
        raise ToolError
    return sum(data)

def joined(words, upper=False):
    """Join the words.

    >>> joined(['a', 'b', 'c'])
    'abc'
    """
    text = ''.join(words)
    return text.upper() if upper else text

def firsts(words):
    """First letters.

    >>> firsts(('red', 'blue'))
    'rb'
    """
    return ''.join(word[0] for word in words)

def total(numbers):
    """Add up.

    >>> total([2, 4, 8])
    14
    """
    return sum(numbers)

def ticked(text):
    """Count ticks.

    >>> ticked('one `two` three')
    2
    """
    return text.count('`')

def plain(number):
    """No data.

    >>> plain(3)
    3
    """
    return number
'''


@pytest.fixture
def tools(module) -> ModuleDocument:
    """A module of functions that do what remarks are about."""
    return module(FUNCTIONS, "tools")


def notice(tools: ModuleDocument, prover, finish, name: str) -> Notice | None:
    example = next(example for example in find_examples(tools) if example.ref == f"tools.{name}")
    return finish(NoticeMaker(tools, prover, Siblings(tools)).notice(example))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("push_down", "`push_down` changes the object that it is given."),
        ("walk", "`walk` returns an iterator: it can be passed through once."),
        ("data_of", "On an empty list, `data_of` raises `ToolError`."),
        ("joined", "With `upper=True` the same call gives `'ABC'`."),
        ("firsts", "The order counts: with `words` turned around the result is `'br'`."),
    ],
)
def test_a_remark_is_the_first_that_is_true(tools, prover, finish, folder, monkeypatch, name, sentence):
    found = notice(tools, prover, finish, name)
    assert found.sentence == sentence
    monkeypatch.syspath_prepend(str(folder))
    for run in found.runs:
        assert (run.output, run.error) == shown_by(run.code)


@pytest.mark.parametrize("name", ["ticked", "plain", "total"])
def test_where_nothing_can_be_said_nothing_is(tools, prover, finish, name):
    assert notice(tools, prover, finish, name) is None


def test_a_sibling_on_the_same_data_is_the_best_remark(kit, prover, finish):
    example = next(example for example in find_examples(kit) if example.source == "turn_left([1, 2, 3, 4])")
    found = finish(NoticeMaker(kit, prover, Siblings(kit)).notice(example))
    assert found.sentence == (
        "With `items = [1, 2, 3, 4]`, `turn_right(items)` gives `[4, 1, 2, 3]`, but `turn_left(items)` `[2, 3, 4, 1]`."
    )
    assert [run.output for run in found.runs] == ["[2, 3, 4, 1]", "[4, 1, 2, 3]"]


def test_a_remark_is_not_made_twice(tools, prover, finish):
    maker = NoticeMaker(tools, prover, Siblings(tools))
    example = next(example for example in find_examples(tools) if example.ref == "tools.firsts")
    assert finish(maker.notice(example)) is not None
    assert finish(maker.notice(example)) is None


@pytest.mark.parametrize("setup", [(), ("data = make()",), ("data = [1]", "more = [2]"), ("def f():\n    pass",)])
def test_only_a_call_with_named_literal_data_is_looked_at(tools, prover, finish, setup):
    example = Example("tools.total", Span(0, 0), (), setup, "total(data)", "", "", ("tools.total",))
    assert finish(NoticeMaker(tools, prover, Siblings(tools)).notice(example)) is None


def test_an_example_of_nothing_known_has_no_remark(tools, prover, finish):
    example = Example("tools", Span(0, 0), (), ("data = [1, 2, 3]",), "len(data)", "", "", ())
    assert finish(NoticeMaker(tools, prover, Siblings(tools)).notice(example)) is None
