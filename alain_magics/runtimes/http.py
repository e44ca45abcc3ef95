"""HTTP for runtimes: the only module that knows httpx.

Connections are pooled and sharded, since a client of httpx slows down beyond about 25 of them. Redirects are not
followed, so that no key leaves for another host. What goes wrong becomes a typed error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from pydantic_core import from_json, to_json

from alain_magics.errors import BadProtocol, TimedOut, Unreachable
from alain_magics.runtimes.failures import failure
from alain_magics.runtimes.providers import Provider

if TYPE_CHECKING:
    from alain_magics.keys import Key

CONNECTIONS = 25
"""Connections a client, and so streams at once before another client is made."""

DRAIN = 0.1
"""Seconds to wait for the end of a stream whose content is complete, so that its connection can be used again."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds to wait: for a connection, for the first content, and for more content after that."""

    connect: float = 5.0
    first: float = 60.0
    silence: float = 60.0


@dataclass
class _Shard:
    client: httpx.AsyncClient
    in_flight: int = 0


@dataclass
class Pool:
    """The clients of one event loop, shared by all runtimes."""

    _shards: dict[bool, list[_Shard]] = field(default_factory=dict)

    @contextmanager
    def lease(self, *, local: bool) -> Iterator[httpx.AsyncClient]:
        """Give a client that has a connection left; ``local`` ones know no proxy and no certificates."""
        shards = self._shards.setdefault(local, [])
        shard = next((each for each in shards if each.in_flight < CONNECTIONS), None)
        if shard is None:
            limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            shard = _Shard(httpx.AsyncClient(limits=limits, verify=not local, trust_env=not local))
            shards.append(shard)
        shard.in_flight += 1
        try:
            yield shard.client
        finally:
            shard.in_flight -= 1

    async def aclose(self) -> None:
        """Close every connection."""
        for shard in [shard for shards in self._shards.values() for shard in shards]:
            await shard.client.aclose()
        self._shards.clear()


class Http:
    """Requests to one runtime, with its key and its deadlines."""

    def __init__(
        self, pool: Pool, provider: Provider, key: Key | None = None, deadlines: Deadlines = Deadlines()
    ) -> None:
        self.provider = provider
        self.key = key
        self.deadlines = deadlines
        self._pool = pool

    def url(self, path: str) -> str:
        """Return the address of a path below the base URL."""
        return self.provider.base_url.rstrip("/") + path

    async def get(self, path: str, *, deadline: float | None = None) -> Any:
        """Return the parsed JSON that a path gives."""
        return await self._whole("GET", path, None, deadline)

    async def post(self, path: str, body: Mapping[str, Any], *, deadline: float | None = None) -> Any:
        """Send JSON and return the parsed JSON of the answer."""
        return await self._whole("POST", path, body, deadline)

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Delete something and return the parsed JSON of the answer, ``None`` where there is none."""
        return await self._whole("DELETE", path, body, None)

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any] | None, *, method: str = "POST"
    ) -> AsyncIterator[Incoming]:
        """Send JSON and give the answer's bytes as they come; leaving the context ends the connection."""
        with self._pool.lease(local=self.provider.local) as client, self._typed():
            request = self._request(client, method, path, body, self.deadlines.first)
            response = await client.send(request, stream=True)
            try:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    raise self._failure(response)
                yield Incoming(response, self.provider.title, self.deadlines)
            finally:
                await response.aclose()

    async def _whole(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float | None) -> Any:
        with self._pool.lease(local=self.provider.local) as client, self._typed():
            request = self._request(client, method, path, body, deadline or self.deadlines.first)
            response = await client.send(request)
            if not response.is_success:
                raise self._failure(response)
            if not response.content:
                return None
            try:
                return from_json(response.content)
            except ValueError:
                raise BadProtocol(f"{self.provider.title} answered {path} with something that is no JSON.") from None

    def _request(
        self, client: httpx.AsyncClient, method: str, path: str, body: Mapping[str, Any] | None, read: float
    ) -> httpx.Request:
        headers = {**self.provider.headers, "accept-encoding": "identity"}
        if self.key:
            name = {"bearer": "authorization"}.get(self.provider.auth, self.provider.auth)
            secret = self.key.reveal(self.provider.host)
            headers[name] = f"Bearer {secret}" if self.provider.auth == "bearer" else secret
        content = None if body is None else to_json(body)
        if content is not None:
            headers["content-type"] = "application/json"
        timeout = httpx.Timeout(read, connect=self.deadlines.connect)
        return client.build_request(method, self.url(path), content=content, headers=headers, timeout=timeout)

    def _failure(self, response: httpx.Response) -> Exception:
        try:
            body = from_json(response.content)
        except ValueError:
            body = response.text
        return failure(self.provider.title, response.status_code, body, response.headers)

    @contextmanager
    def _typed(self) -> Iterator[None]:
        """Turn what httpx raises into errors of this package."""
        name = self.provider.title
        try:
            yield
        except httpx.TimeoutException as error:
            raise TimedOut(f"{name} did not answer in time.", "Try again, or raise the time-out.") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{name} cannot be reached at {self.provider.base_url}.", "Is it running?") from error


class Incoming:
    """The bytes of an answer. Whoever understands them calls :meth:`content` when they held some content."""

    def __init__(self, response: httpx.Response, title: str, deadlines: Deadlines) -> None:
        self._response = response
        self._title = title
        self._silence = deadlines.silence
        self._limit = deadlines.first
        self._last = time.monotonic()
        self._task: asyncio.Task[Any] | None = None  # the one that waits for bytes
        self._expired = False

    @property
    def media_type(self) -> str:
        """What the server says the answer is, such as ``text/event-stream``."""
        return str(self._response.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def content(self) -> None:
        """Start the deadline of silence anew: keep-alives alone don't."""
        self._last = time.monotonic()
        self._limit = self._silence

    def complete(self) -> None:
        """Expect nothing more but the end, and that soon."""
        self._last = time.monotonic()
        self._limit = DRAIN

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive; :class:`~alain_magics.errors.TimedOut` when a deadline passes."""
        self._check(asyncio.get_running_loop())
        chunks = self._response.aiter_raw()
        try:
            while True:
                self._task = asyncio.current_task()
                try:
                    chunk = await anext(chunks, None)
                except asyncio.CancelledError:
                    if not self._expired:
                        raise
                    self._task.uncancel()  # type: ignore[union-attr]
                    if self._limit == DRAIN:
                        return
                    what = f"{self._title} sent nothing for {self._limit:g} seconds."
                    raise TimedOut(what, "Try again, or raise the time-out.") from None
                self._task = None
                if chunk is None:
                    return
                handed_over = time.monotonic()
                yield chunk
                self._last += time.monotonic() - handed_over  # the reader's time is not the server's silence
        finally:
            self._task = None
            self._timer.cancel()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look now and then whether the deadline has passed: cheaper than a timer for every chunk."""
        if self._task and time.monotonic() - self._last > self._limit:
            self._expired = True
            self._task.cancel()
        else:
            self._timer = loop.call_later(min(self._limit / 4, DRAIN / 2), self._check, loop)
