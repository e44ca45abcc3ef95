"""Fetch a model into a runtime: Ollama, LM Studio, llama.cpp's router, or the Hub's cache for runs in this process.

Every way yields :class:`Step` and ends with the identifier that ``use`` accepts. A cancelled pull can be started anew:
each of these places goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from alain_magics.errors import DownloadError, ModelError
from alain_magics.runtimes import hub
from alain_magics.runtimes.failures import failure
from alain_magics.runtimes.http import Http
from alain_magics.runtimes.hub import Variant
from alain_magics.runtimes.sse import LineDecoder, SseDecoder

SPARE = 1.05
"""How much more room than the files themselves must be free."""

HEADROOM = 1.2
"""How much more memory than its file a model needs, with a context of usual length."""

_POLL = 0.5  # seconds between two looks at a download that a server does by itself


@dataclass(frozen=True)
class Step:
    """How far a pull is: bytes that are there, and bytes in all (0: unknown); ``id`` at the end: what ``use`` takes."""

    what: str
    done: int = 0
    total: int = 0
    id: str = ""


async def into_ollama(http: Http, name: str) -> AsyncGenerator[Step, None]:
    """Have Ollama fetch a model: one of its library, or ``hf.co/owner/name:quantisation``."""
    decoder, sizes, finished = LineDecoder(), {}, False
    async with http.stream("/api/pull", {"model": name, "stream": True}) as incoming:
        async for chunk in incoming:
            for line in decoder.feed(chunk):
                incoming.content()
                event = _parsed(line)
                if "error" in event:
                    raise _download_error(failure(http.provider.title, None, event), name)
                status = str(event.get("status", ""))
                if isinstance(event.get("total"), int) and isinstance(event.get("digest"), str):
                    sizes[event["digest"]] = (event.get("completed") or 0, event["total"])
                done, total = (sum(numbers) for numbers in zip(*sizes.values(), strict=True)) if sizes else (0, 0)
                check_disk(total - done, Path.home())
                finished = status == "success"
                yield Step(f"{name}: {status}", done, total)
    if not finished:
        raise DownloadError(f"{http.provider.title} stopped before {name} was there.", "Pull again: it goes on.")
    yield Step("", id=f"{http.provider.name}/{name}")


async def into_lm_studio(http: Http, model: str, variant: str) -> AsyncGenerator[Step, None]:
    """Have LM Studio fetch a model of the Hub, and look how far it is."""
    body = {"model": model} | ({"quantization": variant} if variant else {})
    job = await http.post("/api/v1/models/download", body)
    while True:
        status = str(job.get("status", "")) if isinstance(job, dict) else ""
        if status in ("completed", "already_downloaded"):
            break
        if status not in ("downloading", "paused"):
            raise DownloadError(
                f"{http.provider.title} could not fetch {model}: {status or 'no status'}.", "Try again."
            )
        yield Step(f"{model}: {status}", int(job.get("downloaded_bytes") or 0), int(job.get("total_size_bytes") or 0))
        await asyncio.sleep(_POLL)
        job = await http.get(f"/api/v1/models/download/status/{job['job_id']}")
    yield Step("", id=f"{http.provider.name}/{model}")


async def into_llama_cpp(http: Http, model: str) -> AsyncGenerator[Step, None]:
    """Have llama.cpp's router fetch a model of the Hub (``owner/name:quantisation``); cancelling stops it there."""
    decoder, ended = SseDecoder(), False
    async with http.stream("/models/sse", None, method="GET") as incoming:
        await http.post("/models", {"model": model})
        try:
            async for chunk in incoming:
                for _, data in decoder.feed(chunk):
                    event = _parsed(data)
                    if event.get("model") != model:
                        continue
                    incoming.content()
                    kind = event.get("event")
                    if kind == "download_failed":
                        ended = True
                        raise DownloadError(f"{http.provider.title} could not fetch {model}.", "Check the name.")
                    if kind == "download_finished":
                        ended = True
                        break
                    if kind == "download_progress" and isinstance(event.get("data"), dict):
                        files = [file for file in event["data"].values() if isinstance(file, dict)]
                        done = sum(int(file.get("done") or 0) for file in files)
                        yield Step(model, done, sum(int(file.get("total") or 0) for file in files))
                if ended:
                    break
        finally:
            if not ended:
                await http.post("/models/unload", {"model": model})
    await http.get("/models")  # makes the router look at its list again
    yield Step("", id=f"{http.provider.name}/{model}")


async def into_cache(variant: Variant) -> AsyncGenerator[Step, None]:
    """Fetch a variant into the Hub's cache."""
    check_disk(variant.size, hub.cache())
    progress: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(hub.download(variant, lambda done: loop.call_soon_threadsafe(progress.put_nowait, done)))
    try:
        while not task.done():
            waiting = asyncio.create_task(progress.get())
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield Step(variant.id, waiting.result(), variant.size)
            waiting.cancel()
        path = task.result()
    finally:
        task.cancel()
    yield Step("", id=f"local/{path}")


def check_disk(size: int, folder: Path) -> None:
    """Raise :class:`DownloadError` where ``size`` more bytes do not fit on the disk of a folder."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size * SPARE > free:
        what = f"The model takes {size / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB left."
        raise DownloadError(what, "Free some space, or choose a smaller variant.")


def fits_memory(size: int) -> bool:
    """Whether a model of that many bytes finds room in this machine's memory."""
    import psutil

    return bool(size * HEADROOM <= psutil.virtual_memory().total)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        event = from_json(data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _download_error(error: ModelError, name: str) -> DownloadError:
    return DownloadError(f"{name} could not be fetched: {error.what}", "Check the name, and the room on the disk.")
