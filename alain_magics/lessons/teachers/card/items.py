"""Candidates for questions, as plain data, and their proof.

A computed item has one short program that prints the answer. A slip is that program with one fragment changed, so that
what a foreseen mistake gives is executed as the answer is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from alain_magics.lessons.document import Document, Fact, Span
from alain_magics.lessons.proving import Prover, run_of
from alain_magics.lessons.schema import (
    Citation,
    CodeStep,
    Difficulty,
    Option,
    Question,
    QuestionForm,
    Run,
    Section,
    TextStep,
    content_hash,
)
from alain_magics.lessons.values import same_value
from alain_magics.sandbox import Outcome

TOLERANCE = 0.02
_MOST_DISTRACTORS = 3
_LONGEST_OUTPUT = 90


@dataclass(frozen=True)
class Slip:
    """A foreseen mistake: ``old`` in the key's program becomes ``new``. ``how`` names it for the proof.

    ``feedback`` may hold ``{output}``. With ``text``, that is the option and the output is only its proof.
    """

    how: str
    old: str
    new: str
    feedback: str
    text: str = ""


@dataclass(frozen=True)
class Computed:
    """An item whose answer a program prints: typed (``numeric``), chosen (``single``) or foretold (``predict``).

    The program computes with exact values. ``figures`` are fragments of it with what the stem shows instead, so that
    the answer from the stem's own figures can be compared. ``exact`` allows one whole number and nothing beside it.
    """

    form: QuestionForm
    stem: str
    code: str
    slips: tuple[Slip, ...]
    facts: tuple[Fact, ...]
    explanation: str
    unit: str = ""
    exact: bool = False
    figures: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    difficulty: Difficulty = "beginner"


@dataclass(frozen=True)
class Cited:
    """An item whose answer the source states; ``wrong`` are the other options with their feedback.

    ``quotes`` is what the section shows of the source, so that the item can be answered from the lesson; ``literal``
    says that the options are program text.
    """

    stem: str
    key: str
    wrong: tuple[tuple[str, str], ...]
    facts: tuple[Fact, ...]
    explanation: str
    hint: str = ""
    difficulty: Difficulty = "beginner"
    quotes: tuple[str, ...] = ()
    literal: bool = False


@dataclass(frozen=True)
class Plan:
    """A section to be made: prose, a program to show with its output, text to show below it, and items."""

    title: str
    objective: str
    prose: str
    facts: tuple[Fact, ...] = ()
    code: str = ""
    shown: str = ""
    shown_facts: tuple[Fact, ...] = ()
    items: tuple[Computed | Cited, ...] = ()


@dataclass
class Made:
    """What came of a plan."""

    section: Section
    questions: list[Question] = field(default_factory=list)


class Maker:
    """Runs plans; ``dropped`` counts what did not hold, by reason."""

    def __init__(self, document: Document, prover: Prover) -> None:
        self._document = document
        self._prover = prover
        self.dropped: dict[str, int] = {}

    async def make(self, plans: Sequence[Plan]) -> list[Made]:
        """Run every program of all plans under both seeds at once, then build sections and questions."""
        items = [item for plan in plans for item in plan.items if isinstance(item, Computed)]
        codes = [plan.code for plan in plans if plan.code] + [
            code for item in items for code in (*programs(item), stated_program(item))
        ]
        outcomes = dict(zip(codes, await self._prover.reproduce(codes), strict=True))
        return [self._made(plan, outcomes) for plan in plans]

    def _made(self, plan: Plan, outcomes: dict[str, Outcome | None]) -> Made:
        made = Made(Section(title=plan.title))
        made.section.steps.append(self._text(plan.prose, plan.facts))
        outcome = outcomes.get(plan.code)
        if outcome and outcome.ok:
            made.section.steps.append(
                CodeStep(
                    id=_id("c", plan.code),
                    source=plan.code,
                    output=outcome.output,
                    proof=self._prover.proof([run_of(plan.code, outcome)]),
                )
            )
        if plan.shown:
            made.section.steps.append(self._text(plan.shown, plan.shown_facts))
        for item in plan.items:
            question = self._cited(plan, item) if isinstance(item, Cited) else self._computed(plan, item, outcomes)
            if question:
                made.questions.append(question)
        return made

    def _text(self, markdown: str, facts: Iterable[Fact]) -> TextStep:
        return TextStep(id=_id("t", markdown), markdown=markdown, citations=self.cite(facts))

    def cite(self, facts: Iterable[Fact]) -> list[Citation]:
        """The citations of facts, each span once."""
        spans = {(fact.span.start, fact.span.end): fact for fact in facts}
        return [self._document.cite(fact.span, fact.ref) for fact in spans.values()]

    def _cited(self, plan: Plan, item: Cited) -> Question:
        options = [Option(text=item.key, correct=True, feedback=item.explanation)]
        options += [Option(text=text, feedback=feedback) for text, feedback in item.wrong]
        return self._question(plan, item, form="single", options=options, literal=item.literal)

    def _computed(self, plan: Plan, item: Computed, outcomes: dict[str, Outcome | None]) -> Question | None:
        key, *rest = (outcomes[code] for code in programs(item))
        if key is None or not key.ok or not 0 < len(key.output) <= _LONGEST_OUTPUT:
            self._drop("answer not reproduced")
            return None
        numeric = item.form == "numeric"
        tolerance = 0.0
        if numeric:
            answer = float(key.output)
            tolerance = 0.0 if item.exact else float(f"{abs(answer) * TOLERANCE:.1g}")
            if (item.exact and not answer.is_integer()) or (not item.exact and not tolerance):
                self._drop("no number that could be typed")
                return None
            stated = outcomes[stated_program(item)]
            if stated is None or not stated.ok or not abs(float(stated.output) - answer) <= tolerance:
                self._drop("the stem's figures give another answer")
                return None
        options: list[Option] = []
        runs: list[Run] = []
        for slip, code, outcome in zip(item.slips, programs(item)[1:], rest, strict=True):
            if outcome is None or not outcome.ok or not 0 < len(outcome.output) <= _LONGEST_OUTPUT:
                continue
            text = slip.text or outcome.output
            if any(near(text, other, tolerance) for other in (key.output, *(option.text for option in options))):
                continue
            runs.append(run_of(code, outcome, slip.how, option=len(options)))
            options.append(Option(text=text, feedback=slip.feedback.replace("{output}", outcome.output)))
        if numeric:
            return self._question(
                plan,
                item,
                form="numeric",
                options=options,
                answer=float(key.output),
                tolerance=tolerance,
                unit=item.unit,
                proof=self._prover.proof([run_of(item.code, key), *runs]),
            )
        options, runs = options[:_MOST_DISTRACTORS], runs[:_MOST_DISTRACTORS]
        if len(options) < _MOST_DISTRACTORS - 1:
            self._drop("fewer than two distractors proven wrong")
            return None
        runs.append(run_of(item.code, key, option=len(options)))
        options.append(Option(text=key.output, correct=True, feedback=item.explanation))
        return self._question(
            plan,
            item,
            form=item.form,
            options=options,
            literal=item.form == "predict",
            code=item.code if item.form == "predict" else "",
            proof=self._prover.proof(runs[-1:] + runs[:-1]),
        )

    def _question(self, plan: Plan, item: Computed | Cited, **fields: object) -> Question:
        return Question.model_validate(
            {
                "stem": item.stem,
                "explanation": item.explanation,
                "hint": item.hint,
                "difficulty": item.difficulty,
                "objective": plan.objective,
                "citations": self.cite(item.facts),
                **fields,
            }
        )

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def programs(item: Computed) -> list[str]:
    """The program of the key, then those of the slips."""
    return [item.code, *(item.code.replace(slip.old, slip.new, 1) for slip in item.slips)]


def stated_program(item: Computed) -> str:
    """The program of the key with the figures that the stem shows."""
    code = item.code
    for exact, shown in item.figures:
        code = code.replace(exact, shown, 1)
    return code


def rounded(expression: str) -> str:
    """Program text that prints a number to four digits that count, far finer than ``TOLERANCE``."""
    return f'print(float("%.4g" % ({expression})))'


def near(one: str, two: str, tolerance: float) -> bool:
    """Whether two outputs are too close to be told apart: equal, or numbers within twice the tolerance."""
    if same_value(one, two):
        return True
    try:
        return abs(float(one) - float(two)) <= 2 * tolerance
    except ValueError:
        return False


def at(span: Span, ref: str) -> Fact:
    """A span of the source as a nameless fact, to be cited."""
    return Fact("", None, span, ref)


def _id(prefix: str, text: str) -> str:
    return f"{prefix}-{content_hash(text)[:12]}"
