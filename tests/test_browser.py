"""Runs the tests in ``tests/browser``, each file in a process of its own.

Playwright's synchronous interface and the event loop of the server tests cannot share one.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, require

BROWSER = ROOT / "tests" / "browser"
BUNDLE = ROOT / "alain_magics" / "labextension" / "package.json"
AXE = ROOT / "labextension" / "node_modules" / "axe-core"
NEEDS = {
    "test_accessibility.py": {AXE},
    "test_answer.py": {AXE, BUNDLE},
    "test_lesson_in_jupyter.py": {BUNDLE},
    "test_panel.py": {AXE, BUNDLE},
    "test_payloads.py": {BUNDLE},
    "test_question_card.py": set(),
}


def test_every_file_of_browser_tests_is_run() -> None:
    assert {path.name for path in BROWSER.glob("test_*.py")} == set(NEEDS)


@pytest.mark.parametrize("file", NEEDS)
def test_in_a_browser(file: str) -> None:
    chromium = os.environ.get("ALAIN_CHROMIUM") or shutil.which("chromium")
    require(chromium, "there is no Chromium; set ALAIN_CHROMIUM to its path")
    require(importlib.util.find_spec("playwright"), "playwright is not installed")
    for path in sorted(NEEDS[file]):
        require(path.exists(), f"{path} is missing: build the extension with `pip install -e .`")
    command = [sys.executable, "-m", "pytest", "-q", "-c", BROWSER / "pytest.ini", BROWSER / file]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
