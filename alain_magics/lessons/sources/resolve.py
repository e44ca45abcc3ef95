"""What a name on the command line means: a file, a folder with a card, or a Python module."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from alain_magics.errors import UnknownSource, UnreadableSource

_MODULE = re.compile(r"^[^\W\d]\w*(\.[^\W\d]\w*)*$")
CARD_SUFFIXES = (".md", ".markdown")
FILE_SUFFIXES = (*CARD_SUFFIXES, ".ipynb", ".py", ".pdf", ".json", ".txt")
CARD_NAMES = ("README.md", "model_card.md", "modelcard.md")


@dataclass(frozen=True)
class Reference:
    """A source that was found: a ``module`` by name, or a ``card`` by path; ``paths`` helps to import the module."""

    kind: Literal["module", "card"]
    name: str
    path: Path | None = None
    paths: tuple[Path, ...] = ()


def is_dotted_name(text: str) -> bool:
    """Whether a text could be the name of a module."""
    return bool(_MODULE.match(text))


def resolve(text: str, folder: Path) -> Reference:
    """Find the source that ``text`` names, files relative to ``folder``.

    Raises :class:`UnknownSource` when there is none and :class:`UnreadableSource` when it is of no use.
    """
    try:
        path = (folder / Path(text).expanduser()).resolve()
        found = _local(text, folder, path)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise UnreadableSource(f"{text!r} cannot be looked up: {reason}.", "Check the path.") from None
    if found is not None:
        return found
    if text.startswith(("http://", "https://", "gh:")) or (re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not path.suffix):
        raise UnknownSource(
            f"{text} would have to be fetched from the network, which is not done here.",
            "Save its model card (README.md, and config.json beside it) and give the path.",
        )
    if "/" in text or path.suffix.lower() in FILE_SUFFIXES:
        raise UnknownSource(f"there is no file {text}.", "Check the path.")
    names = sorted(set(sys.stdlib_module_names) | _top_level())
    near = get_close_matches(text.partition(".")[0], names, n=1)
    advice = f"Did you mean {near[0]}?" if near else "Install it, or give the path of a model card."
    raise UnknownSource(f"there is no module or file {text}.", advice)


def _local(text: str, folder: Path, path: Path) -> Reference | None:
    """What is on this machine: a file with a telling suffix, a module of the folder, an installed one, a folder."""
    if path.is_file() and path.suffix.lower() in FILE_SUFFIXES:
        return _of_file(text, path)
    if _MODULE.match(text):
        top = folder / text.partition(".")[0]
        if top.with_suffix(".py").is_file() or (top / "__init__.py").is_file():
            return Reference("module", text, paths=(folder,))
        if _installed(text):
            return Reference("module", text)
    if path.is_dir():
        return _card_in(path, text)
    return _of_file(text, path) if path.exists() else None


def _of_file(text: str, path: Path) -> Reference:
    """A card, or a module by its file."""
    if path.suffix.lower() in CARD_SUFFIXES:
        return Reference("card", path.stem, path)
    if path.suffix == ".py" and path.stem.isidentifier():
        return Reference("module", path.stem, paths=(path.parent,))
    raise UnreadableSource(
        f"{text} is no model card.", "Lessons are made from Python modules and from Markdown model cards."
    )


def _installed(name: str) -> bool:
    """Whether the top-level package can be found; nothing is imported. A folder without ``__init__.py`` is none."""
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and (spec.origin is not None or "." in name)


def _top_level() -> set[str]:
    """Names of the installed packages."""
    import pkgutil

    return {module.name for module in pkgutil.iter_modules() if not module.name.startswith("_")}


def _card_in(path: Path, text: str) -> Reference:
    """The model card of a folder, as a downloaded model has it."""
    for name in CARD_NAMES:
        if (path / name).is_file():
            return Reference("card", path.name, path / name)
    raise UnknownSource(f"the folder {text} holds no document.", "Give a Markdown file, or a folder with a README.md.")
