"""The command line that puts Python into namespaces of its own with bubblewrap, and a probe that tries it."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
HOME = "/tmp/home"  # noqa: S108 - inside the namespace, where it is private


def python_folders(paths: Sequence[Path] = ()) -> list[str]:
    """The folders that Python reads: its prefixes and its path; neither the home folder itself nor the root."""
    found = [sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).resolve().parent)]
    found += [entry for entry in sys.path if entry]
    found += [str(path.resolve()) for path in paths]
    unwanted = {"/", str(Path.home())}
    return [folder for folder in dict.fromkeys(found) if folder not in unwanted and Path(folder).exists()]


def command(program: Sequence[str], paths: Sequence[Path] = ()) -> list[str]:
    """The program inside bubblewrap: no network, no files but Python's, processes of its own, private home."""
    arguments = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    arguments += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", HOME]  # noqa: S108
    for folder in SYSTEM:
        arguments += ["--ro-bind-try", folder, folder]
    for folder in python_folders(paths):
        if not folder.startswith("/usr/"):
            arguments += ["--ro-bind", folder, folder]
    return [*arguments, "--chdir", HOME, *program]


@functools.cache
def problem() -> str:
    """Why code cannot be isolated on this machine; empty when it can. Bubblewrap is really run, once."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed"
    try:
        tried = subprocess.run(
            command([sys.executable, "-I", "-c", "print('isolated')"]),
            capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    if tried.stdout.strip() != "isolated":
        return f"bubblewrap does not work here: {tried.stderr.strip()[:200] or tried.returncode}"
    return ""
