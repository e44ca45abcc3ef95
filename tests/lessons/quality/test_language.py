"""Words, lemmas and distances."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.quality.language import (
    content_lemmas,
    edit_distance,
    jaccard,
    lemma,
    outside_code,
    own_words,
    sub_own_words,
    words,
)

short = st.text("abcß", max_size=9)


def distance_by_table(one: str, two: str) -> int:
    """Levenshtein distance as textbooks compute it, row by row."""
    row = list(range(len(two) + 1))
    for i, left in enumerate(one, 1):
        new = [i]
        for j, right in enumerate(two, 1):
            new.append(min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (left != right)))
        row = new
    return row[-1]


@given(short, short)
def test_the_edit_distance_is_that_of_the_textbook(one: str, two: str) -> None:
    assert edit_distance(one, two) == distance_by_table(one, two)


@pytest.mark.parametrize(
    "family",
    [
        "return returns returned returning",
        "sort sorts sorted sorting",
        "value values valued",
        "copy copies copied copying",
        "stop stops stopped stopping",
        "call calls called calling",
        "string strings",
        "class class's",
    ],
)
def test_forms_of_a_word_have_one_lemma(family: str) -> None:
    assert len({lemma(form) for form in words(family)}) == 1


@pytest.mark.parametrize("pair", ["string sting", "less les", "median medians'x", "speed sped", "basis bases"])
def test_different_words_keep_different_lemmas(pair: str) -> None:
    one, two = pair.split()
    assert lemma(one) != lemma(two)


def test_only_words_that_carry_meaning_count_for_overlap() -> None:
    assert content_lemmas("What does this return for the `median_grouped` of a set?") == {"return", "median", "group"}


def test_quotations_are_not_own_words() -> None:
    assert own_words('one “two `three` four” five "six" `se"ven` eight "nine').split() == [
        "one",
        "five",
        "eight",
        '"nine',
    ]


def test_code_is_left_out_and_left_alone() -> None:
    text = "one `two` three\n```\nfour\n```\nfive ` six ``` seven"
    assert outside_code(text).split() == ["one", "three", "five", "`", "six", "```", "seven"]
    assert sub_own_words(re.compile(r"\w+"), "x", text) == "x `two` x\n```\nfour\n```\nx ` x ``` x"


@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_the_jaccard_index_is_symmetric_and_one_for_equal_sets_only(one: set[int], two: set[int]) -> None:
    assert jaccard(one, two) == jaccard(two, one)
    assert 0 <= jaccard(one, two) <= 1
    assert (jaccard(one, two) == 1) == (one == two)
