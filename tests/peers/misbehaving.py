"""A server that speaks OpenAI's chat protocol and misbehaves on demand, as a process of its own.

How it misbehaves stands in the path: ``http://127.0.0.1:PORT/MODE/v1``. A mode is a word, or ``word=value``; several,
joined by commas, are combined. It answers :data:`TEXT` in :data:`PIECES`, each in an HTTP chunk of its own.

What is said (one of these; ``good`` is the default)

=======================  =====================================================  =======================================
mode                     what the server does                                   what a good client does
=======================  =====================================================  =======================================
good                     answers properly                                       gives TEXT, usage from the provider
reasoning-content        thinks THOUGHT in ``reasoning_content``                keeps it apart from the text
reasoning                thinks THOUGHT in ``reasoning``                        keeps it apart from the text
thinking-eats-budget     only thinks, ends with ``length``, unless thinking is  asks again without thinking where a
                         off                                                    schema needs an answer
no-usage                 never sends usage                                      estimates it, and says so
stream-options-refused   400 when ``stream_options`` is sent                    asks again without
empty-choices            sends chunks with ``choices: []``                      gives TEXT
missing-choices          sends chunks without ``choices``, one null             gives TEXT
null-delta               sends null deltas, choices and contents                gives TEXT
odd-types                sends numbers, lists and texts where objects belong    gives TEXT, or a typed error
error-empty              ``{"error": {}}`` after two pieces, status 200         keeps them; typed error
error-string             ``{"error": "overloaded"}`` after two pieces           keeps them; typed error
error-object             OpenAI's error object after two pieces                 keeps them; typed error
error-event              ``event: error`` after two pieces                      keeps them; typed error
error-first              OpenAI's error object before any piece                 typed error, retryable
keep-alives              comments, empty data, ids alone between pieces         gives TEXT
no-done                  a finish_reason, but no ``[DONE]``                     gives TEXT
done-only                ``[DONE]``, but never a finish_reason                  gives TEXT, flags the inferred reason
unfinished               ends properly without finish_reason and ``[DONE]``     keeps TEXT; StreamTruncated
empty                    an event stream with nothing in it                     StreamTruncated
content-in-finish        the last piece comes with the finish_reason            gives TEXT
tools                    calls a tool in four pieces                            one call, ARGUMENTS parsed
tools-stop               the same with finish_reason ``stop``                   one call, finish ``tool_calls``
tools-length             arguments are cut, finish_reason ``tool_calls``        one call whose parsing fails, flagged
tools-no-index           two calls without index                                two calls, by id
tools-index-zero         two calls, all index 0                                 two calls, by id
json-object-refused      400 for ``response_format: json_object``               tries ``json_schema``
json-schema-refused      400 for ``response_format: json_schema``               tries ``json_object``
schema-ignored           takes any schema, answers what it likes                InvalidOutput
grammar-bounds           400 "grammar" when a schema has large bounds           asks again without them
peg-format               500 "peg-native format" unless cooler or               once more, cooler or with
                         ``reasoning_format: none``                             ``reasoning_format: none``
other-model              says that another model has answered                   flags it
whole-only               400 for ``stream: true``                               asks for the whole answer
unknown-fields           more fields and events than documented                 gives TEXT
echo                     says what the last message says, a character a chunk   gives that
status=N                 HTTP status N, with an error body                      typed error
echo-key                 status 401, and repeats the key in the message         typed error without the key
redirect=ADDRESS         307 to ``http://ADDRESS/...``                          typed error; nothing is sent there
=======================  =====================================================  =======================================

How it is said (any number of these)

=======================  =====================================================  =======================================
cr, crlf, no-space       lines end in CR or CRLF; ``data:`` without a space     gives TEXT
bom                      a byte order mark first                                gives TEXT
split=N                  the stream comes in chunks of N bytes                  gives TEXT
cut=N                    the connection is closed after N bytes of the body     keeps what came; StreamTruncated
reset=N                  the connection is reset after N bytes                  keeps what came; StreamTruncated
stall=N                  silence after N bytes                                  keeps what came; TimedOut
delay=S                  S seconds between chunks                               gives TEXT
undelimited              neither length nor chunks: ends when closed            gives TEXT
done-open                after the last chunk the answer does not end           gives TEXT without waiting
silence                  reads the request and says nothing                     TimedOut
slow-head                the head comes byte by byte, and never ends            TimedOut
informed                 sends ``100 Continue`` for ever                        TimedOut
keep-alives-only         comments for ever, nothing else                        TimedOut
close                    closes the connection instead of answering             Unreachable, retryable
garbage                  what comes is not HTTP                                 BadProtocol
huge-head                a header of 1 MB                                       BadProtocol
huge-line                one line without end                                   BadProtocol, little memory used
bad-chunk                the size of an HTTP chunk is not a number              StreamTruncated
html                     a web page with status 200                             BadProtocol
not-json                 data that is not JSON                                  BadProtocol
bad-utf8                 bytes within a text that are not UTF-8                 a typed error, or the text with U+FFFD
gzip, bad-gzip           compressed although that was not accepted, or only     gives TEXT; BadProtocol
                         said to be
=======================  =====================================================  =======================================

More for ``status``: ``retry-after=``, ``retry-after-ms=``, ``should-retry=`` (headers), ``shape=`` (``openai``,
``string``, ``anthropic``, ``fastapi``, ``llama``, ``html``, ``empty``, ``empty-object``), ``code=``, ``message=``, and
``times=N,id=X`` to fail only so often. ``GET /MODE/v1/models`` lists models; ``models-array`` and ``models-extra``
change the shape of the list, and ``cookie`` sets one. ``GET /seen`` tells which requests came, and how many
connections there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import struct
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

PIECES = [
    "Grüße ",
    "an ",
    "世界 ",
    "🌍: ",
    "the quick ",
    "brown\u2028fox ",
    '\\frac "jumps"\n',
    "over the ",
    "lazy ",
    "dog.",
]
TEXT = "".join(PIECES)
THOUGHT = "First, greet the world."
ARGUMENTS = '{"city": "Zürich", "days": 3}'
MODEL = "quirky"
USAGE = {"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17}

Json = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A running server; ``url(mode)`` is the base URL at which it misbehaves so."""

    port: int

    def url(self, mode: str = "good", host: str = "127.0.0.1") -> str:
        """Return the base URL of a mode; the ``host`` ``127.1`` looks like one that is not on this machine."""
        return f"http://{host}:{self.port}/{mode}/v1"

    def seen(self) -> Json:
        """Return ``requests`` (method, path, headers, body), ``opened`` and ``open``: the counts of connections."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen", timeout=5) as answer:
            found: Json = json.load(answer)
            return found

    def forget(self) -> None:
        """Begin counting anew."""
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/forget", timeout=5).close()


@contextlib.contextmanager
def start() -> Iterator[Peer]:
    """Run the server as a process until the context ends."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Peer(int(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate()


