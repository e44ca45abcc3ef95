"""Graded lessons: no key can be found in the notebook, and every key is in the file that is kept apart."""

from __future__ import annotations

import base64
import json
import re

from alain_magics.lessons.graded import graded_keys, without_keys
from alain_magics.lessons.notebook import dumps, from_notebook, to_notebook
from alain_magics.lessons.questions import grade
from alain_magics.lessons.schema import (
    Citation,
    Exercise,
    Lesson,
    Option,
    Proof,
    Provenance,
    Question,
    Run,
    Section,
    Test,
    TextStep,
)

PROOF = Proof(runs=[Run(code="canary-proof")], versions={}, isolation="isolated", seeds=[0, 1]).sealed()
CITED = [Citation(ref="r", start=0, end=1, quote="canary-quote")]
LESSON = Lesson(
    title="Graded",
    source=Provenance(kind="module", ref="statistics"),
    sections=[
        Section(
            title="One",
            steps=[
                TextStep(id="t", markdown="Some text."),
                Question(
                    form="single",
                    stem="Which?",
                    options=[
                        Option(text="one", feedback="canary-feedback", call="canary-call", note="canary-option"),
                        Option(text="two", correct=True),
                    ],
                    explanation="canary-explanation",
                    citations=CITED,
                    proof=PROOF,
                    note="canary-unknown",
                ),
                Question(
                    form="numeric",
                    stem="How many?",
                    answer=123456789.0,
                    tolerance=0.5,
                    options=[Option(text="canary-slip")],
                ),
                Exercise(
                    id="e",
                    task="Do.",
                    starter="def f(): ...",
                    solution="canary-solution",
                    tests=[Test(call="f()", output="1")],
                    proof=PROOF,
                    citations=CITED,
                ),
            ],
        )
    ],
)


def everything_in(text: str) -> str:
    """The text of a notebook with all that is encoded in it."""
    payloads = re.findall(r'\(\\"([\w+/=]+)\\"\)', text)
    assert len(payloads) == 3
    return text + "".join(base64.b64decode(payload).decode() for payload in payloads)


def test_nothing_that_gives_a_key_away_is_in_the_notebook() -> None:
    everything = everything_in(dumps(to_notebook(LESSON, graded=True)))
    assert "canary" not in everything
    assert "123456789" not in everything
    assert '"correct":true' not in everything


def test_the_same_notebook_in_practice_holds_the_keys_openly() -> None:
    everything = everything_in(dumps(to_notebook(LESSON)))
    for secret in ("feedback", "call", "explanation", "solution", "proof", "unknown", "option"):
        assert f"canary-{secret}" in everything


def test_identifiers_do_not_depend_on_the_key() -> None:
    other = LESSON.model_copy(deep=True)
    for option in other.questions()[0].options:
        option.correct = not option.correct
    assert other.questions()[0].content_id() != LESSON.questions()[0].content_id()
    assert without_keys(other) == without_keys(LESSON)


def test_the_key_file_grades_every_question_of_the_notebook() -> None:
    keys = json.loads(json.dumps(graded_keys(LESSON)))
    choice, typed = from_notebook(to_notebook(LESSON, graded=True)).questions()
    assert grade(Question(**keys["keys"][choice.id]), 1).correct
    assert grade(Question(**keys["keys"][typed.id]), "123,456,789.4").correct
    assert Exercise(**keys["keys"]["e"]).solution == "canary-solution"
    assert keys["title"] == "Graded"


def test_equal_questions_keep_keys_of_their_own() -> None:
    section = LESSON.sections[0]
    twice = LESSON.model_copy(update={"sections": [section, section]})
    assert len(graded_keys(twice)["keys"]) == 5


def test_the_lesson_itself_is_left_as_it_was() -> None:
    before = LESSON.model_copy(deep=True)
    without_keys(LESSON)
    assert before == LESSON
