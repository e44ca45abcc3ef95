"""Prices: what is known, and what is not guessed."""

from __future__ import annotations

import pytest

from alain_magics.ledger.prices import as_text, cost


def test_a_hosted_model_costs_what_its_price_says() -> None:
    assert cost("openai", "gpt-4o", 1_000_000, 0) == 2_500_000
    assert cost("openai", "gpt-4o", 0, 1_000_000) == 10_000_000


def test_cached_tokens_cost_less_and_a_part_of_a_micro_dollar_counts_as_one() -> None:
    assert cost("openai", "gpt-4o", 1_000_000, 0, 1_000_000) == 1_250_000
    assert cost("openai", "gpt-4o", 1, 0) == 3


def test_a_google_model_has_its_price_under_either_of_its_names() -> None:
    price = cost("google", "gemini-2.5-flash", 1_000_000, 0)
    assert price
    assert cost("google", "models/gemini-2.5-flash", 1_000_000, 0) == price


@pytest.mark.parametrize(
    ("runtime", "model"), [("openai", "no-such-model"), ("somewhere", "gpt-4o"), ("ollama", "llama3")]
)
def test_an_unknown_price_is_unknown(runtime: str, model: str) -> None:
    assert cost(runtime, model, 1000, 1000) is None


@pytest.mark.parametrize(
    ("micro_dollars", "text"),
    [
        (None, "cost unknown"),
        (0, "free"),
        (3, "< $0.0001"),
        (1234, "$0.0012"),
        (45_000, "$0.045"),
        (12_345_678, "$12.35"),
    ],
)
def test_a_cost_reads_well(micro_dollars: int | None, text: str) -> None:
    assert as_text(micro_dollars) == text
