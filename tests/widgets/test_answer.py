"""The kernel's side of the line below an answer: what the browser is told."""

from __future__ import annotations

import json
from typing import Any

from IPython.core.formatters import DisplayFormatter

from alain_magics.widgets.answer import AnswerBar

VIEW = "application/vnd.jupyter.widget-view+json"
ROW: dict[str, Any] = {
    "name": "ollama/gpt-oss:20b",
    "figures": "12 s",
    "remarks": ["cut: the token limit was reached"],
    "text": "An answer",
    "snippets": {"curl": "curl x"},
}
VIEWS = {"text/html": "<div>12 s</div>", "text/plain": "12 s"}


def test_beside_the_widget_there_are_the_views_for_pages_without_widgets() -> None:
    data, _ = DisplayFormatter().format(AnswerBar([ROW], VIEWS))
    assert {**data, VIEW: None} == {**VIEWS, VIEW: None}


def test_the_browser_is_told_the_rows_and_nothing_else() -> None:
    state = AnswerBar([ROW], VIEWS).get_state()
    own = {name: value for name, value in state.items() if not name.startswith("_")}
    assert own.pop("answers") == [ROW]
    assert set(own) <= {"layout", "tabbable", "tooltip"}


def test_code_and_style_come_with_the_widget_and_reach_for_nothing() -> None:
    state = AnswerBar([ROW], VIEWS).get_state()
    assert "://" not in json.dumps([state["_esm"], state["_css"]])
    assert "innerHTML" not in state["_esm"]
