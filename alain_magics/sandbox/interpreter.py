"""How a second interpreter is started that finds the same modules, and none of the user's variables."""

from __future__ import annotations

import importlib.util
import os
import sys
import zoneinfo
from collections.abc import Iterable, Sequence
from pathlib import Path

_PREFIX_PARTS = ("bin", "lib", "lib64", "share", "pyvenv.cfg")


def command(script: str) -> list[str]:
    """This interpreter on a script given as text.

    Not ``-I``, which would ignore the hash seed: no user site, no folder of the script, no byte code, no warnings.
    """
    return [sys.executable, "-s", "-P", "-B", "-W", "ignore", "-c", script]


def environment(home: str, seed: int) -> dict[str, str]:
    """Every variable that the interpreter gets; nothing is taken over from this process."""
    variables = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": home,
        "PYTHONHASHSEED": str(seed),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    if os.name == "nt":  # no interpreter starts without it
        variables["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    return variables


def search_path(extra: Sequence[Path]) -> list[str]:
    """``sys.path`` of the interpreter: the extra folders, then this process's own.

    The first entry, where it is the current folder or that of the script that runs, and folders that contain the home
    folder stay out: they hold more than modules.
    """
    home, main = Path("~").expanduser(), sys.modules["__main__"]
    own = Path() if getattr(main, "__spec__", None) else Path(getattr(main, "__file__", "")).parent
    first = sys.path[:1] and Path(sys.path[0]).resolve()
    inherited = [
        entry
        for entry in sys.path[int(first in (Path().resolve(), own.resolve())) :]
        if Path(entry).is_absolute() and Path(entry).exists() and not home.is_relative_to(entry)
    ]
    return list(dict.fromkeys([*(str(path.absolute()) for path in extra), *inherited]))


def needed_paths(path: Iterable[str], imports: Iterable[str]) -> list[Path]:
    """Files and folders that Python must be able to read: parents before children, none inside another."""
    prefixes = {Path(prefix) for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)}
    wanted = [prefix / part for prefix in prefixes for part in _PREFIX_PARTS]
    wanted += [Path(entry) for entry in (*path, *zoneinfo.TZPATH)]
    wanted += _links_of(Path(sys.executable))
    wanted += [place for name in imports for place in _places_of(name.partition(".")[0])]
    existing = {place for wish in wanted if wish.exists() for place in (wish, wish.resolve())}
    kept: list[Path] = []
    for place in sorted(existing, key=lambda place: (len(place.parts), place)):
        if not any(place.is_relative_to(parent) for parent in kept):
            kept.append(place)
    return kept


def _links_of(file: Path) -> list[Path]:
    """A file and every file that it leads to, link by link."""
    links = [file]
    while file.is_symlink():
        file = Path(os.path.normpath(file.parent / file.readlink()))
        links.append(file)
    return links


def _places_of(name: str) -> list[Path]:
    """Where a top-level module lies: an editable install may be in no folder of ``sys.path``."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(location) for location in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []
