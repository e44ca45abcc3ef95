"""A text that comes in pieces is cut where blocks end, or so that what follows means the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from alain_magics.display.blocks import HARD, SOFT, Tail
from alain_magics.text import neutralise, render


def parts(text: str, size: int = 97) -> list[str]:
    """The parts of a text that comes in pieces of one size; the last is what stays open."""
    tail, found = Tail(), []
    for start in range(0, len(text), size):
        tail.feed(text[start : start + size])
        while (part := tail.take()) is not None:
            found.append(part)
        assert len(tail.source) <= HARD + size
    return [*found, tail.source]


def kinds(markdown: str) -> list[str]:
    """The blocks of a text, outermost first."""
    return [token.type for token in MarkdownIt("commonmark").enable("table").parse(markdown) if token.level == 0]


PARAGRAPHS = "".join(f"Paragraph {number} with a few *words*.\n\n" for number in range(600))


def test_short_text_stays_open():
    assert parts("# Title\n\n" + "word " * 700) == ["# Title\n\n" + "word " * 700]


def test_parts_end_where_blocks_end_and_nothing_is_lost():
    found = parts(PARAGRAPHS)
    assert "".join(found) == PARAGRAPHS
    assert all(SOFT // 2 <= len(part) <= SOFT + 200 for part in found[:-1])
    assert all(re.fullmatch(r"(?:Paragraph \d+ with a few \*words\*\.\n\n)+", part) for part in found)


@pytest.mark.parametrize("size", [1, 50_000])
def test_single_characters_and_a_whole_text_at_once_are_cut_alike(size: int):
    text = PARAGRAPHS[:12_000]
    found = parts(text, size)
    assert "".join(found) == text
    assert all(SOFT // 4 <= len(part) <= HARD for part in found[:-1])


def test_a_list_that_fits_is_not_cut():
    text = "intro\n\n" + "- item\n" * 700 + "\nafter\n\n" + PARAGRAPHS[:4000]
    first, *_ = parts(text)
    assert first.startswith("intro\n\n" + "- item\n" * 700 + "\n")


def test_a_long_list_is_cut_between_items():
    found = parts("".join(f"{number}. item with some words\n" for number in range(1, 1000)))
    assert len(found) > 2
    assert all(re.match(r"\d+\. item", part) for part in found)
    assert '<ol start="' in render(found[1])


def test_endless_code_is_closed_and_opened_again():
    code = "".join(f"print({number})\n\n" for number in range(3000))
    found = parts(f"Look:\n\n~~~python\n{code}~~~\n\ndone")
    assert len(found) > 3
    assert all(part.startswith("~~~python\n") for part in found[1:])
    assert [kinds(part) for part in found[1:-1]] == [["fence"]] * (len(found) - 2)
    shown = "".join(token.content for part in found for token in MarkdownIt().parse(part) if token.type == "fence")
    assert shown == code
    assert found[-1].endswith("\n\ndone")
    assert kinds(found[-1]) == ["fence", "paragraph_open", "paragraph_close"]


def test_endless_code_in_a_list_stays_in_a_list():
    code = "".join(f"   print({number})\n\n" for number in range(1500))
    found = parts(f"1. Do this:\n\n   ```python\n{code}   ```\n\n2. Then that\n\nend")
    assert len(found) == 4
    assert all(part.startswith("-  ```python\n   print") for part in found[1:-1])
    shown = "".join(token.content for part in found for token in MarkdownIt().parse(part) if token.type == "fence")
    assert shown.split() == code.split()
    assert found[-1] == "2. Then that\n\nend"


def test_endless_code_in_a_quote_stays_in_a_quote():
    found = parts("> ```js\n" + "> call();\n" * 3000)
    assert all(part.startswith("> ```js\n> call();\n") for part in found[1:])


def test_code_that_ends_just_before_the_cut_is_not_opened_again():
    item = "1. a\n\n   ```\n" + "   x\n" * 1300 + "   ```\n\n" + "   words in the item\n" * 1000
    assert all("```" not in part for part in parts(item)[1:])


def test_the_rest_of_a_table_has_its_head():
    found = parts("| a | b |\n|:--|--:|\n" + "| 1 | 2 |\n" * 3000)
    assert len(found) > 2
    assert all(part.startswith("| a | b |\n|:--|--:|\n| 1 | 2 |\n") for part in found)


@pytest.mark.parametrize("text", ["word " * 8000, "x" * 40_000, "> " + "quoted " * 6000])
def test_an_endless_line_is_cut(text: str):
    found = parts(text)
    assert "".join(found) == text
    assert all(HARD // 2 <= len(part) <= HARD for part in found[:-1])


def test_definitions_without_end_are_cut_too():
    found = parts("".join(f"[{number}]: http://a.example/{number}\n" for number in range(1000)))
    assert len(found) > 2
    assert all(re.match(r"\[\d+\]: http", part) for part in found)


def test_line_endings_of_every_kind_are_one_kind():
    tail = Tail()
    for text in ["a\r", "\nb\rc\r\n", "d\r"]:
        tail.feed(text)
    assert tail.source == "a\nb\nc\nd\r"


def test_references_are_found_wherever_they_stand():
    tail = Tail()
    tail.feed("[one]: http://a.example/1\n\n" + PARAGRAPHS[:9000])
    while tail.take() is not None:
        pass
    tail.feed("\n\n[Two]: <http://a.example/2> 'title'\n")
    tail.close()
    assert tail.definitions == {"ONE": "[ONE]: <http://a.example/1>", "TWO": "[TWO]: <http://a.example/2>"}


SAMPLES = st.sampled_from(
    "- item\n¦1. item\n¦   more\n¦```\n¦   ```py\n¦~~~\n¦> quote\n¦> ```\n¦| a | b |\n|---|---|\n¦| 1 | 2 |\n¦\n"
    "¦# head\n¦words and words ¦    code\n¦===\n¦$$x\n¦[a]: http://b.example\n¦<script>\n¦\r\n".split("¦")
)


@given(st.lists(st.tuples(SAMPLES, st.integers(1, 400)), max_size=8), st.integers(200, 3000))
@settings(max_examples=40, deadline=None)
def test_whatever_comes_is_kept_in_bounded_parts_that_are_safe_alone(samples: list[tuple[str, int]], size: int):
    text = "".join(sample * times for sample, times in samples)
    found = parts(text, size)
    assert all(len(part) <= HARD + SOFT for part in found)
    words = re.sub(r"[^a-z]", "", text)
    kept = re.sub(r"[^a-z]", "", "".join(found))
    assert len(kept) >= len(words)
    assert all(neutralise(neutral := neutralise(part)) == neutral for part in found[:4])
