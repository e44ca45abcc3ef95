"""Mutated streams on their whole way through HTTP, parser and turn; ``benchmarks/fuzz_streams.py`` runs many more."""

from __future__ import annotations

from typing import Any

import pytest

from alain_magics.runtimes.openai.stream import ChatParser
from tests.peers.fuzzing import Outcomes, fuzz
from tests.peers.mutations import OPERATORS, mutated
from tests.runtimes.contract import Run


def wrong(outcomes: dict[str, Outcomes]) -> list[str]:
    """What must not be, of all operators."""
    return [each for entry in outcomes.values() for each in entry.wrong]


def test_no_mutation_makes_a_stream_hang_or_fail_untyped_and_what_can_be_answered_is(run: Run) -> None:
    outcomes = run(fuzz(range(2000), seed=7))
    assert wrong(outcomes) == []
    assert [entry.streams for entry in outcomes.values()] == [200] * len(OPERATORS)
    assert sum(entry.exact for entry in outcomes.values() if entry.answerable) >= 0.3 * 2000


def test_it_is_the_same_through_a_socket(run: Run) -> None:
    assert wrong(run(fuzz(range(200), seed=8, served=True))) == []


def test_an_error_that_nobody_expected_would_be_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("choices")

    monkeypatch.setattr(ChatParser, "feed", broken)
    assert all("untyped" in each for each in wrong(run(fuzz(range(10)))))
    assert len(wrong(run(fuzz(range(10))))) == 10


@pytest.mark.parametrize("number", range(len(OPERATORS)))
def test_a_seed_gives_the_same_streams_again(number: int) -> None:
    assert mutated(number, 3) == mutated(number, 3)
    assert mutated(number, 3).chunks != mutated(number, 4).chunks
