"""HTTP for runtimes: the only module that knows httpx.

Connections are pooled and sharded, since each connection of a client of httpx slows the others down. Redirects are not
followed, so that no key leaves for another host. What goes wrong becomes a typed error, raised where nothing of the
request is held any more: a traceback, even one with local variables, shows no key.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpx
from pydantic_core import from_json, to_json

from alain_magics.errors import BadProtocol, KeyRefused, ModelError, Refused, StreamTruncated, TimedOut, Unreachable
from alain_magics.runtimes.deadlines import Deadlines, Watch
from alain_magics.runtimes.failures import failure, no_connection
from alain_magics.runtimes.providers import Provider

if TYPE_CHECKING:
    from alain_magics.keys import Key

__all__ = ["CONNECTIONS", "Deadlines", "Http", "Incoming", "Pool", "Shard"]

T = TypeVar("T")

CONNECTIONS = 8
"""Connections a client, and so streams at once before another client is made.

With 200 streams in flight httpcore takes 0.9 ms a turn at 8, and 1.3 ms at 25.
"""

KEPT = 60.0
"""Seconds that an unused connection is kept for the next request."""

LARGEST = 32 * 2**20
"""Bytes of the largest answer that is read as a whole."""

LARGEST_ERROR = 2**16
"""Bytes that are read of an error's body."""

SHORTEST_SECRET = 12
"""Characters of the shortest key that is taken for a secret."""

SHORTEST_PREFIX = 8
"""Characters of the shortest beginning of a secret that is taken out of errors: their words are cut."""

# What httpx, the system and encodings raise. Mistakes of this program are not among them.
_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError)


@dataclass(eq=False)
class Shard:
    """A client and how many requests use it; once ``retired`` it is given to no more of them.

    A request that is cancelled before its answer begins can leave a connection behind that httpcore neither uses nor
    closes (https://github.com/encode/httpcore/issues/1093): its client is retired, and closed after its last request.
    """

    client: httpx.AsyncClient
    in_flight: int = 0
    retired: bool = False


class Pool:
    """The clients of one event loop, shared by all runtimes."""

    def __init__(self) -> None:
        self._shards: dict[bool, list[Shard]] = {True: [], False: []}
        self._trust: dict[bool, ssl.SSLContext] = {}

    @asynccontextmanager
    async def lease(self, *, local: bool) -> AsyncIterator[Shard]:
        """Give a client that has a connection left; ``local`` ones know no proxy and no certificates.

        :class:`~alain_magics.errors.Unreachable` where this machine's own proxy or certificates cannot be used.
        """
        shards = self._shards[local]
        shard = next((each for each in shards if each.in_flight < CONNECTIONS and not each.retired), None)
        if shard is None:
            shard = Shard(self.open_client(local))
            shards.append(shard)
        shard.in_flight += 1
        try:
            yield shard
        finally:
            shard.in_flight -= 1
            if shard.retired and not shard.in_flight:
                with suppress(ValueError):  # the pool is closed
                    shards.remove(shard)
                await shard.client.aclose()

    def open_client(self, local: bool) -> httpx.AsyncClient:
        """Make another client."""
        limits = httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEPT)
        try:
            if local not in self._trust:  # reading the certificates takes a while: once for all shards
                self._trust[local] = httpx.create_ssl_context(verify=not local)
            no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # they know no ports, but hosts only
            return httpx.AsyncClient(limits=limits, verify=self._trust[local], trust_env=not local, cookies=no_cookies)
        except (*_FAULTS, ImportError):
            problem = Unreachable(
                "The proxy or the certificates that the environment names cannot be used.",
                "Check HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE; a SOCKS proxy needs the package socksio.",
            )
        problem.retryable = False
        raise problem

    async def aclose(self) -> None:
        """Close every connection."""
        for shards in self._shards.values():
            while shards:
                await shards.pop().client.aclose()


