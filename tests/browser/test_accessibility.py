"""axe-core finds nothing to complain about, in any state of a card, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import AXE
from playwright.sync_api import Page

CHOICE = {
    "form": "single",
    "stem": "What does `median` do?",
    "options": ["It sorts", "It takes the `middle`", "", "It fails"],
    "literal": False,
    "unit": "",
    "hint": "Read `statistics`.",
}
LITERAL = {**CHOICE, "form": "predict", "literal": True, "options": ["2.5", "[1,\n  2]"]}
NUMBER = {**CHOICE, "form": "numeric", "options": [], "unit": "ms"}
SAID = {"number": 1, "text": "That is `median_high`.", "call": "f(1)", "trouble": "Not kept.", "earlier": False}
STATES: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "open": (CHOICE, None),
    "wrong": (CHOICE, {**SAID, "answer": 1, "correct": False}),
    "right": (LITERAL, {**SAID, "answer": 1, "correct": True}),
    "earlier": (LITERAL, {**SAID, "answer": 0, "correct": False, "earlier": True}),
    "number open": (NUMBER, None),
    "number wrong": (NUMBER, {**SAID, "answer": "12", "correct": False}),
    "no number": (NUMBER, {**SAID, "answer": "x", "correct": None}),
}


@pytest.mark.parametrize("theme", ["light", "dark", "dark-high-contrast"])
@pytest.mark.parametrize("state", STATES)
def test_a_card_has_no_violation(mount: Callable[..., Page], state: str, theme: str) -> None:
    question, verdict = STATES[state]
    page = mount(question, verdict, theme)
    page.get_by_role("button", name="Hint").click()
    if verdict is None and question is CHOICE:
        page.get_by_role("radio").nth(1).click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run('main')")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    assert {"color-contrast", "label"} <= {rule["id"] for rule in found["passes"]}
