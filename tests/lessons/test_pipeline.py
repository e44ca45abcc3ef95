"""From a document to a lesson: the stages, where questions stand, what a lesson is called, and what it counts."""

from __future__ import annotations

from typing import Any

import pytest

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.pipeline import Stage, finish, place, summarise, write_lesson
from alain_magics.lessons.schema import Citation, CodeStep, Exercise, Lesson, Option, Question, Section, TextStep
from alain_magics.lessons.schema import Test as Case
from alain_magics.lessons.selection import Selection
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.base import Brief, Outline
from alain_magics.lessons.teachers.module.teacher import ModuleTeacher
from tests.lessons.modules import document_of


def text(about: str) -> TextStep:
    return TextStep(id=f"t-{about}", markdown="Text.", citations=[Citation(ref=about, start=0, end=1, quote="T")])


def code(about: str) -> CodeStep:
    return CodeStep(id=f"c-{about}", source="1", output="1")


def question(about: str, form: Any = "predict", number: int = 0) -> Question:
    return Question(id=f"{form}-{about}-{number}", form=form, stem=f"What {number}?", objective=about)


def exercise() -> Exercise:
    return Exercise(id="e", task="Do it.", starter="...", solution="1", tests=[Case(call="f()", output="1")])


def order(section: Section) -> list[str]:
    return [step.id for step in section.steps]


def written(document: ModuleDocument, teacher: ModuleTeacher, run: Any, brief: Brief | None = None) -> list[Any]:
    """All that is yielded while a lesson is written."""

    async def collect() -> list[Any]:
        return [item async for item in write_lesson(document, teacher, brief or Brief())]

    return run(collect())


@pytest.fixture(scope="module")
def steps_of_writing(kit, prover, finish) -> list[Any]:
    """What writing a lesson about the kit yields."""
    return written(kit, ModuleTeacher(kit, prover), finish)


def test_stages_say_what_is_done_and_how_far_it_is_and_the_lesson_comes_last(steps_of_writing):
    *stages, lesson = steps_of_writing
    assert isinstance(lesson, Lesson)
    assert all(isinstance(stage, Stage) for stage in stages)
    assert stages[0].what == "reading the examples of kit"
    assert [(stage.done, stage.total) for stage in stages[1:]] == [(n, 4) for n in range(5)]
    assert stages[1].what == "writing and checking Middles"


def test_a_lesson_carries_its_source_seed_and_head(kit, steps_of_writing):
    lesson = steps_of_writing[-1]
    assert (lesson.source, lesson.seed, lesson.teacher) == (kit.provenance, 0, "offline")
    assert lesson.difficulty == "beginner"
    assert lesson.minutes > 5
    assert lesson.objectives
    assert lesson.references


def test_what_the_quality_report_counts_is_what_the_lesson_holds(steps_of_writing):
    lesson = steps_of_writing[-1]
    exercises = [step for step in lesson.steps() if isinstance(step, Exercise)]
    report = lesson.quality
    assert report.kept == len(lesson.questions()) + len(exercises)
    assert report.made >= report.kept
    assert sum(report.dropped.values()) > 0


def test_recall_comes_last_in_a_section_of_its_own(steps_of_writing):
    lesson = steps_of_writing[-1]
    *body, end = lesson.sections
    assert end.title == "Looking back"
    assert {step.form for step in end.steps} == {"single"}
    assert not any(isinstance(step, Question) and step.form == "single" for part in body for step in part.steps)


def test_a_teacher_may_want_recall_where_it_belongs(kit, prover, finish):
    class Direct(ModuleTeacher):
        recall_last = False

    lesson = written(kit, Direct(kit, prover), finish)[-1]
    assert "Looking back" not in [section.title for section in lesson.sections]
    assert "single" in {question.form for question in lesson.questions()}


@pytest.mark.parametrize(("difficulty", "exercises"), [("beginner", 1), ("advanced", 2)])
def test_the_difficulty_decides_how_many_exercises_there_are(kit, prover, finish, difficulty, exercises):
    lesson = written(kit, ModuleTeacher(kit, prover), finish, Brief(difficulty))[-1]
    assert sum(isinstance(step, Exercise) for step in lesson.steps()) == exercises


