"""Downloads from the Hub into its cache, where ``local``, llama.cpp and everything else that uses the Hub find them.

Recent releases of ``huggingface_hub`` begin anew whenever a download ended early. So the bytes are fetched here, into
the file where earlier releases kept them; the library is asked where they are, and links what is whole into its cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from alain_magics.errors import DownloadError, ModelError, StreamTruncated, TimedOut
from alain_magics.keys import Key
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.hub import Variant, ask, endpoint
from alain_magics.runtimes.local.files import hub_cache
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.room import check_disk

ATTEMPTS = 3
"""How often a transfer may end without a single byte before it is given up."""

PAUSE = 1.0
"""Seconds before the next attempt, where the Hub names no other time."""

BLOCK = 2**20
"""Bytes that are written at once."""

_NAME = re.compile(r"\w[\w.-]{0,199}")  # of a blob: it becomes the name of a file
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Source:
    """Where the bytes of a file are now, how many, where the cache keeps them, and with which key they are fetched.

    ``linked``: the cache has the file already.
    """

    location: str
    size: int
    blob: Path
    lock: Path
    linked: bool
    key: Key | None

    @property
    def part(self) -> Path:
        """The file that grows until it is the blob."""
        return self.blob.with_name(f"{self.blob.name}.incomplete")

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.linked or self.blob.exists()

    @property
    def there(self) -> int:
        """How many bytes have been fetched."""
        if self.whole:
            return self.size
        return self.part.stat().st_size if self.part.exists() else 0


async def download(variant: Variant, report: Callable[[int], None]) -> None:
    """Fetch a variant into the cache, going on where an earlier attempt ended.

    ``report`` is told how many bytes are there. Raises :class:`~alain_magics.errors.DownloadError`; whatever ends it,
    what has come is kept.
    """
    sources = [await _find(variant, file) for file in variant.files]
    check_disk(sum(source.size - source.there for source in sources), hub_cache())
    pool, done = Pool(), 0
    try:
        for file in variant.files:
            done += await _bring(pool, variant, file, partial(_add, report, done))
            await ask(variant.id, partial(_link, variant.repository, file))
    finally:
        await pool.aclose()


def _add(report: Callable[[int], None], before: int, there: int) -> None:
    report(before + there)


async def _find(variant: Variant, file: str) -> _Source:
    return await ask(variant.id, partial(_look_up, variant.repository, file))


def _look_up(repository: str, file: str) -> _Source:
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_url, try_to_load_from_cache

    url, token, cache = hf_hub_url(repository, file, endpoint=endpoint()), get_token(), hub_cache()
    found = get_hf_file_metadata(url, token=token, endpoint=endpoint())
    etag = found.etag or ""
    if not _NAME.fullmatch(etag) or found.size is None:
        raise ValueError(f"it does not say what {file} is")
    linked = try_to_load_from_cache(repository, file, cache_dir=cache, revision=found.commit_hash)
    folder, host = f"models--{repository.replace('/', '--')}", urlsplit(url).netloc
    return _Source(
        location=found.location,
        size=found.size,
        blob=cache / folder / "blobs" / etag,
        lock=cache / ".locks" / folder / f"{etag}.lock",
        linked=isinstance(linked, str),
        key=Key(token, "the Hub's token", [host]) if token and urlsplit(found.location).netloc == host else None,
    )


def _link(repository: str, file: str) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(repository, file, cache_dir=hub_cache(), endpoint=endpoint())


async def _bring(pool: Pool, variant: Variant, file: str, report: Callable[[int], None]) -> int:
    """Fetch a file, however often the connection breaks, and return its size."""
    fruitless = 0
    while True:
        source = await _find(variant, file)  # addresses of large files expire
        before = source.there
        try:
            if not source.whole:
                await _fetch(pool, source, variant.id, report)
        except ModelError as error:
            fruitless = 0 if source.there > before else fruitless + 1
            again = error.retryable or isinstance(error, StreamTruncated | TimedOut)
            if fruitless == ATTEMPTS or not again:
                raise DownloadError(f"{variant.id}: {error.what}", "Pull again: what has come is kept.") from None
            await asyncio.sleep(error.retry_after or PAUSE)
        except OSError as error:
            reason = error.strerror or error
            raise DownloadError(f"{variant.id} cannot be written: {reason}.", f"Look at {hub_cache()}.") from None
        else:
            report(source.size)
            return source.size


async def _fetch(pool: Pool, source: _Source, name: str, report: Callable[[int], None]) -> None:
    """Fetch what is missing of a file, alone, and make it the blob."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined,unused-ignore]

    for path in (source.blob, source.lock):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with WeakFileLock(source.lock, timeout=0.1):
            if source.there < source.size:
                await _transfer(pool, source, report)
            await _check(source, name)
            source.part.replace(source.blob)
    except TimeoutError:
        raise DownloadError(f"{name} is being fetched by somebody else.", "Wait until that is done.") from None


async def _transfer(pool: Pool, source: _Source, report: Callable[[int], None]) -> None:
    """Add to the part what follows it."""
    parts = urlsplit(source.location)
    root = f"{parts.scheme}://{parts.netloc}"
    provider = Provider("hub", "The Hub", "openai", root, headers={"range": f"bytes={source.there}-"})
    http = Http(pool, provider, source.key)
    with source.part.open("ab") as part:
        async with http.stream(source.location.removeprefix(root), None, method="GET") as incoming:
            if incoming.status != 206:  # it sends everything
                part.truncate(0)
            there, block = part.seek(0, 2), bytearray()
            try:
                async for piece in incoming:
                    incoming.content()
                    block += piece
                    report(there + len(block))
                    if len(block) >= BLOCK:
                        there += len(block)
                        full, block = block, bytearray()
                        await asyncio.to_thread(part.write, full)
            finally:
                part.write(block)


async def _check(source: _Source, name: str) -> None:
    """Compare the part with what the Hub says of it; what differs is of no use."""
    right = source.there == source.size
    if right and _SHA256.fullmatch(source.blob.name):
        digest = hashlib.sha256()
        with source.part.open("rb") as part:
            while block := await asyncio.to_thread(part.read, BLOCK):
                await asyncio.to_thread(digest.update, block)
        right = digest.hexdigest() == source.blob.name
    if not right:
        source.part.unlink()
        raise DownloadError(f"{name} did not arrive as it should.", "It was removed: pull again.")
