"""Disks that are full or read-only, for one program."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import require


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[list[str], str], None]:
    """Return a function that runs a script, which finds its folder in ``disk``, with such options of bwrap."""
    bwrap = shutil.which("bwrap")
    require(bwrap, "reason: bwrap, which gives a program a disk of its own, is not installed")

    def run(options: list[str], script: str) -> None:
        start = f"from pathlib import Path\ndisk = Path({str(tmp_path)!r})\n"
        command = [str(bwrap), "--dev-bind", "/", "/", *options, sys.executable, "-c", start + script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        require("bwrap:" not in done.stderr, f"reason: bwrap does not work here: {done.stderr}")
        assert done.returncode == 0, done.stderr

    return run
