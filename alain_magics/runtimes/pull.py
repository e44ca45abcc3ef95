"""Fetch a model: into Ollama, LM Studio or llama.cpp's router by their own APIs, or from the Hub into its cache.

Whoever starts a pull reads from its :class:`Gauge` how far it is. One that is cancelled stops, but for LM Studio's,
which goes on by itself. One that ended early goes on where it was when it is started anew, but for llama.cpp's, which
removes the file that it was told to stop.
"""

from __future__ import annotations

import asyncio
import copy
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic_core import from_json

from alain_magics.errors import DownloadError, ModelError, StreamTruncated, TimedOut, Unreachable
from alain_magics.runtimes.failures import failure
from alain_magics.runtimes.hub import Variant
from alain_magics.runtimes.local.files import hub_cache
from alain_magics.runtimes.parsed import count, mapping, text
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.runtimes.room import check_disk
from alain_magics.runtimes.sse import LineDecoder, SseDecoder

if TYPE_CHECKING:
    from alain_magics.runtimes.base import ModelInfo
    from alain_magics.runtimes.http import Http

Way = Literal["", "cache", "ollama", "lmstudio", "llamacpp"]
"""How models get into a runtime; empty: not by us."""

VERIFYING = 1800.0
"""Seconds that Ollama may say nothing: it compares what has come with a checksum, on a slow disk for minutes."""

STOPPING = 3.0
"""Seconds that llama.cpp has to stop a download."""

_POLL = 0.5  # seconds between two looks at a download of LM Studio


@dataclass
class Gauge:
    """How far a pull is: bytes that are there, bytes in all (0: unknown), and what else there is to say."""

    done: int = 0
    total: int = 0
    stage: str = ""


def way_into(provider: Provider) -> Way:
    """Return how models get into a runtime."""
    if provider.kind == "local":
        return "cache"
    return "ollama" if provider.kind == "ollama" else provider.capabilities.native.download


def takes(way: Way, variant: Variant | None) -> bool:
    """Whether a model can go that way: one in GGUF or MLX form, or (``None``) one of the server's own library."""
    if variant is None:
        return way in ("ollama", "lmstudio")
    return way in ("cache", "lmstudio") or (variant.format == "gguf" and way != "")


async def can_fetch(http: Http) -> bool:
    """Whether a running server can fetch models at all: llama.cpp cannot where it was started with one."""
    if way_into(http.provider) != "llamacpp":
        return True
    return text(mapping(await http.get("/props")), "role") == "router"


def by_hand(provider: Provider, name: str) -> DownloadError:
    """Return the error for a runtime that cannot fetch models, with the two steps that lead to one there."""
    what = f"{provider.title} cannot be told to fetch a model."
    if provider.key_variables and not provider.local:
        return DownloadError(what, f"Choose one that it has: alain models --runtime {provider.name}")
    if provider.start:
        return DownloadError(what, f"1. Stop it. 2. Start it with this model: {provider.start.format(model=name)}")
    return DownloadError(what, f"1. Fetch it where that runs: alain pull {name} --into local. 2. Start it with that.")


async def into_server(way: Way, http: Http, name: str, variant: Variant | None, gauge: Gauge) -> None:
    """Have a server fetch a variant of the Hub, or what its own library calls ``name``."""
    size = variant.size if variant else 0
    if http.provider.local and way != "ollama":  # which tells how much is missing
        check_disk(size, _folder(way))
    gauge.total = size
    if way == "ollama":
        await _into_ollama(http, f"hf.co/{name}" if variant else name, gauge)
    elif way == "lmstudio":
        await _into_lm_studio(http, name, variant, gauge)
    else:
        await _into_llama_cpp(http, name, gauge)


async def into_cache(variant: Variant, gauge: Gauge) -> None:
    """Fetch a variant into the Hub's cache."""
    from alain_magics.runtimes.hub_download import download

    def report(done: int) -> None:
        """Note how many bytes are there."""
        gauge.done = done

    gauge.total = variant.size
    await download(variant, report)


def in_cache(variant: Variant) -> tuple[str, str]:
    """Return the name of a model in the Hub's cache, as `use` takes it, and what is still missing, if anything."""
    if variant.format == "mlx":
        start = PROVIDERS["mlx"].start.format(model=variant.repository)
        return f"mlx/{variant.repository}", f"mlx_lm runs it: {start}"
    missing = "" if find_spec("llama_cpp") else PROVIDERS["local"].steps[0]
    return f"local/{variant.repository}/{variant.files[0]}", missing


def arrived(before: Sequence[ModelInfo], after: Sequence[ModelInfo], name: str) -> ModelInfo | None:
    """Return the model that a pull has brought, by what its runtime lists; ``None`` where that is not clear.

    Servers call what they fetch as they like: it is the one that is new, or, of several and where none is, the one
    that is called most like ``name``.
    """
    known = {info.id for info in before}
    new = [info for info in after if info.id not in known]
    if len(new) == 1:
        return new[0]
    path, _, tag = name.lower().partition(":")

    def likeness(info: ModelInfo) -> tuple[bool, ...]:
        identifier = info.id.lower()
        same = identifier.removesuffix(":latest") == name.lower()
        return same, path in identifier, tag in identifier, _is_called(name, identifier)

    stem = path.rpartition("/")[2].removesuffix("-gguf")
    return max((info for info in new or after if stem in info.id.lower()), key=likeness, default=None)