# What is said: lists of events, each the JSON of a chunk, or bytes that are sent as they are.


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> Json:
    """One chunk of a streamed answer."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "choices": [choice], **more}


def call(index: int | None, arguments: str, call_id: str | None = None, name: str | None = None) -> Json:
    """One piece of a tool call."""
    piece: Json = {"function": {"arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if call_id:
        piece |= {"id": call_id, "type": "function"}
        piece["function"]["name"] = name
    return chunk({"tool_calls": [piece]})


ROLE = chunk({"role": "assistant", "content": ""})
SAID = [chunk({"content": piece}) for piece in PIECES]
STOP = chunk(finish="stop")
COUNTED = {**chunk(), "choices": [], "usage": USAGE}
DONE = b"data: [DONE]\n\n"
ERROR = {"error": {"message": "The engine is overloaded", "type": "server_error", "code": "overloaded", "param": None}}


def thoughts(name: str) -> list[Any]:
    """THOUGHT in two pieces, under a name."""
    return [chunk({name: THOUGHT[:6]}), chunk({name: THOUGHT[6:]})]


def between(*interjections: Any) -> list[Any]:
    """A good answer with something before each piece."""
    pieces = [each for piece in SAID for each in (*interjections, piece)]
    return [ROLE, *pieces, *interjections, STOP, COUNTED, DONE]


def one_call(finish: str, arguments: str = ARGUMENTS) -> list[Any]:
    """A tool call in four pieces."""
    third = len(arguments) // 3
    pieces = [arguments[:third], arguments[third : 2 * third], arguments[2 * third :]]
    begun = call(0, "", "call_a", "get_weather")
    return [ROLE, begun, *(call(0, piece) for piece in pieces), chunk(finish=finish), COUNTED, DONE]


def two_calls(first: int | None, second: int | None) -> list[Any]:
    """Two tool calls, each in two pieces that name its id or nothing."""
    pieces = [
        call(first, ARGUMENTS[:9], "call_a", "get_weather"),
        call(first, ARGUMENTS[9:]),
        call(second, "{}", "call_b", "get_time"),
    ]
    return [ROLE, *pieces, chunk(finish="tool_calls"), COUNTED, DONE]


ANSWERS: dict[str, list[Any]] = {
    "good": [ROLE, *SAID, STOP, COUNTED, DONE],
    "reasoning-content": [ROLE, *thoughts("reasoning_content"), *SAID, STOP, COUNTED, DONE],
    "reasoning": [ROLE, *thoughts("reasoning"), *SAID, STOP, COUNTED, DONE],
    "thinking-eats-budget": [ROLE, *thoughts("reasoning_content"), chunk(finish="length"), COUNTED, DONE],
    "no-usage": [ROLE, *SAID, STOP, DONE],
    "empty-choices": between({**chunk(), "choices": []}),
    "missing-choices": between({"id": "chatcmpl-1"}, {"choices": None}),
    "null-delta": between(
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {"choices": [None]},
        chunk({"content": None, "tool_calls": None, "reasoning_content": None}),
    ),
    "odd-types": between(b"data: 42\n\n", b'data: "text"\n\n', b"data: [1]\n\n", {"choices": {}}, {"choices": [7]}),
    "error-empty": [ROLE, *SAID[:2], {"error": {}}],
    "error-string": [ROLE, *SAID[:2], {"error": "overloaded"}],
    "error-object": [ROLE, *SAID[:2], ERROR],
    "error-event": [ROLE, *SAID[:2], b"event: error\ndata: " + json.dumps(ERROR["error"]).encode() + b"\n\n"],
    "error-first": [ERROR],
    "keep-alives": between(b": ping\n\n", b"data:\n\n", b"data: \n\n", b"id: 1\n\n", b"retry: 10\nevent: ping\n\n"),
    "no-done": [ROLE, *SAID, STOP, COUNTED],
    "done-only": [ROLE, *SAID, COUNTED, DONE],
    "unfinished": [ROLE, *SAID],
    "empty": [],
    "content-in-finish": [ROLE, *SAID[:-1], chunk({"content": PIECES[-1]}, "stop"), COUNTED, DONE],
    "tools": one_call("tool_calls"),
    "tools-stop": one_call("stop"),
    "tools-length": one_call("tool_calls", ARGUMENTS[:-6]),
    "tools-no-index": two_calls(None, None),
    "tools-index-zero": two_calls(0, 0),
    "unknown-fields": between(
        b"event: ping\nid: 7\nfoo: bar\n: x\n\n",
        chunk({"annotations": [], "audio": None}, service_tier="x", timings={}),
    ),
    "keep-alives-only": [b": ping\n\n"],
    "not-json": [ROLE, SAID[0], b"data: {'content': oops}\n\n", STOP, DONE],
    "bad-utf8": [ROLE, SAID[0], b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n', STOP, DONE],
}
LARGE = 1_000
"""Bounds in a schema from which on ``grammar-bounds`` gives up."""


def refusal(modes: dict[str, str], body: Json) -> tuple[int, str] | None:
    """Status and message with which a mode refuses a body."""
    form = (body.get("response_format") or {}).get("type")
    if "stream-options-refused" in modes and "stream_options" in body:
        return 400, "Unrecognized request argument supplied: stream_options"
    if "json-object-refused" in modes and form == "json_object":
        return 400, "'response_format.type' must be 'json_schema' or 'text'"
    if "json-schema-refused" in modes and form == "json_schema":
        return 400, "response_format type json_schema is not supported"
    if "whole-only" in modes and body.get("stream"):
        return 400, "This bot does not support streaming"
    if "grammar-bounds" in modes and has_large_bounds(body.get("response_format")):
        return 400, "Failed to initialize samplers: failed to parse grammar"
    if "peg-format" in modes and body.get("reasoning_format") != "none" and body.get("temperature", 1) > 0.5:
        return 500, "The model produced output that does not match the expected peg-native format"
    return None


def has_large_bounds(schema: Any) -> bool:
    """Whether a number of at least :data:`LARGE` stands anywhere in a schema."""
    if isinstance(schema, dict):
        return any(map(has_large_bounds, schema.values()))
    if isinstance(schema, list):
        return any(map(has_large_bounds, schema))
    return isinstance(schema, int) and schema >= LARGE


def thinks(body: Json) -> bool:
    """Whether a request leaves thinking on."""
    wanted = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
    return bool(wanted) and body.get("reasoning_effort") not in ("none", "minimal", "low")


def events(modes: dict[str, str], body: Json) -> list[bytes]:
    """The events of a streamed answer."""
    chosen: list[Any] = next((ANSWERS[mode] for mode in modes if mode in ANSWERS), ANSWERS["good"])
    if "echo" in modes:
        chosen = [
            *(chunk({"content": character}) for character in body["messages"][-1]["content"]),
            STOP,
            COUNTED,
            DONE,
        ]
    if "thinking-eats-budget" in modes and not thinks(body):
        chosen = ANSWERS["good"]
    if not (body.get("stream_options") or {}).get("include_usage"):
        chosen = [each for each in chosen if each is not COUNTED]
    model = "another" if "other-model" in modes else body.get("model", MODEL)
    return [reframed(written(each, model), modes) for each in chosen]


def written(event: Any, model: str) -> bytes:
    """An event as bytes; chunks name the model."""
    if not isinstance(event, dict):
        return bytes(event)
    named = {**event, "model": model} if "choices" in event else event
    return b"data: " + json.dumps(named, ensure_ascii=False).encode() + b"\n\n"


def reframed(event: bytes, modes: dict[str, str]) -> bytes:
    """An event with other ends of lines, or without the space after the colon."""
    if "no-space" in modes:
        event = event.replace(b"data: ", b"data:", 1)
    if "cr" in modes:
        return event.replace(b"\n", b"\r")
    return event.replace(b"\n", b"\r\n") if "crlf" in modes else event


def whole(modes: dict[str, str], body: Json) -> Json:
    """The answer in one piece."""
    text = json.dumps({"unexpected": True}) if "schema-ignored" in modes else TEXT
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    model = "another" if "other-model" in modes else body.get("model", MODEL)
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [choice], "usage": USAGE}


def models(modes: dict[str, str]) -> Any:
    """The list of models."""
    listed = [{"id": MODEL, "object": "model"}, {"id": "quirky-2", "object": "model"}]
    if "models-array" in modes:
        return listed
    extra = {"models": [{"name": MODEL, "model": MODEL}]} if "models-extra" in modes else {}
    return {"object": "list", "data": listed, **extra}


def problem(modes: dict[str, str], message: str) -> bytes:
    """The body of an error."""
    code = modes.get("code", "")
    shapes: dict[str, Any] = {
        "openai": {"error": {"message": message, "type": code or "error", "code": code or None, "param": None}},
        "string": {"error": message},
        "anthropic": {"type": "error", "error": {"type": code or "api_error", "message": message}},
        "fastapi": {"detail": message},
        "llama": {"error": {"code": int(modes.get("status", 500)), "message": message, "type": code or "server_error"}},
        "empty-object": {"error": {}},
    }
    shape = modes.get("shape", "openai")
    if shape == "html":
        return f"<html><head><title>{message}</title></head><body><h1>{message}</h1></body></html>".encode()
    return b"" if shape == "empty" else json.dumps(shapes[shape]).encode()


# How it is said: raw bytes on a connection.


@dataclass
class Server:
    """What all connections share."""

    requests: list[Json] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    open: int = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until one of the two sides closes it."""
        self.opened += 1
        self.open += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection can be used for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.rstrip().split("\r\n")
        method, path, _ = request.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        body: Json = json.loads(raw) if raw else {}
        if path in ("/seen", "/forget"):
            return await self._tell(writer, path)
        self.requests.append({"method": method, "path": path, "headers": headers, "body": body})
        first = path.removeprefix("http://").partition("/")[2] if path.startswith("http") else path.lstrip("/")
        modes = {name: unquote(value) for name, _, value in (m.partition("=") for m in first.split("/")[0].split(","))}
        async with watched(reader, writer):
            return await Exchange(self, writer, modes, path, headers, body).run()

    async def _tell(self, writer: asyncio.StreamWriter, path: str) -> bool:
        self.opened -= 1  # this one does not count
        if path == "/forget":
            self.requests.clear()
            self.failures.clear()
            self.opened = 0
        told = {"requests": self.requests, "opened": self.opened, "open": self.open - 1}
        content = json.dumps(told).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content))
        await writer.drain()
        return False


