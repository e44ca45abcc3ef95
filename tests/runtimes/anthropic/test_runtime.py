"""The runtime of Anthropic's Messages API: on the real llama-server, and on the recorded shapes of the hosted one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from alain_magics.errors import (
    BadProtocol,
    ContextExceeded,
    KeyRefused,
    ModelError,
    ModelMissing,
    RateLimited,
    Refused,
    ServerFailed,
    StreamTruncated,
)
from alain_magics.keys import Key
from alain_magics.runtimes.anthropic.runtime import AnthropicRuntime
from alain_magics.runtimes.anthropic.stream import MessagesParser
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    Message,
    ReasoningDelta,
    Runtime,
    Sampling,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.providers import PROVIDERS, Capabilities
from tests.peers.llama_server import Peer as LlamaServer
from tests.peers.recorded import HOSTED, Peer, recorded
from tests.runtimes.contract import SCHEMA, WEATHER, Collected, Run, RuntimeContract, ask, collect
from tests.runtimes.oddities import misshapen, parse, read, texts

SECRET = "sk-ant-secret"
OPUS, SONNET, HAIKU, OLD = "claude-opus-5-5", "claude-sonnet-4-6", "claude-haiku-4-5", "claude-haiku-3"

Make = Callable[..., AnthropicRuntime]


@pytest.fixture(scope="module")
def process() -> Iterator[Peer]:
    with recorded("anthropic") as peer:
        yield peer


@pytest.fixture
def peer(process: Peer) -> Peer:
    """The server as if it had just been started."""
    process.forget("anthropic")
    return process


def hosted(peer: Peer, pool: Pool, modes: str = "", key: str = SECRET, **changes: Any) -> AnthropicRuntime:
    """The runtime of a server that is not of this machine, as far as it can see."""
    provider = replace(PROVIDERS["anthropic"].at(peer.url("anthropic", modes, HOSTED) + "/v1"), **changes)
    return AnthropicRuntime(provider, Http(pool, provider, Key(key, "a test", [provider.host]) if key else None))


@pytest.fixture
def make(peer: Peer, pool: Pool) -> Make:
    return lambda *arguments, **changes: hosted(peer, pool, *arguments, **changes)


@pytest.fixture
def runtime(make: Make) -> AnthropicRuntime:
    return make()


def asked(peer: Peer) -> list[dict[str, Any]]:
    """The bodies of the questions that the server got."""
    return [request["body"] for request in peer.seen("anthropic") if request["path"] == "/v1/messages"]


class TestLlamaServer(RuntimeContract):
    """The contract, on llama-server, which speaks the protocol too."""

    refuses_unknown_models = False
    unloads = False

    @pytest.fixture
    def server(self, llama: Callable[[str], LlamaServer], model: str) -> LlamaServer:
        return llama(model)

    @pytest.fixture
    def runtime(self, server: LlamaServer, pool: Pool) -> Runtime:
        self.url = server.url
        provider = replace(PROVIDERS["anthropic"].at(f"{server.url}/v1"), headers={"connection": "close"})
        return AnthropicRuntime(provider, Http(pool, provider, Key("sk-contract", "a test", [provider.host])))

    @pytest.fixture
    def model(self) -> str:
        return "tiny-chatml"

    async def idle(self, runtime: Runtime) -> bool:
        with urllib.request.urlopen(f"{self.url}/slots", timeout=5) as answer:
            return not any(slot["is_processing"] for slot in json.load(answer))

    def test_thinking_comes_apart_where_it_is_wanted(self, run: Run, runtime: Runtime, model: str) -> None:
        request = ask(model, "Explain gravity.", max_tokens=2048)
        thoughts = [
            run(collect(runtime.stream(replace(request, effort=effort)))).reasoning for effort in ("high", "off")
        ]
        assert thoughts[0]
        assert not thoughts[1]

    def test_a_prompt_that_is_too_long_is_told(self, run: Run, runtime: Runtime, model: str) -> None:
        with pytest.raises(ContextExceeded) as raised:
            run(collect(runtime.stream(ask(model, "word " * 5000))))
        assert raised.value.advice

    def test_tokens_are_counted_as_the_answer_counts_them(self, run: Run, runtime: Runtime, model: str) -> None:
        request = ask(model, self.greeting)
        usage = run(collect(runtime.stream(request))).usage
        assert usage
        assert run(runtime.count_tokens(request)) == usage.input


class TestHosted(RuntimeContract):
    """The contract, on the recorded shapes of the hosted server."""

    unloads = False

    @pytest.fixture
    def runtime(self, peer: Peer, pool: Pool) -> Runtime:
        self.peer = peer
        return hosted(peer, pool, "pace=0.001", "sk-contract")

    @pytest.fixture
    def model(self) -> str:
        return SONNET

    async def idle(self, runtime: Runtime) -> bool:
        return self.peer.active("anthropic") == 0


# How a question is put.


def test_the_key_goes_into_its_header_and_nowhere_else(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    run(collect(runtime.stream(ask(SONNET, "Hello"))))
    run(runtime.models())
    run(runtime.count_tokens(ask(SONNET, "Hello")))
    for request in peer.seen("anthropic"):
        assert request["headers"].pop("x-api-key") == SECRET
        assert request["headers"]["anthropic-version"] == "2023-06-01"
        assert SECRET not in json.dumps(request)


def test_the_http_call_is_what_is_sent_with_the_keys_name_in_its_place(
    run: Run, runtime: AnthropicRuntime, peer: Peer
) -> None:
    request = ask(SONNET, "Hello", tools=(WEATHER,), effort="low", extra={"service_tier": "auto"})
    call = runtime.http_call(request)
    run(collect(runtime.stream(request)))
    assert call.body == asked(peer)[0]
    assert call.body["service_tier"] == "auto"
    assert call.url == peer.url("anthropic", host=HOSTED) + "/v1/messages"
    assert (call.headers["x-api-key"], call.key_variable) == ("$KEY", "ANTHROPIC_API_KEY")
    assert call.headers["anthropic-version"] == "2023-06-01"


def test_an_address_without_v1_is_the_same(run: Run, make: Make, peer: Peer) -> None:
    runtime = make(base_url=peer.url("anthropic", host=HOSTED), headers={})
    assert run(collect(runtime.stream(ask(SONNET, "Hello")))).text
    assert runtime.http_call(ask(SONNET, "Hello")).url.endswith("/v1/messages")


def test_a_limit_is_always_sent_since_one_is_wanted(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    run(collect(runtime.stream(ask(SONNET, "Hello", max_tokens=None))))
    assert asked(peer)[0]["max_tokens"] >= 4096


def test_a_conversation_is_put_as_the_api_wants_it(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    calls = (ToolCall("toolu_1", "get_weather", '{"city": "Paris"}'), ToolCall("toolu_2", "get_weather", "Rome"))
    messages = (
        Message("system", "Be brief."),
        Message("user", "The weather in Paris"),
        Message("user", "and in Rome?"),
        Message("assistant", "  ", reasoning="Unsigned.", tool_calls=calls),
        Message("tool", "sunny", tool_call_id="toolu_1", name="get_weather"),
        Message("tool", "", tool_call_id="toolu_2", name="get_weather"),
        Message("system", "Be polite."),
        Message("user", "And?"),
    )
    run(collect(runtime.stream(ChatRequest(SONNET, messages, tools=(WEATHER,)))))
    (body,) = asked(peer)
    assert body["system"] == "Be brief.\n\nBe polite."
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "The weather in Paris"}, {"type": "text", "text": "and in Rome?"}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"invalid": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": ""},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_sampling_that_the_api_has_not_is_named_as_ignored(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    sampling = Sampling(0.5, 0.9, 40, 0.1, seed=7, stop=("END", "\n"))
    answer = run(collect(runtime.stream(ask(SONNET, "Hello", sampling=sampling))))
    (body,) = asked(peer)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k", "stop_sequences")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "stop_sequences": ["END"],
    }
    assert set(answer.finished.flags) == {"ignored:min_p", "ignored:seed", "ignored:stop"}


# What models take differs.


def test_sampling_that_a_model_refuses_is_left_out_and_remembered(
    run: Run, runtime: AnthropicRuntime, peer: Peer
) -> None:
    request = ask(OPUS, "Hello", sampling=Sampling(temperature=0.5, top_k=3))
    for _ in range(2):
        answer = run(collect(runtime.stream(request)))
        assert answer.text
        assert set(answer.finished.flags) == {"ignored:temperature", "ignored:top_k"}
    tried = [[name for name in ("temperature", "top_k") if name in body] for body in asked(peer)]
    assert tried == [["temperature", "top_k"], ["top_k"], [], []]


def test_effort_lets_a_model_think_as_much_as_it_likes(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    answer = run(collect(runtime.stream(ask(OPUS, "Hello", effort="low", sampling=Sampling(temperature=0.1)))))
    (body,) = asked(peer)
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "low"}
    assert answer.reasoning == "They said 5 characters."
    assert answer.finished.flags == ("ignored:temperature",)  # thinking allows none


def test_effort_is_a_budget_for_models_that_want_one(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    for _ in range(2):
        answer = run(collect(runtime.stream(ask(HAIKU, "Hello", effort="high", max_tokens=6000))))
        assert answer.reasoning
        assert "ignored:effort" not in answer.finished.flags
    kinds = [body["thinking"]["type"] for body in asked(peer)]
    assert kinds[-2:] == ["enabled", "enabled"]
    assert set(kinds[:-2]) == {"adaptive"}
    assert asked(peer)[-1]["thinking"]["budget_tokens"] == 3000


def test_what_the_list_of_models_tells_need_not_be_tried(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    run(runtime.models())
    run(collect(runtime.stream(ask(HAIKU, "Hello", effort="low", max_tokens=6000))))
    run(collect(runtime.stream(ask(OLD, "Hello", effort="off", schema=SCHEMA))))
    assert [body.get("thinking", {}).get("type") for body in asked(peer)] == ["enabled", "disabled"]


@pytest.mark.parametrize(("model", "limit"), [(OLD, 8000), (HAIKU, 1500)])
def test_effort_that_cannot_be_made_is_named_as_ignored(
    run: Run, runtime: AnthropicRuntime, model: str, limit: int
) -> None:
    answer = run(collect(runtime.stream(ask(model, "Hello", effort="high", max_tokens=limit))))
    assert answer.text
    assert not answer.reasoning
    assert "ignored:effort" in answer.finished.flags


@pytest.mark.parametrize("model", [OPUS, SONNET, HAIKU, OLD])
def test_a_schema_is_kept_by_every_model(run: Run, runtime: AnthropicRuntime, peer: Peer, model: str) -> None:
    answer = run(collect(runtime.stream(ask(model, "Hello", schema=SCHEMA))))
    assert json.loads(answer.text) == {"title": "Paris", "answer": 7}
    assert not answer.calls
    assert answer.finished.reason == "stop"
    assert ("output_config" in asked(peer)[-1]) == (model != OLD)


@pytest.mark.parametrize("model", [OPUS, SONNET, HAIKU, OLD])
def test_a_schema_can_be_kept_by_a_tool_alone(run: Run, make: Make, model: str) -> None:
    runtime = make(capabilities=Capabilities(json_schema=False))
    answer = run(collect(runtime.stream(ask(model, "The weather?", schema=SCHEMA, effort="high"))))
    assert json.loads(answer.text) == {"title": "Paris", "answer": 7}
    assert not answer.calls
    assert answer.finished.reason == "stop"
    assert bool(answer.reasoning) == (model == OPUS)  # a forced tool allows no thinking, and OPUS no forced tool
    assert ("ignored:effort" in answer.finished.flags) == (model != OPUS)


def test_beside_other_tools_a_schema_forces_one_of_them(run: Run, make: Make, peer: Peer) -> None:
    runtime = make(capabilities=Capabilities(json_schema=False))
    run(collect(runtime.stream(ask(SONNET, "Hello", schema=SCHEMA, tools=(WEATHER,)))))
    (body,) = asked(peer)
    assert body["tool_choice"] == {"type": "any"}
    assert [tool["name"] for tool in body["tools"]] == ["get_weather", "final_answer"]


def test_a_schema_is_told_without_what_cannot_be_constrained(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    item = {"type": "object", "properties": {"minimum": {"type": "number", "minimum": 1, "multipleOf": 0.5}}}
    schema = {
        "$defs": {"Item": item},
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 2, "uniqueItems": True},
            "kind": {"enum": ["a", {"pattern": 1}]},
            "name": {"oneOf": [{"type": "string", "pattern": "^x"}, {"type": "null"}]},
        },
        "required": ["items"],
    }
    run(collect(runtime.stream(ask(SONNET, "Hello", schema=schema))))
    told = asked(peer)[0]["output_config"]["format"]["schema"]
    properties = {"minimum": {"type": "number"}}
    assert told == {
        "$defs": {"Item": {"type": "object", "properties": properties, "additionalProperties": False}},
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
            "kind": {"enum": ["a", {"pattern": 1}]},
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["items"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("model", [OPUS, HAIKU])
def test_thinking_goes_back_signed_with_the_results_of_tools(
    run: Run, runtime: AnthropicRuntime, peer: Peer, model: str
) -> None:
    question = Message("user", "The weather?")
    request = ChatRequest(model, (question,), tools=(WEATHER,), effort="low")
    first = run(collect(runtime.stream(request)))
    (call,) = first.calls
    results = (
        Message("assistant", first.text, first.reasoning, (call,)),
        Message("tool", "sunny", tool_call_id=call.id, name=call.name),
    )
    second = run(collect(runtime.stream(replace(request, messages=(question, *results)))))
    sent = asked(peer)[-1]["messages"][1]["content"]
    assert [block["type"] for block in sent] == ["thinking", "tool_use"]
    assert sent[0]["thinking"] == "I need the weather."
    assert sent[0]["signature"].startswith("signed:")
    assert second.text
    assert not second.finished.flags
    run(collect(runtime.stream(replace(request, messages=(question, *results), effort="off"))))
    assert [block["type"] for block in asked(peer)[-1]["messages"][1]["content"]] == ["tool_use"]


def test_after_tools_whose_thinking_is_lost_a_budget_would_be_refused(
    run: Run, runtime: AnthropicRuntime, peer: Peer
) -> None:
    call = ToolCall("toolu_loaded", "get_weather", "{}")
    messages = (
        Message("user", "The weather?"),
        Message("assistant", "", "Unsigned.", (call,)),
        Message("tool", "sunny", tool_call_id=call.id),
    )
    answer = run(collect(runtime.stream(ChatRequest(HAIKU, messages, effort="low", tools=(WEATHER,)))))
    assert "thinking" not in asked(peer)[-1]
    assert "ignored:effort" in answer.finished.flags


def test_other_refusals_are_not_asked_again(run: Run, runtime: AnthropicRuntime, peer: Peer) -> None:
    with pytest.raises(Refused, match="at least one message"):
        run(collect(runtime.stream(ChatRequest(SONNET, (Message("system", "Be brief."),)))))
    assert len(asked(peer)) == 1


# What comes back.


def test_models_come_from_all_pages(run: Run, runtime: AnthropicRuntime) -> None:
    found = run(runtime.models())
    assert [info.id for info in found] == [OPUS, SONNET, HAIKU, OLD]
    assert (found[0].description, found[0].context, found[0].runtime) == ("Claude Opus 5.5", 200000, "anthropic")


def test_usage_counts_the_cache_into_the_input(run: Run, runtime: AnthropicRuntime) -> None:
    request = ask(SONNET, "Hello", max_tokens=10)
    usage = run(collect(runtime.stream(request))).usage
    assert usage == Usage(run(runtime.count_tokens(request)), 10, cached=2)


def test_thinking_is_counted_where_the_server_does(run: Run) -> None:
    kept: list[Event] = []
    counts = {"input_tokens": 3, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    parsed([{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}], kept)
    assert kept[0] == Usage(3, 9, reasoning=4)


@pytest.mark.parametrize(
    ("model", "finish", "flags"),
    [
        (SONNET, "stop", ()),
        ("refuses", "content_filter", ("finish_reason refusal",)),
        ("pauses", "stop", ("finish_reason pause_turn",)),
        ("overflows", "length", ("finish_reason model_context_window_exceeded",)),
    ],
)
def test_reasons_to_finish(
    run: Run, runtime: AnthropicRuntime, model: str, finish: str, flags: tuple[str, ...]
) -> None:
    finished = run(collect(runtime.stream(ask(model, "Hello", sampling=Sampling())))).finished
    assert finished == Finished(finish, model, flags)  # type: ignore[arg-type]


def test_an_answer_in_one_piece_is_read_too(run: Run, runtime: AnthropicRuntime) -> None:
    answer = run(collect(runtime.stream(ask("whole", "Hello", effort="low"))))
    assert answer.reasoning == "They said 5 characters."
    assert answer.text.startswith("Grüße")
    assert answer.usage
    called = run(collect(runtime.stream(ask("whole", "The weather?", tools=(WEATHER,)))))
    assert [call.parsed() for call in called.calls] == [{"city": "Paris"}]
    assert called.finished.reason == "tool_calls"


def test_an_overload_within_the_stream_keeps_what_came(run: Run, runtime: AnthropicRuntime) -> None:
    kept = Collected()
    with pytest.raises(ServerFailed, match="Overloaded") as raised:
        run(read(runtime.stream(ask("overloaded", "Hello")), kept))
    assert kept.text == "Grüße 🌍!"
    assert not raised.value.retryable  # some of it has been shown


def test_an_answer_without_its_end_is_truncated(run: Run, runtime: AnthropicRuntime) -> None:
    kept = Collected()
    with pytest.raises(StreamTruncated) as raised:
        run(read(runtime.stream(ask("severed", "Hello")), kept))
    assert kept.text == "Grüße 🌍!"
    assert raised.value.advice


@pytest.mark.parametrize("cut", range(0, 3300, 331))
def test_a_connection_that_breaks_keeps_what_came(run: Run, make: Make, cut: int) -> None:
    request = ask(SONNET, "Hello", effort="low")
    kept, whole = Collected(), run(collect(make().stream(request)))
    with pytest.raises(StreamTruncated):
        run(read(make(f"cut={cut}").stream(request), kept))
    assert kept.events == whole.events[: len(kept.events)]


def test_a_connection_that_breaks_after_the_end_has_been_said_is_no_error(run: Run, make: Make) -> None:
    whole = run(collect(make().stream(ask(SONNET, "Hello", max_tokens=2))))
    cut = run(collect(make("cut=1270").stream(ask(SONNET, "Hello", max_tokens=2))))
    assert cut.events == whole.events


def test_bytes_arrive_in_any_pieces(run: Run, make: Make) -> None:
    answers = [run(collect(make(modes).stream(ask(SONNET, "Grüße")))) for modes in ("", "split=1", "split=7")]
    assert answers[0].events == answers[1].events == answers[2].events


@pytest.mark.parametrize(
    ("model", "key", "modes", "error"),
    [
        (SONNET, "", "", KeyRefused),
        ("claude-9", SECRET, "", ModelMissing),
        (SONNET, SECRET, "status=529", ServerFailed),
        (SONNET, SECRET, "status=429", RateLimited),
    ],
)
def test_refusals_are_typed_and_advise(
    run: Run, make: Make, model: str, key: str, modes: str, error: type[ModelError]
) -> None:
    with pytest.raises(error) as raised:
        run(collect(make(modes, key).stream(ask(model, "Hello"))))
    assert raised.value.advice
    assert SECRET not in str(raised.value)


def test_counting_is_left_to_others_where_the_server_cannot(run: Run, make: Make) -> None:
    assert run(make("status=404").count_tokens(ask(SONNET, "Hello"))) is None


def test_memory_is_not_to_be_freed(run: Run, runtime: AnthropicRuntime) -> None:
    with pytest.raises(Refused) as raised:
        run(runtime.unload(SONNET))
    assert raised.value.advice


# Bytes of one answer, without a connection.

CALL = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
COUNTS = {"input_tokens": None, "output_tokens": 9}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 4, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Grüße\u2028🌍"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"cited_text": "x"}}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "server_tool_use", "id": "s", "name": "web"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_start", "index": 3, "content_block": {"type": "redacted_thinking", "data": "x"}},
    {"type": "content_block_start", "index": 4, "content_block": CALL},
    {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": COUNTS},
    {"type": "message_stop"},
]
MEANT: list[Event] = [
    ReasoningDelta("Hm"),
    TextDelta("Grüße\u2028🌍"),
    ToolCallDelta(0, "t", "f"),
    ToolCallDelta(0, arguments='{"a": 1}'),
    Usage(4, 9),
    Finished("tool_calls", "m"),
]


def written(events: list[Any]) -> bytes:
    """The events as they are sent."""
    pieces = (f"event: x\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    return "".join(pieces).encode()


def failing(kind: str) -> dict[str, Any]:
    """The event that says that something failed."""
    return {"type": "error", "error": {"type": kind, "message": "That went wrong"}}


def parsed(events: list[Any], kept: list[Event]) -> None:
    """Keep what events mean, also when they end with an error."""
    parse(MessagesParser("Anthropic", "m"), written(events), kept)


def test_events_of_every_kind_are_understood_or_passed_over() -> None:
    kept: list[Event] = []
    parsed(EVENTS, kept)
    assert kept == MEANT


def test_thinking_is_kept_as_the_server_wants_it_back() -> None:
    parser = MessagesParser("Anthropic", "m")
    parse(parser, written(EVENTS), [])
    assert parser.thoughts == [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
    ]
    assert parser.call_ids == ["t"]


def test_blocks_without_an_index_are_filled_in_their_order() -> None:
    kept: list[Event] = []
    parsed([{name: value for name, value in event.items() if name != "index"} for event in EVENTS], kept)
    assert kept == MEANT


def test_a_tool_call_may_come_whole() -> None:
    kept: list[Event] = []
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    parsed([{"type": "content_block_start", "index": 0, "content_block": block}, *EVENTS[-2:]], kept)
    assert kept[0] == ToolCallDelta(0, "t", "f", '{"a":1}')


@pytest.mark.parametrize(
    ("reason", "finish", "flags"),
    [
        ("tool_use", "stop", ("finish_reason inferred",)),  # without a call
        ("unheard_of", "stop", ("finish_reason unheard_of",)),
        (None, "stop", ("finish_reason inferred",)),
        (7, "stop", ("finish_reason inferred",)),
    ],
)
def test_a_reason_that_does_not_fit_is_corrected_and_flagged(reason: Any, finish: str, flags: tuple[str, ...]) -> None:
    kept: list[Event] = []
    parsed([{"type": "message_delta", "delta": {"stop_reason": reason}}, {"type": "message_stop"}], kept)
    assert kept == [Finished(finish, "m", flags)]  # type: ignore[arg-type]


def test_another_model_than_was_asked_is_flagged() -> None:
    kept: list[Event] = []
    parse(MessagesParser("Anthropic", "claude-x"), written(EVENTS), kept)
    assert kept[-1] == Finished("tool_calls", "m", ("answered by m",))
    dated: list[Event] = []
    begun = {"type": "message_start", "message": {"model": "m-20260217"}}
    parsed([begun, *EVENTS[-2:-1]], dated)
    assert dated[-1].flags == ("finish_reason inferred",)  # type: ignore[union-attr]


def test_an_answer_cut_at_any_byte_keeps_what_came() -> None:
    data = written(EVENTS)
    ended = data.index(b'"tool_use"}')
    for at in range(len(data)):
        kept: list[Event] = []
        failed: ModelError | None = None
        try:
            parse(MessagesParser("Anthropic", "m"), data[:at], kept)
        except ModelError as error:
            failed = error
        assert kept == MEANT[: len(kept)]
        assert (kept == MEANT) == (failed is None)
        assert failed is None or (type(failed) is StreamTruncated and at < len(data) - 40)
        assert len(kept) >= 4 or at < ended


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"data: <html>\n\n", BadProtocol),
        (b"event: error\n" + written([failing("overloaded_error")]), ServerFailed),
        (written([failing("rate_limit_error")]), RateLimited),
        (written([failing("authentication_error")]), KeyRefused),
        (written([{"error": "broken"}]), ServerFailed),
        (b"event: error\ndata: upstream has gone\n\n", ServerFailed),
        (b"data: null\n\ndata: []\n\ndata: 7\n\n", StreamTruncated),
        (b": ping\n\n", StreamTruncated),
        (b"", StreamTruncated),
    ],
)
def test_what_is_no_answer_is_a_typed_error_with_advice(data: bytes, error: type[ModelError]) -> None:
    with pytest.raises(error) as raised:
        parse(MessagesParser("Anthropic", "m"), data, [])
    assert raised.value.advice


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', ServerFailed),
        (b'{"ok": true}', BadProtocol),
        (b"[7]", BadProtocol),
        (b"Welcome", BadProtocol),
        (b'{"type": "message", "content": [{"ty', StreamTruncated),
        (b"", StreamTruncated),
    ],
)
def test_a_document_that_is_no_answer_is_a_typed_error_with_advice(document: bytes, error: type[ModelError]) -> None:
    parser = MessagesParser("Anthropic", "m")
    parser.whole = True
    with pytest.raises(error) as raised:
        parse(parser, document, [])
    assert raised.value.advice


@given(misshapen(EVENTS))
def test_odd_json_is_passed_over_or_a_typed_error(events: list[Any]) -> None:
    kept: list[Event] = []
    failed: ModelError | None = None
    try:
        parsed(events, kept)
    except ModelError as error:
        failed = error
    assert failed.advice if failed else type(kept[-1]) is Finished
    assert all(type(text) is str for text in texts(kept))
