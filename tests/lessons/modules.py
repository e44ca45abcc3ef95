"""Modules to teach: a small kit that makes a whole lesson, and a way to read other sources as documents."""

from __future__ import annotations

import ast
import contextlib
import io
import sys
import types

from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import ModuleDocument, assemble

KIT = '''\
"""Tools for short lists of numbers.

Middles
-------

Function        Description
middle          Middle value
middle_low      Low middle value
middle_high     High middle value

Turning
-------

turn_left and turn_right move items around the end of a list.
"""

from fractions import Fraction as Ratio


class KitError(ValueError):
    """Raised for data that has no answer."""


def middle(data):
    """Return the middle value of the data.

    >>> middle([1, 3, 5])
    3
    >>> middle([7, 1, 3, 5])
    4.0
    """
    low, high = middle_low(data), middle_high(data)
    return low if low == high else (low + high) / 2


def middle_low(data):
    """Return the lower of the two middle values.

    >>> middle_low([1, 3, 5, 7])
    3
    >>> middle_low([9, 2, 4, 6])
    4
    >>> middle_low([])
    Traceback (most recent call last):
        ...
    kit.KitError: there is no middle of nothing
    """
    if not data:
        raise KitError("there is no middle of nothing")
    return sorted(data)[(len(data) - 1) // 2]


def middle_high(data):
    """Return the higher of the two middle values.

    >>> middle_high([1, 3, 5, 7])
    5
    >>> middle_high([9, 2, 4, 6])
    6
    """
    if not data:
        raise KitError("there is no middle of nothing")
    return sorted(data)[len(data) // 2]


def turn_left(items, steps=1):
    """Return the items moved to the left, the first ones to the end.

    >>> turn_left([1, 2, 3, 4])
    [2, 3, 4, 1]
    >>> letters = ['a', 'b', 'c']
    >>> turn_left(letters, 2)
    ['c', 'a', 'b']
    """
    steps %= len(items)
    return items[steps:] + items[:steps]


def turn_right(items, steps=1):
    """Return the items moved to the right, the last ones to the front.

    >>> turn_right([1, 2, 3, 4])
    [4, 1, 2, 3]
    """
    steps %= len(items)
    return items[-steps:] + items[:-steps]


def shares(weights, largest_first=False):
    """Return what part of the sum each of the weights is.

    >>> shares([1, 1, 2])
    [0.25, 0.25, 0.5]
    >>> shares([Ratio(1, 2), Ratio(3, 2)])
    [Fraction(1, 4), Fraction(3, 4)]
    """
    return sorted((weight / sum(weights) for weight in weights), reverse=largest_first)


class Tally:
    """Counts words, the commonest first.

    >>> tally = Tally(['to', 'be', 'or', 'not', 'to', 'be'])
    >>> tally.add('to')
    >>> tally.add('or')
    >>> tally.top(2)
    [('to', 3), ('be', 2)]
    """

    def __init__(self, words):
        self.counts = {}
        for word in words:
            self.add(word)

    def add(self, word):
        """Count one more word."""
        self.counts[word] = self.counts.get(word, 0) + 1

    def top(self, most):
        """Return the commonest words with their counts.

        >>> Tally(['a', 'b', 'a']).top(1)
        [('a', 2)]
        """
        return sorted(self.counts.items(), key=lambda pair: -pair[1])[:most]

    def last(self, most):
        """Return the rarest words with their counts.

        >>> Tally(['a', 'b', 'a']).last(1)
        [('b', 1)]
        """
        return sorted(self.counts.items(), key=lambda pair: pair[1])[:most]
'''


def document_of(source: str, name: str = "sample") -> ModuleDocument:
    """The document of a module with this source, read in this process."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    try:
        exec(source, module.__dict__)
        return assemble(inspect_module(name))
    finally:
        del sys.modules[name]


def shown_by(code: str) -> tuple[str, str]:
    """What a notebook shows for a program that runs in this process, and the type of what it raises."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    names: dict[str, object] = {}
    printed = io.StringIO()
    value = None
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, "<test>", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<test>", "eval"), names)
    except Exception as error:
        return printed.getvalue().rstrip("\n"), type(error).__name__
    parts = [printed.getvalue().rstrip("\n"), "" if value is None else repr(value)]
    return "\n".join(part for part in parts if part), ""
