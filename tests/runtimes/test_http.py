"""Requests to real servers that behave and misbehave: every failure is a typed error with advice, and shows no key."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
import ssl
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from alain_magics.errors import (
    BadProtocol,
    KeyMisused,
    KeyRefused,
    ModelError,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerFailed,
    StreamTruncated,
    TimedOut,
    Unreachable,
)
from alain_magics.keys import Key
from alain_magics.runtimes.deadlines import DRAIN, Deadlines
from alain_magics.runtimes.http import CONNECTIONS, Http, Pool
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.sse import SseDecoder
from tests.conftest import require
from tests.peers.misbehaving import MODEL, TEXT, Peer, start
from tests.runtimes.contract import Run

SECRET = "sk-canary-0123456789abcdef"
PATIENT = Deadlines(connect=5, first=5, silence=5)
QUICK = Deadlines(connect=0.3, first=0.3, silence=0.3)
HOSTED = "127.1"  # an address of this machine that does not look like one
BODY = {"model": MODEL, "stream": True, "messages": []}


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with start() as peer:
        yield peer


Connect = Callable[..., Http]


@pytest.fixture
def connect(pool: Pool) -> Connect:
    """Makes the HTTP of a provider at an address."""

    def connect(url: str, *, auth: Any = "none", deadlines: Deadlines = PATIENT, **options: Any) -> Http:
        steps = ("Install it.", "Start it.") if "127.0.0.1" in url else ("", "")
        provider = Provider("quirky", "Quirky", "openai", url, ("QUIRKY_KEY",), auth=auth, steps=steps, **options)
        key = Key(SECRET, "QUIRKY_KEY", [provider.host]) if auth != "none" else None
        return Http(pool, provider, key, deadlines)

    return connect


async def read(http: Http, received: list[str] | None = None, body: Any = BODY) -> str:
    """The text of a streamed answer; what came before a failure is in ``received``."""
    received = [] if received is None else received
    decoder, done = SseDecoder(), False
    async with http.stream("/chat/completions", body) as incoming:
        async for chunk in incoming:
            for _, data in decoder.feed(chunk):
                done = data == b"[DONE]"
                if not done and (text := text_of(from_json(data))):
                    incoming.content()
                    received.append(text)
            if done:
                incoming.complete()
    return "".join(received)


def text_of(chunk: Any) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk.get("choices", []))


async def failure_of(work: Awaitable[Any]) -> ModelError:
    """The error that the work ends with, within seconds."""
    try:
        async with asyncio.timeout(10):
            await work
    except ModelError as error:
        return error
    raise AssertionError("nothing went wrong")


@asynccontextmanager
async def saying(reply: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that sends the same bytes after any request; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


# What goes well


def test_json_is_sent_and_received(run: Run, connect: Connect, peer: Peer) -> None:
    peer.forget()
    http = connect(peer.url())
    assert [each["id"] for each in run(http.get("/models"))["data"]] == [MODEL, "quirky-2"]
    answer = run(http.post("/chat/completions", {"model": MODEL, "text": "Grüße \u2028 🌍"}))
    assert answer["choices"][0]["message"]["content"] == TEXT
    assert [(each["method"], each["body"]) for each in peer.seen()["requests"]] == [
        ("GET", {}),
        ("POST", {"model": MODEL, "text": "Grüße \u2028 🌍"}),
    ]


def test_an_answer_without_a_body_is_none(run: Run, connect: Connect) -> None:
    async def unload() -> Any:
        async with saying(b"HTTP/1.1 204 No Content\r\n\r\n") as port:
            return await connect(f"http://127.0.0.1:{port}").post("/x", {})

    assert run(unload()) is None


@pytest.mark.parametrize(
    "mode",
    ["good", "cr", "crlf", "no-space", "bom", "split=1", "split=7", "undelimited", "gzip", "keep-alives", "delay=0.05"],
)
def test_a_stream_gives_the_text_however_it_is_sent(run: Run, connect: Connect, peer: Peer, mode: str) -> None:
    assert run(read(connect(peer.url(mode)))) == TEXT


def test_a_compressed_whole_answer_is_read(run: Run, connect: Connect, peer: Peer) -> None:
    assert run(connect(peer.url("gzip")).get("/models"))["data"]


def test_a_stream_that_was_read_to_its_end_leaves_its_connection_for_the_next(
    run: Run, connect: Connect, peer: Peer
) -> None:
    peer.forget()
    http = connect(peer.url())
    for _ in range(3):
        run(read(http))
    assert peer.seen()["opened"] == 1


@pytest.mark.parametrize("mode", ["done-open", "good,keep-alives-only"])
def test_nobody_waits_for_a_server_that_does_not_end_a_complete_stream(
    run: Run, connect: Connect, peer: Peer, mode: str
) -> None:
    began = time.monotonic()
    assert run(read(connect(peer.url(mode)))) == TEXT
    assert time.monotonic() - began < DRAIN + 1


def test_what_breaks_after_the_content_is_complete_does_no_harm(run: Run, connect: Connect, peer: Peer) -> None:
    whole = len(run(raw(connect(peer.url()))))
    assert run(read(connect(peer.url(f"cut={whole}")))) == TEXT


async def raw(http: Http) -> bytes:
    """The bytes of a streamed answer."""
    async with http.stream("/chat/completions", BODY) as incoming:
        return b"".join([chunk async for chunk in incoming])


def test_the_media_type_is_known_before_the_content(run: Run, connect: Connect, peer: Peer) -> None:
    async def media_type() -> str:
        async with connect(peer.url()).stream("/chat/completions", BODY) as incoming:
            return incoming.media_type

    assert run(media_type()) == "text/event-stream"


# Deadlines


@pytest.mark.parametrize("mode", ["silence", "slow-head", "informed", "keep-alives-only", "stall=0", "stall=150"])
def test_the_first_content_has_a_deadline(run: Run, connect: Connect, peer: Peer, mode: str) -> None:
    began = time.monotonic()
    error = run(failure_of(read(connect(peer.url(mode), deadlines=QUICK))))
    assert isinstance(error, TimedOut)
    assert QUICK.first <= time.monotonic() - began < QUICK.first + 1
    assert "first_token_seconds" in error.advice


def test_silence_within_an_answer_has_a_deadline_and_what_came_is_kept(run: Run, connect: Connect, peer: Peer) -> None:
    received: list[str] = []
    began = time.monotonic()
    error = run(failure_of(read(connect(peer.url("stall=800"), deadlines=Deadlines(1, 9, 0.3)), received)))
    assert isinstance(error, TimedOut)
    assert not error.retryable
    assert 0.3 <= time.monotonic() - began < 1.3
    assert "silence_seconds" in error.advice
    assert received
    assert TEXT.startswith("".join(received))


def test_slow_content_is_no_silence(run: Run, connect: Connect, peer: Peer) -> None:
    assert run(read(connect(peer.url("delay=0.1"), deadlines=Deadlines(1, 1, 0.7)))) == TEXT


def test_the_time_that_the_reader_takes_is_no_silence(run: Run, connect: Connect, peer: Peer) -> None:
    async def slowly() -> int:
        chunks = 0
        async with connect(peer.url("delay=0.01"), deadlines=Deadlines(1, 0.2, 0.2)).stream(
            "/chat/completions", BODY
        ) as it:
            async for _ in it:
                it.content()
                await asyncio.sleep(0.25 if chunks < 3 else 0)
                chunks += 1
        return chunks

    assert run(slowly()) > 10


@pytest.mark.parametrize("mode", ["silence", "slow-head"])
def test_a_whole_answer_has_a_deadline(run: Run, connect: Connect, peer: Peer, mode: str) -> None:
    began = time.monotonic()
    assert isinstance(run(failure_of(connect(peer.url(mode)).get("/models", deadline=0.2))), TimedOut)
    assert 0.2 <= time.monotonic() - began < 1.2


def test_a_whole_answer_that_dribbles_has_one_too(run: Run, connect: Connect) -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            writer.write(b" ")
            await asyncio.sleep(0.02)
        writer.close()

    async def ask() -> ModelError:
        async with await asyncio.start_server(dribble, "127.0.0.1", 0) as server:
            http = connect(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            return await failure_of(http.get("/models", deadline=0.2))

    assert isinstance(run(ask()), TimedOut)


def test_a_connection_has_a_deadline(run: Run, connect: Connect) -> None:
    with closing(socket.socket()) as full, closing(socket.socket()) as first, closing(socket.socket()) as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # they fill the queue
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        http = connect(f"http://127.0.0.1:{full.getsockname()[1]}", deadlines=Deadlines(0.2, 9, 9))
        began = time.monotonic()
        error = run(failure_of(http.get("/models")))
        assert isinstance(error, TimedOut)
        assert time.monotonic() - began < 1.2
        assert "Start it." in error.advice


def test_many_stalls_all_end_at_their_deadline(run: Run, connect: Connect, peer: Peer) -> None:
    deadlines = Deadlines(connect=5, first=0.5, silence=0.5)

    async def stalled(after: int) -> float:
        began = time.monotonic()
        error = await failure_of(read(connect(peer.url(f"stall={after}"), deadlines=deadlines)))
        assert isinstance(error, TimedOut)
        return time.monotonic() - began

    async def all_of_them() -> list[float]:
        places = random.Random(3).sample(range(2000), 40)
        return await asyncio.gather(*(stalled(place) for place in places))

    assert max(run(all_of_them())) < 0.5 + 1


# What goes wrong


@pytest.mark.parametrize(
    ("mode", "kind", "said"),
    [
        ("close", Unreachable, "closed the connection"),
        ("garbage", BadProtocol, "does not speak HTTP"),
        ("huge-head", BadProtocol, "does not speak HTTP"),
        ("html", BadProtocol, "web page"),
        ("huge-line", BadProtocol, "16 MiB"),
        ("bad-gzip", BadProtocol, "compressed"),
        ("bad-chunk", StreamTruncated, "broke"),
        ("cut=700", StreamTruncated, "broke"),
        ("reset=700", StreamTruncated, "broke"),
        ("status=500", ServerFailed, "This did not work"),
        ("status=503,shape=html,message=Bad%20gateway", ServerFailed, "Bad gateway"),
        ("status=503,shape=empty", ServerFailed, "503"),
        ("status=401,shape=fastapi", KeyRefused, "QUIRKY_KEY"),
        ("status=404,shape=fastapi", Refused, "path"),
        ("status=429,code=insufficient_quota", QuotaExceeded, "credit"),
    ],
)
def test_each_failure_is_typed_and_advises(
    run: Run, connect: Connect, peer: Peer, mode: str, kind: type[ModelError], said: str
) -> None:
    error = run(failure_of(read(connect(peer.url(mode), auth="bearer"))))
    assert type(error) is kind
    assert said in str(error)
    assert "Quirky" in str(error) or said in ("16 MiB", "does not speak HTTP")
    assert error.advice
    assert (error.__cause__, error.__context__) == (None, None)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("close", Unreachable),
        ("garbage", BadProtocol),
        ("html", BadProtocol),
        ("bad-gzip", BadProtocol),
        ("huge-line", BadProtocol),
        ("status=500", ServerFailed),
    ],
)
def test_whole_answers_fail_the_same_way(
    run: Run, connect: Connect, peer: Peer, mode: str, kind: type[ModelError]
) -> None:
    error = run(failure_of(connect(peer.url(mode)).post("/chat/completions", {})))
    assert type(error) is kind
    assert error.advice


@pytest.mark.parametrize("reply", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"nonsense"])
def test_what_is_no_json_is_typed(run: Run, connect: Connect, reply: bytes) -> None:
    async def ask() -> Any:
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % max(len(reply), 1)
        async with saying(head + reply) as port:
            return await failure_of(connect(f"http://127.0.0.1:{port}").get("/models"))

    assert isinstance(run(ask()), BadProtocol if reply else Unreachable)


@pytest.mark.parametrize("status", [400, 402, 408, 409, 418, 429, 451, 499, 500, 502, 504, 529, 599])
@pytest.mark.parametrize(
    "shape", ["openai", "string", "anthropic", "fastapi", "llama", "html", "empty", "empty-object"]
)
def test_every_status_in_every_shape_is_typed(run: Run, connect: Connect, peer: Peer, status: int, shape: str) -> None:
    error = run(failure_of(read(connect(peer.url(f"status={status},shape={shape}")))))
    assert error.status == status
    assert error.advice


@pytest.mark.parametrize(("headers", "seconds"), [("retry-after=2", 2), ("retry-after-ms=30", 0.03), ("x=1", None)])
def test_the_time_to_wait_comes_from_the_headers(
    run: Run, connect: Connect, peer: Peer, headers: str, seconds: float | None
) -> None:
    error = run(failure_of(read(connect(peer.url(f"status=429,{headers}")))))
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_server_may_say_that_trying_again_does_not_help(run: Run, connect: Connect, peer: Peer) -> None:
    assert not run(failure_of(read(connect(peer.url("status=500,should-retry=false"))))).retryable


def test_a_break_is_worth_another_attempt_only_before_content(run: Run, connect: Connect, peer: Peer) -> None:
    assert run(failure_of(read(connect(peer.url("cut=20"))))).retryable
    assert not run(failure_of(read(connect(peer.url("cut=900"))))).retryable


def test_a_stream_cut_anywhere_keeps_what_came(run: Run, connect: Connect, peer: Peer) -> None:
    whole = run(raw(connect(peer.url())))

    async def cut(place: int, how: str) -> None:
        received: list[str] = []
        try:
            await read(connect(peer.url(f"{how}={place},split=50")), received)
        except StreamTruncated:
            pass
        else:
            assert place >= whole.index(b"[DONE]")
        events = SseDecoder().feed(whole[:place])
        complete = "".join(text_of(from_json(data)) for _, data in events if data != b"[DONE]")
        assert "".join(received) == complete if how == "cut" else complete.startswith("".join(received))

    for place in range(0, len(whole) + 1, 37):
        run(cut(place, "cut"))
        run(cut(place, "reset"))


def test_where_nothing_listens_the_steps_to_start_it_are_given(run: Run, connect: Connect) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        error = run(failure_of(connect(url).get("/models")))
        assert isinstance(error, Unreachable)
        assert error.retryable
        assert str(error) == f"Quirky does not answer at {url}. 1. Install it. 2. Start it."
        hosted = run(failure_of(connect(url.replace("127.0.0.1", HOSTED)).get("/models")))
        assert "network connection" in hosted.advice


def test_an_unknown_host_is_named(run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = run(failure_of(connect("http://models.example/v1").get("/models")))
    assert isinstance(error, Unreachable)
    assert "no such host" in error.what
    assert "models.example" in error.what


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost:80", "http://", "http://[::1", "http://a..b/v1", "ftp://x/v1", "http://x:99999/v1"),
        *("http://x:y/v1", "http://ho st/v1", "http://\x00/v1", f"http://{'a' * 300}/v1", "http://\u2028/v1"),
        "http://İ\udc80/v1",
    ],
)
def test_an_address_that_is_none_is_typed(run: Run, connect: Connect, url: str) -> None:
    error = run(failure_of(read(connect(url))))
    assert isinstance(error, Unreachable)
    assert "address" in str(error)
    assert str(error).isprintable()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.sampled_from(["http://{}/v1", "http://127.0.0.1:{}/v1", "{}", "http://127.0.0.1:1/{}"]))
def test_any_address_gives_a_typed_error(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch, text: str, shape: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: [])
    assert run(failure_of(connect(shape.format(text)).get("/models"))).advice


@pytest.mark.parametrize("headers", [{"x": "é"}, {"x": "a\nb"}, {"x y": "z"}, {"": "z"}])
def test_headers_that_cannot_be_sent_are_typed(run: Run, connect: Connect, peer: Peer, headers: dict[str, str]) -> None:
    error = run(failure_of(read(connect(peer.url(), headers=headers))))
    assert isinstance(error, BadProtocol | Unreachable)
    assert error.advice


def test_a_request_that_is_no_json_is_refused_before_it_is_sent(run: Run, connect: Connect, peer: Peer) -> None:
    peer.forget()
    for value in ("lone \udc80 surrogate", object()):
        assert isinstance(run(failure_of(connect(peer.url()).post("/x", {"text": value}))), Refused)
    assert peer.seen()["requests"] == []


# Certificates and proxies


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed."""
    openssl = shutil.which("openssl")
    require(openssl, "reason: openssl, which makes a certificate, is not installed")
    folder: Path = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [str(openssl), *"req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=x".split()],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_nobody_trusts_is_refused_but_on_this_machine(
    run: Run, connect: Connect, certificate: ssl.SSLContext
) -> None:
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"

    async def ask(host: str) -> Any:
        async with saying(reply, certificate) as port:
            return await connect(f"https://{host}:{port}", auth="bearer").get("/models")

    error = run(failure_of(ask(HOSTED)))
    assert isinstance(error, Unreachable)
    assert not error.retryable
    assert "not trusted" in error.what
    assert run(ask("127.0.0.1")) == []


