"""``progress``: what the user answered so far, lesson by lesson."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from alain_magics.commands.base import Command, Context, Done, Event, Request

if TYPE_CHECKING:
    from alain_magics.store.attempts import LessonProgress


class ProgressRequest(Request):
    """Nothing to choose: all lessons that the user answered questions of."""


async def run(context: Context, request: ProgressRequest) -> AsyncIterator[Event]:
    """Sum up the answers in the database."""
    workspace = context.workspace
    lessons = await asyncio.to_thread(lambda: workspace.attempts.summary(workspace.user))
    rows = [{**asdict(lesson), "last": lesson.last.isoformat(timespec="seconds")} for lesson in lessons]
    yield Done({"user": workspace.user, "lessons": rows}, as_text(lessons))


def as_text(lessons: list[LessonProgress]) -> str:
    """A line for each lesson, the one worked on last first."""
    if not lessons:
        return "No question was answered yet. Open a lesson and run the cell of a question."
    width = max(len(lesson.title) for lesson in lessons)
    return "\n".join(
        f"{lesson.title:<{width}}  {lesson.right} of {lesson.answered} right, {lesson.right_at_once} at once,"
        f" last {lesson.last.astimezone():%Y-%m-%d %H:%M}"
        for lesson in lessons
    )


command = Command(
    name="progress",
    summary="what you answered so far: lessons, questions, right answers",
    request=ProgressRequest,
    run=run,
    exposed=True,
    examples=("progress", "progress --json"),
)