async def _into_ollama(http: Http, name: str, gauge: Gauge) -> None:
    decoder, layers, status = LineDecoder(), dict[str, tuple[int, int]](), ""
    patient = copy.copy(http)
    patient.deadlines = replace(http.deadlines, first=VERIFYING, silence=VERIFYING)
    try:
        async with patient.stream("/api/pull", {"model": name, "stream": True}) as incoming:
            async for chunk in incoming:
                for event in map(_parsed, decoder.feed(chunk)):
                    incoming.content()
                    if "error" in event:
                        raise failure(http.provider.title, None, event)
                    status = text(event, "status")
                    gauge.stage = "" if status.startswith("pulling") else status
                    if digest := text(event, "digest"):
                        layers[digest] = count(event, "completed"), count(event, "total")
                        gauge.done, gauge.total = map(sum, zip(*layers.values(), strict=True))
                        if http.provider.local:
                            check_disk(gauge.total - gauge.done, _folder("ollama"))
    except ModelError as error:
        raise _not_fetched(name, error) from None
    if status != "success":
        raise DownloadError(f"Ollama stopped before {name} was there.", "Pull again: it goes on where it was.")


async def _into_lm_studio(http: Http, name: str, variant: Variant | None, gauge: Gauge) -> None:
    body = {"model": f"https://huggingface.co/{variant.repository}" if variant else name}
    if variant and variant.format == "gguf":
        body["quantization"] = variant.name
    try:
        job = mapping(await http.post("/api/v1/models/download", body))
        while (status := text(job, "status")) in ("downloading", "paused"):
            gauge.stage = "" if status == "downloading" else status
            gauge.done, gauge.total = count(job, "downloaded_bytes"), count(job, "total_size_bytes")
            await asyncio.sleep(_POLL)
            job = mapping(await http.get(f"/api/v1/models/download/status/{text(job, 'job_id')}"))
    except ModelError as error:
        raise _not_fetched(name, error) from None
    if status not in ("completed", "already_downloaded"):
        advice = "Look at it in LM Studio, and pull again." if status else f"Upgrade LM Studio, or type: lms get {name}"
        raise DownloadError(f"{http.provider.title} did not fetch {name}.", advice)


async def _into_llama_cpp(http: Http, name: str, gauge: Gauge) -> None:
    async with http.stream("/models/sse", None, method="GET") as incoming:
        try:
            await http.post("/models", {"model": name})
        except ModelError as error:
            if "already exists" not in error.what:
                raise _not_fetched(name, error) from None
            if (await _states(http)).get(name) != "downloading":
                return
        decoder, result = SseDecoder(), ""
        try:
            async for chunk in incoming:
                for event in (_parsed(data) for _, data in decoder.feed(chunk)):
                    if event.get("model") == name:
                        incoming.content()
                        result = result or _followed(event, gauge)
                if result:
                    break
        except ModelError as error:
            raise _not_fetched(name, error) from None
        finally:
            if not result:
                with suppress(ModelError):
                    await http.post("/models/unload", {"model": name}, deadline=STOPPING)
    if result == "download_failed":
        raise DownloadError(f"{http.provider.title} did not fetch {name}.", "Its log tells why. Pull again.")
    if not any(_is_called(name, each) for each in await _states(http)):  # it takes nothing for success
        advice = "Can it reach the Hub, and has it the token that the model wants? Its log tells."
        raise DownloadError(f"{http.provider.title} found no {name}.", advice)


async def _states(http: Http) -> dict[str, str]:
    """Return what llama.cpp does with each of its models."""
    listed = mapping(await http.get("/models")).get("data") or []
    return {text(each, "id"): text(mapping(each, "status"), "value") for each in map(mapping, listed)}


def _is_called(name: str, identifier: str) -> bool:
    """Whether llama.cpp calls a variant so: by the last part of the variant's name."""
    (wanted, _, variant), (repository, _, tag) = (each.lower().partition(":") for each in (name, identifier))
    return wanted == repository and tag != "" and variant.endswith(tag)


def _followed(event: dict[str, Any], gauge: Gauge) -> str:
    """Take in what llama.cpp says of a download, and return its result once there is one."""
    kind = text(event, "event")
    if kind == "download_progress":
        data = mapping(event, "data")
        files = [mapping(file) for file in (mapping(data, "progress") or data).values()]  # fetched side by side
        gauge.done = sum(count(file, "done") for file in files)
        gauge.total = max(gauge.total, sum(count(file, "total") for file in files))
    return kind if kind in ("download_finished", "download_failed") else ""


def _folder(way: Way) -> Path:
    """Return where a server of this machine keeps its models, unless it was told to keep them elsewhere."""
    places = {"ollama": os.environ.get("OLLAMA_MODELS") or "~/.ollama", "lmstudio": "~/.lmstudio"}
    return Path(places.get(way) or os.environ.get("LLAMA_CACHE") or hub_cache()).expanduser()


def _not_fetched(name: str, error: ModelError) -> DownloadError:
    """Return the error for a server that broke off, or that says why it does not fetch a model."""
    what = f"{name} was not fetched: {error.what.rstrip('.')}."
    if isinstance(error, Unreachable | TimedOut | StreamTruncated):
        return DownloadError(what, "Pull again.")
    words = name.partition(":")[0].rpartition("/")[2]
    return DownloadError(what, f"Check the name, or look for it on the Hub: alain models --search {words}")


def _parsed(data: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        return mapping(from_json(data))
    return {}
