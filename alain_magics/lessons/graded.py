"""Graded lessons: what a notebook may hold while somebody's answers count, and the keys that are kept apart."""

from __future__ import annotations

from itertools import count
from typing import Any

from alain_magics.lessons.schema import CodeStep, Exercise, Lesson, Option, Question, TextStep, content_hash


def without_keys(lesson: Lesson) -> Lesson:
    """The lesson without keys, feedback, explanations, solutions and proofs of its questions and exercises.

    Their fields are picked, not removed, so that no unknown field gives a key away. A question gets an identifier
    that does not depend on its key, since whoever knows how identifiers are made could else try each option.
    """
    numbers = count(1)
    sections = [
        section.model_copy(update={"steps": [_without_key(step, next(numbers)) for step in section.steps]})
        for section in lesson.sections
    ]
    return lesson.model_copy(update={"sections": sections})


def graded_keys(lesson: Lesson) -> dict[str, Any]:
    """What grading needs: the whole questions and exercises by the identifiers that they have without their keys."""
    pairs = zip(without_keys(lesson).steps(), lesson.steps(), strict=True)
    return {
        "version": 1,
        "title": lesson.title,
        "keys": {
            bare.id: whole.model_dump(mode="json") for bare, whole in pairs if isinstance(whole, Question | Exercise)
        },
    }


def _without_key(
    step: TextStep | CodeStep | Question | Exercise, number: int
) -> TextStep | CodeStep | Question | Exercise:
    if isinstance(step, Question):
        bare = Question(
            form=step.form,
            stem=step.stem,
            code=step.code,
            options=[] if step.form == "numeric" else [Option(text=option.text) for option in step.options],
            literal=step.literal,
            unit=step.unit,
            hint=step.hint,
            difficulty=step.difficulty,
            objective=step.objective,
        )
        return bare.model_copy(update={"id": f"g-{content_hash([number, bare.model_dump()])[:12]}"})
    if isinstance(step, Exercise):
        return Exercise(
            id=step.id,
            task=step.task,
            starter=step.starter,
            solution="",
            tests=step.tests,
            hint=step.hint,
            difficulty=step.difficulty,
            objective=step.objective,
        )
    return step