@contextlib.asynccontextmanager
async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    """Give up what is being said as soon as the client is gone."""
    task = asyncio.current_task()
    assert task

    async def watch() -> None:
        while not reader.at_eof() and not writer.transport.is_closing():
            await asyncio.sleep(0.005)
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        raise ConnectionResetError from None
    finally:
        watcher.cancel()


@dataclass
class Exchange:
    """One answer, in the making."""

    server: Server
    writer: asyncio.StreamWriter
    modes: dict[str, str]
    path: str
    headers: dict[str, str]
    body: Json

    async def run(self) -> bool:
        """Answer; whether the connection can be used for another request."""
        for mode in self.modes:
            if mode in ABRUPT:
                await ABRUPT[mode](self)
                return False
        if "redirect" in self.modes:
            where = f"location: http://{self.modes['redirect']}{self.path}?token=secret\r\n"
            return await self.say(307, b"", where)
        if "status" in self.modes and self._still_failing():
            return await self._fail(int(self.modes["status"]), self.modes.get("message", "This did not work"))
        if "echo-key" in self.modes:
            sent = [self.headers.get(name, "") for name in ("authorization", "api-key", "x-api-key")]
            return await self._fail(401, f"This key is wrong: {''.join(sent)}")
        if refused := refusal(self.modes, self.body):
            return await self._fail(*refused)
        if self.path.endswith("/models"):
            cookie = "set-cookie: session=1\r\n" if "cookie" in self.modes else ""
            return await self.say(200, json.dumps(models(self.modes)).encode(), cookie)
        if not self.body.get("stream"):
            return await self.say(200, json.dumps(whole(self.modes, self.body), ensure_ascii=False).encode())
        return await self._stream()

    def _still_failing(self) -> bool:
        self.server.failures[self.path] += 1
        return self.server.failures[self.path] <= int(self.modes.get("times", 1_000_000))

    async def _fail(self, status: int, message: str) -> bool:
        names = {"retry-after": "retry-after", "retry-after-ms": "retry-after-ms", "should-retry": "x-should-retry"}
        headers = "".join(f"{names[mode]}: {value}\r\n" for mode, value in self.modes.items() if mode in names)
        kind = "text/html" if self.modes.get("shape") == "html" else "application/json"
        return await self.say(status, problem(self.modes, message), headers, kind)

    async def say(self, status: int, content: bytes, headers: str = "", kind: str = "application/json") -> bool:
        """Send an answer of known length."""
        if "gzip" in self.modes or "bad-gzip" in self.modes:
            headers += "content-encoding: gzip\r\n"
            content = gzip.compress(content) if "gzip" in self.modes else content
        head = f"HTTP/1.1 {status} x\r\n{headers}content-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        await self.writer.drain()
        return True

    async def _stream(self) -> bool:
        """Send the events of an answer, and end it as the mode wants."""
        undelimited, delay = "undelimited" in self.modes, float(self.modes.get("delay", 0))
        pieces = events(self.modes, self.body)
        if "bom" in self.modes:
            pieces.insert(0, b"\xef\xbb\xbf")
        ending = next((mode for mode in ("cut", "reset", "stall") if mode in self.modes), "")
        limit = int(self.modes[ending]) if ending else None
        stream = b"".join(pieces)
        if limit is not None:
            stream = stream[:limit]
        encoding = ""
        if "gzip" in self.modes or "bad-gzip" in self.modes:
            encoding = "content-encoding: gzip\r\n"
            pieces = [gzip.compress(stream) if "gzip" in self.modes else stream]
        elif limit is not None or "split" in self.modes:
            size = int(self.modes.get("split", 64))
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        framing = "connection: close\r\n" if undelimited else "transfer-encoding: chunked\r\n"
        self.writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{encoding}{framing}\r\n".encode())
        for piece in pieces:
            self.writer.write(piece if undelimited else b"%x\r\n%s\r\n" % (len(piece), piece))
            await self.writer.drain()
            if delay:
                await asyncio.sleep(delay)
        while "keep-alives-only" in self.modes:
            self.writer.write(b"8\r\n: ping\n\n\r\n")
            await self.writer.drain()
            await asyncio.sleep(0.02)
        if ending == "reset":
            linger = struct.pack("ii", 1, 0)
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif ending == "stall" or "done-open" in self.modes:
            await asyncio.sleep(3600)
        if ending or undelimited:
            return False
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return True

    async def silence(self) -> None:
        """Say nothing."""
        await asyncio.sleep(3600)

    async def slow_head(self) -> None:
        """Send a head that does not end."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while True:
            self.writer.write(b"x")
            await self.writer.drain()
            await asyncio.sleep(0.02)

    async def informed(self) -> None:
        """Send heads that announce another head."""
        while True:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.writer.drain()
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Say nothing, and leave."""

    async def garbage(self) -> None:
        """Send what is not HTTP."""
        self.writer.write(bytes(range(256)) * 4)
        await self.writer.drain()

    async def huge_head(self) -> None:
        """Send a header of a megabyte."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 1_000_000 + b"\r\ncontent-length: 2\r\n\r\n{}")
        await self.writer.drain()

    async def huge_line(self) -> None:
        """Send a line without end."""
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
        while True:
            self.writer.write(b"x" * 65536)
            await self.writer.drain()

    async def bad_chunk(self) -> None:
        """Send two pieces, and then a chunk whose size is none."""
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in events({}, self.body)[:3]:
            self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.writer.write(b"size\r\nxx\r\n")
        await self.writer.drain()

    async def html(self) -> None:
        """Send a web page."""
        await self.say(200, b"<!doctype html><title>Sign in</title><h1>Sign in</h1>", kind="text/html")


ABRUPT: dict[str, Callable[[Exchange], Any]] = {
    "silence": Exchange.silence,
    "slow-head": Exchange.slow_head,
    "informed": Exchange.informed,
    "close": Exchange.close,
    "garbage": Exchange.garbage,
    "huge-head": Exchange.huge_head,
    "huge-line": Exchange.huge_line,
    "bad-chunk": Exchange.bad_chunk,
    "html": Exchange.html,
}


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Server().connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
