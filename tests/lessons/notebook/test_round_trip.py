"""Any lesson survives being a notebook: every field of the schema, unknown fields, any text that UTF-8 can hold."""

from __future__ import annotations

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics.lessons.notebook import dumps, from_notebook, loads, problems, same_lesson, to_notebook
from alain_magics.lessons.schema import (
    Bar,
    Citation,
    CodeStep,
    Exercise,
    Lesson,
    Option,
    Proof,
    Provenance,
    QualityReport,
    Question,
    Run,
    Section,
    Test,
    TextStep,
)

TRICKY = [
    "",
    " ",
    "\n",
    "\r\n",
    "\u2028x",
    "a\nb",
    "`x`",
    "# a",
    "<b>&amp;</b>",
    "$x$",
    "- a\n- b",
    "é\u0301🦉",
    "\x00\x1b[31m",
]
texts = st.one_of(st.sampled_from(TRICKY), st.text(max_size=30))
numbers = st.floats(allow_nan=False, allow_infinity=False)
levels = st.sampled_from(["beginner", "intermediate", "advanced"])
plain_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)
unknown = st.dictionaries(st.text("xyz_", min_size=1, max_size=4).map("future_".__add__), plain_json, max_size=2)


def part(model: type, **fields: st.SearchStrategy) -> st.SearchStrategy:
    """A part of a lesson with these fields and some that are unknown."""
    return st.builds(lambda known, extra: model(**known, **extra), st.fixed_dictionaries(fields), unknown)


def some(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=2)


citations = some(part(Citation, ref=texts, start=st.integers(), end=st.integers(), quote=texts))
runs = part(
    Run,
    code=texts,
    output=texts,
    error=texts,
    line=st.none() | st.integers(),
    option=st.none() | st.integers(),
    how=texts,
)
proofs = st.none() | part(
    Proof,
    runs=some(runs),
    versions=st.dictionaries(texts, texts, max_size=2),
    isolation=texts,
    seeds=some(st.integers()),
    code_sha=texts,
    digest=texts,
)
text_steps = part(TextStep, id=texts, markdown=texts, citations=citations, proof=proofs)
code_steps = part(CodeStep, id=texts, source=texts, output=texts, proof=proofs, citations=citations)
questions = part(
    Question,
    id=texts,
    form=st.sampled_from(["predict", "call", "error", "numeric", "single"]),
    stem=texts,
    code=texts,
    options=st.lists(part(Option, text=texts, correct=st.booleans(), feedback=texts, call=texts), max_size=4),
    literal=st.booleans(),
    answer=st.none() | numbers,
    tolerance=numbers,
    unit=texts,
    explanation=texts,
    hint=texts,
    difficulty=levels,
    objective=texts,
    citations=citations,
    proof=proofs,
)
exercises = part(
    Exercise,
    id=texts,
    task=texts,
    starter=texts,
    solution=texts,
    tests=some(part(Test, call=texts, output=texts)),
    hint=texts,
    difficulty=levels,
    objective=texts,
    citations=citations,
    proof=proofs,
)
steps = st.one_of(text_steps, code_steps, questions, exercises)
quality = part(
    QualityReport,
    made=st.integers(),
    kept=st.integers(),
    dropped=st.dictionaries(texts, st.integers(), max_size=2),
    flaws=st.dictionaries(texts, some(texts), max_size=2),
    bars=some(part(Bar, name=texts, value=numbers, limit=numbers, passed=st.booleans())),
)


def numbered(lesson: Lesson) -> Lesson:
    """The same lesson with identifiers that differ from each other, as those of all lessons do."""
    for number, step in enumerate(lesson.steps()):
        step.id = f"{step.id}{number}"
    return lesson


