"""Strict nbval in a real kernel: every output that is stored is what comes out, with the package and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alain_magics.lessons.notebook import dumps, to_notebook
from alain_magics.lessons.schema import (
    CodeStep,
    Exercise,
    Lesson,
    Option,
    Provenance,
    Question,
    Section,
    Test,
    TextStep,
)

ROOT = Path(__file__).parents[3]
LONG = [list(range(40))]
LESSON = Lesson(
    title="statistics: <averages>",
    source=Provenance(kind="module", ref="statistics"),
    sections=[
        Section(
            title="Mean",
            steps=[
                TextStep(id="t", markdown="The *mean* <script>alert(1)</script>."),
                CodeStep(id="c1", source="from statistics import mean\nmean([1, 2, 4])", output="2.3333333333333335"),
                CodeStep(id="c2", source="print('a')\nprint('b')", output="a\nb"),
                CodeStep(id="c3", source="for n in range(3):\n    print(n, end=' ')", output="0 1 2 "),
                CodeStep(
                    id="c4",
                    source="from collections import deque\nprint('hi')\ndeque([list(range(40))], maxlen=3)",
                    output=f"hi\ndeque({LONG}, maxlen=3)",
                ),
                CodeStep(id="c5", source="silent = 1"),
                Question(
                    form="predict",
                    stem="What does `mean` <give>?",
                    code="mean([1, 2])",
                    options=[Option(text="1.5", correct=True), Option(text="1 &\n 2"), Option(text="")],
                    literal=True,
                    explanation="`mean`: adds\nup",
                ),
                Question(form="numeric", stem="How many?", answer=1024.0, unit="GB", options=[Option(text="1000")]),
                Question(
                    form="single",
                    stem="\x1b[1m `a\u2028b`?",
                    options=[Option(text="`x` <"), Option(text="y", correct=True)],
                ),
                Exercise(
                    id="e",
                    task="Add one.",
                    starter="def answer(n):\n    return n + ...",
                    solution="def answer(n):\n    return n + 1",
                    tests=[Test(call="answer(1)", output="2"), Test(call="answer(5)", output="6")],
                ),
            ],
        )
    ],
    summary="Done.",
)


@pytest.fixture
def without_package(tmp_path: Path) -> Path:
    """A folder in which the package is found, but cannot be imported."""
    package = tmp_path / "blocked" / "alain_magics"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not installed')\n")
    return package.parent


def nbval(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the cells of the notebooks in a path with a folder's packages first, and compare every output."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-p",
        "no:cacheprovider",
        "-q",
        "--rootdir",
        str(path),
        str(path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""}
    return subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def notebooks(tmp_path: Path) -> Path:
    """The lesson for practice and graded."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, graded in (("practice", False), ("graded", True)):
        (folder / f"{name}.ipynb").write_text(dumps(to_notebook(LESSON, graded=graded)), encoding="utf-8")
    return folder


def test_every_cell_gives_what_is_stored_with_the_package(notebooks: Path) -> None:
    result = nbval(notebooks, ROOT)
    assert "22 passed" in result.stdout, result.stdout


def test_every_cell_gives_what_is_stored_without_the_package(notebooks: Path, without_package: Path) -> None:
    result = nbval(notebooks, without_package)
    assert "22 passed" in result.stdout, result.stdout


def test_a_wrong_output_is_found(notebooks: Path) -> None:
    path = notebooks / "practice.ipynb"
    (notebooks / "graded.ipynb").unlink()
    path.write_text(path.read_text(encoding="utf-8").replace("2.3333333333333335", "2.3"), encoding="utf-8")
    result = nbval(notebooks, ROOT)
    assert "1 failed, 10 passed" in result.stdout, result.stdout
