"""Reading the cells of a notebook as a lesson."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from alain_magics.errors import NotebookError, PayloadError
from alain_magics.lessons.notebook import sources
from alain_magics.lessons.notebook.outputs import from_outputs
from alain_magics.lessons.payload import decode
from alain_magics.lessons.schema import CodeStep, Exercise, Lesson, Part, Question, Section, TextStep, content_hash

if TYPE_CHECKING:
    from nbformat import NotebookNode

_TITLE = re.compile(r"(#{1,2})[ \t]+(\S[^\n]*?)[ \t#]*(?:\n|\Z)")
_AGAIN = "Take it from the original notebook, or generate the lesson again."
P = TypeVar("P", bound=Part)


class Reader:
    """Reads one notebook: ``lesson`` is what it holds, ``problems`` says what was passed over, a line each."""

    def __init__(self, nb: NotebookNode) -> None:
        self.problems: list[str] = []
        self._sections: list[Section] = []
        self._step_ids: set[str] = set()
        self._parts = self._decoded(nb)
        self._stems: dict[str, str] = {}
        self._tasks: dict[str, str] = {}
        ...
