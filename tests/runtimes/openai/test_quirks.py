"""Chat completions from a server that misbehaves in every way that is known: the answer comes, or a typed error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from alain_magics.errors import (
    BadProtocol,
    ContextExceeded,
    ModelError,
    Refused,
    ServerFailed,
    StreamTruncated,
    TimedOut,
)
from alain_magics.runtimes.base import ChatRequest, Event, Message, Sampling, TextDelta
from alain_magics.runtimes.http import Deadlines, Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import STANDARD, Capabilities, Provider
from tests.peers.misbehaving import ARGUMENTS, MODEL, PIECES, TEXT, THOUGHT, Peer
from tests.runtimes.contract import Collected, Run, ask, collect

Connect = Callable[..., OpenAIRuntime]
Json = dict[str, Any]

SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5000}}}


@pytest.fixture
def connect(quirky: Peer, pool: Pool) -> Connect:
    """Gives a runtime at the server, which misbehaves by a mode and has just forgotten all that was."""
    quirky.forget()

    def at(mode: str, **capabilities: Any) -> OpenAIRuntime:
        provider = Provider("quirky", "Quirky", "openai", quirky.url(mode), capabilities=Capabilities(**capabilities))
        return OpenAIRuntime(provider, Http(pool, provider, deadlines=Deadlines(connect=2, first=2, silence=0.5)))

    return at


@pytest.fixture
def bodies(quirky: Peer) -> Callable[[], list[Json]]:
    """Gives the bodies that the server has got."""
    return lambda: [request["body"] for request in quirky.seen()["requests"]]


async def read(runtime: OpenAIRuntime, request: ChatRequest) -> tuple[Collected, ModelError | None]:
    """Read as much of an answer as comes, and the error that ends it."""
    events: list[Event] = []
    try:
        async for event in runtime.stream(request):
            events.append(event)
    except ModelError as error:
        return Collected(events), error
    return Collected(events), None


GOOD = """good reasoning-content reasoning no-usage stream-options-refused empty-choices missing-choices null-delta
    keep-alives no-done done-only content-in-finish json-object-refused json-schema-refused grammar-bounds peg-format
    other-model whole-only unknown-fields cr crlf no-space bom split=1 split=7,crlf split=3,cr undelimited done-open
    gzip""".split()


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["free", "schema"])
@pytest.mark.parametrize("mode", GOOD)
def test_the_whole_answer_comes(run: Run, connect: Connect, mode: str, schema: Json | None) -> None:
    answer = run(collect(connect(mode).stream(ask(MODEL, "Hello", schema=schema, sampling=Sampling(temperature=0.9)))))
    assert answer.text == TEXT
    assert answer.reasoning == (THOUGHT if mode.startswith("reasoning") else "")
    assert answer.finished.reason == "stop"
    assert answer.events[-1] is answer.finished
    if mode not in ("no-usage", "stream-options-refused"):
        assert (answer.usage.input, answer.usage.output, answer.usage.source) == (7, 10, "provider")
    else:
        assert answer.usage is None


FAILED = {
    "odd-types": (BadProtocol, ""),
    "error-empty": (ServerFailed, "".join(PIECES[:2])),
    "error-string": (ServerFailed, "".join(PIECES[:2])),
    "error-object": (ServerFailed, "".join(PIECES[:2])),
    "error-event": (ServerFailed, "".join(PIECES[:2])),
    "unfinished": (StreamTruncated, TEXT),
    "empty": (StreamTruncated, ""),
    "not-json": (BadProtocol, PIECES[0]),
    "bad-utf8": (BadProtocol, PIECES[0]),
    "html": (BadProtocol, ""),
    "bad-chunk": (StreamTruncated, "".join(PIECES[:2])),
    "keep-alives-only": (TimedOut, ""),
    "silence": (TimedOut, ""),
    "stall=900": (TimedOut, "".join(PIECES[:3])),
    "cut=900": (StreamTruncated, "".join(PIECES[:3])),
    "reset=900": (StreamTruncated, "".join(PIECES[:3])),
    "huge-line": (BadProtocol, ""),
    "status=400": (Refused, ""),
}


@pytest.mark.parametrize("mode", FAILED)
def test_what_came_is_given_before_a_typed_error_with_advice(run: Run, connect: Connect, mode: str) -> None:
    kind, text = FAILED[mode]
    answer, error = run(read(connect(mode), ask(MODEL, "Hello")))
    assert type(error) is kind
    assert answer.text == text
    assert len(answer.events) == sum(type(event) is TextDelta for event in answer.events)
    assert error.advice.endswith((".", "?"))
    assert not error.retryable
    assert "\n" not in str(error)


@pytest.mark.parametrize("mode", ["error-first", "status=503", "close"])
def test_only_what_failed_before_the_first_word_may_be_asked_again(run: Run, connect: Connect, mode: str) -> None:
    answer, error = run(read(connect(mode), ask(MODEL, "Hello")))
    assert not answer.events
    assert error.retryable


@pytest.mark.parametrize(
    ("mode", "reason", "flags"),
    [
        ("good", "stop", ()),
        ("done-only", "stop", ("finish_reason inferred",)),
        ("tools", "tool_calls", ()),
        ("tools-stop", "tool_calls", ("finish_reason inferred",)),
        ("tools-length", "length", ("finish_reason inferred",)),
        ("other-model", "stop", ("answered by another",)),
    ],
)
def test_the_reason_of_the_end_is_the_true_one_and_a_correction_is_flagged(
    run: Run, connect: Connect, mode: str, reason: str, flags: tuple[str, ...]
) -> None:
    finished = run(collect(connect(mode).stream(ask(MODEL, "Hello")))).finished
    assert (finished.reason, finished.flags) == (reason, flags)


def test_the_pieces_of_a_tool_call_are_put_together(run: Run, connect: Connect) -> None:
    (call,) = run(collect(connect("tools").stream(ask(MODEL, "Hello")))).calls
    assert (call.id, call.name, call.arguments) == ("call_a", "get_weather", ARGUMENTS)
    assert call.parsed() == {"city": "Zürich", "days": 3}


@pytest.mark.parametrize("mode", ["tools-no-index", "tools-index-zero"])
def test_two_tool_calls_are_told_apart_by_their_ids(run: Run, connect: Connect, mode: str) -> None:
    calls = run(collect(connect(mode).stream(ask(MODEL, "Hello")))).calls
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("call_a", "get_weather", ARGUMENTS),
        ("call_b", "get_time", "{}"),
    ]


@pytest.mark.parametrize(
    ("mode", "schema", "learnt"),
    [
        ("stream-options-refused", None, lambda body: "stream_options" not in body),
        ("whole-only", None, lambda body: body["stream"] is False),
        ("json-schema-refused", SCHEMA, lambda body: body["response_format"]["type"] == "json_object"),
    ],
)
def test_a_refusal_is_remembered(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]], mode: str, schema: Json | None, learnt: Any
) -> None:
    runtime, request = connect(mode), ask(MODEL, "Hello", schema=schema)
    for _ in range(2):
        assert run(collect(runtime.stream(request))).text == TEXT
    assert [learnt(body) for body in bodies()] == [False, True, True]
    assert learnt(runtime.http_call(request).body)


def test_the_other_form_of_json_is_tried_where_one_is_refused(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    request = ask(MODEL, "Hello", schema=SCHEMA)
    for mode, flags in (
        ("json-schema-refused", ()),
        ("json-schema-refused,json-object-refused", ("schema not enforced",)),
    ):
        assert run(collect(connect(mode).stream(request))).finished.flags == flags
    forms = [body.get("response_format", {}).get("type") for body in bodies()]
    assert forms == ["json_schema", "json_object", "json_schema", "json_object", None]
    assert '"maxLength": 5000' in bodies()[-1]["messages"][0]["content"]  # told in words then


def test_bounds_that_a_grammar_cannot_hold_are_left_out_for_this_schema_only(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    runtime, small = connect("grammar-bounds"), {"type": "string", "maxLength": 10}
    run(collect(runtime.stream(ask(MODEL, "Hello", schema=SCHEMA))))
    run(collect(runtime.stream(ask(MODEL, "Hello", schema=small))))
    schemas = [body["response_format"]["json_schema"]["schema"] for body in bodies()]
    assert schemas == [SCHEMA, {"type": "object", "properties": {"name": {"type": "string"}}}, small]


def test_an_answer_that_the_server_could_not_parse_is_asked_for_unparsed(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    runtime = connect("peg-format")
    run(collect(runtime.stream(ask(MODEL, "Hello", sampling=Sampling(temperature=0.9)))))
    assert [body.get("reasoning_format") for body in bodies()] == [None, "none"]


def test_thinking_is_replayed_under_the_name_it_came_with(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    runtime = connect("reasoning", reasoning_field="reasoning_content")
    messages = (Message("user", "Hi"), Message("assistant", "Hello", reasoning="Be polite."), Message("user", "Well?"))
    for _ in range(2):
        run(collect(runtime.stream(ChatRequest(MODEL, messages))))
    told = [body["messages"][1] for body in bodies()]
    assert [name for message in told for name in message if name.startswith("reasoning")] == [
        "reasoning_content",
        "reasoning",
    ]


def refusing(message: str) -> str:
    """The mode that refuses one request with 400 and a message."""
    return f"status=400,times=1,message={quote(message, safe='')}"


@pytest.mark.parametrize(
    ("message", "left_out", "ignored"),
    [
        ("Unsupported parameter: 'top_p' is not supported here.", "top_p", "ignored:top_p"),
        ("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort", "ignored:effort"),
        ("property 'seed' is unsupported", "seed", "ignored:seed"),
        ("Unknown parameter: 'stream_options'.", "stream_options", None),
        ("Something about this request is bad", "stream_options", None),
    ],
)
def test_what_a_server_does_not_know_is_left_out_and_flagged(
    run: Run,
    connect: Connect,
    bodies: Callable[[], list[Json]],
    message: str,
    left_out: str,
    ignored: str | None,
) -> None:
    runtime = connect(refusing(message), thinking="reasoning_effort")
    sampling = Sampling(temperature=0.5, top_p=0.9, seed=3)
    request = ask(MODEL, "Hello", sampling=sampling, effort="low")
    for _ in range(2):
        answer = run(collect(runtime.stream(request)))
        assert answer.text == TEXT
        assert answer.finished.flags == ((ignored,) if ignored else ())
    first, *others = bodies()
    assert len(others) == 2
    for body in others:
        assert body == {name: value for name, value in first.items() if name != left_out}


def test_the_limit_of_tokens_goes_by_the_name_that_the_server_wants(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    runtime = connect(refusing(message))
    for _ in range(2):
        run(collect(runtime.stream(ask(MODEL, "Hello", max_tokens=5))))
    assert [(body.get("max_tokens"), body.get("max_completion_tokens")) for body in bodies()] == [
        (5, None),
        (None, 5),
        (None, 5),
    ]


@pytest.mark.parametrize(
    "message",
    [
        "'max_tokens' is too large: 90000. This model's maximum context length is 8192 tokens",
        "temperature must be between 0 and 2",
    ],
)
def test_what_the_user_must_change_is_told_and_not_changed(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]], message: str
) -> None:
    runtime = connect(f"status=400,message={quote(message, safe='')}")
    _, error = run(read(runtime, ask(MODEL, "Hello", max_tokens=90_000)))
    assert isinstance(error, Refused)
    assert isinstance(error, ContextExceeded) == ("context" in message)
    assert all(body["max_tokens"] == 90_000 and body["temperature"] == 0.0 for body in bodies())


def test_what_the_user_wrote_into_extra_is_never_taken_out(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    runtime = connect(f"status=400,message={quote('Unknown parameter: seed')}")
    _, error = run(read(runtime, ask(MODEL, "Hello", extra={"seed": 5, "own": [1]})))
    assert type(error) is Refused
    assert all(body["seed"] == 5 and body["own"] == [1] for body in bodies())


def test_models_that_answer_in_one_piece_are_asked_so(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    runtime = connect("good", whole_answers=("quirk*",))
    assert run(collect(runtime.stream(ask("Quirky-Image", "Hello")))).text == TEXT
    (body,) = bodies()
    assert body["stream"] is False
    assert "stream_options" not in body


@pytest.mark.parametrize("mode", ["good", "models-array", "models-extra"])
def test_lists_of_models_of_any_shape_are_read(run: Run, connect: Connect, mode: str) -> None:
    assert [info.name for info in run(connect(mode).models())] == ["quirky/quirky", "quirky/quirky-2"]


def test_a_connection_is_used_again_after_an_answer(run: Run, connect: Connect, quirky: Peer) -> None:
    runtime = connect("good")
    for _ in range(5):
        run(collect(runtime.stream(ask(MODEL, "Hello"))))
    assert quirky.seen()["opened"] <= 1


def test_a_stream_that_is_left_is_closed(run: Run, connect: Connect, quirky: Peer) -> None:
    async def leave() -> None:
        events = connect("good,delay=0.05").stream(ask(MODEL, "Hello"))
        assert await anext(events)
        await events.aclose()  # type: ignore[attr-defined]

    run(leave())
    end = time.monotonic() + 2
    while quirky.seen()["open"] and time.monotonic() < end:
        time.sleep(0.005)
    assert quirky.seen()["open"] == 0


def test_every_sampling_that_is_not_known_is_named(
    run: Run, connect: Connect, bodies: Callable[[], list[Json]]
) -> None:
    sampling = Sampling(temperature=0.5, top_k=3, min_p=0.1, xtc_threshold=0.2, stop=("x",))
    runtime = connect("good", sampling={**STANDARD, "top_k": "k"}, tools=False)
    flags = run(collect(runtime.stream(ask(MODEL, "Hello", sampling=sampling, effort="high")))).finished.flags
    assert flags == ("ignored:min_p", "ignored:xtc_threshold", "ignored:effort")
    (body,) = bodies()
    assert (body["temperature"], body["k"], body["stop"]) == (0.5, 3, ["x"])
