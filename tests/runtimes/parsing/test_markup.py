"""Markers are found in a text that comes in pieces."""

from __future__ import annotations

import pytest

from alain_magics.runtimes.parsing.markup import Markers

MARKERS = Markers("<think>", "[TOOL]")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", ("plain", "", "")),
        ("a<think>b[TOOL]", ("a", "<think>", "b[TOOL]")),
        ("a [TOOL]", ("a ", "[TOOL]", "")),
        ("a<thi", ("a", "", "<thi")),
        ("a<<", ("a<", "", "<")),
        ("a<thinks", ("a<thinks", "", "")),
    ],
)
def test_a_text_is_split_at_the_first_marker_or_where_one_may_begin(text: str, parts: tuple[str, str, str]) -> None:
    assert MARKERS.split(text, last=False) == parts


def test_at_the_end_of_an_answer_nothing_is_held_back() -> None:
    assert MARKERS.split("a<thi", last=True) == ("a<thi", "", "")


def test_a_set_of_no_markers_finds_none() -> None:
    assert Markers().split("a<think>", last=False) == ("a<think>", "", "")
