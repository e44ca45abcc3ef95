"""A question to be answered in the notebook: the browser shows it, the kernel grades it and keeps the answer.

The key, the feedback and the foreseen slips stay in the kernel; the browser gets what it must show, then the verdict
on an answer that was checked. A check comes as a message, since the same answer may be checked twice; the verdict goes
back as a trait, so that a view drawn later shows it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from alain_magics.errors import AlainError, PayloadError
from alain_magics.lessons.payload import decode
from alain_magics.lessons.questions import as_html, as_text, grade
from alain_magics.lessons.schema import Question
from alain_magics.text import plain
from alain_magics.workspace import open_workspace

_HERE = Path(__file__).parent


def question(payload: str) -> QuestionCard:
    """Show the question that a cell of a lesson holds, with the answer given to it earlier, if there is one.

    ``payload`` is what :func:`alain_magics.lessons.payload.encode` wrote. Raises
    :class:`~alain_magics.errors.PayloadError`, shown as one line, where it is damaged or holds an exercise.
    """
    try:
        return QuestionCard(_decoded(payload))
    except PayloadError as error:
        line = plain(str(error))
        error.__dict__["_render_traceback_"] = lambda: [line]  # what IPython shows in place of the traceback
        raise


class QuestionCard(anywidget.AnyWidget):
    """A question as radio buttons or a field for a number; as HTML and text where no widget can be shown.

    ``asked`` is what the browser shows; ``verdict`` is ``None`` or the last answer and what is said about it.
    """

    _esm = _HERE / "question.js"
    _css = _HERE / "question.css"

    asked = traitlets.Dict().tag(sync=True)
    verdict = traitlets.Dict(default_value=None, allow_none=True).tag(sync=True)

    def __init__(self, question: Question) -> None:
        self._question = question
        self._folder = Path.cwd()  # a later os.chdir must not move the answers
        super().__init__(asked=_public(question), verdict=self._earlier())
        self.on_msg(self._on_message)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the view of the widget, and beside it HTML and text that depend on the question alone."""
        views, *_ = super()._repr_mimebundle_(**kwargs) or ({},)
        return {**views, "text/html": as_html(self._question), "text/plain": as_text(self._question)}, {}

    def _on_message(self, _widget: object, content: Any, _buffers: object) -> None:
        """Grade an answer and keep it; may be called on another thread than the one that runs cells."""
        answer = content.get("answer")
        if content.get("kind") == "check" and isinstance(answer, int | str):
            verdict = self._verdict(answer)
            if verdict["correct"] is not None:
                verdict["trouble"] = self._keep(answer, verdict["correct"])
            self.verdict = verdict

    def _verdict(self, answer: int | str, *, earlier: bool = False) -> dict[str, Any]:
        """Say what an answer is worth; ``number`` makes the verdict on the same answer a new one."""
        feedback = grade(self._question, answer)
        return {
            "number": (self.verdict or {}).get("number", 0) + 1,
            "answer": answer,
            "correct": feedback.correct,
            "text": feedback.text,
            "call": feedback.call,
            "earlier": earlier,
            "trouble": "",
        }

    def _earlier(self) -> dict[str, Any] | None:
        """Return the verdict on the last answer of this user, as far as there is one that can be read."""
        try:
            workspace = open_workspace(self._folder)
            attempt = workspace.attempts.latest(workspace.user, self._question.content_id())
        except AlainError:
            return None
        verdict = attempt and self._verdict(attempt.answer, earlier=True)
        return verdict if verdict and verdict["correct"] is not None else None

    def _keep(self, answer: int | str, correct: bool) -> str:
        """Keep an answer; return a line for the learner where that went wrong."""
        from alain_magics.store.attempts import Attempt

        named = (self._question.model_extra or {}).get("lesson")
        lesson = named if isinstance(named, dict) else {}
        try:
            workspace = open_workspace(self._folder)
            workspace.attempts.record(
                Attempt(
                    user=workspace.user,
                    lesson_id=str(lesson.get("id", ""))[:255],
                    lesson_title=str(lesson.get("title", "")),
                    question_id=self._question.content_id(),
                    answer=answer,
                    correct=correct,
                    project=str(workspace.project or ""),
                )
            )
        except AlainError as error:
            return f"This attempt was not kept: {error}"
        notices, workspace.notices[:] = list(workspace.notices), []
        return " ".join(notices)


def _decoded(payload: str) -> Question:
    part = decode(payload)
    if not isinstance(part, Question):
        raise PayloadError("This cell holds an exercise.", "Show it with check(…).")
    return part


def _public(question: Question) -> dict[str, Any]:
    """Return what the browser may know; the options of a typed answer are foreseen slips, so they stay here."""
    return {
        "form": question.form,
        "stem": question.stem,
        "options": [] if question.form == "numeric" else [option.text for option in question.options],
        "literal": question.literal,
        "unit": question.unit,
        "hint": question.hint,
    }
