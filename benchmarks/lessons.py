"""What the offline teacher makes of modules, packages and model cards: a table, and the bars over all items together.

    python benchmarks/lessons.py [--every 3] [--only NAME ...] [--cards FOLDER] [--difficulty beginner]

Modules are not hand-picked: every k-th of the standard modules that can be imported and have at least five documented
callables, methods counted. Every lesson is verified again in fresh processes. Exit status 1 if anything does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from alain_magics.errors import AlainError, NothingToTeach
from alain_magics.lessons.notebook import dumps, from_notebook, loads, to_notebook
from alain_magics.lessons.pipeline import Stage, write_lesson
from alain_magics.lessons.quality import bars, lint
from alain_magics.lessons.schema import Bar, Exercise, Lesson, Question, TextStep
from alain_magics.lessons.sources.module import INSPECTION
from alain_magics.lessons.sources.resolve import resolve
from alain_magics.lessons.teachers.base import Brief
from alain_magics.lessons.teachers.offline import open_prover, open_teacher
from alain_magics.lessons.verify import verify_lesson
from alain_magics.sandbox import Program, Sandbox

PACKAGES = (
    "more_itertools", "toolz", "sortedcontainers", "boltons.iterutils", "inflection", "humanize", "natsort", "parse",
    "packaging.version", "bidict",
)  # fmt: skip
FEWEST_CALLABLES = 5
ALIKE = "highest similarity of two stems"
INSPECTOR = Path(__file__).parent.parent / "alain_magics" / "lessons" / "sources" / "inspector.py"


@dataclass
class Row:
    """A line of the table."""

    name: str
    verdict: str
    why: str = ""
    made: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    exercises: int = 0
    failed: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    seconds: float = 0.0


async def documented_callables(name: str, sandbox: Sandbox) -> int:
    """How many documented callables a module has; -1 where it cannot be imported."""
    try:
        async with sandbox.session(imports=(name,), limits=INSPECTION) as session:
            (outcome,) = await session.run([Program(INSPECTOR.read_text(), argv=(name,))])
        return sum(bool(member["doc"]) for member in json.loads(outcome.stdout)["members"]) if outcome.ok else -1
    except AlainError:
        return -1


async def sample(every: int, sandbox: Sandbox) -> list[str]:
    """Every k-th standard module with enough documented callables."""
    names = [name for name in sorted(sys.stdlib_module_names) if not name.startswith("_")]
    counts = [await documented_callables(name, sandbox) for name in names]
    return [name for name, count in zip(names, counts, strict=True) if count >= FEWEST_CALLABLES][::every]


async def teach(name: str, difficulty: str, sandbox: Sandbox) -> tuple[Row, Lesson | None]:
    """Make a lesson, write and read it as a notebook, verify it in fresh processes."""
    started = time.perf_counter()
    try:
        reference = resolve(name, Path.cwd())
        lesson = None
        async with open_teacher(reference, sandbox) as (document, teacher):
            async for stage in write_lesson(document, teacher, Brief(difficulty)):
                if not isinstance(stage, Stage):
                    lesson = stage
        assert lesson is not None
    except NothingToTeach as error:
        return Row(name, "refused", error.what, seconds=time.perf_counter() - started), None
    except AlainError as error:
        return Row(name, "not read", error.what, seconds=time.perf_counter() - started), None
    seconds = time.perf_counter() - started
    again = from_notebook(loads(dumps(to_notebook(lesson))))
    failed = [] if again == lesson else ["the notebook loses something"]
    async with open_prover(document, reference, sandbox) as prover:
        async for check in verify_lesson(again, prover, document):
            failed += [f"{check.step}: {problem}" for problem in (*check.problems, *check.stale)]
    failed += [f"{step.id}: {finding.what}" for step in lesson.steps() if isinstance(step, TextStep)
               for finding in lint(step.markdown)]  # fmt: skip
    quality = lesson.quality
    row = Row(
        name, lesson.kind, "", quality.made, quality.kept, Counter(quality.dropped),
        Counter(question.form for question in lesson.questions()),
        sum(isinstance(step, Exercise) for step in lesson.steps()), failed, quality.bars, seconds,
    )  # fmt: skip
    if lesson.kind == "lesson" and (sum(row.forms.values()) < 8 or len(row.forms) < 3):
        row.failed.append("a lesson of fewer than 8 questions or 3 kinds")
    return row, lesson


def print_table(rows: list[Row]) -> None:
    """The table in Markdown."""
    print("| source | verdict | made | kept | kinds | exercises | dropped, and why | s |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        kinds = ", ".join(f"{form} {count}" for form, count in sorted(row.forms.items()))
        why = row.why or ", ".join(f"{reason} {count}" for reason, count in row.dropped.most_common(3) if count)
        print(f"| {row.name} | {row.verdict} | {row.made} | {row.kept} | {kinds} | {row.exercises} | {why} "
              f"| {row.seconds:.1f} |")  # fmt: skip


def print_summary(rows: list[Row], questions: list[Question]) -> bool:
    """The bars over all items together, and what does not hold.

    Likeness of stems is measured within each lesson: lessons about two models ask alike, with other numbers.
    """
    verdicts = Counter(row.verdict for row in rows)
    print(f"\n{len(rows)} sources: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()))
    executed = sum(question.proof is not None for question in questions)
    print(f"{len(questions)} questions, {executed} executed; {sum(row.exercises for row in rows)} exercises\n")
    print("| bar over all items | value | limit | holds |\n|---|---|---|---|")
    measured = [bar for bar in bars(questions) if bar.name != ALIKE]
    alike = [bar for row in rows for bar in row.bars if bar.name == ALIKE]
    measured += sorted(alike, key=lambda bar: bar.value)[-1:]
    for bar in measured:
        print(f"| {bar.name} | {bar.value:.3f} | {bar.limit:.3f} | {'yes' if bar.passed else 'NO'} |")
    for row in rows:
        for problem in row.failed:
            print(f"FAILED {row.name}: {problem}")
    return all(bar.passed for bar in measured) and not any(row.failed for row in rows)


async def main() -> int:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--cards", type=Path, default=Path(__file__).parents[2] / "shared" / "fixtures" / "model_cards")
    parser.add_argument("--difficulty", default="beginner")
    options = parser.parse_args()
    sandbox = Sandbox()
    names = options.only
    if names is None:
        names = [*await sample(options.every, sandbox), *PACKAGES]
        names += [str(path) for path in sorted(options.cards.glob("*.md"))]
    rows, questions = [], []
    for name in names:
        row, lesson = await teach(name, options.difficulty, sandbox)
        row.name = Path(name).name
        rows.append(row)
        questions += lesson.questions() if lesson else []
        print(f"{row.name}: {row.verdict} {row.why} {row.seconds:.1f} s", file=sys.stderr, flush=True)
    print(f"code ran {sandbox.level}\n")
    print_table(rows)
    return 0 if print_summary(rows, questions) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
