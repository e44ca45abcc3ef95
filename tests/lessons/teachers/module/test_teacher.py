"""The teacher of modules: admits by evidence, writes fixed slots, makes the same lesson from the same source."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.document import ApiObject, Parameter, Span
from alain_magics.lessons.quality import judge
from alain_magics.lessons.quality.prose import lint
from alain_magics.lessons.schema import CodeStep, Exercise, Lesson, Question, TextStep
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.base import Brief, Outline
from alain_magics.lessons.teachers.module.examples import Example
from alain_magics.lessons.teachers.module.teacher import ModuleTeacher, shown_example, signature
from alain_magics.lessons.values import same_value
from alain_magics.lessons.verify import question_problems
from tests.lessons.modules import document_of, shown_by


def functions(*examples: int) -> str:
    """A module of functions with so many examples each."""
    parts = []
    for number, count in enumerate(examples):
        shown = "".join(f"    >>> count_{number}({n})\n    {n + number}\n" for n in range(10, 10 + count))
        parts.append(f'def count_{number}(n):\n    """Count on.\n\n{shown}    """\n    return n + {number}\n')
    return "\n".join(parts)


def plan(
    document: ModuleDocument, prover: Any, finish: Any, brief: Brief | None = None
) -> tuple[Outline, ModuleTeacher]:
    teacher = ModuleTeacher(document, prover)
    return finish(teacher.outline(document, brief or Brief())), teacher


@pytest.mark.parametrize(
    ("examples", "kind"),
    [
        ((2, 2, 2), "lesson"),
        ((4, 1, 1), "lesson"),
        ((2, 2, 1), "tour"),
        ((3, 3), "tour"),
        ((9,), "tour"),
        ((1,), "tour"),
    ],
)
def test_six_examples_over_three_objects_are_a_lesson_and_fewer_a_tour(module, prover, finish, examples, kind):
    name = f"counting_{'_'.join(map(str, examples))}"
    outline, _ = plan(module(functions(*examples), name), prover, finish)
    assert outline.kind == kind
    assert ("short tour" in outline.title) is (kind == "tour")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def one():\n    'Only words.'\n",
        "def one():\n    '''Wrong.\n\n    >>> one()\n    2\n    '''\n    return 1\n",
        "def one():\n    '''Different each time.\n\n    >>> one()\n    2\n    '''\n    return object()\n",
        "def one():\n    '''About something else.\n\n    >>> 1 + 1\n    2\n    '''\n",
    ],
)
def test_without_an_example_that_holds_there_is_nothing_to_teach_and_a_model_is_suggested(
    prover, finish, source, module
):
    with pytest.raises(NothingToTeach, match=r"nothing to build a lesson on.*--teacher MODEL"):
        plan(module(source, f"nothing_{len(source)}"), prover, finish)


def test_examples_that_do_not_hold_are_counted_by_reason(module, prover, finish):
    source = (
        functions(1)
        + '''
def odd():
    """Odd.

    >>> odd()
    2
    >>> odd(1)
    3
    >>> vary()
    4
    """
    return 1

def vary():
    return object()
'''
    )
    _, teacher = plan(module(source, "counted"), prover, finish)
    assert teacher.dropped == {
        "example differs from its documentation": 1,
        "example raises": 1,
        "example not reproducible": 1,
    }


def test_of_several_forms_of_an_example_the_shortest_that_holds_is_taken(module, prover, finish):
    source = '''def first(items):
    """Give the first.

    >>> items = [3, 1, 2]
    >>> first(items)
    3
    >>> items.sort()
    >>> first(items)
    1
    """
    return items[0]
'''
    outline, teacher = plan(module(source, "firsts"), prover, finish)
    (group,) = [topic.material for topic in outline.topics]
    assert [example.setup for example in group.examples["firsts.first"]] == [
        ("items = [3, 1, 2]",),
        ("items = [3, 1, 2]", "items.sort()"),
    ]
    assert teacher.dropped == {}


def test_the_outline_names_what_is_learned_what_it_rests_on_and_what_is_left_out(kit, prover, finish):
    outline, _ = plan(kit, prover, finish)
    assert outline.description == "Tools for short lists of numbers."
    assert [topic.title for topic in outline.topics] == ["Middles", "Turning", "`Tally`", "`shares`"]
    assert outline.objectives[-1] == "Say what `shares` gives"
    assert "tell them apart" in outline.objectives[0]
    assert outline.references == ["Documentation of kit as installed"]
    assert outline.next_steps == [
        "`KitError`: Raised for data that has no answer.",
        "`Tally`: Counts words, the commonest first.",
    ]


@pytest.mark.parametrize(("difficulty", "topics"), [("beginner", 4), ("intermediate", 5), ("advanced", 5)])
def test_the_difficulty_bounds_the_number_of_topics(module, prover, finish, difficulty, topics):
    source = "\n".join(
        f'class Box{letter}:\n    def open_{letter}(self):\n        """Open it.\n\n'
        f'        >>> Box{letter}().open_{letter}()\n        3\n        """\n        return 3\n'
        for letter in "abcdefg"
    )
    outline, _ = plan(module(source, "boxes"), prover, finish, Brief(difficulty))
    assert len(outline.topics) == topics


