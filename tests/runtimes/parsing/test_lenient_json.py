"""JSON as models write it is read for what it means; nothing is made up, and what is wrong is named."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alain_magics.runtimes.parsing.lenient_json import LOST_BACKSLASH, Reading
from tests.runtimes.parsing.test_json_scanner import layouts, values

WORDS = st.lists(st.sampled_from("it Paris word true 1 end done he".split()), max_size=3).map(" ".join)
simple = st.recursive(
    WORDS | st.integers(0, 9) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["x", "y z", "true"]), simple, min_size=1, max_size=3)


def leaves(value: Any) -> Iterator[Any]:
    """Yield keys and plain values, each with its type."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield "key", key
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield type(value), value


@given(st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values, max_size=4), layouts)
def test_sound_json_is_read_as_it_is(value: Any, layout: Any) -> None:
    text = json.dumps(value, **layout)
    assume(not LOST_BACKSLASH.search(text))
    reading = Reading(text, 0)
    assert (reading.value, reading.complete, reading.defect, reading.liberties) == (value, True, "", [])
    assert reading.end == len(text)


MALFORMED = {
    '{"a": [1, 2,], "b": 3,}': "a comma too many",
    '{,"a": [1, 2],, "b": 3}': "a comma too many",
    '{"a": [1, 2]\n "b": 3}': "a missing comma",
    "{'a': [1, 2], 'b': 3}": "single quotes",
    "{“a”: [1, 2], “b”: 3}": "typographic quotes",
    "{a: [1, 2], b: 3}": "a key without quotes",
    '{"a": [1, 2], // so\n /* it is */ "b": 3}': "a comment",
}


@pytest.mark.parametrize(("text", "liberty"), MALFORMED.items())
def test_harmless_malformations_are_read_and_named(text: str, liberty: str) -> None:
    reading = Reading(text, 0)
    assert reading.value == {"a": [1, 2], "b": 3}
    assert (reading.complete, reading.defect, reading.liberties) == (True, "", [liberty])


@pytest.mark.parametrize(
    ("text", "value", "liberty"),
    [
        ('["a\nb\tc"]', "a\nb\tc", "a line end within a string"),
        ('["He said "hi" to me"]', 'He said "hi" to me', "quotes within a string"),
        ('["print("hello")"]', 'print("hello")', "quotes within a string"),
        ("['it's']", "it's", "single quotes"),
        (r'["\alpha \(x\)"]', r"\alpha \(x\)", "a backslash that escapes nothing"),
        (r'["it\'s"]', "it's", "a backslash that escapes nothing"),
        (r'["\u00e9 \ud83d\ude00 \ud83d"]', "é 😀 \\ud83d", "a backslash that escapes nothing"),
        ("[True]", True, "Python's True"),
        ("[None]", None, "Python's None"),
    ],
)
def test_values_are_read_as_what_they_mean(text: str, value: Any, liberty: str) -> None:
    reading = Reading(text, 0)
    assert (reading.value, reading.liberties, reading.complete) == ([value], [liberty], True)


