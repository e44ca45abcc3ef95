"""What the inspector printed is believed only as far as it has the form that the inspector gives it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import ImportFailed
from alain_magics.lessons.sources.inspection import read_inspection
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import assemble

TRUE = inspect_module("statistics")


def test_what_the_inspector_prints_makes_the_same_document():
    assert assemble(read_inspection("statistics", json.dumps(TRUE))) == assemble(TRUE)


SPOILT: dict[str, Callable[[dict[str, Any]], object]] = {
    "a missing part": lambda data: data.pop("origins"),
    "a part of another kind": lambda data: data.update(members={}),
    "a path that is none": lambda data: data["members"][0].update(path="statistics.a(b"),
    "a path that is a keyword": lambda data: data["members"][0].update(path="statistics.class"),
    "an owner that is none": lambda data: data["members"][0].update(owner="elsewhere"),
    "a parameter that is none": lambda data: data["members"][-1]["parameters"][0].update(name="a b"),
    "endless documentation": lambda data: data.update(doc="x" * 10**6),
    "a submodule that is none": lambda data: data.update(submodules=["\x1b[2J"]),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_anything_else_is_a_failed_import(spoil):
    data = copy.deepcopy(TRUE)
    spoil(data)
    with pytest.raises(ImportFailed, match="statistics could not be inspected"):
        read_inspection("statistics", json.dumps(data))


@pytest.mark.parametrize("printed", ["", "hello\n{}", "[]", "3", "[" * 100_000, "{}", "1" * 10_000])
def test_what_is_not_json_of_an_object_is_a_failed_import(printed):
    with pytest.raises(ImportFailed):
        read_inspection("statistics", printed)


@given(text=st.text(st.characters(), max_size=20))
def test_halves_of_characters_are_replaced(text):
    data = read_inspection("statistics", json.dumps({**TRUE, "doc": text + "\ud800"}))
    assert data["doc"].encode().endswith(b"?")


def test_origins_that_no_program_can_import_from_are_left_out():
    origins = {"sqrt": "math:sqrt", "odd": "a b:odd", "worse": "os\nimport sys:x"}
    assert read_inspection("statistics", json.dumps({**TRUE, "origins": origins}))["origins"] == {"sqrt": "math:sqrt"}