class Http:
    """Requests to one runtime, with its key and its deadlines."""

    def __init__(
        self, pool: Pool, provider: Provider, key: Key | None = None, deadlines: Deadlines | None = None
    ) -> None:
        self.provider = provider
        self.key = key
        self.deadlines = deadlines or Deadlines()
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

    @asynccontextmanager
    async def stream(
        self, path: str, body: Mapping[str, Any] | None, *, method: str = "POST"
    ) -> AsyncIterator[Incoming]:
        """Send JSON and give the answer's bytes as they come; leaving the context ends the connection."""
        began, content = time.monotonic(), self._content(body)
        async with self._pool.lease(local=self._local) as shard:
            response = await self._guarded(self._send(shard, method, path, content), self.deadlines.first)
            incoming = Incoming(response, self.provider.title, self.deadlines, began)
            try:
                yield incoming
            except ModelError as error:
                self._hide_key(error)
                raise
            finally:
                incoming.close()
                with suppress(*_FAULTS):
                    await response.aclose()

    async def _whole(self, method: str, path: str, body: Mapping[str, Any] | None, deadline: float | None) -> Any:
        content = self._content(body)
        async with self._pool.lease(local=self._local) as shard:
            fetching = self._fetch(shard, method, path, content)
            raw = await self._guarded(fetching, deadline or self.deadlines.first)
        if not raw:
            return None
        with suppress(ValueError):
            return from_json(raw)
        raise BadProtocol(f"{self.provider.title} answered {path} with something that is no JSON.", self._check_address)

    async def _fetch(self, shard: Shard, method: str, path: str, content: bytes | None) -> bytes:
        """Send a request and return the whole body of the answer."""
        response = await self._send(shard, method, path, content)
        try:
            raw = b"".join([piece async for piece in _limited(response, LARGEST)])
        finally:
            await response.aclose()
        if len(raw) > LARGEST:
            raise BadProtocol(
                f"{self.provider.title} answered {path} with more than {LARGEST >> 20} MiB.", self._check_address
            )
        return raw

    async def _send(self, shard: Shard, method: str, path: str, content: bytes | None) -> httpx.Response:
        """Send a request and return the answer once its head is there and promises content."""
        headers = {**self.provider.headers, "accept-encoding": "identity"}
        if content is not None:
            headers["content-type"] = "application/json"
        timeout = httpx.Timeout(None, connect=self.deadlines.connect)
        request = shard.client.build_request(method, self.url(path), content=content, headers=headers, timeout=timeout)
        try:
            response = await shard.client.send(request, stream=True, auth=self._authorise)
        except asyncio.CancelledError:
            shard.retired = True
            raise
        try:
            await self._accept(response)
        except BaseException:
            await response.aclose()
            raise
        return response

    async def _accept(self, response: httpx.Response) -> None:
        """Raise where a head promises no content."""
        if not response.is_success:
            raise self._refusal(response, await self._explanation(response))
        if _media_type(response) == "text/html":
            raise BadProtocol(f"{self.provider.title} answered with a web page.", self._check_address)

    async def _guarded(self, work: Coroutine[Any, Any, T], deadline: float) -> T:
        """Return what the work gives, within the deadline; what goes wrong becomes an error of this package."""
        try:
            async with asyncio.timeout(deadline):
                return await work
        except TimeoutError:
            problem: ModelError = _too_late(f"{self.provider.title} sent no answer", deadline, "first_token_seconds")
        except _FAULTS as error:
            problem = self._problem(error)
        raise problem

    def _authorise(self, request: httpx.Request) -> httpx.Request:
        """Put the key into a request, at the last moment, and only for the host that it is bound to."""
        if self.key:
            host, auth = self.provider.host, self.provider.auth
            if not re.fullmatch("[!-~]+", self.key.reveal(host)):
                what = f"The key of {self.key.origin} holds characters that no key has."
                raise KeyRefused(what, "Copy it again, without spaces and line ends.")
            if auth == "bearer":
                request.headers["authorization"] = f"Bearer {self.key.reveal(host)}"
            elif auth != "none":
                request.headers[auth] = self.key.reveal(host)
        return request

    def _content(self, body: Mapping[str, Any] | None) -> bytes | None:
        try:
            return None if body is None else to_json(body)
        except ValueError:
            pass
        raise Refused("The request cannot be written as JSON.", "Look for lone surrogates and odd objects in it.")

    async def _explanation(self, response: httpx.Response) -> Any:
        """Return the body of an error, as parsed JSON or text, as far as it comes."""
        pieces = []
        with suppress(*_FAULTS):
            async for piece in _limited(response, LARGEST_ERROR):
                pieces.append(piece)
        raw = b"".join(pieces)
        with suppress(ValueError):
            return from_json(raw)
        return raw.decode("utf-8", "replace")

    def _refusal(self, response: httpx.Response, body: Any) -> ModelError:
        """Return the error for an answer that is no success."""
        title = self.provider.title
        if response.has_redirect_location:
            where = _shown(response.headers["location"])
            advice = "It was not followed; if you trust it, make it the runtime's address."
            error: ModelError = BadProtocol(f"{title} redirects to {where}.", advice, status=response.status_code)
        else:
            variables = self.provider.key_variables
            key = self.key.origin if self.key else variables[0] if variables else ""
            error = failure(title, response.status_code, body, response.headers, key=key)
        self._hide_key(error)
        return error

    def _hide_key(self, error: ModelError) -> None:
        """Take the key, and what a cut left of it, out of what a server said: some repeat it.

        Short ones are words that local servers accept.
        """
        if self.key and len(self.key.reveal(self.provider.host)) >= SHORTEST_SECRET:
            error.what = _without(self.key.reveal(self.provider.host), error.what)
            error.advice = _without(self.key.reveal(self.provider.host), error.advice)
            error.args = (error.what,)

    def _problem(self, error: Exception) -> ModelError:
        """Return the error for what httpx raised before an answer came."""
        title, where = self.provider.title, _shown(self.provider.base_url)
        match error:
            case httpx.TimeoutException():
                what = f"{title} gave no connection at {where} for {self.deadlines.connect:g} seconds."
                return TimedOut(what, self._start)
            case httpx.ProxyError():
                return Unreachable(f"The proxy gives no connection to {title}.", "Check HTTPS_PROXY and ALL_PROXY.")
            case httpx.DecodingError():
                return BadProtocol(f"{title} sent what is not compressed as it says.", self._check_address)
            case httpx.RemoteProtocolError() if "without sending" not in str(error):
                return BadProtocol(f"What listens at {where} does not speak HTTP.", self._check_address)
            case httpx.LocalProtocolError():
                return BadProtocol(f"A header for {title} cannot be sent.", "Check its settings.")
            case httpx.UnsupportedProtocol() | httpx.InvalidURL() | ValueError():
                what = (
                    f"{title} has an address or a header that is none: {where}."
                    if where
                    else f"{title} has no address."
                )
                problem = Unreachable(what, self._steps or "An address looks like http://host:port/v1.")
                problem.retryable = False
                return problem
            case httpx.ConnectError():
                return no_connection(title, where, error, self._start)
            case _:
                return Unreachable(f"{title} closed the connection at {where} without an answer.", "Try again.")

    @property
    def _local(self) -> bool:
        try:
            return self.provider.local
        except ValueError:  # an address that is none
            return True

    @property
    def _start(self) -> str:
        """What to do where nothing answers."""
        if self._local:
            return self._steps or "Start it, and try again."
        return "Check the network connection, the address and the proxy, and try again."

    @property
    def _steps(self) -> str:
        first, second = self.provider.steps
        return f"1. {first} 2. {second}" if first else ""

    @property
    def _check_address(self) -> str:
        return f"Does it really listen at {_shown(self.provider.base_url)}?"


