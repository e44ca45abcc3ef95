"""What a teacher is: it plans a lesson from a document, then writes sections and questions.

What it writes are candidates: the pipeline runs, checks and measures them before anybody sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from alain_magics.lessons.document import Document
from alain_magics.lessons.schema import Difficulty, Exercise, Question, Section


@dataclass(frozen=True)
class Brief:
    """What the user asked for."""

    difficulty: Difficulty = "beginner"
    seed: int = 0


@dataclass
class Topic:
    """A section to be written; ``material`` is whatever the teacher needs to write it."""

    title: str
    material: Any = None


@dataclass
class Outline:
    """The plan: what kind of lesson, its head, and its topics in order."""

    kind: Literal["lesson", "tour"]
    title: str
    description: str
    objectives: list[str]
    topics: list[Topic]
    prerequisites: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)


class Teacher(Protocol):
    """Writes lessons; ``dropped`` counts what it made and threw away, by reason.

    ``recall_last``: cited choices are asked at the end of the lesson, away from the text that answers them.
    """

    name: str
    recall_last: bool
    dropped: dict[str, int]

    async def outline(self, document: Document, brief: Brief) -> Outline:
        """Plan the lesson, or raise :class:`~alain_magics.errors.NothingToTeach`."""
        ...

    async def section(self, document: Document, brief: Brief, topic: Topic) -> Section:
        """Write the prose and the code of a topic; every code step ran."""
        ...

    async def questions(self, document: Document, brief: Brief, topic: Topic) -> list[Question | Exercise]:
        """Make candidates for questions and exercises about a topic, each proven or cited."""
        ...