@pytest.mark.parametrize("host", [HOSTED, "127.0.0.1"])
def test_a_server_without_tls_is_named(run: Run, connect: Connect, host: str) -> None:
    async def ask() -> ModelError:
        async with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            return await failure_of(connect(f"https://{host}:{port}/v1").get("/models"))

    error = run(ask())
    assert isinstance(error, Unreachable)
    assert not error.retryable
    assert "no secure connection" in error.what


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "nonsense://x"),
        ("HTTPS_PROXY", "http://[::1"),
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:1"),
        ("SSL_CERT_FILE", "/does/not/exist"),
    ],
)
def test_an_environment_that_cannot_be_used_is_typed(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = run(failure_of(connect("https://models.example/v1").get("/models")))
    assert isinstance(error, Unreachable)
    assert variable in error.advice
    assert "secret" not in shown(error)


def test_a_proxy_that_refuses_is_named(run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> ModelError:
        async with saying(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n") as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:secret@127.0.0.1:{port}")
            return await failure_of(connect("https://models.example/v1", auth="bearer").get("/models"))

    error = run(ask())
    assert isinstance(error, Unreachable)
    assert "proxy" in error.what
    assert "secret" not in shown(error)


def test_what_is_on_this_machine_is_asked_without_a_proxy(
    run: Run, connect: Connect, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert run(read(connect(peer.url()))) == TEXT


# Keys


@pytest.mark.parametrize(
    ("auth", "header"), [("bearer", "authorization"), ("api-key", "api-key"), ("x-api-key", "x-api-key")]
)
def test_the_key_goes_into_the_header_that_the_provider_wants(
    run: Run, connect: Connect, peer: Peer, auth: str, header: str
) -> None:
    peer.forget()
    run(read(connect(peer.url(), auth=auth)))
    (request,) = peer.seen()["requests"]
    assert request["headers"][header] == (f"Bearer {SECRET}" if auth == "bearer" else SECRET)
    assert SECRET not in str(request["body"]) + request["path"]


def test_a_redirect_is_not_followed_and_no_key_leaves(run: Run, connect: Connect, peer: Peer) -> None:
    with start() as other:
        error = run(failure_of(read(connect(peer.url(f"redirect=127.0.0.1:{other.port}"), auth="bearer"))))
        assert isinstance(error, BadProtocol)
        assert error.status == 307
        assert f"http://127.0.0.1:{other.port}/" in error.what
        assert "token" not in str(error)
        assert other.seen()["requests"] == []


def test_a_key_of_another_host_is_not_sent(run: Run, pool: Pool, connect: Connect, peer: Peer) -> None:
    peer.forget()
    http = Http(pool, connect(peer.url(), auth="bearer").provider, Key(SECRET, "K", ["models.example"]), QUICK)

    async def ask() -> None:
        with pytest.raises(KeyMisused):
            await read(http)

    run(ask())
    assert peer.seen()["requests"] == []


@pytest.mark.parametrize("secret", ["sk-é", "sk a", "sk\nb", "sk\r\nx: y", "\x7f"])
def test_a_key_that_cannot_be_sent_is_refused(run: Run, pool: Pool, connect: Connect, peer: Peer, secret: str) -> None:
    provider = connect(peer.url(), auth="bearer").provider
    error = run(failure_of(read(Http(pool, provider, Key(secret, "QUIRKY_KEY", [provider.host]), QUICK))))
    assert isinstance(error, KeyRefused)
    assert "QUIRKY_KEY" in str(error)
    assert secret not in shown(error)


def shown(error: BaseException) -> str:
    """Everything that can be shown of an error: itself, its chain, and the variables of its traceback."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()) + repr(vars(error))


@pytest.mark.parametrize("auth", ["bearer", "api-key"])
@pytest.mark.parametrize(
    "mode",
    """close garbage html huge-line bad-gzip bad-chunk cut=300 reset=300 stall=300 silence slow-head keep-alives-only
    redirect=127.0.0.1:1 status=500 status=401 echo-key not-json""".split(),
)
def test_no_error_shows_the_key(run: Run, connect: Connect, peer: Peer, mode: str, auth: str) -> None:
    http = connect(peer.url(mode), auth=auth, deadlines=QUICK)
    for work in (read(http), http.post("/chat/completions", BODY)):
        error = run(anything(work))
        assert error is None or SECRET not in shown(error)


async def anything(work: Awaitable[Any]) -> Exception | None:
    """The error with which the work ends, if it does."""
    try:
        await work
    except Exception as error:
        return error
    return None


def test_a_key_that_a_server_repeats_within_a_stream_is_taken_out(run: Run, connect: Connect, peer: Peer) -> None:
    async def ask() -> None:
        async with connect(peer.url(), auth="bearer").stream("/chat/completions", BODY):
            raise ServerFailed(f"It dislikes {SECRET}.", "Try again.")

    error = run(failure_of(ask()))
    assert error.what == "It dislikes …."
    assert error.args == (error.what,)


@pytest.mark.parametrize("before", range(200, 310, 7))
def test_no_beginning_of_a_key_is_left_where_words_are_cut(run: Run, connect: Connect, before: int) -> None:
    async def ask() -> None:
        page = b"x" * before + SECRET.encode() + b"!" * 300
        head = f"HTTP/1.1 400 No\r\ncontent-length: {len(page)}\r\n\r\n".encode()
        async with saying(head + page) as port:
            await connect(f"http://127.0.0.1:{port}", auth="bearer").get("/models")

    assert SECRET[:8] not in str(run(failure_of(ask())))


def test_a_key_within_the_address_of_a_redirect_is_not_shown(run: Run, connect: Connect) -> None:
    async def ask() -> None:
        reply = f"HTTP/1.1 302 Found\r\nlocation: https://x.example/{SECRET}/y\r\ncontent-length: 0\r\n\r\n"
        async with saying(reply.encode()) as port:
            await connect(f"http://127.0.0.1:{port}", auth="bearer").get("/models")

    error = run(failure_of(ask()))
    assert "redirects to https://x.example/…/y" in error.what


def test_a_word_that_a_local_server_takes_for_a_key_stays_readable(
    run: Run, pool: Pool, connect: Connect, peer: Peer
) -> None:
    provider = connect(peer.url("status=404,message=no model in ollama"), auth="bearer").provider
    error = run(failure_of(read(Http(pool, provider, Key("ollama", "K", [provider.host]), QUICK))))
    assert "no model in ollama" in error.what


def test_cookies_are_not_kept(run: Run, connect: Connect, peer: Peer) -> None:
    peer.forget()
    http = connect(peer.url("cookie"))
    for _ in range(2):
        run(http.get("/models"))
    assert [each["headers"].get("cookie") for each in peer.seen()["requests"]] == [None, None]


def test_an_address_with_a_password_does_not_show_it(run: Run, connect: Connect) -> None:
    error = run(failure_of(read(connect("http://user:secret@127.0.0.1:1/v1?token=secret"))))
    assert "http://127.0.0.1:1/v1" in error.what
    assert "secret" not in str(error)


# Many at once, and leaving early


async def settled(peer: Peer, count: int) -> bool:
    """Whether the server soon has so many connections open."""
    for _ in range(100):
        if (await asyncio.to_thread(peer.seen))["open"] == count:
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("mode", ["silence", "slow-head", "stall=300", "keep-alives-only", "delay=0.05"])
def test_a_cancelled_request_closes_its_connection_at_once(run: Run, connect: Connect, peer: Peer, mode: str) -> None:
    async def cancelled() -> float:
        before = (await asyncio.to_thread(peer.seen))["open"]
        task = asyncio.create_task(read(connect(peer.url(mode))))
        await asyncio.sleep(0.1)
        assert await settled(peer, before + 1)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        elapsed = time.monotonic() - began
        assert await settled(peer, before)
        return elapsed

    assert run(cancelled()) < 0.2


def test_a_cancellation_counts_even_when_a_deadline_passes_with_it(run: Run, connect: Connect, peer: Peer) -> None:
    async def cancelled() -> bool:
        task = asyncio.create_task(read(connect(peer.url("stall=300"), deadlines=QUICK)))
        await asyncio.sleep(0.1)
        time.sleep(QUICK.first)  # the deadline has passed when the loop looks again
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run(cancelled())


def test_a_reader_that_leaves_closes_the_connection(run: Run, connect: Connect, peer: Peer) -> None:
    async def leave() -> bool:
        before = (await asyncio.to_thread(peer.seen))["open"]
        async with connect(peer.url("delay=0.05")).stream("/chat/completions", BODY) as incoming:
            async for _ in incoming:
                break
        return await settled(peer, before)

    assert run(leave())


def test_a_hundred_streams_at_once_stay_apart_and_leak_nothing(
    run: Run, pool: Pool, connect: Connect, peer: Peer
) -> None:
    http = connect(peer.url("echo,delay=0.002"))
    texts = [f"{number} " * 20 for number in range(100)]

    async def ask(text: str) -> str:
        return await read(http, body={**BODY, "messages": [{"role": "user", "content": text}]})

    async def all_of_them() -> tuple[list[str], list[int]]:
        before = open_sockets()
        answers = await asyncio.gather(*map(ask, texts))
        most = open_sockets() - before
        await pool.aclose()
        await asyncio.sleep(0.05)
        return answers, [most, open_sockets() - before]

    answers, (most, left) = run(all_of_them())
    assert answers == texts
    assert most <= len(texts)
    assert left == 0


def open_sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))


def test_failing_and_cancelled_streams_leak_nothing(run: Run, pool: Pool, connect: Connect, peer: Peer) -> None:
    modes = ["cut=300", "reset=300", "stall=300", "close", "garbage", "status=500", "huge-head", "bad-chunk", "silence"]

    async def all_of_them() -> tuple[int, int]:
        before = open_sockets()
        tasks = [asyncio.create_task(anything(read(connect(peer.url(mode), deadlines=QUICK)))) for mode in modes * 5]
        await asyncio.sleep(0.1)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.wait(tasks)
        left = open_sockets() - before
        await pool.aclose()
        await asyncio.sleep(0.05)
        return left, open_sockets() - before

    left, finally_left = run(all_of_them())
    assert left <= len(modes)  # those of status=500, kept for the next request
    assert finally_left == 0


def test_a_request_cancelled_at_any_step_leaves_no_connection_behind(run: Run, connect: Connect, peer: Peer) -> None:
    async def cancel_many() -> int:
        before = open_sockets()
        http = connect(peer.url("close"))
        for steps in [*range(1, 60)] * 5:
            task = asyncio.create_task(anything(read(http)))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        return open_sockets() - before

    assert run(cancel_many()) == 0


def test_a_client_is_given_to_no_more_streams_than_it_has_connections(run: Run, pool: Pool) -> None:
    async def lease() -> list[int]:
        async with AsyncExitStack() as stack:
            leases = [await stack.enter_async_context(pool.lease(local=True)) for _ in range(CONNECTIONS * 2 + 1)]
        async with pool.lease(local=True) as shard:
            assert shard is leases[0]
        return list(Counter(id(shard) for shard in leases).values())

    assert run(lease()) == [CONNECTIONS, CONNECTIONS, 1]


def test_local_and_hosted_runtimes_share_no_client(run: Run, pool: Pool) -> None:
    async def lease() -> bool:
        async with pool.lease(local=True) as local, pool.lease(local=False) as hosted:
            return local.client is hosted.client

    assert run(lease()) is False
