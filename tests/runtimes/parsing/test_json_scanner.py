"""The members of an array or object are reported while the text still comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.runtimes.parsing.json_scanner import JsonScanner
from tests.runtimes.parsing.heard import cuts, pieces

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
layouts = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def scan(text: str, path: tuple[str | int, ...] = (), cuts: Any = ()) -> list[tuple[int | str, str]]:
    """Return what a scanner reports about a text in pieces."""
    scanner = JsonScanner(path)
    return [(member.key, member.text) for piece in pieces(text, cuts) for member in scanner.feed(piece)]


def members(value: Any) -> list[tuple[int | str, Any]]:
    """Return what has to be reported of a value."""
    return list(value.items() if isinstance(value, dict) else enumerate(value))


@given(st.lists(values, max_size=5) | st.dictionaries(st.text(max_size=4), values, max_size=5), layouts, cuts)
def test_the_members_of_the_root_are_those_of_the_whole_parse(value: Any, layout: Any, cuts: list[int]) -> None:
    found = scan(json.dumps(value, **layout), cuts=cuts)
    assert [(key, json.loads(text)) for key, text in found] == members(value)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4), values, st.integers(0, 3), layouts, cuts)
def test_the_members_at_a_path_are_those_of_the_whole_parse(
    others: dict[str, Any], target: Any, index: int, layout: Any, cuts: list[int]
) -> None:
    value = {**others, "at": [others] * index + [{"x": others, "y": target, "z": [target]}]}
    found = scan(json.dumps(value, **layout), ("at", index, "y"), cuts)
    expected = members(target) if isinstance(target, dict | list) else []
    assert [(key, json.loads(text)) for key, text in found] == expected


def test_a_member_is_reported_as_soon_as_it_closes() -> None:
    scanner = JsonScanner(("sections",))
    assert list(scanner.feed('{"title": "T", "sections": [{"a": "[}"')) == []
    assert [member.text for member in scanner.feed("}")] == ['{"a": "[}"}']
    assert [member.text for member in scanner.feed(', "text"')] == ['"text"']
    assert [member.text for member in scanner.feed(", 1")] == []
    assert [(member.key, member.text) for member in scanner.feed("2]")] == [(2, "12")]
    assert not scanner.done
    assert list(scanner.feed("}")) == []
    assert scanner.done
    assert list(scanner.feed('{"sections": [1]}')) == []


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ('Here "it" is [1]: ```json\n{"a": [1, 2]}\n``` and {"a": [3]}', ("a",), [(0, "1"), (1, "2")]),
        ('see: [{"a": 1}]', (0,), [("a", "1")]),
        ('{"a\\"b": 1, "\\q": 2}', (), [('a"b', "1"), ("\\q", "2")]),
        ('{"a": {"a": [1]}}', ("a",), [("a", "[1]")]),
        ('{"b": {"a": [1]}, "a": [2]}', ("a",), [(0, "2")]),
        ("[[], {}]", (), [(0, "[]"), (1, "{}")]),
        ("no JSON", (), []),
        ("[1, 2", (), [(0, "1")]),
        ("]}[{", (), []),
    ],
)
def test_what_stands_around_the_json_is_passed_over(text: str, path: tuple[str | int, ...], found: Any) -> None:
    assert scan(text, path) == found
    assert scan(text, path, range(100)) == found


@given(st.text(st.sampled_from('{}[]",:\\ ab1'), max_size=60), cuts)
def test_no_text_is_too_odd_and_its_pieces_make_no_difference(text: str, cuts: list[int]) -> None:
    assert scan(text, ("a",), cuts) == scan(text, ("a",))
    assert scan(text, (), cuts) == scan(text)
