"""``generate``: from a module or a model card to a lesson notebook whose code ran and whose answers were checked."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Partial, Progress, Request
from alain_magics.errors import TargetError
from alain_magics.lessons.schema import Difficulty, Lesson, content_hash


class GenerateRequest(Request):
    """What to make a lesson from, for whom, and where to put it."""

    source: str = Field(
        description="a Python module or package, or the path of a model card (Markdown)",
        json_schema_extra={"positional": True, "complete": "source"},
    )
    output: str = Field(
        "",
        description="the notebook to write; default: NAME-lesson.ipynb",
        json_schema_extra={"short": "o", "complete": "file"},
    )
    force: bool = Field(False, description="overwrite a file that holds something else")
    difficulty: Difficulty | None = Field(None, description="for whom the lesson is")
    seed: int = Field(0, description="another seed puts the options in another order")
    isolation: Literal["auto", "isolated", "limited"] | None = Field(None, description="where the lesson's code runs")


async def run(context: Context, request: GenerateRequest) -> AsyncIterator[Event]:
    """Read the source, write and check the lesson, save the notebook."""
    from alain_magics.lessons.notebook import dumps, to_notebook
    from alain_magics.lessons.pipeline import Stage, write_lesson
    from alain_magics.lessons.sources.resolve import resolve
    from alain_magics.lessons.teachers.base import Brief
    from alain_magics.lessons.teachers.offline import open_teacher

    started = time.monotonic()
    workspace = context.workspace
    settings = workspace.settings_with(difficulty=request.difficulty, isolation=request.isolation)
    reference = resolve(request.source, workspace.folder)
    target = workspace.path(request.output or f"{reference.name}-lesson.ipynb")
    check_target(target)
    sandbox = workspace.sandbox(settings)
    job = workspace.jobs.start("generate", request.model_dump())
    try:
        yield Progress(f"reading {request.source}")
        async with open_teacher(reference, sandbox) as (document, teacher):
            brief = Brief(settings.difficulty, request.seed)
            lesson = None
            async for stage in write_lesson(document, teacher, brief):
                if isinstance(stage, Stage):
                    workspace.jobs.append(job, {"what": stage.what, "done": stage.done, "total": stage.total})
                    yield Progress(stage.what, stage.done, stage.total)
                else:
                    lesson = stage
        assert lesson is not None
        machine = {
            "seconds": round(time.monotonic() - started, 2),
            "isolation": sandbox.level,
            "platform": platform.platform(terse=True),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_notebook(target, dumps(to_notebook(lesson, machine=machine)), force=request.force)
    except asyncio.CancelledError:
        workspace.jobs.cancel(job)
        raise
    except BaseException as error:
        workspace.jobs.fail(job, str(error))
        raise
    data = summary(lesson, str(reference.path or reference.name), target, machine)
    workspace.jobs.finish(job, data)
    yield Partial("lesson", {"title": lesson.title, "path": str(target)})
    yield Done(data, as_text(lesson, target, machine))


def check_target(target: Path) -> None:
    """Refuse at once a target that could not be written later."""
    import os

    if target.is_dir():
        raise TargetError(f"{target.name} is a folder.", "Give the name of a notebook: -o lesson.ipynb.")
    if target.suffix != ".ipynb":
        raise TargetError(f"{target.name} is no name for a notebook.", "End it with .ipynb.")
    if not target.parent.is_dir():
        raise TargetError(f"there is no folder {target.parent}.", "Make it first, or choose another with -o.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise TargetError(f"{target} cannot be written.", "Choose another file with -o.")


def write_notebook(target: Path, text: str, *, force: bool) -> None:
    """Write the notebook unless the file already holds the same lesson."""
    from alain_magics.lessons.notebook import same_lesson
    from alain_magics.store.files import atomic_write

    if target.exists() and not force and same_lesson(target.read_bytes(), text):
        return
    atomic_write(target, text.encode(), force=force)


def summary(lesson: Lesson, source: str, target: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """What was made from what, as plain data."""
    questions = lesson.questions()
    kinds = [step.kind for step in lesson.steps()]
    return {
        "path": str(target),
        "source": source,
        "lesson": content_hash(lesson.model_dump(mode="json")),
        "kind": lesson.kind,
        "title": lesson.title,
        "difficulty": lesson.difficulty,
        "sections": len(lesson.sections),
        "code_steps": kinds.count("code"),
        "questions": len(questions),
        "questions_executed": sum(question.proof is not None for question in questions),
        "exercises": kinds.count("exercise"),
        "minutes": lesson.minutes,
        "quality": lesson.quality.model_dump(mode="json"),
        "isolation": machine["isolation"],
        "seconds": machine["seconds"],
    }


def as_text(lesson: Lesson, target: Path, machine: dict[str, Any]) -> str:
    """The same for people."""
    name = "a lesson" if lesson.kind == "lesson" else "what can be checked is too little for a lesson: a tour"
    failed = [bar.name for bar in lesson.quality.bars if not bar.passed]
    lines = [
        f"{lesson.title} — {name} of about {lesson.minutes} minutes",
        f"  {lesson.summary}",
        f"  code ran {machine['isolation']}; {lesson.quality.made} items made, {lesson.quality.kept} kept",
        f"  written to {target} in {machine['seconds']} s",
    ]
    if failed:
        lines.insert(3, f"  below the bar: {', '.join(failed)}")
    return "\n".join(lines)


command = Command(
    name="generate",
    summary="make a lesson notebook from a module or a model card",
    request=GenerateRequest,
    run=run,
    examples=("generate statistics", "generate model_card.md -o lesson.ipynb --difficulty intermediate"),
)