def test_functions_without_examples_are_called_with_reviewed_inputs_in_a_lesson_only(module, prover, finish):
    silent = "def shout(text):\n    'Make it loud.'\n    return text.upper()\n"
    outline, _ = plan(module(functions(2, 2, 2) + silent, "louder"), prover, finish)
    sources = [e.source for t in outline.topics for found in t.material.examples.values() for e in found]
    assert "shout('hello big world')" in sources
    outline, _ = plan(module(functions(1) + silent, "quieter"), prover, finish)
    assert [item.name for topic in outline.topics for item in topic.material.objects] == ["count_0"]


def test_a_section_shows_each_object_with_its_cited_summary_and_an_example_that_ran(kit, prover, finish):
    outline, teacher = plan(kit, prover, finish)
    section = finish(teacher.section(kit, Brief(), outline.topics[1]))
    assert [step.kind for step in section.steps] == ["text", "code", "text", "code"]
    text, code = section.steps[:2]
    assert text.markdown.startswith("**`turn_left(items, steps=1)`** — Return the items moved to the left")
    assert text.citations[0].quote == kit.object("kit.turn_left").summary
    assert "\n\nNotice: " in text.markdown
    assert (code.source, code.output) == ("from kit import turn_left\n\nturn_left([1, 2, 3, 4])", "[2, 3, 4, 1]")
    assert code.proof.runs[0].output == code.output


def test_an_object_whose_only_example_raises_is_told_of_without_code(module, prover, finish):
    source = '''
def stop():
    """Stop it.

    >>> stop()
    Traceback (most recent call last):
    ValueError: no
    """
    raise ValueError("no")
'''
    document = module(source, "stops")
    outline, teacher = plan(document, prover, finish)
    section = finish(teacher.section(document, Brief(), outline.topics[0]))
    assert [step.kind for step in section.steps] == ["text"]


def test_candidates_are_of_every_kind_and_each_holds(kit, prover, finish):
    outline, teacher = plan(kit, prover, finish)
    made = [item for topic in outline.topics for item in finish(teacher.questions(kit, Brief(), topic))]
    forms = Counter(item.form if isinstance(item, Question) else item.kind for item in made)
    assert set(forms) == {"predict", "call", "error", "single", "exercise"}
    for item in made:
        if isinstance(item, Question) and item.proof:
            assert question_problems(item, item.proof) == []
            assert not judge(item).rejected


@pytest.fixture(params=["kit", "collections"])
def lesson(request: pytest.FixtureRequest, taught) -> Lesson:
    """A finished lesson."""
    return taught(request.param)[1]