def test_exercises_close_their_section(steps_of_writing):
    for section in steps_of_writing[-1].sections:
        kinds = [step.kind for step in section.steps]
        assert "exercise" not in kinds[:-1]


def test_what_the_teacher_and_the_selection_dropped_is_counted_together(module, prover, finish):
    document = module(
        "def odd():\n    '''Odd.\n\n    >>> odd()\n    1\n    >>> odd() + 0\n    2\n    '''\n    return 1\n", "odds"
    )
    lesson = written(document, ModuleTeacher(document, prover), finish)[-1]
    assert lesson.quality.dropped["example differs from its documentation"] == 1


def test_a_prediction_stands_after_the_last_step_about_its_object():
    section = Section(title="", steps=[text("a"), code("a"), text("b"), code("b")])
    place(section, [question("a"), question("a", number=1), question("b")])
    assert order(section) == ["t-a", "c-a", "predict-a-0", "predict-a-1", "t-b", "c-b", "predict-b-0"]


def test_what_compares_several_objects_comes_after_all_of_them():
    section = Section(title="", steps=[text("a"), code("a"), text("b")])
    place(section, [question("a", "call"), question("a", "error"), question("a")])
    assert order(section) == ["t-a", "c-a", "t-b", "call-a-0", "error-a-0", "predict-a-0"]


def test_a_prediction_about_nothing_that_is_shown_comes_last():
    section = Section(title="", steps=[code("x"), text("a")])
    place(section, [question("b")])
    assert order(section) == ["c-x", "t-a", "predict-b-0"]


def done(steps: list[Any], kind: Any = "lesson") -> Lesson:
    document = document_of("")
    outline = Outline(kind, "Learn sample", "About it.", [], [])
    sections = [Section(title="One", steps=steps), Section(title="Empty")]
    teacher: Any = ModuleTeacher(document, None)  # type: ignore[arg-type]  # it runs nothing here
    return finish(document, teacher, Brief(), outline, sections, Selection("beginner", 0))


def questions(count: int, *forms: str) -> list[Question]:
    made = [question("m.f", forms[n % len(forms)], n) for n in range(count)]
    for each in made:
        each.options = [Option(text="a", correct=True), Option(text="b"), Option(text="c")]
    return made


@pytest.mark.parametrize(
    ("steps", "outlined", "kind"),
    [
        (questions(8, "predict", "call", "error"), "lesson", "lesson"),
        (questions(7, "predict", "call", "error"), "lesson", "tour"),
        (questions(9, "predict", "call"), "lesson", "tour"),
        (questions(9, "predict", "call", "error"), "tour", "tour"),
    ],
)
def test_few_questions_or_few_kinds_of_them_make_a_tour(steps, outlined, kind):
    lesson = done(steps, outlined)
    assert lesson.kind == kind
    if outlined == "lesson":
        assert lesson.title == ("Learn sample" if kind == "lesson" else "sample: a short tour")


def test_empty_sections_are_left_out():
    assert [section.title for section in done([code("a")]).sections] == ["One"]


def test_nothing_at_all_is_refused_with_advice():
    with pytest.raises(NothingToTeach, match=r"Nothing that sample says could be checked.*--teacher MODEL"):
        done([])


def test_time_is_reckoned_by_steps():
    assert done([text("a"), code("a")]).minutes == 1
    assert done([exercise(), *questions(4, "predict")]).minutes == 9


@pytest.mark.parametrize(
    ("tasks", "summary"),
    [
        ([], "1 example that ran and 2 questions, 0 of them with executed answers."),
        ([exercise()], "1 example that ran, 2 questions, 0 of them with executed answers and 1 exercise."),
        ([exercise()] * 2, "1 example that ran, 2 questions, 0 of them with executed answers and 2 exercises."),
    ],
)
def test_the_summary_counts_what_ran(tasks, summary):
    asked = questions(2, "predict")
    assert summarise(asked, tasks, [Section(title="", steps=[code("a"), *asked])]) == summary
