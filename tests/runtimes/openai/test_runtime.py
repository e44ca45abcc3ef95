"""The runtime of OpenAI-compatible servers, on real ones and on the recorded shapes of those that cannot run here.

The real ones are llama-server, with one model and as a router, and the server of llama-cpp-python.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import ContextExceeded, KeyRefused, ModelMissing, Refused, ServerFailed, Unreachable
from alain_magics.keys import Key
from alain_magics.runtimes.base import ChatRequest, Message, ModelInfo, Runtime, ToolCall
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import PROVIDERS, Provider
from tests.peers import recorded
from tests.peers.llama_server import Peer, free_port, llama_router, llama_server
from tests.runtimes.contract import UNUSUAL, WEATHER, Run, RuntimeContract, ask, collect


def runtime_at(pool: Pool, preset: str, url: str) -> OpenAIRuntime:
    """A preset at another address, with a key."""
    provider = PROVIDERS[preset].at(url)
    return OpenAIRuntime(provider, Http(pool, provider, Key("sk-contract", "a test", [provider.host])))


def slots(peer: Peer) -> list[dict[str, Any]]:
    """What the slots of a llama-server do, and what they were asked last."""
    with urllib.request.urlopen(f"{peer.url}/slots", timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)
        return found


class TestLlamaServer(RuntimeContract):
    """The contract, on a model that thinks and calls tools."""

    refuses_unknown_models = False
    unloads = False

    @pytest.fixture(params=["tiny-chatml", "tiny-harmony"])
    def model(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def runtime(self, llama: Callable[[str], Peer], model: str, pool: Pool) -> Runtime:
        self.server = llama(model)
        return runtime_at(pool, "llamacpp", f"{self.server.url}/v1")

    async def idle(self, runtime: Runtime) -> bool:
        return not any(slot["is_processing"] for slot in slots(self.server))


class TestLlamaRouter(RuntimeContract):
    """The contract, on a server that loads models on demand."""

    @pytest.fixture
    def model(self) -> str:
        return "tiny-chatml"

    @pytest.fixture
    def runtime(self, router: Peer, pool: Pool) -> Runtime:
        return runtime_at(pool, "llamacpp", f"{router.url}/v1")


class TestLlamaCppServer(RuntimeContract):
    """The contract, on a server that sends no usage and refuses ``json_schema``."""

    calls_tools = False
    knows_its_models = False
    unloads = False

    @pytest.fixture
    def model(self) -> str:
        return "tiny-chatml"

    @pytest.fixture
    def runtime(self, llama_cpp: Peer, pool: Pool) -> Runtime:
        provider = Provider("other", "llama_cpp.server", "openai", f"{llama_cpp.url}/v1")
        return OpenAIRuntime(provider, Http(pool, provider))


class TestLMStudio(RuntimeContract):
    """The contract, on the recorded shapes of LM Studio, whose recording has neither tools nor stop sequences."""

    calls_tools = False
    stops_at = False

    @pytest.fixture
    def model(self) -> str:
        return "openai/gpt-oss-20b"

    @pytest.fixture
    def runtime(self, recordings: recorded.Peer, pool: Pool) -> Runtime:
        self.server = recordings
        return runtime_at(pool, "lmstudio", f"{recordings.url('lmstudio')}/v1")

    async def idle(self, runtime: Runtime) -> bool:
        return not self.server.active("lmstudio")


@pytest.fixture
def chatml(llama: Callable[[str], Peer]) -> Peer:
    """The llama-server that runs the model with a ChatML template."""
    return llama("tiny-chatml")


@pytest.fixture
def runtime(chatml: Peer, pool: Pool) -> OpenAIRuntime:
    """The runtime of that server."""
    return runtime_at(pool, "llamacpp", f"{chatml.url}/v1")


def listed(run: Run, runtime: Runtime) -> dict[str, ModelInfo]:
    return {info.id: info for info in run(runtime.models())}


def test_every_character_arrives_at_the_model(run: Run, runtime: OpenAIRuntime, chatml: Peer) -> None:
    run(collect(runtime.stream(ask("tiny-chatml", f"{UNUSUAL} unmistakable", max_tokens=1))))
    assert any(f"{UNUSUAL} unmistakable" in str(slot.get("prompt")) for slot in slots(chatml))


def test_what_was_thought_and_called_is_told_to_the_model_again(run: Run, runtime: OpenAIRuntime, chatml: Peer) -> None:
    call = ToolCall("call-1", "get_weather", '{"city": "Lima"}')
    messages = (
        Message("user", "What is the weather in Lima?"),
        Message("assistant", "", reasoning="Think of Lima.", tool_calls=(call,)),
        Message("tool", "sunny in Lima", tool_call_id="call-1", name="get_weather"),
        Message("assistant", "Lima is sunny.", reasoning="Easy."),
        Message("user", "And in Oslo?"),
    )
    run(collect(runtime.stream(ChatRequest("tiny-chatml", messages, max_tokens=1, tools=(WEATHER,)))))
    prompt = next(str(slot["prompt"]) for slot in slots(chatml) if "And in Oslo?" in str(slot["prompt"]))
    for told in ("Think of Lima.", '{"city": "Lima"}', "sunny in Lima", "Easy.", WEATHER.description):
        assert told in prompt


def test_thinking_comes_apart_from_the_answer_and_can_be_turned_off(run: Run, runtime: OpenAIRuntime) -> None:
    thoughtful = run(collect(runtime.stream(ask("tiny-chatml", "Explain gravity."))))
    quick = run(collect(runtime.stream(ask("tiny-chatml", "Explain gravity.", effort="off"))))
    assert thoughtful.reasoning
    assert "<think>" not in thoughtful.text
    assert not quick.reasoning
    assert quick.text


def test_usage_holds_the_measurements_of_the_server(run: Run, runtime: OpenAIRuntime) -> None:
    usage = run(collect(runtime.stream(ask("tiny-chatml", "Count to ten.")))).usage
    assert usage.source == "provider"
    assert usage.prefill_seconds > 0
    assert usage.generation_seconds > 0


@pytest.mark.parametrize("tools", [(), (WEATHER,)])
def test_tokens_are_counted_as_the_server_counts_them(run: Run, runtime: OpenAIRuntime, tools: tuple[Any, ...]) -> None:
    request = ask("tiny-chatml", "How many tokens is this, {really}?", tools=tools)
    assert run(runtime.count_tokens(request)) == run(collect(runtime.stream(request))).usage.input


def test_a_prompt_beyond_the_context_is_told_with_its_size(run: Run, runtime: OpenAIRuntime) -> None:
    with pytest.raises(ContextExceeded, match="context"):
        run(collect(runtime.stream(ask("tiny-chatml", "hello " * 5000))))


def test_bounds_that_the_grammar_cannot_hold_are_left_to_the_validation_here(run: Run, runtime: OpenAIRuntime) -> None:
    text = {"type": "string", "minLength": 3000, "maxLength": 5000}
    schema = {"type": "object", "properties": {"title": text}, "required": ["title"]}
    answer = run(collect(runtime.stream(ask("tiny-chatml", "Say hello.", schema=schema, effort="off", max_tokens=300))))
    assert answer.text.replace(" ", "").startswith('{"title":"')


def test_a_model_tells_its_size_its_window_and_its_quantisation(run: Run, runtime: OpenAIRuntime) -> None:
    info = listed(run, runtime)["tiny-chatml"]
    assert (info.parameters, info.context, info.quantisation, info.loaded) == (977_280, 2048, "F16", True)
    assert info.size == 1_956_864
    assert info.name == "llamacpp/tiny-chatml"


def test_the_http_call_can_be_sent_by_anything(runtime: OpenAIRuntime) -> None:
    call = runtime.http_call(ask("tiny-chatml", UNUSUAL, max_tokens=1))
    request = urllib.request.Request(call.url, json.dumps(call.body).encode(), dict(call.headers))
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.read().rstrip().endswith(b"data: [DONE]")


def test_a_refused_key_is_told_without_the_key(
    run: Run, pool: Pool, weights: Path, tmp_path: Path, llama: object
) -> None:
    with llama_server(weights / "tiny-random.gguf", tmp_path / "log", "--api-key", "sk-right") as peer:
        runtime = runtime_at(pool, "llamacpp", f"{peer.url}/v1")
        with pytest.raises(KeyRefused) as raised:
            run(collect(runtime.stream(ask("tiny-random", "Hello"))))
        provider = PROVIDERS["llamacpp"].at(f"{peer.url}/v1")
        right = OpenAIRuntime(provider, Http(pool, provider, Key("sk-right", "a test", [provider.host])))
        assert run(collect(right.stream(ask("tiny-random", "Hello", max_tokens=3)))).finished.reason
    assert "sk-contract" not in str(raised.value)


def test_a_server_that_is_gone_is_unreachable(run: Run, pool: Pool) -> None:
    runtime = runtime_at(pool, "lmstudio", f"http://127.0.0.1:{free_port()}/v1")
    for asked in (runtime.models(), collect(runtime.stream(ask("any", "Hello"))), runtime.load("any")):
        with pytest.raises(Unreachable):
            run(asked)
    assert run(runtime.count_tokens(ask("any", "Hello"))) is None


def test_a_router_loads_and_unloads_models(run: Run, router: Peer, pool: Pool) -> None:
    runtime = runtime_at(pool, "llamacpp", f"{router.url}/v1")
    run(runtime.load("tiny-random"))
    assert listed(run, runtime)["tiny-random"].loaded is True
    run(runtime.load("tiny-random"))  # once more changes nothing
    run(runtime.unload("tiny-random"))
    assert listed(run, runtime)["tiny-random"].loaded is False
    with pytest.raises(Refused, match="not running"):
        run(runtime.unload("tiny-random"))


def test_a_model_that_the_router_does_not_have_cannot_be_loaded(run: Run, router: Peer, pool: Pool) -> None:
    with pytest.raises(ModelMissing, match="nothing-of-that-name"):
        run(runtime_at(pool, "llamacpp", f"{router.url}/v1").load("nothing-of-that-name"))


def test_weights_that_are_damaged_cannot_be_loaded(
    run: Run, pool: Pool, weights: Path, tmp_path: Path, llama: object
) -> None:
    (tmp_path / "damaged.gguf").write_bytes((weights / "tiny-random.gguf").read_bytes()[:100_000])
    with llama_router(tmp_path, tmp_path / "log") as peer, pytest.raises(ServerFailed, match="could not load"):
        run(runtime_at(pool, "llamacpp", f"{peer.url}/v1").load("damaged"))


@pytest.fixture
def lmstudio(recordings: recorded.Peer, pool: Pool) -> OpenAIRuntime:
    """LM Studio as just started."""
    recordings.forget("lmstudio")
    return runtime_at(pool, "lmstudio", f"{recordings.url('lmstudio')}/v1")


def test_lm_studio_tells_what_its_models_are(run: Run, lmstudio: OpenAIRuntime) -> None:
    models = listed(run, lmstudio)
    large = models["openai/gpt-oss-20b"]
    assert (large.family, large.maker, large.parameters) == ("gpt-oss", "openai", 20_000_000_000)
    assert (large.context, large.quantisation, large.size) == (4_096, "MXFP4", 12_109_566_624)
    assert (large.tools, large.loaded, large.kind) == (True, True, "chat")
    assert (models["google/gemma-3-4b"].tools, models["google/gemma-3-4b"].loaded) == (False, False)
    assert models["text-embedding-nomic-embed-text-v1.5"].kind == "embedding"


def test_lm_studio_loads_a_model_once(run: Run, lmstudio: OpenAIRuntime, recordings: recorded.Peer) -> None:
    for _ in range(2):
        run(lmstudio.load("google/gemma-3-4b"))
    assert listed(run, lmstudio)["google/gemma-3-4b"].loaded is True
    run(lmstudio.unload("google/gemma-3-4b"))
    assert listed(run, lmstudio)["google/gemma-3-4b"].loaded is False
    posts = [seen for seen in recordings.seen("lmstudio") if seen["method"] == "POST"]
    assert [(seen["path"], seen["body"]) for seen in posts] == [
        ("/api/v1/models/load", {"model": "google/gemma-3-4b"}),
        ("/api/v1/models/unload", {"instance_id": "google/gemma-3-4b"}),
    ]


def test_a_server_without_the_details_is_asked_for_its_plain_list(
    run: Run, recordings: recorded.Peer, pool: Pool
) -> None:
    runtime = runtime_at(pool, "lmstudio", f"{recordings.url('vllm')}/v1")
    assert listed(run, runtime)["Qwen/Qwen3-8B"].context == 40960
    run(runtime.load("Qwen/Qwen3-8B"))  # loaded by the server itself
    with pytest.raises(Refused, match="Stop the server"):
        run(runtime.unload("Qwen/Qwen3-8B"))


def test_a_hosted_list_may_be_a_bare_array(run: Run, recordings: recorded.Peer, pool: Pool) -> None:
    models = listed(run, runtime_at(pool, "together", f"{recordings.url('together')}/v1"))
    assert {info.id: info.kind for info in models.values()} == {
        "openai/gpt-oss-20b": "chat",
        "meta-llama/Llama-4-Scout-17B-16E-Instruct": "chat",
        "BAAI/bge-large-en-v1.5": "embedding",
        "black-forest-labs/FLUX.1-schnell": "other",
    }
    assert models["openai/gpt-oss-20b"].maker == "OpenAI"
    assert models["openai/gpt-oss-20b"].context == 131_072


def test_a_hosted_server_has_nothing_to_load_or_to_unload(run: Run, pool: Pool) -> None:
    provider = PROVIDERS["together"]
    runtime = OpenAIRuntime(provider, Http(pool, provider))
    run(runtime.load("any"))
    with pytest.raises(Refused, match="no memory of this machine"):
        run(runtime.unload("any"))


@pytest.mark.parametrize(
    ("preset", "name", "value", "variable"),
    [
        ("openai", "authorization", "Bearer $KEY", "OPENAI_API_KEY"),
        ("azure", "api-key", "$KEY", "AZURE_OPENAI_API_KEY"),
    ],
)
def test_the_http_call_shows_where_the_key_belongs(
    pool: Pool, preset: str, name: str, value: str, variable: str
) -> None:
    provider = PROVIDERS[preset].at("https://example.test/v1?api-version=2024-10-21")
    call = OpenAIRuntime(provider, Http(pool, provider)).http_call(ask("gpt", "Hello", max_tokens=9))
    assert call.headers[name] == value
    assert call.key_variable == variable
    assert call.url == "https://example.test/v1/chat/completions?api-version=2024-10-21"
    assert call.body["max_completion_tokens"] == 9


def test_the_http_call_of_a_local_server_without_a_key_asks_for_none(pool: Pool) -> None:
    provider = PROVIDERS["vllm"]
    call = OpenAIRuntime(provider, Http(pool, provider)).http_call(ask("any", "Hello"))
    assert "authorization" not in call.headers
    assert not call.key_variable


def test_many_streams_at_once_keep_apart(run: Run, runtime: OpenAIRuntime) -> None:
    async def use() -> None:
        texts = [f"Add {number} and {number}." for number in range(24)]
        requests = [ask("tiny-chatml", text, max_tokens=24) for text in texts]
        alone = [(await collect(runtime.stream(request))).text for request in requests]
        together = await asyncio.gather(*(collect(runtime.stream(request)) for request in requests))
        assert [each.text for each in together] == alone

    run(use())
