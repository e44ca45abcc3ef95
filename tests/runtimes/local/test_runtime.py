"""Models inside this process: the contract on real tiny models, and what only this runtime does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.errors import ContextExceeded, InvalidOutput, ModelMissing, Refused
from alain_magics.runtimes.base import Message, Runtime, Sampling, TextDelta
from alain_magics.runtimes.local import llamacpp
from alain_magics.runtimes.local.runtime import LocalRuntime, _Text
from alain_magics.runtimes.turn import Turn
from tests.conftest import require
from tests.runtimes.contract import SCHEMA, WEATHER, Run, RuntimeContract, ask, collect
from tests.runtimes.local.gguf_files import write_gguf

CHATML, HARMONY, RANDOM = "tiny-chatml.gguf", "tiny-harmony.gguf", "tiny-random.gguf"
GREETING = "Say hello."
LONG = "Write a lesson about gravity as JSON."


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub in place of the user's."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def runtime(run: Run, weights: Path) -> Iterator[LocalRuntime]:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    runtime = LocalRuntime([weights])
    yield runtime
    run(runtime.aclose())


class LocalContract(RuntimeContract):
    """The contract for a model in this process."""

    uses_http = False
    calls_tools = False  # calls come in the model's own markup, which the turn parses: see below

    @pytest.fixture
    def runtime(self, runtime: LocalRuntime) -> Runtime:
        return runtime

    async def idle(self, runtime: Runtime) -> bool:
        assert isinstance(runtime, LocalRuntime)
        return not runtime.busy


class TestChatml(LocalContract):
    """A model with thoughts and calls in tags."""

    @pytest.fixture
    def model(self) -> str:
        return CHATML


class TestHarmony(LocalContract):
    """A model with channels."""

    @pytest.fixture
    def model(self) -> str:
        return HARMONY


def test_the_turn_finds_thoughts_and_calls_in_the_markup_of_either_model(run: Run, runtime: LocalRuntime) -> None:
    for model in (CHATML, HARMONY):
        thought = run(Turn(runtime, ask(model, "Explain gravity.")).run())
        called = run(Turn(runtime, ask(model, "What is the weather in Paris?", tools=(WEATHER,))).run())
        assert thought.reasoning
        assert thought.text
        assert "<" not in thought.text + thought.reasoning
        assert [call.name for call in called.tool_calls] == [WEATHER.name]
        assert set(called.tool_calls[0].parsed()) == {"city"}
        assert called.finish == "tool_calls"


def test_a_conversation_goes_on_after_a_tool_has_answered(run: Run, runtime: LocalRuntime) -> None:
    for model in (CHATML, HARMONY):
        request = ask(model, "What is the weather in Paris?", tools=(WEATHER,))
        called = run(Turn(runtime, request).run())
        spoken = Message("assistant", "", reasoning=called.reasoning, tool_calls=called.tool_calls)
        heard = Message("tool", "sunny", tool_call_id=called.tool_calls[0].id, name=WEATHER.name)
        answer = run(collect(runtime.stream(replace(request, messages=(*request.messages, spoken, heard)))))
        assert answer.finished.reason in ("stop", "length")


def test_a_schema_makes_even_random_weights_answer_with_structure(run: Run, runtime: LocalRuntime) -> None:
    for seed in range(3):
        sampling = Sampling(temperature=1.0, seed=seed)
        turn = Turn(runtime, ask(RANDOM, GREETING, schema=SCHEMA, max_tokens=None, sampling=sampling))
        answer = run(turn.run())
        assert set(answer.value) == {"title", "answer"}


def test_characters_arrive_whole(run: Run, runtime: LocalRuntime) -> None:
    answer = run(collect(runtime.stream(ask(CHATML, "Greet me in French, with emoji."))))
    pieces = [event.text for event in answer.events if type(event) is TextDelta]
    assert "🎉" in answer.text
    assert not any("\ufffd" in piece for piece in pieces)


def test_usage_is_exact_and_timed(run: Run, runtime: LocalRuntime) -> None:
    request = ask(CHATML, GREETING, max_tokens=4)
    answer = run(collect(runtime.stream(request)))
    assert answer.usage is not None
    assert answer.usage.input == run(runtime.count_tokens(request))
    assert answer.usage.output == 4
    assert (answer.usage.prefill_seconds or 0) > 0
    assert (answer.usage.generation_seconds or 0) > 0


def test_a_conversation_is_not_read_again_unless_it_must_be_repeatable(run: Run, runtime: LocalRuntime) -> None:
    free = ask(CHATML, GREETING, sampling=Sampling(temperature=0.0))
    first = run(collect(runtime.stream(free)))
    more = replace(free, messages=(*free.messages, Message("assistant", first.text), Message("user", "Count to ten.")))
    second = run(collect(runtime.stream(more)))
    seeded = run(collect(runtime.stream(replace(more, sampling=Sampling(temperature=0.0, seed=1)))))
    assert first.usage
    assert second.usage
    assert seeded.usage
    assert first.usage.input <= second.usage.cached < second.usage.input == seeded.usage.input
    assert seeded.usage.cached == 0
    assert seeded.text == second.text


def test_the_window_is_as_asked_for(run: Run, runtime: LocalRuntime) -> None:
    long = ask(CHATML, "gravity " * 100, context_tokens=64)
    with pytest.raises(ContextExceeded) as caught:
        run(collect(runtime.stream(long)))
    assert "reads 64 at most" in caught.value.what
    assert caught.value.advice
    fitting = run(collect(runtime.stream(ask(CHATML, LONG, context_tokens=64, max_tokens=None))))
    assert fitting.finished.reason == "length"
    assert fitting.usage
    assert fitting.usage.input + fitting.usage.output in (64, 65)
    wide = run(collect(runtime.stream(ask(CHATML, GREETING, context_tokens=10**6))))
    assert "context: 2048 tokens are the most" in wide.finished.flags


def test_a_question_that_waits_can_be_cancelled(run: Run, runtime: LocalRuntime) -> None:
    async def use() -> tuple[str, str]:
        first = runtime.stream(ask(CHATML, LONG, max_tokens=300))
        begun = await anext(first)
        assert isinstance(begun, TextDelta)
        waiting = asyncio.create_task(collect(runtime.stream(ask(CHATML, GREETING))))
        third = asyncio.create_task(collect(runtime.stream(ask(CHATML, GREETING))))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        rest = await collect(first)
        assert rest.finished.reason in ("stop", "length")
        return begun.text + rest.text, (await third).text

    whole, third = run(use())
    assert whole == run(collect(runtime.stream(ask(CHATML, LONG, max_tokens=300)))).text
    assert third == run(collect(runtime.stream(ask(CHATML, GREETING)))).text


def test_closing_stops_the_thread_within_a_token(run: Run, runtime: LocalRuntime) -> None:
    async def use() -> None:
        events = runtime.stream(ask(RANDOM, LONG, max_tokens=None))
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(1):
            while runtime.busy:
                await asyncio.sleep(0.001)

    run(use())
    assert not [thread.name for thread in threading.enumerate() if thread.name.endswith(RANDOM)]


def test_reading_a_prompt_can_be_stopped(weights: Path) -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    model = llamacpp.LlamaModel(weights / CHATML)
    try:
        model.open(None)
        prompt = model.tokens("gravity " * 300)
        asked: list[None] = []

        def after_some_steps() -> bool:
            asked.append(None)
            return len(asked) > 20

        assert model.read(prompt, reuse=True, stopped=after_some_steps) is None
        assert model.read(prompt, reuse=True, stopped=lambda: False) == 0
    finally:
        model.close()


def test_unloading_frees_the_memory(run: Run, runtime: LocalRuntime) -> None:
    maps = Path("/proc/self/maps")
    require(maps.exists(), "reason: only Linux tells what a process has mapped")

    def mapped() -> bool:
        return HARMONY in maps.read_text()

    def loaded() -> bool | None:
        return next(info.loaded for info in run(runtime.models()) if info.id == HARMONY)

    assert (mapped(), loaded()) == (False, False)
    run(runtime.load(HARMONY))
    assert (mapped(), loaded()) == (True, True)
    run(runtime.unload(HARMONY))
    assert (mapped(), loaded()) == (False, False)


def test_nothing_is_printed(run: Run, runtime: LocalRuntime, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(collect(runtime.stream(ask(RANDOM, GREETING, max_tokens=2))))
    run(runtime.unload(RANDOM))
    write_gguf(tmp_path / "broken.gguf")
    with pytest.raises(Refused):
        run(collect(LocalRuntime([tmp_path]).stream(ask("broken.gguf", GREETING))))
    assert capfd.readouterr() == ("", "")


def test_a_file_that_cannot_be_loaded_is_told_with_its_reason(run: Run, tmp_path: Path) -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    write_gguf(tmp_path / "headless.gguf")
    write_gguf(tmp_path / "embedder.gguf", llama__pooling_type=1)
    (tmp_path / "damaged.gguf").write_bytes(b"GGUF")
    for name, reason in {
        "headless.gguf": "llama.cpp cannot load headless.gguf: ",
        "embedder.gguf": "no model that writes text",
        "damaged.gguf": "damaged",
    }.items():
        with pytest.raises(Refused, match=reason) as caught:
            run(collect(LocalRuntime([tmp_path]).stream(ask(name, GREETING))))
        assert caught.value.advice
        assert not caught.value.what.endswith("no reason is given.")


def test_a_schema_that_the_vocabulary_cannot_write_is_told(run: Run, runtime: LocalRuntime) -> None:
    schema = {"enum": ["é"]}
    with pytest.raises(InvalidOutput, match="no token that the schema allows"):
        run(collect(runtime.stream(ask(RANDOM, GREETING, schema=schema))))
    assert run(collect(runtime.stream(ask(RANDOM, GREETING)))).text


def test_a_schema_without_a_grammar_is_remarked(run: Run, runtime: LocalRuntime) -> None:
    schema = {"$ref": "https://example.org/schema.json"}
    answer = run(collect(runtime.stream(ask(CHATML, GREETING, schema=schema, max_tokens=4))))
    assert "ignored:schema" in answer.finished.flags


def test_penalties_and_seeds_change_the_answer(run: Run, runtime: LocalRuntime) -> None:
    def text(**values: Any) -> str:
        return run(collect(runtime.stream(ask(RANDOM, GREETING, sampling=Sampling(**values))))).text

    plain = text(temperature=0.0, seed=1)
    assert text(temperature=0.0, seed=1, repetition_penalty=1.5) != plain
    assert text(temperature=0.0, seed=1, frequency_penalty=1.0) != plain
    assert text(temperature=1.0, seed=1) == text(temperature=1.0, seed=1) != text(temperature=1.0, seed=2)
    assert text(temperature=1.0, seed=1, top_k=1) == plain
    assert text(temperature=1.0, seed=1, xtc_probability=1.0, xtc_threshold=0.001) != text(temperature=1.0, seed=1)


def test_without_the_package_models_are_listed_and_questions_say_how_to_install_it(weights: Path) -> None:
    program = """
