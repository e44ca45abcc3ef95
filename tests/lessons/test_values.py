"""Printed values compared: equal or not, of which kind, and whether somebody can work them out."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alain_magics.lessons.values import parsed, same_value, shape, workable

literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.complex_numbers(),
    lambda parts: st.lists(parts, max_size=3) | st.tuples(parts) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Point(x=1)", "point(X = 1)"),
        ("[1, 2]", "[1,2]"),
        ("1.0", "1"),
        ("0.30000000000000004", "0.3"),
        ("(0.30000000000000004, 'a')", "(0.3, 'a')"),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{1, 2}", "{2, 1}"),
        ("'it'", '"it"'),
        ("(1+2j)", "(1+2.0000000000001j)"),
        ("0", "1e-15"),
    ],
)
def test_values_are_one_whatever_way_they_are_written(one, two):
    assert same_value(one, two)
    assert same_value(two, one)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("1", "2"),
        ("1", "'1'"),
        ("[1, 2]", "(1, 2)"),
        ("[1, 2]", "[2, 1]"),
        ("[1]", "[1, 1]"),
        ("3.1415", "3.1416"),
        ("1000000000", "1000000001"),
        ("Point(x=1)", "Point(x=2)"),
        ("None", "''"),
        ("1" + "0" * 400, "1.0"),
        ("1" + "0" * 400, "1e308"),
    ],
)
def test_values_that_differ_are_two(one, two):
    assert not same_value(one, two)
    assert not same_value(two, one)


@settings(deadline=None)
@given(literals)
def test_every_value_equals_itself(value):
    assert same_value(repr(value), repr(value))


@settings(deadline=None)
@given(st.text() | literals.map(repr), st.text() | literals.map(repr))
@example("(" * 300, "[" * 300)
def test_any_two_texts_can_be_compared_in_either_order(one, two):
    assert same_value(one, two) == same_value(two, one)


@pytest.mark.parametrize(
    ("text", "value"), [("[1, 'a']", [1, "a"]), ("<Point>", "<Point>"), ("1 +", "1 +"), ("", ""), ("-3", -3)]
)
def test_what_is_no_literal_stays_text(text, value):
    assert parsed(text) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3", "number"),
        ("-2.5", "number"),
        ("True", "bool"),
        ("None", "NoneType"),
        ("'3'", "str"),
        ("[3]", "list"),
        ("(3,)", "tuple"),
        ("Counter({'a': 1})", "Counter"),
        ("datetime.date(2024, 1, 2)", "datetime.date"),
        ("<class 'int'>", "<class"),
        ("three words here", "text"),
    ],
)
def test_a_value_has_the_kind_of_its_literal_or_of_its_repr(text, kind):
    assert shape(text) == kind


@pytest.mark.parametrize("text", ["2.5", "[1, 2, 3]", "100000000", "0.25", "1,234", "'abc'", "", "Fraction(13, 21)"])
def test_short_numbers_can_be_worked_out(text):
    assert workable(text)


@pytest.mark.parametrize("text", ["1.3720238095238095", "[1, 0.33333333]", "1234567"])
def test_long_numbers_cannot(text):
    assert not workable(text)
