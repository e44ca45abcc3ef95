"""The runtime of Ollama's own API, on its recorded shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given

from alain_magics.errors import (
    BadProtocol,
    ContextExceeded,
    ModelError,
    ModelMissing,
    Refused,
    ServerFailed,
    StreamTruncated,
    TimedOut,
)
from alain_magics.keys import Key
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
)
from alain_magics.runtimes.http import Deadlines, Http, Pool
from alain_magics.runtimes.ollama.runtime import OllamaRuntime
from alain_magics.runtimes.ollama.stream import ChatLines
from alain_magics.runtimes.providers import PROVIDERS
from tests.peers.recorded import Peer, recorded
from tests.runtimes.contract import SCHEMA, WEATHER, Collected, Run, RuntimeContract, ask, collect
from tests.runtimes.oddities import misshapen, parse, read, texts

Make = Callable[..., OllamaRuntime]


@pytest.fixture(scope="module")
def process() -> Iterator[Peer]:
    with recorded("ollama") as peer:
        yield peer


@pytest.fixture
def peer(process: Peer) -> Peer:
    """The server as if it had just been started."""
    process.forget("ollama")
    return process


@pytest.fixture
def make(peer: Peer, pool: Pool) -> Make:
    """Makes the runtime of a server that may misbehave."""

    def made(modes: str = "", deadlines: Deadlines | None = None) -> OllamaRuntime:
        provider = PROVIDERS["ollama"].at(peer.url("ollama", modes))
        return OllamaRuntime(provider, Http(pool, provider, deadlines=deadlines or Deadlines()))

    return made


@pytest.fixture
def runtime(make: Make) -> OllamaRuntime:
    return make()


def asked(peer: Peer) -> list[dict[str, Any]]:
    """The bodies of the questions that the server got."""
    return [request["body"] for request in peer.seen("ollama") if request["path"] == "/api/chat"]


class TestContract(RuntimeContract):
    """The contract, on the recorded server."""

    @pytest.fixture
    def runtime(self, peer: Peer, pool: Pool) -> Runtime:
        self.server = peer
        provider = PROVIDERS["ollama"].at(peer.url("ollama", "pace=0.001"))
        return OllamaRuntime(provider, Http(pool, provider, Key("sk-contract", "a test", [provider.host])))

    @pytest.fixture
    def model(self) -> str:
        return "llama3.2:latest"

    async def idle(self, runtime: Runtime) -> bool:
        return self.server.active("ollama") == 0


def test_thinking_comes_apart_from_the_answer(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    answer = run(collect(runtime.stream(ask("qwen3:8b", "Hello", effort="high"))))
    assert answer.reasoning == "They said 5 characters."
    assert answer.text.startswith("Grüße 🌍! You said 'Hello'")
    assert asked(peer)[0]["think"] == "high"


def test_thinking_can_be_turned_off(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    answer = run(collect(runtime.stream(ask("qwen3:8b", "Hello", effort="off"))))
    assert (answer.reasoning, asked(peer)[0]["think"]) == ("", False)


def test_a_model_that_does_not_think_answers_without_and_says_so(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    for _ in range(2):
        answer = run(collect(runtime.stream(ask("llama3.2", "Hello", effort="low"))))
        assert answer.text
        assert "ignored:effort" in answer.finished.flags
    assert ["think" in body for body in asked(peer)] == [True, False, False]  # it is refused once


def test_tool_calls_come_with_their_arguments_as_json(run: Run, runtime: OllamaRuntime) -> None:
    answer = run(collect(runtime.stream(ask("qwen3:8b", "The weather?", tools=(WEATHER,)))))
    assert [(call.name, call.parsed()) for call in answer.calls] == [("get_weather", {"city": "Paris"})]
    assert answer.calls[0].id
    assert answer.reasoning == "I need the weather."
    assert answer.finished.reason == "tool_calls"


def test_results_of_tools_go_back_with_the_calls_as_objects(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    calls = (ToolCall("call_1", "get_weather", '{"city": "Paris"}'), ToolCall("call_2", "get_weather", "Paris"))
    messages = (
        Message("user", "The weather?"),
        Message("assistant", "", reasoning="Hm.", tool_calls=calls),
        Message("tool", "sunny", tool_call_id="call_1", name="get_weather"),
    )
    run(collect(runtime.stream(ChatRequest("qwen3:8b", messages, tools=(WEATHER,)))))
    sent = asked(peer)[0]["messages"]
    assert sent[1]["thinking"] == "Hm."
    assert [call["function"]["arguments"] for call in sent[1]["tool_calls"]] == [
        {"city": "Paris"},
        {"invalid": "Paris"},
    ]
    assert sent[2] == {"role": "tool", "content": "sunny", "tool_name": "get_weather", "tool_call_id": "call_1"}


def test_usage_has_the_servers_own_times(run: Run, runtime: OllamaRuntime) -> None:
    usage = run(collect(runtime.stream(ask("llama3.2", "Hello")))).usage
    assert usage
    assert (usage.source, usage.prefill_seconds, usage.generation_seconds) == ("provider", 0.25, 0.8)


def test_without_counts_there_is_no_usage(run: Run, runtime: OllamaRuntime) -> None:
    assert run(collect(runtime.stream(ask("untold", "Hello")))).usage is None


def test_a_prompt_from_the_cache_that_is_not_counted_is_estimated() -> None:
    parser = ChatLines("Ollama", "m", prompt=12)
    list(parser.feed(b'{"model":"m","done":true,"done_reason":"stop","eval_count":3}\n'))
    usage, _ = parser.finish()
    assert (usage.input, usage.output, usage.source) == (12, 3, "estimate")  # type: ignore[union-attr]


def test_sampling_is_named_as_ollama_names_it(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    sampling = Sampling(0.5, 0.9, 40, 0.1, 1.1, 64, 0.2, 0.3, 0.4, 0.5, 7, ("END",))
    answer = run(collect(runtime.stream(ask("llama3.2", "Hello", sampling=sampling))))
    assert asked(peer)[0]["options"] == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "repeat_last_n": 64,
        "presence_penalty": 0.2,
        "frequency_penalty": 0.3,
        "seed": 7,
        "stop": ["END"],
        "num_predict": 64,
    }
    assert answer.finished.flags == ("ignored:xtc_probability", "ignored:xtc_threshold")


def test_a_schema_goes_along_as_the_format(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    answer = run(collect(runtime.stream(ask("llama3.2", "Hello", schema=SCHEMA))))
    assert asked(peer)[0]["format"] == SCHEMA
    assert json.loads(answer.text) == {"title": "Paris", "answer": 7}


def test_a_short_prompt_leaves_the_window_to_the_server(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    run(collect(runtime.stream(ask("llama3.2", "Hello"))))
    assert [request["path"] for request in peer.seen("ollama")] == ["/api/chat"]  # and asks nothing else before
    assert "num_ctx" not in asked(peer)[0]["options"]


def test_a_long_prompt_gets_a_window_in_which_it_fits(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    answer = run(collect(runtime.stream(ask("llama3.2", "word " * 6000))))
    assert asked(peer)[0]["options"]["num_ctx"] == 8192
    assert answer.usage.input > 6000
    run(collect(runtime.stream(ask("llama3.2:latest", "Hello"))))
    assert asked(peer)[-1]["options"]["num_ctx"] == 8192  # another window would load the model anew


def test_a_window_grows_no_further_than_the_model_reaches(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    with pytest.raises(ContextExceeded) as raised:
        run(collect(runtime.stream(ask("qwen3:8b", "word " * 50_000))))
    assert {body["options"]["num_ctx"] for body in asked(peer)} == {40960}
    assert raised.value.advice


def test_a_window_that_was_chosen_by_hand_is_taken_as_it_is(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    run(collect(runtime.stream(ask("llama3.2", "Hello", context_tokens=512))))
    assert asked(peer)[0]["options"]["num_ctx"] == 512
    with pytest.raises(ContextExceeded):  # and nothing is truncated silently
        run(collect(runtime.stream(ask("llama3.2", "word " * 600, context_tokens=512))))
    assert all(body["truncate"] is False for body in asked(peer))


def test_a_window_that_turns_out_too_small_is_doubled(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    dense = "é " * 4100  # more tokens than estimated
    answer = run(collect(runtime.stream(ask("llama3.2", dense, max_tokens=1))))
    assert answer.finished.reason == "length"
    assert [body["options"].get("num_ctx") for body in asked(peer)] == [None, 8192]


def test_a_loaded_model_with_room_enough_is_not_loaded_anew(run: Run, make: Make, peer: Peer) -> None:
    run(collect(make().stream(ask("llama3.2", "Hello", context_tokens=16384))))
    run(collect(make().stream(ask("llama3.2", "word " * 3500, max_tokens=100))))
    assert "num_ctx" not in asked(peer)[-1]["options"]


def test_models_have_what_ollama_knows_about_them(run: Run, runtime: OllamaRuntime) -> None:
    run(runtime.load("gpt-oss:20b"))
    found = {info.id: info for info in run(runtime.models())}
    gpt, embedding = found["gpt-oss:20b"], found["nomic-embed-text:latest"]
    assert (gpt.family, gpt.parameters, gpt.context, gpt.quantisation) == ("gptoss", 20914757184, 131072, "MXFP4")
    assert (gpt.tools, gpt.loaded, gpt.size, gpt.kind) == (True, True, 13793441244, "chat")
    assert (embedding.kind, embedding.tools, embedding.loaded, embedding.context) == ("embedding", False, False, 2048)


def test_loading_and_unloading_is_seen_in_the_list(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    def loaded() -> bool | None:
        return next(info.loaded for info in run(runtime.models()) if info.id == "llama3.2:latest")

    before = loaded()
    run(runtime.load("llama3.2"))
    between = loaded()
    run(runtime.unload("llama3.2"))
    assert (before, between, loaded()) == (False, True, False)
    assert [body["keep_alive"] for body in asked(peer)] == ["30m", 0]


@pytest.mark.parametrize(
    "use",
    [
        lambda runtime, model: collect(runtime.stream(ask(model, "Hello"))),
        lambda runtime, model: runtime.load(model),
        lambda runtime, model: runtime.unload(model),
    ],
    ids=["asking", "loading", "unloading"],
)
def test_a_missing_model_comes_with_the_command_that_gets_it(run: Run, runtime: OllamaRuntime, use: Any) -> None:
    with pytest.raises(ModelMissing) as raised:
        run(use(runtime, "mistral-nemo"))
    assert "alain pull mistral-nemo" in raised.value.advice
    assert "mistral-nemo" in raised.value.what


def test_tools_for_a_model_without_are_refused_with_advice(run: Run, runtime: OllamaRuntime) -> None:
    with pytest.raises(Refused, match="does not support tools") as raised:
        run(collect(runtime.stream(ask("gemma3:4b", "Hello", tools=(WEATHER,)))))
    assert raised.value.advice


def test_an_error_within_the_stream_keeps_what_came(run: Run, runtime: OllamaRuntime) -> None:
    kept = Collected()
    with pytest.raises(ServerFailed, match="unexpected EOF") as raised:
        run(read(runtime.stream(ask("broken", "Hello")), kept))
    assert kept.text == "Grüße 🌍!"
    assert not raised.value.retryable  # some of it has been shown


def test_an_answer_that_ends_without_done_is_truncated(run: Run, runtime: OllamaRuntime) -> None:
    kept = Collected()
    with pytest.raises(StreamTruncated) as raised:
        run(read(runtime.stream(ask("severed", "Hello")), kept))
    assert kept.text == "Grüße 🌍!"
    assert raised.value.advice


@pytest.mark.parametrize("cut", range(0, 2400, 217))
def test_a_connection_that_breaks_keeps_what_came(run: Run, make: Make, cut: int) -> None:
    kept, whole = Collected(), run(collect(make().stream(ask("qwen3:8b", "Hello"))))
    with pytest.raises(StreamTruncated):
        run(read(make(f"cut={cut}").stream(ask("qwen3:8b", "Hello")), kept))
    assert kept.events == whole.events[: len(kept.events)]


def test_silence_is_an_error_with_what_came_before(run: Run, make: Make) -> None:
    kept = Collected()
    slow = make("pace=30", Deadlines(silence=0.2))
    with pytest.raises(TimedOut):
        run(read(slow.stream(ask("llama3.2", "Hello")), kept))
    assert kept.text == "Grüße"


def test_bytes_arrive_in_any_pieces(run: Run, make: Make) -> None:
    answers = [run(collect(make(modes).stream(ask("qwen3:8b", "Grüße")))) for modes in ("", "split=1", "split=7")]
    assert answers[0].events == answers[1].events == answers[2].events


def test_the_http_call_is_what_is_sent(run: Run, runtime: OllamaRuntime, peer: Peer) -> None:
    request = ask("llama3.2", "Hello", tools=(WEATHER,), schema=SCHEMA, extra={"keep_alive": "5m"})
    call = runtime.http_call(request)
    run(collect(runtime.stream(request)))
    assert call.url == peer.url("ollama") + "/api/chat"
    assert asked(peer)[0] == call.body
    assert call.body["keep_alive"] == "5m"


# Bytes of one answer, without a connection.

LINES = [
    b'{"model":"m","message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}\n',
    '{"model":"m","message":{"role":"assistant","content":"Grüße 🌍"},"done":false}\n'.encode(),
    b'{"model":"m","message":{"role":"assistant","content":"","tool_calls":'
    b'[{"id":"c","function":{"index":0,"name":"f","arguments":{"a":1}}}]},"done":false}\n',
    b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",'
    b'"prompt_eval_count":5,"eval_count":6,"eval_duration":1000}\n',
]
EVENTS = [ReasoningDelta("Hm"), TextDelta("Grüße 🌍"), ToolCallDelta(0, "c", "f", '{"a":1}')]


def parsed(data: bytes, kept: list[Event]) -> None:
    """Keep the events of an answer, also when it ends with an error."""
    parse(ChatLines("Ollama", "m"), data, kept)


def test_an_answer_cut_at_any_byte_keeps_what_came() -> None:
    data = b"".join(LINES)
    for at in range(len(data) - 1):  # without its last byte, the end of the line, it is whole
        kept: list[Event] = []
        with pytest.raises(StreamTruncated):
            parsed(data[:at], kept)
        assert kept == EVENTS[: sum(len(b"".join(LINES[: n + 1])) <= at + 1 for n in range(3))]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"<html>\n", BadProtocol),
        (b'{"error": "model runner has unexpectedly stopped"}\n', ServerFailed),
        (b'{"error": {"message": "broken"}}\n', ServerFailed),
        (b'{"error": "model \'m\' not found"}\n', ModelMissing),
        (b'{"error": "the prompt exceeds the context length"}\n', ContextExceeded),
        (b"null\n[]\n7\n", StreamTruncated),
        (b"", StreamTruncated),
    ],
)
def test_what_is_no_answer_is_a_typed_error_with_advice(line: bytes, error: type[ModelError]) -> None:
    with pytest.raises(error) as raised:
        parsed(line, [])
    assert raised.value.advice


@pytest.mark.parametrize(
    ("reason", "finish", "flags"),
    [
        ('"stop"', "stop", ()),
        ('"length"', "length", ()),
        ('"load"', "stop", ("finish_reason load",)),
        ('""', "stop", ("finish_reason inferred",)),
        ("null", "stop", ("finish_reason inferred",)),
        ("7", "stop", ("finish_reason inferred",)),
    ],
)
def test_reasons_to_finish(reason: str, finish: str, flags: tuple[str, ...]) -> None:
    kept: list[Event] = []
    parsed(f'{{"model": "m", "done": true, "done_reason": {reason}}}\n'.encode(), kept)
    assert kept == [Finished(finish, "m", flags)]  # type: ignore[arg-type]


def test_another_model_than_was_asked_is_flagged() -> None:
    kept: list[Event] = []
    parsed(b'{"model": "other:latest", "done": true, "done_reason": "stop"}\n', kept)
    assert kept == [Finished("stop", "other:latest", ("answered by other:latest",))]


@given(misshapen([json.loads(line) for line in LINES]))
def test_odd_json_is_passed_over_or_a_typed_error(documents: list[Any]) -> None:
    kept: list[Event] = []
    failed: ModelError | None = None
    try:
        parsed(b"\n".join(json.dumps(document).encode() for document in documents), kept)
    except ModelError as error:
        failed = error
    assert failed.advice if failed else type(kept[-1]) is Finished
    assert all(type(text) is str for text in texts(kept))