import asyncio, sys
sys.modules["llama_cpp"] = None
from pathlib import Path
from alain_magics.errors import Refused
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.local.runtime import LocalRuntime

async def main():
    runtime = LocalRuntime([Path(sys.argv[1])])
    print(len(await runtime.models()))
    try:
        await anext(runtime.stream(ChatRequest("tiny-chatml.gguf", (Message("user", "Hello"),))))
    except Refused as error:
        print(error)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program, str(weights)], capture_output=True, text=True, check=True)
    number, message = done.stdout.splitlines()
    assert int(number) >= 3
    assert 'pip install "alain-magics[local]"' in message


def test_a_missing_model_names_the_nearest(run: Run, runtime: LocalRuntime) -> None:
    with pytest.raises(ModelMissing, match=r"tiny-chatml\.gguf"):
        run(collect(runtime.stream(ask("tiny-chatm.gguf", GREETING))))


def cached(hub: Path, repository: str, revision: str, name: str, *, main: bool = False, **metadata: Any) -> Path:
    """Put a file into the Hub's cache as ``huggingface_hub`` does: the name links to the content."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    blob = write_gguf(folder / "blobs" / f"{revision}-{name.replace('/', '-')}", **metadata)
    path = folder / "snapshots" / revision / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(blob, path.parent))
    if main:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(revision)
    return path


def test_files_of_the_hub_and_of_folders_are_listed_once(run: Run, tmp_path: Path, empty_hub: Path) -> None:
    cached(empty_hub, "maker/tiny", "aaa", "tiny-Q8_0.gguf", general__file_type=7, main=True)
    cached(empty_hub, "maker/tiny", "bbb", "tiny-Q8_0.gguf", general__file_type=1)
    cached(empty_hub, "maker/tiny", "bbb", "more/tiny-F16.gguf", general__file_type=1)
    own = tmp_path / "own"
    write_gguf(own / "deep" / "mine.gguf", tokenizer__chat_template="{{ tools }}")
    write_gguf(own / "mmproj.gguf", general__architecture="clip")
    write_gguf(own / "embedder.gguf", llama__pooling_type=1)
    (own / "notes.txt").write_text("no model")
    listed = {info.id: info for info in run(LocalRuntime([own, empty_hub, tmp_path / "nowhere"]).models())}
    assert {name: (info.kind, info.quantisation, info.tools) for name, info in listed.items()} == {
        "maker/tiny/tiny-Q8_0.gguf": ("chat", "Q8_0", False),
        "maker/tiny/more/tiny-F16.gguf": ("chat", "F16", False),
        "deep/mine.gguf": ("chat", "Q4_K_M", True),
        "mmproj.gguf": ("other", "Q4_K_M", False),
        "embedder.gguf": ("embedding", "Q4_K_M", False),
        **{name: ("chat", "F16", False) for name in listed if name.startswith("models--")},
    }
    mine = listed["deep/mine.gguf"]
    assert (mine.family, mine.parameters, mine.context, mine.loaded) == ("llama", 14, 2048, False)
    assert mine.size == (own / "deep" / "mine.gguf").stat().st_size


def test_the_parts_of_a_split_model_count_once(run: Run, tmp_path: Path) -> None:
    parts = [write_gguf(tmp_path / f"big-{part:05}-of-00003.gguf") for part in (1, 2, 3)]
    (info,) = run(LocalRuntime([tmp_path]).models())
    assert info.id == parts[0].name
    assert info.parameters == 3 * 14
    assert info.size == sum(part.stat().st_size for part in parts)
    parts[1].unlink()
    (info,) = run(LocalRuntime([tmp_path]).models())
    assert info.kind == "other"
    assert parts[1].name in info.description


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"HF_HUB_CACHE": "/a/hub"}, "/a/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/b"}, "/b"),
        ({"HF_HOME": "/c"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({}, str(Path.home() / ".cache/huggingface/hub")),
    ],
)
def test_the_cache_is_where_the_hub_keeps_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], place: str
) -> None:
    from alain_magics.runtimes.local.files import hub_cache

    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(hub_cache()) == place


@given(
    text=st.text(alphabet="abc é🎉", max_size=30),
    cuts=st.lists(st.integers(0, 100), max_size=10),
    stops=st.lists(st.text(alphabet="abcé", max_size=4), max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_text_is_the_same_however_its_bytes_arrive(text: str, cuts: list[int], stops: list[str]) -> None:
    data = text.encode()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    reader = _Text(stops)
    told = "".join(reader.feed(data[start:end]) for start, end in pairwise(places))
    told += reader.finish()
    real = [stop for stop in stops if stop]
    assert text.startswith(told)
    assert not any(stop in told for stop in real)
    assert reader.stopped == any(stop in text for stop in real)
    assert told == text or any(text.startswith(stop, len(told)) for stop in real)
