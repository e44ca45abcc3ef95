"""The GGUF files of this machine: those of the user's folders and those of the Hub's cache."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from alain_magics.errors import BadProtocol
from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.local.chat_template import mentions_tools
from alain_magics.runtimes.local.gguf import GgufHeader, read_header

_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class ModelFile:
    """A model on disk: ``id`` is its path in its folder, or ``owner/name/file`` in the Hub's cache."""

    id: str
    path: Path

    @property
    def parts(self) -> list[Path]:
        """All files of the model: large ones are split."""
        if not (match := _PART.search(self.path.name)):
            return [self.path]
        stem = self.path.name[: match.start()]
        return [self.path.with_name(f"{stem}-{part:05}-of-{match[2]}.gguf") for part in range(1, int(match[2]) + 1)]

    def header(self) -> GgufHeader:
        """Return the header; :class:`~alain_magics.errors.BadProtocol` where the file or a part of it is damaged."""
        headers = [_header(part, *_version(part)) for part in self.parts]
        return GgufHeader(headers[0].metadata, sum(header.parameters for header in headers))

    def info(self, runtime: str, *, loaded: bool) -> ModelInfo:
        """Return what the file says about its model."""
        try:
            header = self.header()
            size = sum(part.stat().st_size for part in self.parts)
        except (BadProtocol, OSError) as error:
            return ModelInfo(self.id, runtime, kind="other", loaded=False, description=f"Cannot be used: {error}")
        return ModelInfo(
            self.id,
            runtime,
            family=header.architecture,
            parameters=header.parameters or None,
            context=header.context,
            quantisation=header.quantisation,
            tools=mentions_tools(header.chat_template() + header.chat_template("tool_use")),
            size=size,
            loaded=loaded,
            kind="chat" if header.generates else "embedding" if header.embeds else "other",
        )


def find_models(folders: Sequence[Path]) -> dict[str, ModelFile]:
    """Return the models of the Hub's cache and of ``folders`` by their ids; each file counts once."""
    found: dict[str, ModelFile] = {}
    seen: set[Path] = set()
    for model in (*_cached(hub_cache()), *(model for folder in folders for model in _kept(folder))):
        real = model.path.resolve()
        if model.id not in found and real not in seen:
            found[model.id] = model
            seen.add(real)
    return found


def hub_cache() -> Path:
    """Return the folder where ``huggingface_hub`` keeps what it has downloaded."""
    environ = os.environ
    if chosen := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def _cached(cache: Path) -> Iterator[ModelFile]:
    """Yield the models of the Hub's cache, of each repository those of the newest revision first."""
    for repository in sorted(cache.glob("models--*")):
        name = repository.name.removeprefix("models--").replace("--", "/")
        for snapshot in _revisions(repository):
            for path in _gguf_files(snapshot):
                yield ModelFile(f"{name}/{path.relative_to(snapshot).as_posix()}", path)


def _kept(folder: Path) -> Iterator[ModelFile]:
    for path in _gguf_files(folder.expanduser()):
        yield ModelFile(path.relative_to(folder.expanduser()).as_posix(), path)


def _revisions(repository: Path) -> list[Path]:
    """Return the revisions that are there: that of the branch ``main`` first, then by age."""
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        main = ""
    snapshots = [path for path in repository.glob("snapshots/*") if path.is_dir()]
    return sorted(snapshots, key=lambda path: (path.name == main, path.stat().st_mtime), reverse=True)


def _gguf_files(folder: Path) -> Iterable[Path]:
    """Return the files of a folder, of a split model the first part only."""
    names = (Path(place, name) for place, _, files in os.walk(folder) for name in files)
    files = (path for path in names if path.suffix.lower() == ".gguf" and path.exists())
    return sorted(path for path in files if not (match := _PART.search(path.name)) or int(match[1]) == 1)


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise BadProtocol(f"{path.name} is missing: {error.strerror}.", "Download the model again.") from None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=512)
def _header(path: Path, size: int, modified: int) -> GgufHeader:
    """Read a header once for each version of a file."""
    return read_header(path)
