"""``alain verify`` in a shell: what holds, what was corrupted, what is stale, whose code it is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

ALAIN = [sys.executable, "-m", "alain_magics"]


def alain(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*ALAIN, *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lesson notebook that was made elsewhere, by somebody else."""
    folder, data = tmp_path_factory.mktemp("elsewhere"), tmp_path_factory.mktemp("data")
    words = ["generate", "heapq", "-o", "lesson.ipynb"]
    assert alain(folder, *words, env={**os.environ, "ALAIN_DATA_DIR": str(data)}).returncode == 0
    return folder / "lesson.ipynb"


@pytest.fixture
def lesson(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    notebook = nbformat.read(path, as_version=4)
    change(notebook)
    nbformat.write(notebook, path)


def cell_of(notebook: Any, kind: str, cell_type: str = "code") -> Any:
    return next(
        c for c in notebook.cells if c.cell_type == cell_type and c.metadata.get("alain", {}).get("kind") == kind
    )


def edit_payload(path: Path, kind: str, change: Callable[[dict[str, Any]], None]) -> None:
    def rewrite(notebook: Any) -> None:
        cell = cell_of(notebook, kind)
        before = cell.source.split('"')[1]
        data = json.loads(base64.b64decode(before))
        change(data)
        cell.source = cell.source.replace(before, base64.b64encode(json.dumps(data).encode()).decode())

    edit(path, rewrite)


def test_what_was_generated_holds(lesson: Path):
    done = alain(lesson.parent, "verify", lesson.name, "--yes", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 0
    assert data["failed"] == data["stale"] == []
    assert data["code_passed"] == data["code_steps"] > 0
    assert data["questions_passed"] == data["questions"] >= data["questions_executed"] > 0
    assert data["exercises_passed"] == data["exercises"] == 1
    assert data["isolation"] in ("isolated", "limited")


def test_a_notebook_of_somebody_else_runs_only_with_consent(lesson: Path):
    lesson.with_name("other.ipynb").write_bytes(lesson.read_bytes())
    edit(lesson, lambda notebook: notebook.cells.append(nbformat.v4.new_code_cell("print('mine')")))
    done = alain(lesson.parent, "verify", lesson.name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--yes" in done.stderr


def test_the_own_lesson_needs_no_consent(tmp_path: Path):
    alain(tmp_path, "generate", "textwrap")
    assert alain(tmp_path, "verify", "textwrap-lesson.ipynb").returncode == 0


def change_code(path: Path) -> None:
    def change(notebook: Any) -> None:
        cell_of(notebook, "code").source += "\n1 / 0"

    edit(path, change)


def change_output(path: Path) -> None:
    def change(notebook: Any) -> None:
        cell_of(notebook, "code").outputs[0].data["text/plain"] = "[1]"

    edit(path, change)


def swap_key(path: Path) -> None:
    def change(question: dict[str, Any]) -> None:
        for option in question["options"]:
            option["correct"] = not option.get("correct", False)

    edit_payload(path, "question", change)


def wrong_solution(path: Path) -> None:
    def change(exercise: dict[str, Any]) -> None:
        exercise["solution"] = exercise["solution"].replace("return", "return []  #")

    edit_payload(path, "exercise", change)


def older_source(path: Path) -> None:
    def change(notebook: Any) -> None:
        notebook.metadata["alain"]["lesson"]["source"]["sha256"] = "0" * 64

    edit(path, change)


@pytest.mark.parametrize("damage", [change_code, change_output, swap_key, wrong_solution, older_source])
def test_damage_is_found(lesson: Path, damage: Callable[[Path], None]):
    damage(lesson)
    done = alain(lesson.parent, "verify", lesson.name, "--yes", "--json")
    data = json.loads(done.stdout)
    assert done.returncode == 1
    assert data["failed"] or data["stale"]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe{}", b"[]", b'{"cells": 3}', b'{"cells": [], "metadata": {}}', b"just text"],
    ids=["empty", "cut", "not UTF-8", "a list", "no cells", "no version", "text"],
)
def test_a_broken_notebook_gets_one_line(tmp_path: Path, content: bytes):
    (tmp_path / "broken.ipynb").write_bytes(content)
    done = alain(tmp_path, "verify", "broken.ipynb", "--yes")
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (2, "", 1), done.stderr


@pytest.mark.parametrize("name", ["missing.ipynb", "."])
def test_what_is_no_file_gets_one_line(tmp_path: Path, name: str):
    done = alain(tmp_path, "verify", name)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
