"""What is shipped: the wheel and the sdist of a real build, what they declare, and the commands of the README."""

from __future__ import annotations

import ast
import email
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import alain_magics
from tests.conftest import require

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "alain_magics"
BUNDLE = "share/jupyter/labextensions/alain-magics/"
VERSION = json.loads((ROOT / "labextension" / "package.json").read_text())["version"]


def canonical(name: str) -> str:
    """The one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel and the sdist, with the labextension as it lies there."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "ALAIN_SKIP_LABEXTENSION": "1"},
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob("*.whl")))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return email.message_from_string(wheel.read(f"alain_magics-{VERSION}.dist-info/METADATA").decode())


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    code = {name for name in wheel.namelist() if name.startswith("alain_magics/")}
    beside = {name.partition("/")[0] for name in wheel.namelist()}
    sources = {
        str(file.relative_to(ROOT))
        for file in PACKAGE.rglob("*")
        if file.is_file() and not {"labextension", "__pycache__"} & set(file.relative_to(PACKAGE).parts)
    }
    assert code == sources
    assert {Path(name).suffix for name in code} <= {".css", ".js", ".py", ".typed"}
    assert beside == {"alain_magics", f"alain_magics-{VERSION}.data", f"alain_magics-{VERSION}.dist-info"}


def test_the_wheel_puts_the_jupyter_files_where_jupyter_looks(wheel: zipfile.ZipFile) -> None:
    require((PACKAGE / "labextension" / "package.json").is_file(), "the labextension is not built")
    prefix = f"alain_magics-{VERSION}.data/data/"
    data = {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}
    assert {
        "etc/jupyter/jupyter_server_config.d/alain_magics.json",
        BUNDLE + "install.json",
        BUNDLE + "package.json",
        BUNDLE + "static/style.js",
    } <= data
    assert any(name.startswith(BUNDLE + "static/remoteEntry.") for name in data)


def test_the_metadata_says_what_it_is(metadata: Message) -> None:
    assert metadata["Name"] == "alain-magics"
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert set(metadata.get_all("Provides-Extra") or []) == {
        "bench",
        "dev",
        "hub",
        "jupyterlab",
        "keys",
        "local",
        "peers",
        "test",
    }
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_console_script_is_alain(wheel: zipfile.ZipFile) -> None:
    entry_points = wheel.read(f"alain_magics-{VERSION}.dist-info/entry_points.txt").decode()
    assert entry_points.split() == ["[console_scripts]", "alain", "=", "alain_magics.cli:main"]


def test_the_sdist_holds_what_a_build_and_the_tests_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "hatch_build.py",
        "install.json",
        "labextension/src/index.ts",
        "labextension/yarn.lock",
        "pyproject.toml",
        "tests/conftest.py",
    } <= names
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == set(".ci alain_magics benchmarks docs jupyter-config labextension notebooks tests".split())
    assert [name for name in names if {"node_modules", "__pycache__", ".alain"} & set(name.split("/"))] == []


def test_what_the_package_imports_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = [line for extra in ("hub", "keys", "local") for line in project["optional-dependencies"][extra]]
    declared = {canonical(re.split(r"[^\w.-]", line)[0]) for line in [*project["dependencies"], *optional]}
    providers = packages_distributions()
    imported = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"alain_magics"}
    assert {"pydantic"} <= foreign
    assert {name for name in foreign if not declared & set(map(canonical, providers[name]))} == set()


def test_module_and_script_print_the_version() -> None:
    script = Path(sys.executable).with_name("alain")
    require(script.is_file(), "the package is not installed in this environment")
    for command in ([sys.executable, "-m", "alain_magics"], [str(script)]):
        answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert answer.stdout == f"{VERSION}\n"
    assert alain_magics.__version__ == VERSION


def test_the_commands_of_the_readme_are_those_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)\n```", readme, re.DOTALL)
    assert len(commands) == 2
    lines = [line.strip() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert [command for command in commands if command not in lines] == []
