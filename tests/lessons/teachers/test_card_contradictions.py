"""Where a card and its configuration disagree, the lesson says so, once, with both numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alain_magics.lessons.sources.card import read_card
from alain_magics.lessons.teachers.card.items import Plan
from alain_magics.lessons.teachers.card.model import read_model
from alain_magics.lessons.teachers.card.teacher import plan_sections

LLAMA = {
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22,
    "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 2048,
}  # fmt: skip


def shown(folder: Path, text: str) -> list[Plan]:
    """The sections that show a contradiction."""
    (folder / "README.md").write_text(text)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    return [plan for plan in plan_sections(read_model(read_card(folder / "README.md"))) if "says" in plan.shown]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# M\n\nIt has 7B parameters.", "The card says 7 billion parameters"),
        ("# M-7B\n\nIt is.", "The name says 7 billion parameters"),
        ("# M\n\n1.1B parameters; its context window is 8,192 tokens.", "The card says 8,192 tokens of context"),
        ("# M\n\n1.1B parameters and a 32k context.", "The card says 32k tokens of context"),
    ],
)
def test_a_contradiction_stands_in_the_first_section_that_it_concerns(tmp_path: Path, text: str, says: str) -> None:
    (plan,) = shown(tmp_path, text)
    assert says in plan.shown
    assert "`config.json`" in plan.shown
    assert plan.shown_facts


@pytest.mark.parametrize(
    "text",
    [
        "# M\n\nIt has 1.1B parameters, its teacher 7B parameters, and a context length of 2k.",
        "# M 1.1B\n\nA context length of 2,048 tokens, 32k context with YaRN.",
        "# M\n\nIt is.",
    ],
)
def test_numbers_that_agree_are_left_without_a_remark(tmp_path: Path, text: str) -> None:
    assert shown(tmp_path, text) == []
