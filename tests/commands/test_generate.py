"""``alain generate`` in a shell: the notebook it writes, and one line for whatever is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.conftest import require

ALAIN = [sys.executable, "-m", "alain_magics"]
CARD = """---
license: apache-2.0
---
# Small-1B

Small-1B has 1,000,000,000 parameters.

- Number of Layers: 16
- Context Length: 4,096
"""


def alain(folder: Path, *words: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [*(prefix or []), *ALAIN, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_a_module_becomes_a_lesson_notebook(tmp_path: Path):
    done = alain(tmp_path, "generate", "difflib", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    notebook = nbformat.read(tmp_path / "difflib-lesson.ipynb", as_version=4)
    nbformat.validate(notebook)
    kinds = [cell.metadata.get("alain", {}).get("kind") for cell in notebook.cells]
    assert data["kind"] == "lesson"
    assert kinds.count("question") == data["questions"] >= 8
    assert kinds.count("code") == data["code_steps"]


def test_the_same_source_gives_the_same_bytes_but_for_what_depends_on_the_machine(tmp_path: Path):
    for name in ("one", "two"):
        alain(tmp_path, "generate", "heapq", "-o", f"{name}.ipynb")
    one, two = (json.loads((tmp_path / f"{name}.ipynb").read_text()) for name in ("one", "two"))
    assert set(one["metadata"].pop("alain_run")) == set(two["metadata"].pop("alain_run"))
    assert one == two


def test_generating_again_changes_nothing_and_something_else_is_never_overwritten(tmp_path: Path):
    target = tmp_path / "heapq-lesson.ipynb"
    assert alain(tmp_path, "generate", "heapq").returncode == 0
    written = target.read_bytes()
    assert alain(tmp_path, "generate", "heapq").returncode == 0
    assert target.read_bytes() == written
    target.write_text("my own notes")
    done = alain(tmp_path, "generate", "heapq")
    assert (done.returncode, target.read_text()) == (2, "my own notes")
    assert "--force" in done.stderr
    assert alain(tmp_path, "generate", "heapq", "--force").returncode == 0
    assert target.read_text() != "my own notes"


def test_a_model_card_becomes_a_notebook(tmp_path: Path):
    (tmp_path / "card.md").write_text(CARD)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048,
                    "num_hidden_layers": 16, "num_attention_heads": 16, "num_key_value_heads": 4,
                    "intermediate_size": 5504, "vocab_size": 32000, "max_position_embeddings": 4096})
    )  # fmt: skip
    done = alain(tmp_path, "generate", "card.md", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["questions"] >= 4


def break_encoding(folder: Path) -> str:
    (folder / "card.md").write_bytes(b"# Model\n\xff\xfe\x00 not text")
    return "card.md"


def empty_file(folder: Path) -> str:
    (folder / "card.md").write_text("")
    return "card.md"


def huge_card(folder: Path) -> str:
    (folder / "card.md").write_text("# Model\n" + "words and more words\n" * 2_500_000)
    return "card.md"


def barren_card(folder: Path) -> str:
    (folder / "card.md").write_text("# Notes\n\nNothing here can be computed, and nothing is stated.\n")
    return "card.md"


def folder_without_documents(folder: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data" / "numbers.csv").write_text("1,2")
    return "data"


BAD = {
    "an unknown module": lambda folder: "statistic",
    "a file that is not there": lambda folder: "lessons/card.md",
    "a name on the Hub": lambda folder: "openai/gpt-oss-20b",
    "an address": lambda folder: "https://localhost/card.md",
    "a module without examples": lambda folder: "bisect",
    "a module that needs the network": lambda folder: "ftplib",
    "a card that states nothing": barren_card,
    "an empty file": empty_file,
    "a card of 50 MB": huge_card,
    "bytes that are not UTF-8": break_encoding,
    "a folder without documents": folder_without_documents,
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_a_bad_source_gets_one_line_and_nothing_is_written(tmp_path: Path, make):
    source = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = alain(tmp_path, "generate", source)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(last_lines(done)) == 1, done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_near_name_is_suggested(tmp_path: Path):
    assert "statistics" in alain(tmp_path, "generate", "statistic").stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise ValueError('broken')", "ValueError: broken"),
        ("import sys\nsys.exit(3)", "sideways"),
        ("while True: pass", "within 2 s"),
        ("import os\nos._exit(0)", "sideways"),
        ("print('hello')", "print"),
        ("open('trace.txt', 'w')", "trace.txt"),
        ("def broken(:", "SyntaxError"),
    ],
    ids=["raises", "exits", "hangs", "kills itself", "prints", "writes", "is no Python"],
)
def test_a_module_that_misbehaves_on_import_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
):
    (tmp_path / "sideways.py").write_text(text)
    monkeypatch.setenv("ALAIN_IMPORT_SECONDS", "2")
    done = alain(tmp_path, "generate", "sideways")
    assert done.returncode == 2
    (line,) = last_lines(done)
    assert says in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sideways.py"]


def last_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said, without the lines of progress."""
    return [line for line in done.stderr.splitlines() if line.strip()]


@pytest.fixture
def without_privileges() -> list[str]:
    """A prefix that runs a command with the rights of an ordinary user, even where the tests run as root."""
    bwrap = shutil.which("bwrap")
    require(bwrap, "reason: bwrap, which takes the privileges of root away, is not installed")
    return [str(bwrap), "--dev-bind", "/", "/", "--unshare-user", "--cap-drop", "ALL", "--die-with-parent"]


def test_an_unreadable_file_gets_one_line(tmp_path: Path, without_privileges: list[str]):
    (tmp_path / "card.md").write_text(CARD)
    (tmp_path / "card.md").chmod(0)
    done = alain(tmp_path, "generate", "card.md", prefix=without_privileges)
    assert (done.returncode, len(last_lines(done))) == (2, 1), done.stderr


def test_an_unwritable_target_is_refused_before_the_work(tmp_path: Path, without_privileges: list[str]):
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    done = alain(tmp_path, "generate", "statistics", "-o", "locked/lesson.ipynb", prefix=without_privileges)
    assert (done.returncode, len(last_lines(done))) == (2, 1), done.stderr
    assert not list(folder.iterdir())


@pytest.mark.parametrize("target", ["lesson.txt", "missing/lesson.ipynb", "."])
def test_a_target_that_is_no_notebook_is_refused(tmp_path: Path, target: str):
    done = alain(tmp_path, "generate", "statistics", "-o", target)
    assert (done.returncode, len(last_lines(done))) == (2, 1), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_job_tells_what_was_done(tmp_path: Path, private_data: Path):
    from alain_magics.workspace import open_workspace

    alain(tmp_path, "generate", "heapq")
    workspace = open_workspace(tmp_path)
    (result,) = workspace.jobs.results("generate")
    assert result["path"] == str(tmp_path / "heapq-lesson.ipynb")
    workspace.close()
