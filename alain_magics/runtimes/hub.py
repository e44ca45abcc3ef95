"""Models on the Hugging Face Hub: search, variants, and download into the Hub's own cache.

``huggingface_hub`` (extra ``hub``) does the talking and the resuming; it blocks, so it works in threads. The variables
``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_HOME`` and the token of the Hub count as they do everywhere else.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from alain_magics.errors import DownloadError
from alain_magics.runtimes.catalogue import quantisation

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Format = Literal["gguf", "mlx"]

FORMATS: tuple[Format, ...] = ("gguf", "mlx")
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)")
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_MLX_FILES = (".safetensors", ".json", ".jinja", ".model", ".txt")


@dataclass(frozen=True)
class HubModel:
    """A repository of the Hub with weights in one of :data:`FORMATS`; ``updated`` is an ISO date."""

    id: str
    format: Format
    downloads: int
    likes: int
    updated: str
    gated: bool


@dataclass(frozen=True)
class Variant:
    """One way in which a repository holds its model: the files that belong together, and their bytes in all."""

    repository: str
    format: Format
    name: str
    files: tuple[str, ...]
    size: int

    @property
    def id(self) -> str:
        """How it is written: ``owner/name:quantisation``."""
        return f"{self.repository}:{self.name}"


def is_repository(name: str) -> bool:
    """Whether a name is written like a repository of the Hub: ``owner/name``."""
    return bool(_REPOSITORY.fullmatch(name))


async def search(text: str, limit: int = 10) -> list[HubModel]:
    """Return the most downloaded repositories of each format for a text."""
    found = await asyncio.gather(*(asyncio.to_thread(_search, text, name, limit) for name in FORMATS))
    return sorted((model for models in found for model in models), key=lambda model: -model.downloads)


async def variants(repository: str) -> list[Variant]:
    """Return the variants of a repository, the smallest first; :class:`DownloadError` where it has none."""
    return await asyncio.to_thread(_variants, repository)


async def download(variant: Variant, report: Callable[[int], None]) -> Path:
    """Fetch a variant into the cache, going on where an earlier attempt ended, and return its first file or folder.

    ``report`` is told, from another thread, how many bytes are there. A cancelled task stops the transfer.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_download, variant, report, stop)
    finally:
        stop.set()


def cache() -> Path:
    """Return the folder of the Hub's cache."""
    _require()
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _search(text: str, name: Format, limit: int) -> list[HubModel]:
    with _typed(f"searching for {text[:80]!r}"):
        fields: Any = ["downloads", "likes", "lastModified", "gated"]
        models = _api().list_models(search=text, filter=name, sort="downloads", limit=limit, expand=fields)
        return [
            HubModel(
                id=model.id,
                format=name,
                downloads=model.downloads or 0,
                likes=model.likes or 0,
                updated=model.last_modified.date().isoformat() if model.last_modified else "",
                gated=bool(model.gated),
            )
            for model in models
        ]


def _variants(repository: str) -> list[Variant]:
    with _typed(repository):
        info = _api().model_info(repository, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    groups: dict[str, list[str]] = {}
    for file in sizes:
        if file.endswith(".gguf") and not PurePosixPath(file).name.startswith("mmproj"):
            groups.setdefault(_PART.sub("", file), []).append(file)
    found = [
        Variant(repository, "gguf", name, tuple(sorted(groups[file])), sum(sizes[part] for part in groups[file]))
        for file, name in _named(groups).items()
    ]
    if not found and "mlx" in (info.tags or []):
        files = tuple(file for file in sorted(sizes) if file.endswith(_MLX_FILES))
        name = quantisation(repository) or "mlx"
        found = [Variant(repository, "mlx", name, files, sum(sizes[file] for file in files))]
    if not found:
        what = f"{repository} holds no weights in GGUF or MLX form."
        raise DownloadError(what, f"Look for some: alain models --search {repository.rpartition('/')[2][:60]}")
    return sorted(found, key=lambda variant: variant.size)


def _named(files: dict[str, list[str]]) -> dict[str, str]:
    """Return a short name for each file: its quantisation, or, where two have the same, the file's own name."""
    short = {file: quantisation(PurePosixPath(file).stem) or PurePosixPath(file).stem for file in files}
    names = list(short.values())
    return {file: name if names.count(name) == 1 else PurePosixPath(file).stem for file, name in short.items()}


def _download(variant: Variant, report: Callable[[int], None], stop: threading.Event) -> Path:
    from tqdm.std import tqdm

    before = 0

    class Bar(tqdm):  # type: ignore[type-arg,unused-ignore]
        """Draws nothing; tells how far the download is, and ends it when nobody waits for it any more."""

        def display(self, *_args: Any, **_options: Any) -> None:
            """Draw nothing."""

        def update(self, n: float | None = 1) -> bool | None:
            """Report, or end the download."""
            if stop.is_set():
                raise InterruptedError
            super().update(n)
            report(before + int(self.n))
            return None

    with _typed(variant.id):
        paths = []
        for file in variant.files:
            path = Path(_fetch(variant.repository, file, Bar))
            paths.append(path)
            before += path.stat().st_size
            report(before)
    return paths[0] if variant.format == "gguf" else paths[0].parent


def _fetch(repository: str, file: str, bar: Any) -> str:
    from huggingface_hub import hf_hub_download

    return str(hf_hub_download(repository, file, endpoint=_endpoint(), tqdm_class=bar))


def _require() -> None:
    try:
        import huggingface_hub  # noqa: F401
    except ImportError:
        advice = 'Install what it takes: pip install "alain-magics[hub]"'
        raise DownloadError("Models of the Hub need the package huggingface_hub.", advice) from None


def _api() -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(endpoint=_endpoint(), library_name="alain_magics")


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _typed(what: str) -> Iterator[None]:
    """Turn what the library raises into errors of this package."""
    _require()
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise DownloadError(
            f"The Hub is in offline mode, so {what} cannot be fetched.", "Unset HF_HUB_OFFLINE to go online."
        ) from None
    except errors.GatedRepoError:
        advice = "Accept its terms on the model's page, and log in: hf auth login"
        raise DownloadError(f"{what} is gated.", advice) from None
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        advice = "Check the name (owner/name), or log in where it is private: hf auth login"
        raise DownloadError(f"The Hub has no {what}.", advice) from None
    except errors.EntryNotFoundError as error:
        raise DownloadError(
            f"{what} misses a file: {str(error).splitlines()[0][:120]}", "Choose another variant."
        ) from None
    except (errors.HfHubHTTPError, OSError, ValueError) as error:
        if isinstance(error, InterruptedError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise DownloadError(f"The Hub fails ({what}): {reason}", "Try again: what has come is kept.") from None
    except RuntimeError as error:  # the transfer's own library
        raise DownloadError(f"The download of {what} broke off: {str(error)[:160]}", "Try again.") from None