lessons = part(
    Lesson,
    version=st.integers(1, 3),
    kind=st.sampled_from(["lesson", "tour"]),
    title=texts,
    description=texts,
    audience=texts,
    difficulty=levels,
    language=texts,
    objectives=some(texts),
    prerequisites=some(texts),
    minutes=st.integers(0, 10**6),
    source=part(Provenance, kind=texts, ref=texts, revision=texts, sha256=texts, licence=texts, language=texts),
    teacher=texts,
    seed=st.integers(),
    sections=st.lists(part(Section, title=texts, steps=st.lists(steps, max_size=3)), max_size=3),
    references=some(texts),
    summary=texts,
    next_steps=some(texts),
    quality=quality,
).map(numbered)


ANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@ANY
@given(lessons)
def test_every_field_comes_back(lesson: Lesson) -> None:
    text = dumps(to_notebook(lesson))
    assert from_notebook(loads(text.encode())) == lesson
    assert problems(loads(text)) == []


@ANY
@given(lessons)
def test_the_notebook_is_valid_and_always_the_same(lesson: Lesson) -> None:
    nb = to_notebook(lesson)
    nbformat.validate(nb)
    text = dumps(nb)
    assert dumps(to_notebook(lesson.model_copy(deep=True))) == text
    assert dumps(to_notebook(from_notebook(loads(text)))) == text


@ANY
@given(lessons)
def test_a_graded_notebook_can_be_read_and_written_again(lesson: Lesson) -> None:
    text = dumps(to_notebook(lesson, graded=True))
    assert dumps(to_notebook(from_notebook(loads(text)), graded=True)) == text


def test_every_field_of_the_schema_is_tried() -> None:
    """A field that is added to the schema must be added here."""
    tried = {
        Bar: {"name", "value", "limit", "passed"},
        Citation: {"ref", "start", "end", "quote"},
        CodeStep: {"kind", "id", "source", "output", "proof", "citations"},
        Exercise: {"kind", "id", "task", "starter", "solution", "tests", "hint", "difficulty", "objective"}
        | {"citations", "proof"},
        Lesson: {"version", "kind", "title", "description", "audience", "difficulty", "language", "objectives"}
        | {"prerequisites", "minutes", "source", "teacher", "seed", "sections", "references", "summary", "next_steps"}
        | {"quality"},
        Option: {"text", "correct", "feedback", "call"},
        Proof: {"runs", "versions", "isolation", "seeds", "code_sha", "digest"},
        Provenance: {"kind", "ref", "revision", "sha256", "licence", "language"},
        QualityReport: {"made", "kept", "dropped", "flaws", "bars"},
        Question: {"kind", "id", "form", "stem", "code", "options", "literal", "answer", "tolerance", "unit"}
        | {"explanation", "hint", "difficulty", "objective", "citations", "proof"},
        Run: {"code", "output", "error", "line", "option", "how"},
        Section: {"title", "steps"},
        Test: {"call", "output"},
        TextStep: {"kind", "id", "markdown", "citations", "proof"},
    }
    assert {model: set(model.model_fields) for model in tried} == tried


LESSON = Lesson(title="Same", source=Provenance(kind="module", ref="m"), sections=[Section(title="One")])


def test_what_depends_on_the_machine_stands_in_one_place() -> None:
    machine = {"seconds": 1.5, "isolation": "isolated", "platform": "Linux", "created": "2025-01-01"}
    plain, measured = to_notebook(LESSON), to_notebook(LESSON, machine=machine)
    assert measured.metadata.pop("alain_run") == machine
    assert measured == plain
    assert "version" not in plain.metadata.language_info


def test_the_same_lesson_is_recognised_whoever_ran_it() -> None:
    other = to_notebook(LESSON, machine={"seconds": 2})
    other.cells[1].outputs = [nbformat.v4.new_output("stream", text="ran")]
    other.cells.append(nbformat.v4.new_code_cell(""))
    assert same_lesson(dumps(other).encode(), dumps(to_notebook(LESSON)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        dumps(to_notebook(LESSON.model_copy(update={"title": "Other"}))).encode(),
        dumps(to_notebook(LESSON.model_copy(update={"seed": 7}))).encode(),
    ],
)
def test_another_file_is_not_the_same_lesson(data: bytes) -> None:
    assert not same_lesson(data, dumps(to_notebook(LESSON)))
