"""The isolated level: a bubblewrap command line in which a program finds Python and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alain_magics.sandbox import interpreter

HOME = "/sandbox"
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
)
_PROBE_SECONDS = 30


def command(inner: Sequence[str], readable: Sequence[Path]) -> list[str]:
    """A command that runs ``inner`` without network, apart from other processes, seeing only ``readable``.

    Everything is read-only but the private folder ``HOME``, which is in memory and empty.
    """
    program = shutil.which("bwrap") or "bwrap"
    apart = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"]
    files = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", HOME, "--chdir", HOME]
    for system in _SYSTEM:
        path = Path(system)
        if path.is_symlink():
            files += ["--symlink", str(path.readlink()), system]
        elif path.exists():
            files += ["--ro-bind", system, system]
    for path in readable:
        if not any(path.is_relative_to(system) for system in _SYSTEM):
            files += ["--ro-bind", str(path), str(path)]
    return [program, *apart, *files, "--remount-ro", "/", "--", *inner]


@cache
def obstacle() -> str:
    """Why programs cannot be isolated on this machine, found out by trying; empty when they can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap (bwrap) is not installed"
    readable = interpreter.needed_paths(interpreter.search_path(()), ())
    try:
        trial = subprocess.run(
            command(interpreter.command("pass"), readable),
            env=interpreter.environment(HOME, 0),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap cannot be run: {error}"
    if trial.returncode == 0:
        return ""
    lines = trial.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"bubblewrap ended with status {trial.returncode}"
