"""Models on the Hugging Face Hub: search, and the variants in which a repository holds its model.

``huggingface_hub`` (extra ``hub``) does the talking. ``HF_ENDPOINT``, ``HF_HUB_OFFLINE``, ``HF_HOME`` and the token of
the Hub count as they do everywhere else.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Literal, TypeVar

from alain_magics.errors import DownloadError
from alain_magics.runtimes.catalogue import quantisation
from alain_magics.runtimes.parsed import count, text
from alain_magics.text import plain

Format = Literal["gguf", "mlx"]
T = TypeVar("T")

FORMATS: tuple[Format, ...] = ("gguf", "mlx")
"""The forms of weights that runtimes of one's own machine take."""

SECONDS = 15.0
"""How long the Hub may take to answer."""

_PREFIX = re.compile(r"(?:https?://)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)", re.IGNORECASE)
_NO_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)  # files that belong to models, in the same form
_MLX_FILES = (".safetensors", ".json", ".jinja", ".model", ".txt", ".tiktoken")


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


def parse_name(name: str) -> tuple[str, str]:
    """Return the repository and the variant (perhaps empty) that a name such as ``hf.co/owner/name:Q8_0`` means.

    The repository is empty where the name is not written like one of the Hub.
    """
    repository, _, variant = _PREFIX.sub("", name, count=1).partition(":")
    return (repository, variant) if _REPOSITORY.fullmatch(repository) else ("", "")


async def search(words: str, limit: int = 10) -> list[HubModel]:
    """Return the most downloaded repositories whose names have the words in them, ``limit`` of each format."""
    what = f"models for {words[:80]!r}"
    found = await asyncio.gather(*(ask(what, partial(_search, words, kind, limit)) for kind in FORMATS))
    return sorted((model for models in found for model in models), key=lambda model: -model.downloads)


async def variants(repository: str) -> list[Variant]:
    """Return the variants of a repository, the smallest first; :class:`DownloadError` where it has none."""
    found = await ask(repository, lambda: _variants(repository))
    if not found:
        what = f"{repository} holds no weights in GGUF or MLX form."
        raise DownloadError(what, f"Look for some: alain models --search {repository.rpartition('/')[2]}")
    return sorted(found, key=lambda variant: variant.size)


async def ask(what: str, function: Callable[[], T]) -> T:
    """Call what talks to the Hub about ``what``, in a thread; :class:`DownloadError` for all that goes wrong there.

    The thread keeps nobody waiting: neither who loses interest, nor the end of the process.
    """
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()

    def call() -> None:
        """Hand over what the function gives, unless nobody waits any more."""
        try:
            answer.set_result(function())
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=call, name="alain-hub", daemon=True).start()
    try:
        async with asyncio.timeout(2 * SECONDS):
            return await asyncio.wrap_future(answer)
    except Exception as error:  # noqa: BLE001  # its HTTP library may be this one or that one
        raise _problem(what, error) from None


def endpoint() -> str:
    """Return the address of the Hub."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def _search(words: str, kind: Format, limit: int) -> list[HubModel]:
    from huggingface_hub import get_session, get_token, hf_raise_for_status

    asked: dict[str, Any] = {"search": words, "filter": kind, "sort": "downloads", "limit": limit}
    asked["expand"] = ["downloads", "likes", "lastModified", "gated"]
    headers = {"authorization": f"Bearer {token}"} if (token := get_token()) else {}
    # Its own list_models asks a Hub that is busy for half a minute before it says so.
    answer = get_session().get(f"{endpoint()}/api/models", params=asked, headers=headers, timeout=SECONDS)
    hf_raise_for_status(answer)
    return [
        HubModel(
            id=text(entry, "id"),
            format=kind,
            downloads=count(entry, "downloads"),
            likes=count(entry, "likes"),
            updated=text(entry, "lastModified")[:10],
            gated=bool(entry.get("gated")),
        )
        for entry in answer.json()
    ]


def _variants(repository: str) -> list[Variant]:
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint()).model_info(repository, files_metadata=True, timeout=SECONDS)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}

    def variant(kind: Format, name: str, files: Iterable[str]) -> Variant:
        together = tuple(sorted(files))
        return Variant(info.id, kind, name, together, sum(sizes[file] for file in together))

    models: dict[str, list[str]] = {}
    for file in sizes:
        if file.endswith(".gguf") and not _NO_MODEL.search(PurePosixPath(file).name):
            models.setdefault(_PART.sub("", file), []).append(file)
    if models:
        return [variant("gguf", name, models[file]) for file, name in _names(models).items()]
    if "mlx" in (info.tags or []):
        return [variant("mlx", quantisation(info.id) or "mlx", (file for file in sizes if file.endswith(_MLX_FILES)))]
    return []


def _names(files: Iterable[str]) -> dict[str, str]:
    """Return a short name for each file, which it ends with: so Ollama and llama.cpp find it by that name.

    It begins with the quantisation; a file without one, or with the same as another, has its whole path as a name.
    """
    short = {file: _ending(PurePosixPath(file).stem) for file in files}
    names = list(short.values())
    return {file: name if names.count(name) == 1 else file.removesuffix(".gguf") for file, name in short.items()}


def _ending(stem: str) -> str:
    begin = stem.lower().rfind(quantisation(stem).lower() or stem.lower())
    begin -= len("UD-") if stem[:begin].upper().endswith("UD-") else 0  # quantised by a scheme of its own
    return stem[max(begin, 0) :]


def _problem(what: str, error: Exception) -> DownloadError:
    """Return the error for what was raised while the Hub was asked about something."""
    if isinstance(error, ImportError):
        advice = 'Install it: pip install "alain-magics[hub]"'
        return DownloadError("Models of the Hub need the package huggingface_hub.", advice)
    from huggingface_hub import errors

    log_in = "hf auth login"
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0
    match error:
        case errors.OfflineModeIsEnabled():
            problem = f"The Hub is in offline mode, so {what} cannot be had from it.", "Unset HF_HUB_OFFLINE."
        case errors.GatedRepoError():
            problem = f"{what} is gated.", f"Accept its terms at {endpoint()}/{what.partition(':')[0]}, then: {log_in}"
        case errors.RepositoryNotFoundError() | errors.HFValidationError():
            advice = f"Look for it: alain models --search {what.rpartition('/')[2]}; if it is private, log in: {log_in}"
            problem = f"The Hub has no {what}.", advice
        case errors.RemoteEntryNotFoundError():
            problem = f"A file of {what} is not there any more.", "Look at its variants again, and choose one."
        case _ if status == 429:
            problem = "The Hub has had too many requests from here.", f"Wait a little, or log in: {log_in}"
        case _ if status:
            reason = f"The Hub answered with status {status} when it was asked about {what}."
            problem = reason, "Try again in a moment."
        case TimeoutError():
            problem = f"The Hub at {endpoint()} does not answer.", "Check the network connection, or try again later."
        case _:
            reason = (plain(str(error)).splitlines() or [type(error).__name__])[0][:160]
            advice = "Check the network connection, HTTPS_PROXY and HF_ENDPOINT."
            problem = f"{what} cannot be had from the Hub at {endpoint()}: {reason}.", advice
    return DownloadError(*problem)
