"""The line below an answer: who gave it, the figures, and buttons that copy it or the request that led to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

_HERE = Path(__file__).parent


class AnswerBar(anywidget.AnyWidget):
    """A row for each answer: ``name``, ``figures``, ``remarks``, its ``text``, and ``snippets`` of code by language.

    ``views`` are shown where no widget can be.
    """

    _esm = _HERE / "answer.js"
    _css = _HERE / "answer.css"

    answers = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self, answers: list[dict[str, Any]], views: dict[str, str]) -> None:
        super().__init__(answers=answers)
        self._views = views

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the view of the widget, and beside it what is shown where there is none."""
        views, *_ = super()._repr_mimebundle_(**kwargs) or ({},)
        return {**views, **self._views}, {}
