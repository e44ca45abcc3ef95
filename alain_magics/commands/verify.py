"""``verify``: run every proof, code step and exercise of a lesson notebook again, whatever was stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.errors import AlainError, ConsentNeeded, NotebookError

if TYPE_CHECKING:
    from alain_magics.lessons.document import Document
    from alain_magics.lessons.proving import Prover
    from alain_magics.lessons.schema import Lesson
    from alain_magics.lessons.sources.resolve import Reference
    from alain_magics.lessons.verify import Check
    from alain_magics.sandbox import Sandbox
    from alain_magics.workspace import Workspace

LARGEST = 50_000_000  # bytes of a notebook


class VerifyRequest(Request):
    """Which lesson to check, and where its source is if it cannot be found."""

    file: str = Field(
        description="the lesson notebook to check", json_schema_extra={"positional": True, "complete": "file"}
    )
    source: str = Field(
        "",
        description="the module or model card that the lesson was made from, if it is not where it was",
        json_schema_extra={"complete": "source"},
    )
    isolation: Literal["auto", "isolated", "limited"] | None = Field(None, description="where the lesson's code runs")


async def run(context: Context, request: VerifyRequest) -> AsyncIterator[Event]:
    """Read the lesson, ask for consent if it was not made here, run it all again in the sandbox, report."""
    from alain_magics.lessons.verify import verify_lesson

    started = time.monotonic()
    workspace = context.workspace
    path = workspace.path(request.file)
    lesson, edits = read_lesson(path, request.file)
    made = made_here(workspace, lesson)
    if "execute" not in context.consent and made is None:
        raise ConsentNeeded(
            f"{request.file} was not made here or was changed since, and verifying it runs its code (in the sandbox).",
            "If you want that, add --yes.",
        )
    sandbox = workspace.sandbox(workspace.settings_with(isolation=request.isolation))
    total = len(lesson.steps())
    yield Progress(f"reading the source {lesson.source.ref}", 0, total)
    document, reference = await find_source(
        lesson,
        request.source,
        [path.parent / Path(lesson.source.file).name, Path((made or {}).get("source", ""))],
        workspace,
        sandbox,
    )
    checks: list[Check] = []
    async with prover_for(document, reference, sandbox) as prover:
        async for check in verify_lesson(lesson, prover, document):
            checks.append(check)
            yield Progress(f"checking {check.kind} {check.step}", len(checks), total)
    stale = sorted({text for check in checks for text in check.stale})
    if document is not None and document.provenance.sha256 != lesson.source.sha256:
        stale.insert(0, f"{lesson.source.ref} changed since the lesson was made")
    data = report(checks, stale, sandbox.level, time.monotonic() - started, source_found=document is not None)
    data["edited"] = edits
    yield Done(data, as_text(request.file, data), exit_status=int(bool(data["failed"] or stale)))


def read_lesson(path: Path, shown: str) -> tuple[Lesson, list[str]]:
    """The lesson of a notebook and what was edited in it; :class:`NotebookError` in one line for whatever is none."""
    from alain_magics.lessons.notebook import from_notebook, loads, problems

    if path.is_dir():
        raise NotebookError(f"{shown} is a folder.", "Give a notebook.")
    try:
        if path.stat().st_size > LARGEST:
            raise NotebookError(f"{shown} is larger than {LARGEST // 1_000_000} MB.", "Clear its outputs first.")
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotebookError(f"there is no file {shown}.", "Check the path.") from None
    except OSError as error:
        raise NotebookError(f"{shown} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if not content.strip():
        raise NotebookError(f"{shown} is empty.", "Give a lesson notebook.")
    notebook = loads(content)
    lesson = from_notebook(notebook)
    if all(step.kind == "text" for step in lesson.steps()):
        raise NotebookError(f"{shown} holds no code, question or exercise to verify.", "Give a lesson notebook.")
    return lesson, problems(notebook)


def made_here(workspace: Workspace, lesson: Lesson) -> dict[str, Any] | None:
    """What ``generate`` said when this user made exactly this lesson; ``None`` for a lesson of somebody else."""
    from alain_magics.lessons.schema import content_hash

    mine = content_hash(lesson.model_dump(mode="json"))
    return next((result for result in workspace.jobs.results("generate") if result.get("lesson") == mine), None)


async def find_source(
    lesson: Lesson, given: str, cards: list[Path], workspace: Workspace, sandbox: Sandbox
) -> tuple[Document | None, Reference | None]:
    """The document that the lesson was made from, if it is still at hand: as given, else a module, else a card."""
    from alain_magics.lessons.sources.resolve import is_dotted_name, resolve
    from alain_magics.lessons.teachers.offline import read_source

    if given:
        reference = resolve(given, workspace.folder)
        return await read_source(reference, sandbox), reference
    names = []
    if lesson.source.kind == "module" and is_dotted_name(lesson.source.ref):
        names = [lesson.source.ref]
    elif lesson.source.kind == "card":
        names = [str(card) for card in cards if card.suffix and card.is_file()]
    for name in names:
        try:
            reference = resolve(name, workspace.folder)
            return await read_source(reference, sandbox), reference
        except AlainError:
            continue
    return None, None


def prover_for(document: Document | None, reference: Reference | None, sandbox: Sandbox) -> Prover:
    """A prover for the lesson's programs, with its source imported where it is a module."""
    from alain_magics.lessons.proving import Prover
    from alain_magics.lessons.teachers.offline import open_prover

    if document is None or reference is None:
        return Prover(sandbox)
    return open_prover(document, reference, sandbox)


def report(checks: list[Check], stale: list[str], level: str, seconds: float, *, source_found: bool) -> dict[str, Any]:
    """The figures, and what failed and why."""
    total, passed, executed = Counter[str](), Counter[str](), Counter[str]()
    for check in checks:
        total[check.kind] += 1
        passed[check.kind] += not check.problems and (check.executed or source_found)
        executed[check.kind] += check.executed
    return {
        "code_steps": total["code"],
        "code_passed": passed["code"],
        "questions": total["question"],
        "questions_executed": executed["question"],
        "questions_passed": passed["question"],
        "exercises": total["exercise"],
        "exercises_passed": passed["exercise"],
        "failed": [
            {"step": check.step, "kind": check.kind, "problems": list(check.problems)}
            for check in checks
            if check.problems
        ],
        "stale": stale,
        "source_found": source_found,
        "isolation": level,
        "seconds": round(seconds, 2),
    }


def as_text(name: str, data: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"{name}: {data['code_passed']} of {data['code_steps']} code steps, "
        f"{data['questions_passed']} of {data['questions']} questions ({data['questions_executed']} executed), "
        f"{data['exercises_passed']} of {data['exercises']} exercises hold ({data['isolation']}, {data['seconds']} s)"
    ]
    lines += [f"  failed: {item['kind']} {item['step']}: {'; '.join(item['problems'])}" for item in data["failed"]]
    lines += [f"  stale: {text}" for text in data["stale"]]
    lines += [f"  edited: {text}" for text in data["edited"]]
    if not data["source_found"]:
        lines.append("  its source is not at hand, so citations were not looked up (give it with --source)")
    return "\n".join(lines)


command = Command(
    name="verify",
    summary="run everything in a lesson notebook again and say what holds",
    request=VerifyRequest,
    run=run,
    examples=("verify statistics-lesson.ipynb", "verify lesson.ipynb --source model_card.md --json"),
)
