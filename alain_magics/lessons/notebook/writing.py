"""The cells of a lesson."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alain_magics.lessons.exercises import UNSOLVED, Verdict
from alain_magics.lessons.graded import without_keys
from alain_magics.lessons.notebook import sources
from alain_magics.lessons.notebook.outputs import result, to_outputs
from alain_magics.lessons.notebook.standin import SETUP
from alain_magics.lessons.payload import encode
from alain_magics.lessons.questions import as_html, as_text
from alain_magics.lessons.schema import CodeStep, Exercise, Lesson, Part, Question, Section, TextStep, content_hash
from alain_magics.text import neutralise

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass
class Cell:
    """A cell to be written: ``id`` is that of its step, ``fields`` are those that its source does not show."""

    kind: str
    source: str
    id: str = ""
    code: bool = False
    hidden: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)

    def node(self, cell_id: str, number: int) -> dict[str, Any]:
        """The cell as nbformat has it; ``number`` is that of the run that gave the outputs, which nbval asks for."""
        mark = {"v": 1, "kind": self.kind, "id": self.id, "sha": content_hash(self.source), "fields": self.fields}
        metadata: dict[str, Any] = {"alain": {name: value for name, value in mark.items() if value}}
        if self.hidden:
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form", "tags": [f"alain-{self.kind}"]}
        node: dict[str, Any] = {"cell_type": "markdown", "id": cell_id, "metadata": metadata, "source": self.source}
        if self.code:
            node |= {"cell_type": "code", "execution_count": number, "outputs": self.outputs}
        return node


def written(lesson: Lesson, *, machine: dict[str, Any] | None, graded: bool) -> NotebookNode:
    """The whole notebook; the identifier of a cell depends on the step it belongs to, not on its place."""
    import nbformat

    if graded:
        lesson = without_keys(lesson)
    seen: Counter[tuple[str, str]] = Counter()
    nodes = []
    runs = 0
    for cell in _cells(lesson, graded=graded):
        name = (cell.kind, cell.id)
        seen[name] += 1
        runs += cell.code
        nodes.append(cell.node(content_hash([*name, seen[name]])[:12], runs))
    metadata: dict[str, Any] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "alain": {"v": 1, "graded": graded, "lesson": lesson.model_dump(mode="json", exclude={"sections"})},
    }
    if machine is not None:
        metadata["alain_run"] = machine
    nb: NotebookNode = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": nodes}
    )
    return nb


def _cells(lesson: Lesson, *, graded: bool) -> Iterator[Cell]:
    yield Cell("intro", sources.intro_source(lesson))
    yield Cell("setup", SETUP, code=True, hidden=True)
    origin = content_hash([lesson.title, lesson.source.kind, lesson.source.ref])[:12]
    belongs = {"id": f"l-{origin}", "title": lesson.title}
    numbers: Counter[str] = Counter()
    for section in lesson.sections:
        yield _heading(section)
        for step in section.steps:
            numbers[step.kind] += 1
            match step:
                case TextStep():
                    yield _text(step)
                case CodeStep():
                    yield _code(step)
                case Question():
                    yield from _question(step, numbers["question"], belongs, graded=graded)
                case Exercise():
                    yield from _exercise(step, numbers["exercise"], graded=graded)
    closing = sources.closing_source(lesson)
    if closing:
        yield Cell("closing", closing)


def _heading(section: Section) -> Cell:
    source = sources.heading_source(section.title)
    shown = sources.read_heading(source) == section.title
    return Cell("section", source, fields=_rest(section, "steps", "title" if shown else ""))


def _text(step: TextStep) -> Cell:
    source = neutralise(step.markdown)
    fields = _rest(step, "kind", "id", "markdown" if source == step.markdown else "")
    return Cell("text", source, step.id, fields=fields)


def _code(step: CodeStep) -> Cell:
    outputs = to_outputs(step.source, step.output)
    return Cell("code", step.source, step.id, code=True, fields=_rest(step, "kind", "id", "source"), outputs=outputs)


def _question(question: Question, number: int, belongs: dict[str, str], *, graded: bool) -> Iterator[Cell]:
    """Stem and code, then the call that shows the question; its payload names the lesson, for progress."""
    part_id = sources.part_id(question)
    named = question if "lesson" in (question.model_extra or {}) else question.model_copy(update={"lesson": belongs})
    source = sources.encoded_source(question, encode(named), number, graded=graded)
    views = {"text/plain": as_text(question), "text/html": as_html(question)}
    yield Cell("stem", sources.stem_source(question), part_id)
    yield Cell("question", source, part_id, code=True, hidden=True, outputs=[result(views)])


def _exercise(exercise: Exercise, number: int, *, graded: bool) -> Iterator[Cell]:
    """The task, the starter, then the call that checks it."""
    source = sources.encoded_source(exercise, encode(exercise), number, graded=graded)
    part_id = sources.part_id(exercise)
    views = Verdict(False, UNSOLVED).views()
    yield Cell("task", neutralise(exercise.task), part_id)
    yield Cell("starter", exercise.starter, part_id, code=True)
    yield Cell("exercise", source, part_id, code=True, hidden=True, outputs=[result(views)])


def _rest(part: Part, *shown: str) -> dict[str, Any]:
    """The fields of a part but those that its cell shows and those that have their usual value."""
    return part.model_dump(mode="json", exclude=set(shown), exclude_defaults=True)
