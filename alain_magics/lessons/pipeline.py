"""From a document to a lesson: plan, write, run, judge, select, measure. The same for every teacher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.document import Document
from alain_magics.lessons.quality import lint
from alain_magics.lessons.schema import CodeStep, Exercise, Lesson, Question, Section, TextStep
from alain_magics.lessons.selection import FEWEST_FORMS, FEWEST_QUESTIONS, Selection
from alain_magics.lessons.teachers.base import Brief, Outline, Teacher

EXERCISES = {"beginner": 1, "intermediate": 1, "advanced": 2}
MINUTES = {"text": 0.5, "code": 0.5, "question": 1.0, "exercise": 5.0}


@dataclass(frozen=True)
class Stage:
    """How far the writing is: what is being done, and how many of the topics are ready."""

    what: str
    done: int = 0
    total: int = 0


async def write_lesson(document: Document, teacher: Teacher, brief: Brief) -> AsyncIterator[Stage | Lesson]:
    """Yield stages while a lesson is written, and the lesson at the end.

    Raises :class:`NothingToTeach` when the document does not hold enough evidence.
    """
    yield Stage(f"reading the examples of {document.title}")
    outline = await teacher.outline(document, brief)
    selection = Selection(brief.difficulty, brief.seed)
    sections: list[Section] = []
    exercises: list[list[Exercise]] = []
    for number, topic in enumerate(outline.topics):
        yield Stage(f"writing and checking {topic.title}", number, len(outline.topics))
        section = await teacher.section(document, brief, topic)
        for step in [step for step in section.steps if isinstance(step, TextStep)]:
            if findings := lint(step.markdown):
                section.steps.remove(step)
                selection.drop(f"{findings[0].code} {findings[0].name}")
        above = "\n".join(step.markdown for step in section.steps if isinstance(step, TextStep))
        candidates = await teacher.questions(document, brief, topic)
        sections.append(section)
        exercises.append(selection.add_topic(candidates, above))
    for reason, count in teacher.dropped.items():
        selection.drop(reason, count)
    yield Stage("choosing the questions", len(sections), len(sections))
    questions = selection.choose()
    budget = EXERCISES[brief.difficulty]
    recall: list[Question] = []
    for section, chosen, tasks in zip(sections, questions, exercises, strict=True):
        last = [question for question in chosen if question.form == "single" and teacher.recall_last]
        place(section, [question for question in chosen if question not in last])
        recall += last
        section.steps += tasks[:budget]
        selection.drop("more than the lesson needs", len(tasks[budget:]))
        budget -= min(budget, len(tasks))
    sections.append(Section(title="Looking back", steps=list(recall)))
    yield finish(document, teacher, brief, outline, sections, selection)


def place(section: Section, questions: list[Question]) -> None:
    """Put each question after the last step about its objective; those that compare several things come last."""
    for question in questions:
        spots = [
            index
            for index, step in enumerate(section.steps)
            if isinstance(step, TextStep | CodeStep | Question)
            and question.form in ("predict", "numeric")
            and question.objective in _subjects(section, index)
        ]
        section.steps.insert(spots[-1] + 1 if spots else len(section.steps), question)


def _subjects(section: Section, index: int) -> set[str]:
    """What a step is about: the objective of a question, else what the nearest text before it cites."""
    step = section.steps[index]
    if isinstance(step, Question):
        return {step.objective}
    for earlier in reversed(section.steps[: index + 1]):
        if isinstance(earlier, TextStep):
            return {citation.ref for citation in earlier.citations}
    return set()


def finish(
    document: Document, teacher: Teacher, brief: Brief, outline: Outline, sections: list[Section], selection: Selection
) -> Lesson:
    """Assemble the lesson; with too few questions it is called what it is, a short tour."""
    sections = [section for section in sections if section.steps]
    steps = [step for section in sections for step in section.steps]
    questions = [step for step in steps if isinstance(step, Question)]
    tasks = [step for step in steps if isinstance(step, Exercise)]
    if not steps:
        raise NothingToTeach(
            f"Nothing that {document.title} says could be checked, so there is nothing to build a lesson on.",
            "Such sources need a model as teacher (--teacher MODEL, in a later version).",
        )
    enough = len(questions) >= FEWEST_QUESTIONS and len({question.form for question in questions}) >= FEWEST_FORMS
    kind = "lesson" if outline.kind == "lesson" and enough else "tour"
    title = outline.title
    if kind == "tour" and outline.kind == "lesson":
        title = f"{document.title}: a short tour"
    return Lesson(
        kind=kind,
        title=title,
        description=outline.description,
        audience="people who know the basics of Python",
        difficulty=brief.difficulty,
        language=document.provenance.language,
        objectives=outline.objectives,
        prerequisites=outline.prerequisites,
        minutes=max(1, round(sum(MINUTES[step.kind] for step in steps))),
        source=document.provenance,
        teacher=teacher.name,
        seed=brief.seed,
        sections=sections,
        references=outline.references,
        summary=summarise(questions, tasks, sections),
        next_steps=outline.next_steps,
        quality=selection.report(questions, len(tasks)),
    )


def summarise(questions: list[Question], tasks: list[Exercise], sections: list[Section]) -> str:
    """What the learner went through, in one sentence of numbers."""
    examples = sum(isinstance(step, CodeStep) for section in sections for step in section.steps)
    executed = sum(question.proof is not None for question in questions)
    parts = [
        f"{_counted(examples, 'example')} that ran",
        f"{_counted(len(questions), 'question')}, {executed} of them with executed answers",
    ]
    if tasks:
        parts.append(_counted(len(tasks), "exercise"))
    return ", ".join(parts[:-1]) + " and " + parts[-1] + "."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
