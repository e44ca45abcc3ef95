"""What is offered at the cursor, and that it is offered at once."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alain_magics.commands.completion import complete


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("card.md", "lesson.ipynb", "script.py", "image.png", "my notes.md", ".hidden.md"):
        (tmp_path / name).touch()
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "first.md").touch()
    return tmp_path


def offered(line: str, folder: Path, cursor: int | None = None) -> list[str]:
    """Return what is offered, each as the whole word that it would complete to."""
    end = len(line) if cursor is None else cursor
    found = complete(line, end, folder)
    word = line[: found.start].rpartition(" ")[2]
    return [word + text for text in found.texts]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ge", ["generate"]),
        ("-", ["--help"]),
        ("nonsense ", []),
        ("broken ", []),
        ("everything --fo", ["--force"]),
        ("everything --force --fo", []),
        ("everything -o x --o", []),
        ("everything --level ", ["low", "high"]),
        ("everything -l h", ["high"]),
        ("everything --level=", ["--level=low", "--level=high"]),
        ("everything --tag red --tag g", ["green"]),
        ("everything --seconds ", []),
        ("count 3 ", []),
        ("everything --out-file im", ["image.png"]),
        ("everything --out-file=im", ["--out-file=image.png"]),
        ("everything cards/", ["cards/first.md"]),
        ("everything ./ca", ["./card.md", "./cards/"]),
        ("everything lesson", ["lesson.ipynb"]),
        ("everything image", []),
        ("everything -o my", ["'my notes.md'"]),
        ("everything 'my no", ["'my notes.md'"]),
        ("everything .h", [".hidden.md"]),
        ("everything nowhere/x", []),
        ("everything statistic", ["statistics"]),
        ("everything xml.etree.ElementT", ["xml.etree.ElementTree"]),
        ("everything nosuchpackage.x", []),
        ("everything x statistic", ["statistics"]),
        ("everything x y statistic", ["statistics"]),
        ("everything --force x card", []),
    ],
)
def test_what_fits_is_offered(plugin, folder: Path, line: str, expected: list[str]):
    assert offered(line, folder) == expected


def test_verbs_are_offered_first(plugin, folder: Path):
    assert {"generate", "verify", "progress", "count"} <= set(offered("", folder))


def test_every_option_is_offered_once(plugin, folder: Path):
    found = offered("everything --", folder)
    assert {"--level", "--out-file", "--tag", "--seconds", "--force", "--shuffle", "--json", "--help"} <= set(found)
    assert len(found) == len(set(found))


def test_only_what_stands_before_the_cursor_counts(plugin, folder: Path):
    assert offered("everything --fo x", folder, cursor=15) == ["--force"]


def test_private_modules_are_offered_only_when_asked_for(plugin, folder: Path):
    assert "_thread" not in offered("everything ", folder)
    assert "_thread" in offered("everything _th", folder)


def test_a_module_that_was_just_written_is_offered_and_not_imported(plugin, folder: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    assert offered("everything brand_new", folder) == []
    (folder / "brand_new").mkdir()
    (folder / "brand_new" / "__init__.py").write_text("raise SystemExit")
    (folder / "brand_new" / "inner.py").write_text("raise SystemExit")
    assert offered("everything brand_new", folder) == ["brand_new", "brand_new/"]
    assert offered("everything brand_new.", folder) == ["brand_new.inner"]
    assert "brand_new" not in sys.modules


@pytest.fixture
def known(folder: Path, monkeypatch: pytest.MonkeyPatch, private_data: Path) -> Path:
    """A folder of a user who added a runtime, and where some models were found before."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
    (folder / "config").mkdir()
    (folder / "config" / "alain-runtimes.toml").write_text('[lab]\nbase_url = "http://127.0.0.1:9/v1"\n')
    names = ["lmstudio/openai/gpt-oss-20b", "ollama/qwen3:8b", "ollama/odd name; rm"]
    (private_data / "models.json").write_text(json.dumps(names))
    return folder


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("use lm", ["lmstudio/openai/gpt-oss-20b"]),
        ("use ollama/q", ["ollama/qwen3:8b"]),
        ("use ollama/o", ["'ollama/odd name; rm'"]),
        ("use open", ["openai/", "openrouter/"]),
        ("use la", ["lab/"]),
        ("use x ", []),
        ("ask --model oll", ["ollama/qwen3:8b", "'ollama/odd name; rm'"]),
        ("models --runtime op", ["openai", "openrouter"]),
        ("models --runtime=la", ["--runtime=lab"]),
        ("runtimes ", ["list", "add", "test", "remove"]),
        ("runtimes test la", ["lab"]),
        ("runtimes add x --kind ", ["openai", "anthropic", "ollama"]),
    ],
)
def test_models_and_runtimes_are_offered_by_name(known: Path, line: str, expected: list[str]):
    assert offered(line, known) == expected


def test_a_mistake_in_the_users_file_offers_nothing(known: Path):
    (known / "config" / "alain-runtimes.toml").write_text("[lab")
    assert offered("use ", known) == []


@settings(deadline=None)
@given(st.text(st.sampled_from("everything --levl=low -o 'x\"\\ ./_") | st.characters()), st.integers(0, 50))
@example("everything 'x\\", 14)
@example('everything "', 12)
def test_no_line_breaks_it(line: str, cursor: int):
    cursor = min(cursor, len(line))
    found = complete("everything " + line, cursor + 11, Path())
    assert 0 <= found.start <= cursor + 11


@pytest.mark.parametrize(
    "line",
    ["", "ge", "everything ", "everything --", "everything stat", "everything --out-file ", "use ", "runtimes test "],
)
def test_after_the_first_time_it_takes_milliseconds(plugin, folder: Path, private_data: Path, line: str):
    (private_data / "models.json").write_text(
        json.dumps([f"openrouter/maker/model-{number}" for number in range(1000)])
    )
    complete(line, len(line), folder)
    seconds = []
    for _ in range(21):
        begun = time.perf_counter()
        complete(line, len(line), folder)
        seconds.append(time.perf_counter() - begun)
    assert statistics.median(seconds) < 0.005
