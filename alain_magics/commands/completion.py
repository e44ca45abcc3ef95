"""What could stand at the cursor: verbs, options, choices, files, names of modules, models and runtimes.

Nothing is imported but the commands themselves, and nobody is asked: modules are found by looking, never by importing
them, and models are those that were found last.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from pkgutil import iter_modules

from alain_magics.commands.arguments import COMMON, Option, options
from alain_magics.commands.registry import find, verbs
from alain_magics.errors import AlainError

_SOURCE_SUFFIXES = (".md", ".ipynb", ".py")
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"?|'[^']*'?|\\$)+""")


@dataclass(frozen=True)
class Completions:
    """Texts that could stand from ``start`` to the cursor; ``kind`` says what they are."""

    start: int
    texts: list[str]
    kind: str = ""


def complete(line: str, cursor: int, folder: Path) -> Completions:
    """Complete the line that follows ``%alain`` or ``alain``; paths are relative to ``folder``."""
    words, fragment, start = _words(line[:cursor])
    if not words:
        names = ["--help"] if fragment.startswith("-") else verbs()
        return _matching(names, fragment, start, "verb")
    try:
        return _complete_verb(words, fragment, start, folder)
    except (AlainError, ImportError):
        return Completions(start, [])


def _complete_verb(words: list[str], fragment: str, start: int, folder: Path) -> Completions:
    known = options(find(words[0]))
    by_spelling = {spelling: option for option in known for spelling in option.spellings}
    awaiting = by_spelling.get(words[-1])
    if awaiting and not awaiting.flag and len(words) > 1:
        return _values(awaiting.choices, awaiting.complete, fragment, start, folder)
    name, equals, value = fragment.partition("=")
    if equals and name in by_spelling:
        option = by_spelling[name]
        return _values(option.choices, option.complete, value, start + len(name) + 1, folder)
    if fragment.startswith("-"):
        used = {spelling for word in words if word in by_spelling for spelling in by_spelling[word].spellings}
        long = [each for each in by_spelling if each.startswith("--") and each not in used]
        return _matching([*long, *(f"--{flag}" for flag in (*COMMON, "help"))], fragment, start, "option")
    positionals = [option for option in known if option.positional]
    given = _count_positionals(words[1:], by_spelling)
    if given < len(positionals):
        option = positionals[given]
    elif positionals and positionals[-1].many:
        option = positionals[-1]
    else:
        return Completions(start, [])
    return _values(option.choices, option.complete, fragment, start, folder)


def _words(head: str) -> tuple[list[str], str, int]:
    """Split what stands before the cursor: whole words, the word at the cursor, and where that begins."""
    matches = list(_WORD.finditer(head))
    if matches and matches[-1].end() == len(head):
        last = matches.pop()
        return [_unquoted(match[0]) for match in matches], last[0], last.start()
    return [_unquoted(match[0]) for match in matches], "", len(head)


def _unquoted(word: str) -> str:
    """Return the text of a word, whether its quotation marks are closed or not."""
    for closing in ("", '"', "'"):
        try:
            return "".join(shlex.split(word + closing))
        except ValueError:
            continue
    return word


def _count_positionals(words: list[str], by_spelling: dict[str, Option]) -> int:
    count, after = 0, ""
    for word in words:
        option = by_spelling.get(after)
        takes_value = option is not None and not option.flag
        if not takes_value and not word.startswith("-"):
            count += 1
        after = "" if takes_value else word
    return count


def _values(choices: tuple[str, ...], kind: str, fragment: str, start: int, folder: Path) -> Completions:
    if choices:
        return _matching(choices, fragment, start, "value")
    text = _unquoted(fragment)
    found: list[str] = []
    if kind in ("module", "source"):
        found += _modules(text)
    if kind in ("file", "source"):
        suffixes = _SOURCE_SUFFIXES if kind == "source" else ()
        found += [shlex.quote(path) for path in _files(text, folder, suffixes)]
    if kind in ("model", "runtime"):
        found += [shlex.quote(name) for name in _asked(kind, folder) if name.startswith(text)]
    return Completions(start, found, kind)


def _matching(names: Iterable[str], fragment: str, start: int, kind: str) -> Completions:
    return Completions(start, [name for name in names if name.startswith(fragment)], kind)


def _files(text: str, folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Yield paths that begin with ``text``: folders, and files with such a suffix (or any, where there is none)."""
    parent, _, name = text.rpartition("/")
    shown = f"{parent}/" if "/" in text else ""
    try:
        entries = sorted((folder / Path(shown).expanduser()).iterdir())
    except OSError:
        return
    for entry in entries:
        hidden = entry.name.startswith(".") and not name.startswith(".")
        if entry.name.startswith(name) and not hidden:
            if entry.is_dir():
                yield f"{shown}{entry.name}/"
            elif not suffixes or entry.suffix in suffixes:
                yield f"{shown}{entry.name}"


def _asked(kind: str, folder: Path) -> list[str]:
    """Names of runtimes, or of the models that were found last and the beginnings of others."""
    from alain_magics.workspace import open_workspace

    runtimes = open_workspace(folder).runtimes
    if kind == "runtime":
        return runtimes.names()
    known = runtimes.remembered()
    return [
        *known,
        *(f"{name}/" for name in runtimes.names() if not any(each.startswith(f"{name}/") for each in known)),
    ]


def _modules(text: str) -> list[str]:
    """Names of modules that begin with ``text``; private ones only where an underscore was typed."""
    package, dot, name = text.rpartition(".")
    if dot and not package:
        return []  # the name of a hidden file
    if package:
        names = set(_children(package))
    else:
        names = set(sys.stdlib_module_names).union(*(_modules_in(entry) for entry in map(_dated, sys.path) if entry))
    prefix = f"{package}." if package else ""
    return sorted(
        prefix + each for each in names if each.startswith(name) and (name.startswith("_") or not each.startswith("_"))
    )


def _children(package: str) -> Iterator[str]:
    """Yield the names of a package's modules, found without importing it."""
    path: list[str] | None = None
    for count in range(1, package.count(".") + 2):
        spec = PathFinder.find_spec(".".join(package.split(".")[:count]), path)
        if spec is None or spec.submodule_search_locations is None:
            return
        path = list(spec.submodule_search_locations)
    for entry in map(_dated, path or []):
        if entry:
            yield from _modules_in(entry)


def _dated(entry: str) -> tuple[str, int] | None:
    """Return a folder with the time of its last change, so that a cache notices what was installed."""
    try:
        return entry, Path(entry or ".").stat().st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=256)
def _modules_in(dated: tuple[str, int]) -> frozenset[str]:
    return frozenset(module.name for module in iter_modules([dated[0]]) if module.name.isidentifier())
