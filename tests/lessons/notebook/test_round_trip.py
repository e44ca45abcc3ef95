"""Any lesson survives being a notebook: every field of the schema, unknown fields, any text that UTF-8 can hold."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from alain_magics.lessons.notebook import dumps, from_notebook, loads, problems, same_lesson, to_notebook
from alain_magics.lessons.schema import Lesson, Provenance, Section

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
plain_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)
unknown = st.dictionaries(st.sampled_from(["id", "kind", "sha", "fields", "future", "été"]), plain_json, max_size=2)
SIMPLE = {str: texts, float: numbers, int: st.integers(), bool: st.booleans(), type(None): st.none()}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of a field of the schema."""
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return parts(annotation)
    kinds = [values(argument) for argument in get_args(annotation) if not isinstance(argument, str | FieldInfo)]
    origin = get_origin(annotation)
    if origin is Literal:
        return st.sampled_from(get_args(annotation))
    if origin is list:
        return st.lists(*kinds, max_size=3)
    if origin is dict:
        return st.dictionaries(*kinds, max_size=2)
    assert origin in (Union, UnionType, Annotated), annotation
    return st.one_of(kinds)


def parts(model: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Any part of a lesson: each of its fields, and some that are unknown."""
    known = st.fixed_dictionaries({name: values(field.annotation) for name, field in model.model_fields.items()})
    return st.builds(lambda fields, extra: model(**{**extra, **fields}), known, unknown)


def numbered(lesson: Lesson) -> Lesson:
    """The same lesson with identifiers that differ from each other, as those of all lessons do."""
    for number, step in enumerate(lesson.steps()):
        step.id = f"{step.id}{number}"
    return lesson


lessons = parts(Lesson).map(numbered)
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
