"""The linter for prose: what it finds, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alain_magics.lessons.quality import lint
from alain_magics.lessons.quality.prose import PROSE_RULES

CASES = [  # rule, a text that breaks it, a near miss
    ("P1", "In this section you meet the median.", "A value in this sequence is the median."),
    ("P1", "Let’s dive in.", "The median lets outliers pass; it's dived under."),
    ("P1", "It is important to note that data are sorted.", "The order is important: note that data are sorted."),
    ("P1", "Sorting plays a crucial role.", "The key plays the part of a rank."),
    ("P2", "A powerful function.", "Powers of two; `powerful` is a name."),
    ("P2", "It works seamlessly.", "The seam is visible."),
    ("P2", "A state-of-the-art\nmodel.", "The state of the iterator."),
    ("P3", "We need to produce JSON with a title.", "To produce JSON, call `json.dumps`; we need two values."),
    ("P3", "Thinking... the median", "Thinking of the median as a rank helps."),
    ("P3", "<think>sort first</think>", "x < think"),
    ("P3", "<|im_start|>assistant", "The mark `<|im_start|>` begins a turn."),
    ("P3", "Sure, here is the text.", "Here is where to be sure, so sort."),
    ("P4", "TODO", "A todo list."),
    ("P4", "Lorem ipsum dolor.", "Dolor sit."),
    ("P4", "[insert example]", "[insertion](https://example.org) keeps order"),
    ("P4", "Placeholder text", "A placeholder of a format string."),
    ("P4", "…", "1"),
    ("P5", "word " * 91, "word " * 90 + "```\n" + "code " * 50 + "\n```"),
]


@pytest.mark.parametrize(("code", "broken", "sound"), CASES)
def test_a_rule_finds_its_phrases_and_no_others(code: str, broken: str, sound: str) -> None:
    assert [finding.code for finding in lint(broken)] == [code]
    assert lint(sound) == []


def test_findings_name_the_words() -> None:
    (finding,) = lint("Welcome to the lesson. Welcome to it.")
    assert finding.what == 'the text says "Welcome to"'


def test_every_rule_is_tried() -> None:
    assert {code for code, _, _ in CASES} == {rule.code for rule in PROSE_RULES}


def test_published_notebooks_that_leak_reasoning_are_caught(shared: Path) -> None:
    leaking = []
    for path in sorted((shared / "fixtures" / "alain_notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        leaks = [text for text in texts if any(finding.code == "P3" for finding in lint(text))]
        assert all(text in leaks for text in texts if text.startswith("Thinking..."))
        leaking += leaks
    assert len(leaking) == 10