def test_a_lesson_has_eight_questions_of_three_kinds_and_meets_every_bar(lesson):
    assert lesson.kind == "lesson"
    assert len(lesson.questions()) >= 8
    assert len({question.form for question in lesson.questions()}) >= 3
    assert [bar.name for bar in lesson.quality.bars if not bar.passed] == []


def test_its_prose_is_short_and_free_of_filler(lesson):
    for step in lesson.steps():
        if isinstance(step, TextStep):
            assert lint(step.markdown) == []


def test_every_step_has_an_identifier_of_its_own(lesson):
    ids = [step.id for step in lesson.steps()]
    assert len(set(ids)) == len(ids)


def test_every_key_is_right_and_every_other_option_wrong_when_run_here(lesson, folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    executed = 0
    for question in lesson.questions():
        runs = {run.option: run for run in question.proof.runs} if question.proof else {}
        if question.form not in ("predict", "call"):
            continue
        outputs = [shown_by(runs[place].code)[0] for place in range(len(question.options))]
        key = outputs.pop(question.key)
        assert not any(same_value(key, other) for other in outputs)
        asked = question.options[question.key].text if question.form == "predict" else question.stem
        assert key in asked
        executed += 1
    assert executed >= 6


def test_every_code_step_and_solution_gives_what_it_says_when_run_here(lesson, folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    for step in lesson.steps():
        if isinstance(step, CodeStep):
            assert shown_by(step.source) == (step.output, "")
        if isinstance(step, Exercise):
            for test in step.tests:
                assert shown_by(f"{step.solution}\n\n{test.call}") == (test.output, "")
                assert shown_by(f"{step.starter}\n\n{test.call}") != (test.output, "")


def test_the_same_source_and_seed_give_the_same_lesson_twice(write, taught):
    assert write("collections")[1].model_dump() == taught("collections")[1].model_dump()


def test_another_seed_only_moves_the_options(write, taught):
    def content(lesson: Lesson) -> list[tuple[str, str, frozenset[str]]]:
        return [(q.stem, q.code, frozenset(o.text for o in q.options)) for q in lesson.questions()]

    other = write("kit", seed=7)[1]
    assert content(other) == content(taught("kit")[1])
    assert [q.key for q in other.questions()] != [q.key for q in taught("kit")[1].questions()]


def example(source: str, setup: int = 0, raises: str = "") -> Example:
    return Example("m", Span(0, 0), (), ("x = 1",) * setup, source, "1", raises, ())


def test_shown_is_the_first_short_example_that_gives_a_result():
    fault, long, wide, short, later = (
        example("f()", raises="ValueError"),
        example("g()", setup=4),
        example("h" * 121),
        example("f(1)", setup=3),
        example("f(2)"),
    )
    assert shown_example([fault, long, wide, short, later]) is short
    assert shown_example([fault, long, wide]) is wide
    assert shown_example([fault, long]) is long
    assert shown_example([fault]) is fault


@pytest.mark.parametrize(
    ("definition", "shown"),
    [
        ("def one(a, b=2, *c, d=None, **e): 'One.'", "one(a, b=2, *c, d=None, **e)"),
        ("def one(a, _hidden=3): 'One.'", "one(a)"),
        (f"def one({', '.join(f'parameter_{n}' for n in range(9))}): 'One.'", "one(…)"),
        ("class One:\n    def __init__(self, a): 'New.'", "One(a)"),
    ],
)
def test_a_signature_is_what_a_learner_types(definition, shown):
    document = document_of(definition)
    assert signature(document, document.objects[0]) == shown


def test_methods_are_named_with_their_class_and_properties_without_parentheses(kit):
    assert signature(kit, kit.object("kit.Tally.top")) == "Tally.top(most)"
    item = ApiObject("kit.Tally.size", "property", "", Span(0, 0), parameters=(Parameter("self", "x"),))
    assert signature(kit, item) == "Tally.size"