@pytest.mark.parametrize(
    ("text", "value", "defect"),
    [
        ('{"a": "x", "b": "y', {"a": "x"}, "the text ends within a string in b"),
        ('{"a": ["x", {"b": 1}, {"c": ', {"a": ["x", {"b": 1}]}, "the text ends within an object in a[2].c"),
        ('{"a": ["x", 12', {"a": ["x"]}, "the text ends within a number in a[1]"),
        ('{"a": ["x", tru', {"a": ["x"]}, "the text ends within a word in a[1]"),
        ('{"a": ["x", 1.', {"a": ["x"]}, "the text ends within a value in a[1]"),
        ('{"a": "x"', {"a": "x"}, "the text ends within an object in a"),
        ('{"a": 1, "b": NaN}', {"a": 1}, "'NaN' is no value of JSON in b"),
        ('{"a": 1, "b": -Infinity}', {"a": 1}, "'-Infinity' is no JSON in b"),
        ('{"a": 1, "b": 1e999}', {"a": 1}, "1e999 is beyond what a number can hold in b"),
        ('{"a": 1, "b": ' + "9" * 5000 + "}", {"a": 1}, "a number has more than 4000 digits in b"),
        ('{"a": 1, "b": 007}', {"a": 1}, "'007' is no JSON in b"),
        ('{"a": 1, "b": , "c": 2}', {"a": 1}, "a value is missing in b"),
        ('{"a": 1, "b"}', {"a": 1}, "a value is missing in b"),
        ('{"a": 1, b 2}', {"a": 1}, "a colon is missing in b"),
        ('{"a": 1, 2: 3}', {"a": 1}, "a key is missing in a"),
        ('{"a": [1, 2}', {"a": [1, 2]}, "'}' closes what it did not open in a[1]"),
        ("[1, 2, ...]", [1, 2], "'...' is no JSON in [2]"),
        ("[1,, 2]", [1], "a value is missing in [1]"),
        ("[12 34]", None, "a comma or a closing bracket is missing in [0]"),
        ('[1, "x": 2]', [1], "a colon stands in the wrong place in [1]"),
        ('["sure", "say "a", or b"]', ["sure"], "it is not clear where a string ends in [1]"),
        ('["sure", "print("a", "b")"]', ["sure"], "it is not clear where a string ends in [1]"),
        ('["sure", "x = "" or so"]', ["sure"], "it is not clear where a string ends in [1]"),
        ('[1, // "lost"\n 1]', [1], "it is not clear where a string ends in [1]"),
        ('[{"a": 1}, {"b": "x" y]', [{"a": 1}], "the text ends within a string in [1].b"),
        ("{", None, "the text ends within an object"),
        ('[[{"a": [', None, "the text ends within an array in [0][0].a[0]"),
    ],
)
def test_what_cannot_be_read_further_gives_the_part_that_is_sure_and_the_defect(
    text: str, value: Any, defect: str
) -> None:
    reading = Reading(text, 0)
    assert (reading.value, reading.defect, reading.complete) == (value, defect, False)


def test_a_key_that_occurs_twice_is_a_defect() -> None:
    reading = Reading('{"a": [{"b": 1, "c": 2, "b": 3}]}', 0)
    assert (reading.defect, reading.complete) == ("a[0].b occurs twice", False)
    assert reading.value == {"a": [{"b": 3, "c": 2}]}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        (r"\beta", r"\beta"),
        (r"$a \times b$, $\nabla f$, $$\rho$$", r"$a \times b$, $\nabla f$, $$\rho$$"),
        (r"\\(\theta\\)", r"\(\theta\)"),
        (r"\\frac{1}{2}", r"\frac{1}{2}"),
        (r"one\nnabla", "one\nnabla"),
        (r"one\nabla", "one\nabla"),
        (r"$x$\neq $y$", "$x$\neq $y$"),
        (r"$x\nextra$", "$x\nextra$"),
        (r"a\b", "a\b"),
    ],
)
def test_lost_backslashes_of_latex_are_restored(written: str, meant: str) -> None:
    reading = Reading(f'["{written}"]', 0)
    assert reading.value == [meant]
    lost = meant.count("\\") > written.count("\\\\")
    assert [liberty.startswith("the lost backslash of \\") for liberty in reading.liberties] == [True] * lost * len(
        reading.liberties
    )
    assert bool(reading.liberties) == lost


def test_the_restored_command_is_named() -> None:
    assert Reading(r'["\frac{1}{2}"]', 0).liberties == [r"the lost backslash of \frac"]


@given(objects, layouts, st.data())
def test_a_cut_text_gives_only_what_was_complete(value: Any, layout: Any, data: st.DataObject) -> None:
    text = json.dumps(value, **layout)
    reading = Reading(text[: data.draw(st.integers(1, len(text) - 1))], 0)
    assert not reading.complete
    assert reading.defect.startswith("the text ends within")
    assert not Counter(leaves(reading.value or {})) - Counter(leaves(value))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 200_000,
        '["' + '\\"' * 500_000,
        '["' + '" ' * 300_000,
        '["' + '"a ' * 300_000,
        "['" + "a'a" * 300_000,
        '["x" y ' * 200_000,
        "[1" + "1" * 1_000_000 + "x]",
        "[" + "/*" * 500_000,
        '["' + "\\nu" * 300_000 + '"]',
        '["' + '"' + " " * 1_000_000,
        "[" + "\\" * 1_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_text_takes_bounded_time(text: str) -> None:
    begun = time.perf_counter()
    Reading(text, 0)
    LOST_BACKSLASH.search(text)
    assert time.perf_counter() - begun < 2


@given(st.text(st.sampled_from("{}[]\",:'\\ ab1t/*“”\n"), max_size=40))
@settings(max_examples=500)
def test_no_text_is_too_odd(text: str) -> None:
    reading = Reading("[" + text, 0)
    assert reading.complete == (not reading.defect)
    assert reading.complete or reading.value is None or reading.value
