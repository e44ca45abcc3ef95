"""Estimates of tokens: near enough for every script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.runtimes.base import Message, Tool, ToolCall
from alain_magics.runtimes.tokens import estimate_request, estimate_tokens

from .played import question

COUNTED = {  # by the o200k vocabulary's documentation and by hand: the order of magnitude is what counts
    "The quick brown fox jumps over the lazy dog.": 10,
    "def f(x):\n    return x ** 2 + 1\n": 14,
    "你好，世界。这是一个测试": 8,
    "こんにちは世界": 4,
    "안녕하세요 세계": 4,
    "Привет, как дела? Это тест": 8,
    "": 0,
}


@pytest.mark.parametrize("text", COUNTED)
def test_an_estimate_is_within_a_factor_of_two(text: str) -> None:
    assert COUNTED[text] / 2 <= estimate_tokens(text) <= COUNTED[text] * 2


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(first: str, second: str) -> None:
    assert estimate_tokens(first + " " + second) + 1 >= estimate_tokens(first)
    assert estimate_tokens(first) <= 2 * len(first.encode()) + 1


def test_a_request_counts_all_that_is_sent() -> None:
    bare = question("Why is the sky blue?")
    tool = Tool("weather", "Say the weather", {"type": "object", "properties": {"city": {"type": "string"}}})
    called = Message("assistant", "", tool_calls=(ToolCall("1", "weather", '{"city": "Lima"}'),))
    more = question("Why is the sky blue?", tools=(tool,))
    assert estimate_tokens("Why is the sky blue?") < estimate_request(bare) < estimate_request(more)
    assert estimate_request(question("Why?")) + 5 < estimate_request(
        type(bare)("model", (*question("Why?").messages, called))
    )
