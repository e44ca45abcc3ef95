"""The house's floors: imports go downwards only, notebook libraries stay at the front, heavy ones are late."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "alain_magics"
FLOORS = [
    {"__init__", "__main__", "magics", "cli", "prompt", "server", "widgets", "display"},
    {"commands"},
    {"workspace"},
    {"lessons", "chat"},
    {"runtimes"},
    {"keys", "ledger", "sandbox", "store"},
    {"text", "settings"},
    {"errors"},
]
FRONT = FLOORS[0]
FRONT_ONLY = {"IPython", "anywidget", "ipykernel", "ipywidgets", "jupyter_server", "tornado"}
LATE = {"anywidget", "griffe", "httpx", "ipywidgets", "jupyter_server", "markdown_it", "nbformat", "nh3", "sqlalchemy"}
LATE |= {"genai_prices", "huggingface_hub", "jsonschema", "llama_cpp"}


def floor(part: str) -> int:
    """Number of the floor on which a part of the package stands, 0 at the top."""
    return next(number for number, parts in enumerate(FLOORS) if part in parts)


def imported(file: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a file imports, at whatever depth; relative imports are resolved."""
    here = [package.name, *file.relative_to(package).with_suffix("").parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: -node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(package: Path) -> list[str]:
    """Every import of the package that goes up, sideways or to a library of the front, as ``file:line: why``."""
    found = []
    for file in sorted(package.rglob("*.py")):
        part = file.relative_to(package).with_suffix("").parts[0]
        if not any(part in parts for parts in FLOORS):
            found.append(f"{file.name}: {part} stands on no floor")
            continue
        for line, name in imported(file, package):
            root, _, rest = name.partition(".")
            where = f"{file.relative_to(package)}:{line}: "
            if root in FRONT_ONLY and part not in FRONT:
                found.append(f"{where}{root} belongs to the front")
            elif root == package.name:
                target = rest.partition(".")[0]
                if not any(target in parts for parts in FLOORS):
                    target = "__init__"  # a public name
                if target != part and not {part, target} <= FRONT and floor(target) <= floor(part):
                    found.append(f"{where}{part} imports {target}")
    return found


def test_imports_go_down_the_floors() -> None:
    assert violations(PACKAGE) == []


def test_every_part_of_the_package_is_looked_at() -> None:
    assert {"__init__", "commands", "errors", "lessons"} <= {
        file.relative_to(PACKAGE).with_suffix("").parts[0] for file in PACKAGE.rglob("*.py")
    }


@pytest.mark.parametrize(
    ("file", "source", "why"),
    [
        ("errors.py", "import alain_magics.settings", "errors imports settings"),
        ("store/engine.py", "def f():\n    from alain_magics.sandbox import run", "store imports sandbox"),
        ("lessons/verify.py", "from alain_magics import workspace", "lessons imports workspace"),
        ("lessons/verify.py", "from ..workspace import Workspace", "lessons imports workspace"),
        ("lessons/teachers/offline.py", "from ...commands.base import Request", "lessons imports commands"),
        ("commands/quiz.py", "def f():\n    from ipywidgets import Button", "ipywidgets belongs to the front"),
        ("commands/quiz.py", "from alain_magics.display import show", "commands imports display"),
        ("text.py", "from alain_magics import question", "text imports __init__"),
        ("helpers.py", "import json", "helpers stands on no floor"),
    ],
)
def test_an_import_in_the_wrong_direction_is_found(tmp_path: Path, file: str, source: str, why: str) -> None:
    path = tmp_path / "alain_magics" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    found = violations(tmp_path / "alain_magics")
    assert len(found) == 1
    assert found[0].endswith(why)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("magics.py", "import IPython\nfrom alain_magics.display import show\nfrom alain_magics import errors"),
        ("commands/quiz.py", "from alain_magics.workspace import Workspace\nfrom .base import Request"),
        ("lessons/verify.py", "from alain_magics.sandbox.outcome import Outcome\nfrom . import schema"),
        ("settings.py", "from alain_magics.errors import SettingsError"),
    ],
)
def test_an_import_in_the_right_direction_passes(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / "alain_magics" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert violations(tmp_path / "alain_magics") == []


def test_one_module_alone_knows_httpx() -> None:
    users = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        for _, name in imported(file, PACKAGE)
        if name.partition(".")[0] == "httpx"
    }
    assert users == {"runtimes/http.py"}


def test_loading_the_extension_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'alain_magics')\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert "alain_magics" in loaded
    assert loaded & LATE == set()
