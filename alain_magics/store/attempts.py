"""Answers that were given: each is on the disk before :meth:`Attempts.record` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from alain_magics.store.engine import Store
from alain_magics.store.tables import attempts


@dataclass(frozen=True)
class Attempt:
    """One answer to one question. ``question_id`` is the question's content id, ``answer`` any JSON value."""

    user: str
    lesson_id: str
    lesson_title: str
    question_id: str
    answer: Any
    correct: bool
    seconds: float = 0.0
    project: str = ""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: int | None = None


@dataclass(frozen=True)
class LessonProgress:
    """How a user stands in a lesson: questions ``answered``, ``right`` at last, ``right_at_once``, time of the last."""

    lesson_id: str
    title: str
    answered: int
    right: int
    right_at_once: int
    last: datetime


class Attempts:
    """The answers in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, attempt: Attempt) -> Attempt:
        """Keep an answer durably, and return it with its id."""
        values = asdict(attempt)
        del values["id"]
        with self._store.writing() as connection:
            key = connection.execute(attempts.insert().values(values)).inserted_primary_key
        assert key is not None
        return replace(attempt, id=key[0])

    def all(self, user: str, question_id: str) -> list[Attempt]:
        """Every answer of a user to a question, the oldest first."""
        query = sa.select(attempts).where(attempts.c.user == user, attempts.c.question_id == question_id)
        with self._store.reading() as connection:
            return [Attempt(**row) for row in connection.execute(query.order_by(attempts.c.id)).mappings()]

    def latest(self, user: str, question_id: str) -> Attempt | None:
        """Return the last answer of a user to a question, if there is one."""
        return next(reversed(self.all(user, question_id)), None)

    def summary(self, user: str) -> list[LessonProgress]:
        """How a user stands in each lesson, the one worked on last first."""
        first, last = attempts.alias("first"), attempts.alias("last")
        questions = (
            sa.select(sa.func.min(attempts.c.id).label("first"), sa.func.max(attempts.c.id).label("last"))
            .where(attempts.c.user == user)
            .group_by(attempts.c.lesson_id, attempts.c.question_id)
            .subquery()
        )
        latest = sa.func.max(last.c.time).label("last")
        query = (
            sa.select(
                last.c.lesson_id,
                sa.func.max(last.c.lesson_title).label("title"),
                sa.func.count().label("answered"),
                sa.func.sum(sa.cast(last.c.correct, sa.Integer)).label("right"),
                sa.func.sum(sa.cast(first.c.correct, sa.Integer)).label("right_at_once"),
                latest,
            )
            .join_from(questions, first, first.c.id == questions.c.first)
            .join(last, last.c.id == questions.c.last)
            .group_by(last.c.lesson_id)
            .order_by(sa.desc(latest), last.c.lesson_id)
        )
        with self._store.reading() as connection:
            return [LessonProgress(**row) for row in connection.execute(query).mappings()]
