"""Endless repetition is noticed soon, and what merely resembles it is left alone."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alain_magics.runtimes.parsing.loops import LONGEST_UNIT, loop_detector
from alain_magics.settings import LoopMode

LONGEST = 200
"""Repeats, or tokens of four characters, within which a loop has to be noticed."""


def watch(text: str, mode: LoopMode = "cheap", size: int = 4) -> int | None:
    """Feed a text in pieces; return where a loop was noticed."""
    detector = loop_detector(mode)
    assert detector
    for begin in range(0, len(text), size):
        if detector.feed(text[begin : begin + size]):
            return min(begin + size, len(text))
    return None


UNITS = [
    *("…", "!", "x", "0", "ha", " the", "\n\n!", "Row. ", "<br/>\n", "０"),
    *('{"a": 1, "b": [0, 0]}, ', "I am sorry, but I cannot do that.\n", '"item": "…", ', "| 1 | 2 |\n"),
    "The quick brown fox jumps over the lazy dog and then it sleeps for a very long time. " * 4,
]


def allowed(unit: str) -> int:
    """Characters after the first unit within which the loop must be noticed."""
    return min(LONGEST * len(unit), 4 * LONGEST)


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_without_end_is_noticed_within_200_repeats(unit: str, size: int) -> None:
    intro = "Here is what you asked for. "
    noticed = watch(intro + unit * 2000, size=size)
    assert noticed
    assert noticed - len(intro) - len(unit) <= allowed(unit) + size


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=LONGEST_UNIT),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=1500),
    st.integers(1, 9),
)
@settings(max_examples=200)
def test_any_unit_is_noticed_whatever_stands_before_it(unit: str, intro: str, size: int) -> None:
    assume(not set(unit) <= set(" \t\r\n-=_*#~.+|:─━═│┃║"))
    noticed = watch(intro + unit * (4 * LONGEST // len(unit) + LONGEST + 3), size=size)
    assert noticed
    assert noticed <= len(intro) + len(unit) + allowed(unit) + size


@pytest.mark.parametrize("unit", ["-", " ", "=", ".", "- ", "| ", "|---", "\n"])
def test_units_that_draw_lines_are_noticed_after_800_characters(unit: str) -> None:
    assert watch("A line:\n" + unit * (700 // len(unit))) is None
    noticed = watch("A line:\n" + unit * 2000)
    assert noticed
    assert noticed <= 8 + len(unit) + 4 * LONGEST + 4


def test_a_loop_in_one_piece_is_noticed() -> None:
    text = "Sound:\n" + "Again. " * 2000
    assert watch(text, size=len(text)) == len(text)


def test_switched_off_there_is_no_detector() -> None:
    assert loop_detector("off") is None


RANDOM = random.Random(7)
SONG = """Row the boat, row the boat,
gently down the stream.
Merrily, merrily, merrily, merrily,
life is but a dream.

"""
SOUND = {
    "a table": "| a | b |\n|---|---|\n" + "".join(f"| {number} | 0 |\n" for number in range(200)),
    "a wide table": f"| {'x'.ljust(300)} |\n|{'-' * 302}|\n| {'y'.ljust(300)} |\n",
    "rules": ("=" * 100 + "\nTitle\n" + "-" * 100 + "\nText that says something new.\n") * 3,
    "a frame": "+" + "-" * 78 + "+\n" + ("|" + " " * 78 + "|\n") * 8 + "+" + "-" * 78 + "+\n",
    "a drawing": "\n".join(" " * (20 - row) + "*" * (2 * row + 1) for row in range(20)),
    "indentation": "def f():\n" + "".join(" " * 4 * depth + f"if x{depth}:\n" for depth in range(1, 25)),
    "zeros": json.dumps([0] * 100) + json.dumps([0.0] * 100) + json.dumps([[0] * 8] * 8, indent=1),
    "empty cells": ",,,,,,,,,,,,\n" * 10,
    "counting": "\n".join(f"{number}. Item {number}" for number in range(500)),
    "numbers": ", ".join(map(str, range(1000))),
    "a song": SONG * 4,
    "a litany": "".join(f"For {name}, pray for us.\n" for name in "Anna Berta Clara Dora Emma Frida".split()) * 6,
    "base64": base64.b64encode(RANDOM.randbytes(6000)).decode(),
    "hex": RANDOM.randbytes(3000).hex(" "),
    "DNA": "".join(RANDOM.choices("ACGT", k=3000)),
    "bits": "".join(RANDOM.choices("01", k=3000)),
    "a contents page": "\n".join(f"Chapter {number} {'.' * 60} {number * 7}" for number in range(40)),
    "elisions": "He waited … and waited … then – nothing … " * 6 + "At last … she came.",
    "a calendar": "".join(f"| Week {week} |   |   |   |   |   |   |   |\n" for week in range(52)),
    "a scream": "A" * 150 + "! " + "ha" * 80,
}


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("size", [1, 4, 50])
def test_what_resembles_a_loop_is_left_alone(text: str, size: int) -> None:
    assert watch(text, size=size) is None


@given(st.lists(st.text(st.characters(codec="ascii"), min_size=3, max_size=60), min_size=1, max_size=30, unique=True))
def test_a_refrain_between_different_verses_is_left_alone(verses: list[str]) -> None:
    refrain = "And the wind sang in the willows, and the river ran on.\n"
    text = "".join(f"{number} {verse}\n{refrain}" for number, verse in enumerate(verses))
    assume(max(map(len, re.findall(r"(.)\1*", text, re.DOTALL)), default=0) < 100)
    assert watch(text) is None


NUMBERED = "".join(f"Step {number}: repeat the previous step once more.\n" for number in range(1, 80))


def test_prose_in_which_only_numbers_change_is_a_loop_in_the_full_mode_alone() -> None:
    assert watch(NUMBERED) is None
    noticed = watch(NUMBERED, "full")
    assert noticed
    assert noticed <= 45 + 4 * LONGEST + 100


@pytest.mark.parametrize("name", ["a table", "counting", "numbers", "a song", "a calendar", "a contents page", "hex"])
def test_lists_of_numbers_are_left_alone_in_the_full_mode_too(name: str) -> None:
    assert watch(SOUND[name], "full") is None


def test_records_with_numbers_are_left_alone_in_the_full_mode_too() -> None:
    records = [{"id": number, "name": f"User {number}", "active": True} for number in range(100)]
    assert watch(json.dumps(records), "full") is None


def repeats(text: str, end: int | None = None) -> int:
    """Count the "…" of the first long stretch of them, with at most 16 other characters between two."""
    for stretch in re.finditer(r"…(?:[^…]{0,16}…)*", text):
        if stretch.group().count("…") > LONGEST:
            return text[stretch.start() : end].count("…")
    return 0


@pytest.mark.parametrize("mode", ["cheap", "full"])
@pytest.mark.parametrize("size", [1, 4, 11])
def test_the_endless_ellipses_of_real_answers_are_cut_within_200_repeats(
    shared: Path, size: int, mode: LoopMode
) -> None:
    cut = 0
    for file in sorted((shared / "fixtures" / "llm_outputs").iterdir()):
        text = file.read_text(encoding="utf-8")
        noticed = watch(text, mode, size)
        if repeats(text) > LONGEST:
            cut += 1
            assert noticed, file.name
            assert repeats(text, noticed) <= LONGEST, file.name
        else:
            assert noticed is None, file.name
    assert cut == 14