class Incoming(Watch):
    """The bytes of an answer. Whoever understands them calls :meth:`content` when they held some content."""

    def __init__(self, response: httpx.Response, title: str, deadlines: Deadlines, began: float) -> None:
        super().__init__(deadlines, began)
        self._response = response
        self._title = title

    @property
    def status(self) -> int:
        """The HTTP status, one of success."""
        return self._response.status_code

    @property
    def media_type(self) -> str:
        """What the server says the answer is, such as ``text/event-stream``."""
        return _media_type(self._response)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they arrive.

        :class:`~alain_magics.errors.TimedOut` when a deadline passes, :class:`~alain_magics.errors.StreamTruncated`
        when the connection breaks.
        """
        clock, current_task = time.monotonic, asyncio.current_task
        self.waiting = current_task()
        try:
            async for chunk in _pieces(self._response):
                self.waiting = None
                handed_over = clock()
                yield chunk
                self.last += clock() - handed_over  # the reader's time is not the server's silence
                self.waiting = current_task()
        except asyncio.CancelledError:
            if not self.expired or (self.waiting and self.waiting.uncancel()):
                raise
            setting, more = ("silence_seconds", " more") if self.begun else ("first_token_seconds", "")
            problem: ModelError = _too_late(f"{self._title} sent nothing{more}", self.limit, setting)
        except httpx.DecodingError:
            problem = BadProtocol(f"{self._title} sent what is not compressed as it says.", "Ask again.")
        except _FAULTS:
            problem = StreamTruncated(f"The connection to {self._title} broke within the answer.", "Ask again.")
            problem.retryable = not self.begun
        else:
            return
        finally:
            self.waiting = None
        if not self.completed:
            raise problem


def _without(secret: str, text: str) -> str:
    """A text in which a dot stands for every long beginning of a secret, and so for all of it too."""
    before, *after = text.split(secret[:SHORTEST_PREFIX])
    rest = secret[SHORTEST_PREFIX:]
    return "…".join([before, *(each[_common(each, rest) :] for each in after)])


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _too_late(what: str, seconds: float, setting: str) -> TimedOut:
    advice = f"It may still be working: try again, or raise the setting {setting}."
    return TimedOut(f"{what} for {seconds:g} seconds.", advice)


def _pieces(response: httpx.Response) -> AsyncIterable[bytes]:
    """The bytes of a body as they come, decompressed where a server compresses although it was asked not to."""
    if response.headers.get("content-encoding", "").lower() in ("", "identity"):
        return cast(httpx.AsyncByteStream, response.stream)  # what httpx adds on top would cost as much as our parsing
    return response.aiter_bytes()


async def _limited(response: httpx.Response, limit: int) -> AsyncIterator[bytes]:
    """The pieces of a body until they exceed a limit."""
    size = 0
    async for piece in _pieces(response):
        yield piece
        size += len(piece)
        if size > limit:
            return


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _shown(url: str) -> str:
    """An address as it may be shown: printable, without user, password and query."""
    bare = re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url)[0])[:200]
    return "".join(char if char.isprintable() else "\ufffd" for char in bare)
