"""A sample of ``benchmarks/long_conversations.py``: a conversation far longer than the window of a real server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.long_conversations import LARGER, Figures, Turn, measure
from tests.conftest import require
from tests.peers.llama_server import binary


def test_prompts_stay_within_the_window_and_memory_does_not_grow(weights: Path, monkeypatch: pytest.MonkeyPatch):
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    for name in ("ALAIN_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # put back afterwards
    figures = measure(weights / "tiny-random.gguf", 512, turns=20)
    assert len(figures.turns) == 20
    assert 0 < figures.longest <= figures.limit
    assert figures.growth <= LARGER
    assert sum(turn.cached for turn in figures.turns) > 0.3 * sum(turn.prompt for turn in figures.turns)


@pytest.mark.parametrize(
    ("prompt", "seconds", "memory", "broken"),
    [(432, 1.1, 104, 0), (433, 1.0, 100, 1), (432, 1.2, 100, 1), (432, 1.0, 106, 1), (500, 2.0, 200, 3)],
)
def test_a_promise_that_is_not_kept_is_found(prompt: int, seconds: float, memory: int, broken: int):
    first = [Turn(1.0, 400, 300, 40, 0.1, 0.1, 100)] * 6
    last = [Turn(seconds, prompt, 300, 40, 0.1, 0.1, memory)] * 2
    assert len(Figures(512, 10, first + last).broken()) == broken
