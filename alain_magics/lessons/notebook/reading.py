"""Reading the cells of a notebook as a lesson."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from alain_magics.errors import NotebookError, PayloadError
from alain_magics.lessons.notebook import sources
from alain_magics.lessons.notebook.outputs import from_outputs, to_outputs
from alain_magics.lessons.payload import decode
from alain_magics.lessons.schema import (
    CodeStep,
    Exercise,
    Lesson,
    Part,
    Provenance,
    Question,
    Section,
    TextStep,
    content_hash,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CODE_KINDS = {"setup", "code", "starter", "question", "exercise"}
_SHOWN_BY = {"stem": "question", "task": "exercise", "starter": "exercise"}
_TITLE = re.compile(r"\s*(#{1,2})[ \t]+(\S[^\n]*)(?:\n|\Z)")
_AGAIN = "Take it from the original notebook, or generate the lesson again."
P = TypeVar("P", bound=Part)


class Reader:
    """Reads one notebook: ``lesson`` is what it holds, ``problems`` says what was passed over, a line each."""

    def __init__(self, nb: NotebookNode) -> None:
        self.problems: list[str] = []
        self._nb = nb
        self._sections: list[Section] = []
        self._opening: Section | None = None  # for what stands before the first heading
        self._ids: set[str] = set()
        self._parts = self._encoded_parts()
        self._named = {(part.kind, sources.part_id(part)) for part in self._parts.values() if part}
        self._edited = self._edited_stems_and_tasks()
        head = self._head()
        self._title = head.title if head else ""
        for number, cell in enumerate(nb.cells):
            self._read(number, cell)
        self.lesson = self._whole(head)

    def _head(self) -> Lesson | None:
        """The lesson without its sections, or ``None`` where the notebook was not made from one."""
        alain = self._nb.metadata.get("alain")
        head = alain.get("lesson") if isinstance(alain, dict) else None
        if not isinstance(head, dict):
            return None
        return _valid(Lesson, {**head, "sections": []}, "This notebook")

    def _whole(self, head: Lesson | None) -> Lesson:
        if head is None:
            title = self._title or str(self._nb.metadata.get("title") or "Untitled notebook")
            if self._opening:
                self._opening.title = title
            return Lesson(title=title, source=Provenance(kind="notebook", ref=""), sections=self._sections)
        changes: dict[str, Any] = {"sections": self._sections}
        changes |= self._changes("intro", sources.read_intro, sources.intro_source(head))
        changes |= self._changes("closing", sources.read_closing, sources.closing_source(head))
        if not changes.get("title", head.title):
            changes["title"] = head.title
        return head.model_copy(update=changes)

    def _changes(self, kind: str, read: Callable[[str], dict[str, Any]], before: str) -> dict[str, Any]:
        """The fields that a cell shows otherwise than it was written; a cell that is gone shows nothing."""
        now = next((cell.source for cell in self._nb.cells if _mark(cell).get("kind") == kind), "")
        was = read(before)
        return {name: value for name, value in read(now).items() if value != was[name]}

    def _encoded_parts(self) -> dict[int, Question | Exercise | None]:
        """The question or exercise of each cell that holds one; ``None`` where the cell repeats an earlier one."""
        parts: dict[int, Question | Exercise | None] = {}
        seen: set[tuple[str, str]] = set()
        for number, cell in enumerate(self._nb.cells):
            payload = sources.read_encoded(cell.source) if cell.cell_type == "code" else None
            if payload is None:
                continue
            try:
                part = decode(payload)
            except PayloadError as error:
                if _mark(cell).get("kind") in ("question", "exercise"):
                    raise PayloadError(f"Cell {number + 1}: {error.what}", error.advice) from None
                continue
            name = (part.kind, sources.part_id(part))
            if name in seen:
                self.problems.append(f"Cell {number + 1} repeats the {part.kind} {name[1]}; the first one counts.")
            parts[number] = None if name in seen else part
            seen.add(name)
        return parts

    def _edited_stems_and_tasks(self) -> dict[tuple[str, str], str]:
        edited: dict[tuple[str, str], str] = {}
        for cell in self._nb.cells:
            mark = _mark(cell)
            if mark.get("kind") in ("stem", "task") and _is_edited(cell):
                edited.setdefault((_SHOWN_BY[mark["kind"]], str(mark.get("id", ""))), cell.source)
        return edited

    def _read(self, number: int, cell: NotebookNode) -> None:
        mark = _mark(cell)
        kind = mark.get("kind")
        if number in self._parts:
            part = self._parts[number]
            if part:
                self._add(self._with_edits(part))
        elif kind in ("intro", "closing") or (kind == "setup" and not _is_edited(cell)):
            pass
        elif kind == "section":
            self._begin_section(number, cell)
        elif kind in ("text", "code"):
            self._add(self._step(number, cell))
        elif (_SHOWN_BY.get(str(kind), ""), str(mark.get("id", ""))) not in self._named:
            self._read_foreign(cell)

    def _begin_section(self, number: int, cell: NotebookNode) -> None:
        fields = _fields(cell)
        if _is_edited(cell) or "title" not in fields:
            fields["title"] = sources.read_heading(cell.source)
        self._sections.append(_valid(Section, {**fields, "steps": []}, f"Cell {number + 1}"))

    def _step(self, number: int, cell: NotebookNode) -> TextStep | CodeStep:
        """The text or code of a lesson; code that was edited has lost its proof."""
        fields = {**_fields(cell), "id": self._fresh(str(_mark(cell).get("id", "")))}
        where = f"Cell {number + 1}"
        if cell.cell_type == "markdown":
            if _is_edited(cell) or "markdown" not in fields:
                fields["markdown"] = cell.source
            return _valid(TextStep, {**fields, "kind": "text"}, where)
        if _is_edited(cell):
            fields["output"] = from_outputs(cell.outputs)
            if fields.pop("proof", None):
                self.problems.append(f"{where}: the code was edited, so its proof no longer counts.")
        elif cell.outputs:
            shown = from_outputs(cell.outputs)
            if shown != from_outputs(to_outputs(cell.source, str(fields.get("output", "")))):
                fields["output"] = shown
        return _valid(CodeStep, {**fields, "kind": "code", "source": cell.source}, where)

    def _with_edits(self, part: Question | Exercise) -> Question | Exercise:
        """The part of an encoded cell, without the name of its lesson, as the cell above shows it."""
        source = self._edited.get((part.kind, sources.part_id(part)))
        if isinstance(part, Exercise):
            return part if source is None else part.model_copy(update={"task": source})
        extra = part.model_extra or {}
        if isinstance(extra.get("lesson"), dict) and set(extra["lesson"]) == {"id", "title"}:
            del extra["lesson"]
        if source is None:
            return part
        was, now = sources.read_stem(sources.stem_source(part)), sources.read_stem(source)
        changes: dict[str, Any] = {"stem": now[0]} if now[0] != was[0] else {}
        if now[1] != was[1]:
            changes |= {"code": now[1], "proof": None}
            self.problems.append(
                f"Question {sources.part_id(part)}: its code was edited, so its proof no longer counts."
            )
        return part.model_copy(update=changes)

    def _read_foreign(self, cell: NotebookNode) -> None:
        """A cell that no lesson wrote: code without proof, or text that may begin with the heading of a section."""
        if cell.cell_type == "code" and cell.source.strip():
            output = from_outputs(cell.outputs)
            self._add(CodeStep(id=self._fresh(cell.id), source=cell.source, output=output))
        if cell.cell_type != "markdown":
            return
        text = cell.source
        heading = _TITLE.match(text)
        if heading:
            text = text[heading.end() :]
            title = sources.heading_text(heading[2])
            if self._title or heading[1] == "##":
                self._sections.append(Section(title=title))
            else:
                self._title = title
        if text.strip():
            self._add(TextStep(id=self._fresh(cell.id), markdown=text.strip("\n")))

    def _add(self, step: TextStep | CodeStep | Question | Exercise) -> None:
        if not self._sections:
            self._opening = Section(title=self._title)
            self._sections.append(self._opening)
        self._sections[-1].steps.append(step)

    def _fresh(self, name: str) -> str:
        """The identifier of a step; another one where a cell was copied."""
        fresh, number = name, 1
        while name and fresh in self._ids:
            number += 1
            fresh = f"{name}-{number}"
        self._ids.add(fresh)
        return fresh


def _mark(cell: NotebookNode) -> dict[str, Any]:
    """What this package noted about a cell; nothing where the cell became one of another type."""
    mark = cell.metadata.get("alain")
    if not isinstance(mark, dict) or not isinstance(mark.get("kind"), str):
        return {}
    return mark if (mark["kind"] in _CODE_KINDS) == (cell.cell_type == "code") else {}


def _is_edited(cell: NotebookNode) -> bool:
    return bool(_mark(cell).get("sha") != content_hash(cell.source))


def _fields(cell: NotebookNode) -> dict[str, Any]:
    fields = _mark(cell).get("fields")
    return json.loads(json.dumps(fields)) if isinstance(fields, dict) else {}


def _valid(model: type[P], data: dict[str, Any], where: str) -> P:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise NotebookError(f"{where}: what it notes of its lesson is damaged at {place!r}.", _AGAIN) from None
