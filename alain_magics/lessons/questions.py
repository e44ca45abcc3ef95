"""Asking and grading: what a question looks like without a widget, and what an answer to it is worth.

The views are pure functions of the question and use nothing but escaping and the backtick rule, so that the
stand-in in a notebook without this package draws exactly the same.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from decimal import Decimal, localcontext

from alain_magics.lessons.schema import Option, Question
from alain_magics.text import inline, plain

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+|(?=\.[0-9]))(?P<fraction>\.[0-9]*)?"
    r"(?:(?:[eE]|[×x*·]10(?:\^|\*\*))(?P<exponent>[+-]?[0-9]{1,3}))?(?P<unit>[^0-9.,].*)?"
)
_EXACT = 4000  # digits: more than the difference of two numbers of 100 digits with exponents below 1000 can have
_GRADED = "This question is graded elsewhere: its key is not in this notebook."


@dataclass(frozen=True)
class Feedback:
    """What is said about an answer.

    ``correct`` is ``None`` where nothing was graded and ``text`` says why: no number, no such option, or no key.
    ``call`` is a call to run that shows the difference, or ``""``.
    """

    correct: bool | None
    text: str
    call: str = ""


def grade(question: Question, answer: int | float | str) -> Feedback:
    """Grade an answer: the index of an option, or for ``numeric`` a number, typed or as a float.

    A typed number may have thousands (``1,024``), an exponent (``3e8``, ``3×10^8``) and the question's unit. It is
    right when it lies within ``tolerance`` (absolute, in the question's unit), compared in exact decimals. Every
    answer gets feedback; nothing is raised.
    """
    if question.form == "numeric":
        return _grade_number(question, answer)
    if question.key is None:
        return Feedback(None, _GRADED)
    if not isinstance(answer, int) or not 0 <= answer < len(question.options):
        return Feedback(None, f"There is no such option: choose 1 to {len(question.options)}.")
    return _say(question.options[answer])


def as_text(question: Question) -> str:
    """Stem, code and numbered options as plain text, without the key."""
    parts = [question.stem, question.code]
    if question.form == "numeric":
        parts.append(f"Type a number ({question.unit})." if question.unit else "Type a number.")
    else:
        options = ((number, option.text or "(nothing)") for number, option in enumerate(question.options, 1))
        parts.append("\n".join(f"{number}. {text}".replace("\n", "\n   ") for number, text in options))
    return plain("\n\n".join(part for part in parts if part))


def as_html(question: Question) -> str:
    """The options as a list and, where the key is known, the folded answer; stem and code stand in the cell above."""
    if question.form == "numeric":
        return _fold("" if question.answer is None else f"{question.answer:g} {question.unit}", question)
    shown = [_option_html(question, option) for option in question.options]
    items = "".join(f"<li>{option}</li>" for option in shown)
    return f'<ol type="1">{items}</ol>'


def _say(option: Option) -> Feedback:
    return Feedback(option.correct, option.feedback or ("Right." if option.correct else "Not this one."), option.call)
