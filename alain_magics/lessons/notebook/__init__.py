"""Lesson to notebook, and back without loss.

A kernel sees no metadata, so the cell of a question holds the whole question; whatever else cells do not show stands in
their metadata, and what depends on the machine in ``alain_run`` alone. Where a cell was edited, the cell wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alain_magics.errors import AlainError
from alain_magics.lessons.notebook.files import dumps, loads
from alain_magics.lessons.notebook.reading import Reader
from alain_magics.lessons.notebook.writing import written
from alain_magics.lessons.schema import Lesson

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["dumps", "from_notebook", "loads", "problems", "same_lesson", "to_notebook"]


def to_notebook(lesson: Lesson, *, machine: dict[str, Any] | None = None, graded: bool = False) -> NotebookNode:
    """The notebook of a lesson: valid nbformat 4.5, for the same lesson always the same.

    ``machine`` is what was measured while the lesson was made (seconds, isolation, platform, date). ``graded`` leaves
    out every key: :func:`alain_magics.lessons.graded.graded_keys` has them.
    """
    return written(lesson, machine=machine, graded=graded)


def from_notebook(nb: NotebookNode) -> Lesson:
    """The lesson in a notebook with the edits made to its cells; of any other notebook its text and code as a lesson.

    What learners wrote is no part of it: the starter of an exercise stays that of the lesson. Raises
    :class:`~alain_magics.errors.NotebookError` or :class:`~alain_magics.errors.PayloadError`, naming the cell, where
    metadata or an encoded part is damaged.
    """
    return Reader(nb).lesson


def problems(nb: NotebookNode) -> list[str]:
    """What reading the lesson in a notebook passes over, a line each: repeated questions, proofs of edited code."""
    return Reader(nb).problems


def same_lesson(data: bytes, text: str) -> bool:
    """Whether two notebook files hold the same lesson, whoever ran them and wherever they were made."""
    try:
        return from_notebook(loads(data)) == from_notebook(loads(text))
    except AlainError:
        return False
