"""Asking and grading: what a question looks like without a widget, and what an answer to it is worth.

The views are pure functions of the question. They use nothing but escaping and the backtick rule, so that the stand-in
of a notebook without this package (see :mod:`alain_magics.lessons.notebook.standin`) draws exactly the same.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from decimal import Decimal, localcontext

from alain_magics.lessons.schema import Option, Question
from alain_magics.text import inline, plain

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]{1,3}(?:[,_ ][0-9]{3})+(?![0-9])|[0-9]*)(?P<fraction>\.[0-9]+|\.?)"
    r"(?:(?:e| ?[x*·] ?10 ?(?:\^|\*\*))(?P<exponent>[+-]?[0-9]{1,3}))?(?P<unit>(?: ?[^\s0-9.,].*)?)",
    re.IGNORECASE,
)
_LONGEST = 100  # characters of a typed number
_DIGITS = 4000  # enough for the exact difference of two such numbers
_KEY_APART = "This question is graded elsewhere: its key is not in this notebook."


@dataclass(frozen=True)
class Feedback:
    """What is said about an answer.

    ``correct`` is ``None`` where nothing was graded and ``text`` says why: no number, no such option, no key.
    ``call`` is a call to run that shows the difference, or ``""``.
    """

    correct: bool | None
    text: str
    call: str = ""


def grade(question: Question, answer: int | float | str) -> Feedback:
    """Grade an answer: the index of an option or, for a ``numeric`` question, a number as typed or as a float.

    A typed number may have thousands (``1,024``), an exponent (``3e8``, ``3×10^8``) and the question's unit. It is
    right within ``tolerance`` (absolute, in the question's unit), compared in exact decimals. An answer that cannot be
    graded gets feedback too; nothing is raised.
    """
    if question.form == "numeric":
        return _grade_number(question, str(answer))
    if question.key is None:
        return Feedback(None, _KEY_APART)
    if not isinstance(answer, int) or not 0 <= answer < len(question.options):
        return Feedback(None, f"There is no such option: choose 1 to {len(question.options)}.")
    return _of_option(question.options[answer])


def as_text(question: Question) -> str:
    """Stem, code and numbered options as plain text without the key."""
    if question.form == "numeric":
        asked = f"Type a number ({question.unit})." if question.unit else "Type a number."
    else:
        texts = ((option.text or "(nothing)").replace("\n", "\n   ") for option in question.options)
        asked = "\n".join(f"{n}. {text}" for n, text in enumerate(texts, 1))
    return plain("\n\n".join(part for part in (question.stem, question.code, asked) if part))


def as_html(question: Question) -> str:
    """The options as a list and the folded answer, which is absent without a key; the stem stands in the cell above."""
    if question.form == "numeric":
        listed, key = "", "" if question.answer is None else f"{question.answer:.15g} {question.unit}".strip()
    else:
        items = "".join(f"<li>{_option_html(option, question.literal)}</li>" for option in question.options)
        listed, key = f'<ol type="1">{items}</ol>', "" if question.key is None else str(question.key + 1)
    if not key:
        return listed
    answer = inline(f"{key}. {question.explanation}".strip())
    return f"{listed}<details><summary>Answer</summary><p>{answer}</p></details>"


def _option_html(option: Option, literal: bool) -> str:
    text = option.text or "(nothing)"
    return f"<pre>{html.escape(text)}</pre>" if literal else inline(text)


def _of_option(option: Option) -> Feedback:
    return Feedback(option.correct, option.feedback or ("Right." if option.correct else "Not this one."), option.call)


def _grade_number(question: Question, typed: str) -> Feedback:
    if question.answer is None:
        return Feedback(None, _KEY_APART)
    number, unit = _read_number(typed)
    if number is None:
        return Feedback(None, "Type one number with a decimal point, such as 1024, 0.5 or 3e8.")
    if unit and unit.casefold() != question.unit.casefold():
        wanted = f"the number alone, in {question.unit}" if question.unit else "the number alone"
        return Feedback(None, f"Type {wanted}: the unit “{unit}” is not converted.")
    if _near(number, Decimal(repr(question.answer)), question.tolerance):
        return Feedback(True, "Right.")
    for slip in question.options:
        value, _ = _read_number(slip.text)
        if value is not None and not slip.correct and _near(number, value, question.tolerance):
            return _of_option(slip)
    return Feedback(False, "Not this number.")


def _near(number: Decimal, value: Decimal, tolerance: float) -> bool:
    with localcontext(prec=_DIGITS):
        return abs(number - value) <= Decimal(repr(tolerance))


def _read_number(text: str) -> tuple[Decimal | None, str]:
    """The number that a text begins with and the unit after it; no number if it is none, or unusually long."""
    text = " ".join(text.replace("−", "-").replace("×", "x").split())
    found = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or not (found["whole"] or found["fraction"].strip(".")):
        return None, ""
    whole = re.sub(r"[,_ ]", "", found["whole"])
    number = f"{found['sign']}{whole or 0}{found['fraction'].rstrip('.')}e{found['exponent'] or 0}"
    return Decimal(number), found["unit"].strip()
