"""What is said about an answer beside its text."""

from __future__ import annotations

from typing import Any

import pytest

from alain_magics.display.figures import badge, duration, figures, remarks

ANSWER: dict[str, Any] = {
    "runtime": "ollama",
    "model": "gpt-oss:20b",
    "seconds": 12.4,
    "first_token_seconds": 0.314,
    "tokens_per_second": 41.7,
    "usage": {"input": 1200, "output": 500, "reasoning": 128, "cached": 1024, "source": "provider"},
    "cost": 1234,
    "finish": "stop",
    "flags": [],
    "tool_calls": [],
}


def test_everything_known_is_said_in_one_line():
    assert badge(ANSWER) == (
        "ollama/gpt-oss:20b · 12 s, first token after 0.3 s · 42 tokens/s"
        " · 1,200 tokens in, 500 out (1,024 cached, 128 thinking) · $0.0012"
    )


def test_what_is_not_known_is_not_said():
    known = {"runtime": "a", "model": "b", "seconds": 3.2, "usage": None, "cost": None, "tokens_per_second": None}
    assert badge(known) == "a/b · 3.2 s"


def test_an_estimate_is_called_one():
    usage = {**ANSWER["usage"], "source": "estimate", "cached": 0, "reasoning": 0}
    assert "about 1,200 tokens in, 500 out" in figures({**ANSWER, "usage": usage})


def test_what_costs_nothing_is_free():
    assert figures({**ANSWER, "cost": 0})[-1] == "free"


def test_what_variables_put_into_the_prompt_is_said():
    assert figures({**ANSWER, "sent": {"table": 12345}})[-1] == "{table}: 12,345 characters sent"


def test_what_is_odd_is_said_plainly():
    odd = {
        "flags": ["answered by another model", "stopped: it repeated itself", "ignored:top_k"],
        "finish": "content_filter",
        "tool_calls": [{"name": "weather", "arguments": '{"city": "Paris"}'}],
    }
    assert remarks({**ANSWER, **odd}) == [
        "⚠ answered by another model",
        "⚠ stopped: it repeated itself",
        "⚠ not sent: top_k",
        "⚠ cut: the content filter stepped in",
        '→ weather({"city": "Paris"})',
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0994, "99 ms"), (0.0996, "0.1 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"),
     (125, "2 min 5 s")],
)  # fmt: skip
def test_seconds_are_written_for_people(seconds: float, text: str):
    assert duration(seconds) == text
