"""The JSON of an answer is found, checked against a schema, or given as far as it goes with its defect named."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic_core import from_json

from alain_magics.errors import InvalidOutput, UsageError
from alain_magics.runtimes.parsing.lenient_json import LOST_BACKSLASH
from alain_magics.runtimes.parsing.structured import Salvaged, check_schema, parse, salvage, simplify, violation
from tests.runtimes.parsing.test_json_scanner import layouts, values
from tests.runtimes.parsing.test_lenient_json import leaves, objects

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
}


@given(values, layouts)
def test_an_answer_that_is_json_is_its_value(value: Any, layout: Any) -> None:
    text = json.dumps(value, **layout)
    assume(not LOST_BACKSLASH.search(text))
    assert salvage(text) == Salvaged(value, complete=True)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 4}',
        ' \ufeff\n{"a": 4}\n',
        '```json\n{"a": 4}\n```',
        'Here it is, see [1] and {x}:\n```\n{"a": 4}\n```\nDo you need more [examples]?',
        '<think>Perhaps {"a": 9}?</think>\n{"a": 4}',
        '[THINK]{"a": 9}[/THINK]{"a": 4}',
        'Perhaps {"a": 9}?\n</think>\n\n{"a": 4}',
        '{"a": 1} would be wrong, but this is right: {"a": 4}',
    ],
)
def test_thinking_fences_and_prose_are_passed_over(text: str) -> None:
    assert parse(text, SCHEMA) == {"a": 4}


def test_a_closing_tag_within_the_json_is_part_of_it() -> None:
    assert salvage('So: {"a": "</think>"}').value == {"a": "</think>"}


def test_harmless_malformations_are_repaired_and_named() -> None:
    assert salvage("{'a': 4, b: [\"x\",]}", SCHEMA) == Salvaged(
        {"a": 4, "b": ["x"]},
        complete=True,
        repaired=True,
        defect="repaired: single quotes, a key without quotes, a comma too many",
    )


@pytest.mark.parametrize(
    ("text", "value", "defect"),
    [
        ("", None, "there is no JSON in it"),
        ("I cannot do that [sorry].", None, "there is no JSON in it"),
        ("<think>Perhaps {}", None, "there is no JSON in it"),
        ('{"a": 4, "b": ["x", "y', {"a": 4, "b": ["x"]}, "the text ends within a string in b[1]"),
        ('{"a": 4, "a": 5}', {"a": 5}, "a occurs twice"),
        ("[1e999]", None, "1e999 is beyond what a number can hold in [0]"),
        ("[undefined]", None, "'undefined' is no value of JSON in [0]"),
        ('"a": 4, "b": ["x"]}', None, "it lacks its beginning"),
        ('Perhaps {"a": 9, "b": ["z"]}?</think>{"a": 4, "b": [', {"a": 4}, "the text ends within an array in b[0]"),
        ('{"a": 4}, {"a": 5}', {"a": 4}, "it closes before its end"),
        ('{"a": 4}, "b": ["x"]}', {"a": 4}, "it closes before its end"),
        (
            'An example: {"a": 3}. Now: {"a": 4, "b": ["x", ',
            {"a": 4, "b": ["x"]},
            "the text ends within an array in b[1]",
        ),
    ],
)
def test_what_is_not_whole_gives_its_largest_part_and_the_defect(text: str, value: Any, defect: str) -> None:
    assert salvage(text) == Salvaged(value, complete=False, defect=defect)
    with pytest.raises(InvalidOutput) as error:
        parse(text, {})
    assert (error.value.partial, error.value.defect) == (value, defect)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": 1}, "a: 1 is less than the minimum of 3"),
        ({"a": 3, "b": ["x", 2]}, "b[1]: 2 is not of type 'string'"),
        ({"b": []}, "'a' is a required property"),
        ([1], "[1] is not of type 'object'"),
    ],
)
def test_what_violates_the_schema_is_named_with_its_place(value: Any, why: str) -> None:
    with pytest.raises(InvalidOutput) as error:
        parse(json.dumps(value), SCHEMA)
    assert (error.value.defect, error.value.partial) == (why, value)


def test_a_violation_is_told_in_one_short_line() -> None:
    line = violation("x\ny" * 1000, {"enum": ["a"]})
    assert len(line) < 200
    assert "\n" not in line
    assert line.endswith("is not one of ['a']")


@pytest.mark.parametrize(
    "schema", [{"pattern": "^a"}, {"multipleOf": 0.5}, {"uniqueItems": True}, {"if": {}, "then": {"const": 1}}]
)
def test_what_grammars_cannot_express_is_validated_here(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidOutput):
        parse('"b"' if "pattern" in schema else "[1, 1]" if "uniqueItems" in schema else "1.3", schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "objekt"}, "The JSON schema is not valid: 'objekt' is not valid under any of the given schemas."),
        ({"pattern": "("}, "The JSON schema is not valid: '(' is not a 'regex'."),
        ({"$ref": "#/$defs/a"}, "The JSON schema refers to '/$defs/a', which is not part of it."),
        (
            {"$ref": "https://example.org/x"},
            "The JSON schema refers to 'https://example.org/x', which is not part of it.",
        ),
    ],
)
def test_a_schema_that_is_none_is_the_callers_error_and_nothing_is_fetched(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as error:
        parse('"a"', schema)
    assert str(error.value) == why


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {"items": {"$ref": "#/b"}}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "other.json"}]}}},
        {"properties": []},
        {"maxItems": "3"},
    ],
)
def test_a_schema_is_refused_before_there_is_a_value(schema: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"The JSON schema (refers to|is not valid)"):
        check_schema(schema)
    simplify(schema)


def test_a_schema_that_refers_to_itself_is_one() -> None:
    check_schema({"$id": "https://example.org/x", "$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#"}}}})
    check_schema({"$defs": {"a": {"$anchor": "b"}}, "items": {"$ref": "#b"}, "examples": [{"$ref": "gone"}]})


def test_a_value_too_deep_or_large_to_be_checked_is_a_violation() -> None:
    recursive = {"$ref": "#/$defs/a", "$defs": {"a": {"items": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}}}
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    assert violation(deep, recursive) == "it is too deep or its numbers are too large to be checked"
    assert violation(10**400, {"multipleOf": 0.1}) == "it is too deep or its numbers are too large to be checked"


def test_a_schema_is_simplified_without_touching_names_and_data() -> None:
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "^a", "maxLength": 10_000, "minLength": 1},
            "items": {"type": "array", "items": {"multipleOf": 2}, "uniqueItems": True, "maxItems": 3},
            "if": {"const": {"pattern": "kept"}},
        },
        "anyOf": [{"if": {}, "then": {}, "required": ["pattern"]}],
        "$defs": {"not": {"not": {}, "enum": ["pattern"]}},
    }
    assert simplify(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "minLength": 1},
            "items": {"type": "array", "items": {}, "maxItems": 3},
            "if": {"const": {"pattern": "kept"}},
        },
        "anyOf": [{"required": ["pattern"]}],
        "$defs": {"not": {"enum": ["pattern"]}},
    }
    Draft202012Validator.check_schema(simplify(schema))


@pytest.mark.parametrize(
    "text",
    ["[" * 1_000_000, "[1]" * 300_000, "[a]" * 300_000, "{" * 1_000_000, '"' * 1_000_000, "</think>[" * 100_000],
    ids=lambda text: text[:9],
)
def test_hostile_text_takes_bounded_time(text: str) -> None:
    begun = time.perf_counter()
    salvage(text, SCHEMA)
    assert time.perf_counter() - begun < 2


@given(st.text(st.sampled_from("{}[]\",:'\\ ab1t/*“”\n<think>"), max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    found = salvage(text)
    assert found.complete or found.defect


@given(objects, layouts, st.data())
@settings(max_examples=500)
def test_damage_to_the_punctuation_never_makes_a_value_up(value: Any, layout: Any, data: st.DataObject) -> None:
    text = json.dumps(value, **layout)
    strings = [range(found.start() + 1, found.end()) for found in re.finditer(r'"[^"]*"', text)]
    outside = [at for at in range(len(text)) if not any(at in string for string in strings)]
    at = data.draw(st.sampled_from(outside))
    mark = data.draw(st.sampled_from(["", *'{}[],:"', "'"]))
    taken = text[at] in '{}[],:"' and (not mark or data.draw(st.booleans()))
    found = salvage(text[:at] + mark + text[at + taken :])
    if found.complete:
        joined = Counter(each for each in leaves(found.value) if each[0] is int and each[1] > 9)  # "1,2" without ","
        assert not Counter(leaves(found.value)) - joined - Counter(leaves(value))


def test_of_real_answers_those_that_are_json_are_read_and_the_others_give_what_is_in_them(shared: Path) -> None:
    files = sorted((shared / "fixtures" / "llm_outputs").iterdir())
    whole = 0
    for file in files:
        text = file.read_text(encoding="utf-8")
        found = salvage(text)
        assert not found.repaired
        if found.complete:
            whole += 1
            assert found.value == from_json(text)
            assert isinstance(found.value, dict)
            continue
        assert found.defect.startswith("the text ends within a string in ")
        began = Counter(leaves(from_json(text, allow_partial=True)))
        assert {kind for kind, _ in began - Counter(leaves(found.value))} <= {"key"}  # of members that are empty
        assert not Counter(leaves(found.value)) - began
        with pytest.raises(InvalidOutput):
            parse(text, {})
    assert (len(files), whole) == (28, 15)
