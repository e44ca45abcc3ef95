"""Mutated streams on their whole way: bytes, HTTP, the runtime's parser, the turn; and what has become of each.

Most are given to the HTTP client in this process; those that are served come through a real socket.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

import httpx

from alain_magics.errors import AlainError
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.deadlines import Deadlines
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.turn import Turn, TurnOptions
from tests.peers.mutations import Stream, mutated

HANG = 2.0
"""Seconds after which a stream counts as one that hangs."""

SILENCE = 1.0
AT_ONCE, BUSY = 60, 8
"""Streams at once, and those among them that are not just silent: more would wait for each other's computing."""


@dataclass
class Outcomes:
    """What has become of the streams of an operator."""

    streams: int = 0
    answerable: int = 0
    exact: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """How they ended: ``answer`` or the name of the error."""
    wrong: list[str] = field(default_factory=list)
    """What must not be: hangs, untyped errors, other text than the stream's, each with its number."""


class _Fed(httpx.AsyncBaseTransport):
    """Answers each request with the chunks of the stream that its model names, without a network."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stream = mutated(number_of(await request.aread()), self._seed)
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=_Body(stream))


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._stream.chunks:
            await asyncio.sleep(0)
            yield chunk
        if self._stream.ending == "silent":
            await asyncio.Event().wait()
        if self._stream.ending == "broken":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class _FedPool(Pool):
    """A pool whose clients reach no network."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def open_client(self, local: bool) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=_Fed(self._seed))


@asynccontextmanager
async def _serving(seed: int) -> AsyncIterator[str]:
    """Serve the streams on a real socket; gives the base URL."""
    handlers = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                stream = mutated(number_of(await reader.readexactly(length)), seed)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for chunk in stream.chunks:
                    if chunk:
                        writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                if stream.ending == "silent":
                    await reader.read()
                if stream.ending != "closed":
                    break
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    await asyncio.gather(*handlers)


def number_of(body: bytes) -> int:
    """The number of the stream that a request asks for."""
    return int(json.loads(body)["model"])


async def fuzz(numbers: Iterable[int], *, seed: int = 0, served: bool = False) -> dict[str, Outcomes]:
    """Run streams through the turn, many at once, and return what has become of them, by operator."""
    outcomes: dict[str, Outcomes] = {}
    waiting = iter(numbers)
    busy = asyncio.Semaphore(BUSY)

    async def work(http: Http) -> None:
        for number in waiting:
            stream = mutated(number, seed)
            async with nullcontext() if stream.ending == "silent" else busy:
                await _one(number, stream, http, outcomes.setdefault(stream.operator, Outcomes()))

    async def work_all(pool: Pool, url: str) -> None:
        http = Http(pool, Provider("fuzz", "Fuzz", "openai", url), None, Deadlines(5, SILENCE, SILENCE))
        try:
            await asyncio.gather(*(work(http) for _ in range(AT_ONCE)))
        finally:
            await pool.aclose()

    if served:
        async with _serving(seed) as url:
            await work_all(Pool(), url)
    else:
        await work_all(_FedPool(seed), "http://127.0.0.1/v1")
    return outcomes


async def _one(number: int, stream: Stream, http: Http, entry: Outcomes) -> None:
    """Run one stream, and note what it has become."""
    request = ChatRequest(str(number), (Message("user", "Answer."),))
    turn = Turn(OpenAIRuntime(http.provider, http), request, options=TurnOptions(retries=0))
    kind, fault = "answer", ""
    began = time.monotonic()
    try:
        async with asyncio.timeout(HANG * 5):
            await turn.run()
    except AlainError as error:
        kind = type(error).__name__
        if not error.advice or len(str(error)) > 400:
            fault = f"bad message: {error}"
        if "sent what it should not" in error.what:  # what the turn says of exceptions that nobody expected
            fault = f"untyped: {error.what}"
    except Exception as error:
        fault = kind = f"untyped {type(error).__name__}"
    if time.monotonic() - began > HANG:
        fault = "hang"
    answer = turn.answer
    exact = kind == "answer" and (answer.text, answer.reasoning) == (stream.text, stream.reasoning)
    exact = exact and "".join(call.arguments for call in answer.tool_calls) == stream.arguments
    if stream.answerable and not exact:
        fault = fault or f"{kind}: {answer.text!r} is not {stream.text!r}"
    if stream.kept is not None and not answer.text.startswith(stream.kept):
        fault = fault or f"{kind}: {answer.text!r} does not keep {stream.kept!r}"
    entry.streams += 1
    entry.answerable += stream.answerable
    entry.exact += exact
    entry.kinds[kind] += 1
    if fault:
        entry.wrong.append(f"stream {number}: {fault}")
