"""The contract test of runtimes: one class, which every runtime's tests subclass.

A subclass gives the fixtures ``runtime`` and ``model`` and says with the class attributes what its runtime supports.
Nothing is asserted of what a model says, only of how it comes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from alain_magics.errors import ModelError, Refused
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    Message,
    ReasoningDelta,
    Runtime,
    Sampling,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Test = TypeVar("Test", bound=Callable[..., None])

_NEEDS: dict[str, str] = {}

UNUSUAL = 'emoji 🎉 e\u0301, line\u2028separator, {braces} {{twice}} %s $HOME, tab\t, quote " back\\slash, <b>&amp;</b>'
WEATHER = Tool(
    "get_weather",
    "Get the weather",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 20}, "answer": {"type": "integer"}},
    "required": ["title", "answer"],
    "additionalProperties": False,
}


@dataclass
class Collected:
    """The events of one answer, and what they amount to."""

    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if type(event) is TextDelta)

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if type(event) is ReasoningDelta)

    @property
    def finished(self) -> Finished:
        (finished,) = (event for event in self.events if type(event) is Finished)
        return finished

    @property
    def usage(self) -> Usage | None:
        return next((event for event in self.events if type(event) is Usage), None)

    @property
    def calls(self) -> list[ToolCall]:
        slots: dict[int, list[ToolCallDelta]] = {}
        for event in self.events:
            if type(event) is ToolCallDelta:
                slots.setdefault(event.slot, []).append(event)
        return [
            ToolCall(*("".join(getattr(part, name) for part in parts) for name in ("id", "name", "arguments")))
            for _, parts in sorted(slots.items())
        ]


async def collect(events: AsyncIterator[Event]) -> Collected:
    """Read an answer to its end."""
    return Collected([event async for event in events])


def ask(model: str, text: str, **changes: Any) -> ChatRequest:
    """A short request that gives the same answer each time, where the runtime can."""
    sampling = Sampling(temperature=0.0, seed=7)
    request = ChatRequest(model, (Message("user", text),), max_tokens=64, sampling=sampling)
    return replace(request, **changes)


def needs(attribute: str) -> Callable[[Test], Test]:
    """Leave a test out of the subclasses whose runtime does not support what it is about."""

    def mark(test: Test) -> Test:
        _NEEDS[test.__name__] = attribute
        return test

    return mark


class RuntimeContract:
    """What every runtime keeps to."""

    def __init_subclass__(cls) -> None:
        for name, attribute in _NEEDS.items():
            if not getattr(cls, attribute):
                setattr(cls, name, None)

    limits_tokens = True
    """Whether ``max_tokens`` is respected."""
    stops_at = True
    """Whether stop sequences are respected."""
    calls_tools = True
    """Whether a model that wants to calls :data:`WEATHER`."""
    constrains = True
    """Whether a schema constrains what a model can say."""
    repeats = True
    """Whether a seed and temperature 0 give the same answer twice."""
    knows_its_models = True
    """Whether a model that is not there is noticed."""
    refuses_unknown_models = True
    """Whether it is refused then; else another one answers."""
    unloads = True
    """Whether a model's memory can be freed."""
    uses_http = True
    """Whether requests go over HTTP."""

    greeting = "Say hello."
    counting = "Count to ten."
    weather = "What is the weather in Paris?"
    long_answer = "Write a lesson about gravity as JSON."

    @pytest.fixture
    def runtime(self) -> Runtime:
        raise NotImplementedError("the subclass gives the runtime")

    @pytest.fixture
    def model(self) -> str:
        raise NotImplementedError("the subclass gives the model")

    async def idle(self, runtime: Runtime) -> bool:
        """Whether the server works on nothing; overridden where one can ask it."""
        return True

    async def settle(self, runtime: Runtime) -> None:
        """Wait until the server works on nothing."""
        async with asyncio.timeout(2):
            while not await self.idle(runtime):
                await asyncio.sleep(0.01)

    def test_answers_arrive_in_pieces_of_text(self, run: Run, runtime: Runtime, model: str) -> None:
        answer = run(collect(runtime.stream(ask(model, self.greeting))))
        pieces = [event for event in answer.events if type(event) in (TextDelta, ReasoningDelta)]
        assert answer.text.strip()
        assert len(pieces) > 1
        assert all(piece.text for piece in pieces)

    def test_every_answer_ends_with_a_single_finished(self, run: Run, runtime: Runtime, model: str) -> None:
        answer = run(collect(runtime.stream(ask(model, self.greeting))))
        assert answer.events[-1] is answer.finished
        assert answer.finished.reason == "stop"

    def test_the_model_that_is_asked_is_listed(self, run: Run, runtime: Runtime, model: str) -> None:
        listed = run(runtime.models())
        assert model in [each.id for each in listed]
        assert {each.runtime for each in listed} == {runtime.name}

    def test_usage_is_plausible_where_there_is_any(self, run: Run, runtime: Runtime, model: str) -> None:
        answer = run(collect(runtime.stream(ask(model, self.greeting, max_tokens=32))))
        if usage := answer.usage:
            assert usage.source == "provider"
            assert usage.input >= usage.cached >= 0
            assert usage.input > 0
            assert 32 >= usage.output >= usage.reasoning >= 0
            assert usage.output > 0
        assert sum(type(event) is Usage for event in answer.events) <= 1

    @needs("limits_tokens")
    def test_the_number_of_tokens_is_limited(self, run: Run, runtime: Runtime, model: str) -> None:
        short = run(collect(runtime.stream(ask(model, self.greeting, max_tokens=3))))
        whole = run(collect(runtime.stream(ask(model, self.greeting))))
        assert short.finished.reason == "length"
        assert len(short.text + short.reasoning) < len(whole.text + whole.reasoning)

    @needs("stops_at")
    def test_a_stop_sequence_ends_the_answer_before_it(self, run: Run, runtime: Runtime, model: str) -> None:
        request = ask(model, self.greeting)
        whole = run(collect(runtime.stream(request))).text.strip()
        stop = whole[len(whole) // 2 :][:4]
        short = run(collect(runtime.stream(replace(request, sampling=replace(request.sampling, stop=(stop,))))))
        assert stop not in short.text
        assert len(short.text) < len(whole)
        assert short.finished.reason == "stop"

    @needs("calls_tools")
    def test_a_tool_is_called_with_arguments(self, run: Run, runtime: Runtime, model: str) -> None:
        answer = run(collect(runtime.stream(ask(model, self.weather, tools=(WEATHER,)))))
        deltas = [event for event in answer.events if type(event) is ToolCallDelta]
        assert {event.slot for event in deltas} == set(range(len(answer.calls)))
        assert [call.name for call in answer.calls] == [WEATHER.name]
        assert sum(bool(event.name) for event in deltas) == 1
        assert sum(bool(event.id) for event in deltas) <= 1
        assert set(answer.calls[0].parsed()) == {"city"}
        assert answer.finished.reason == "tool_calls"

    @needs("calls_tools")
    def test_a_conversation_goes_on_after_a_tool_has_answered(self, run: Run, runtime: Runtime, model: str) -> None:
        call = ToolCall("call-1", WEATHER.name, '{"city": "Paris"}')
        messages = (
            Message("system", "You are a helpful assistant."),
            Message("user", self.weather),
            Message("assistant", "", reasoning="I need the weather.", tool_calls=(call,)),
            Message("tool", "sunny", tool_call_id=call.id, name=call.name),
        )
        answer = run(collect(runtime.stream(replace(ask(model, "", tools=(WEATHER,)), messages=messages))))
        assert answer.finished.reason in ("stop", "tool_calls", "length")

    @needs("constrains")
    def test_a_schema_constrains_the_answer(self, run: Run, runtime: Runtime, model: str) -> None:
        answer = run(collect(runtime.stream(ask(model, self.greeting, schema=SCHEMA, effort="off", max_tokens=200))))
        value = json.loads(answer.text)
        assert type(value["title"]) is str
        assert type(value["answer"]) is int
        assert answer.finished.reason == "stop"

    def test_closing_early_ends_the_generation(self, run: Run, runtime: Runtime, model: str) -> None:
        async def use() -> Collected:
            for _ in range(3):
                events = runtime.stream(ask(model, self.long_answer, max_tokens=400))
                async for event in events:
                    assert type(event) is not Finished
                    break
                await events.aclose()  # type: ignore[attr-defined]
                await self.settle(runtime)
            return await collect(runtime.stream(ask(model, self.greeting)))

        assert run(use()).text

    def test_cancelling_ends_the_generation(self, run: Run, runtime: Runtime, model: str) -> None:
        async def use() -> Collected:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in runtime.stream(ask(model, self.long_answer, max_tokens=400)):
                    begun.set()
                    await asyncio.sleep(0)

            for _ in range(3):
                begun.clear()
                task = asyncio.create_task(read())
                await begun.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(task, 2)
                await self.settle(runtime)
            return await collect(runtime.stream(ask(model, self.greeting)))

        assert run(use()).text

    def test_streams_at_the_same_time_do_not_mix(self, run: Run, runtime: Runtime, model: str) -> None:
        async def use() -> None:
            requests = [ask(model, text) for text in (self.greeting, self.counting)]
            alone = [await collect(runtime.stream(request)) for request in requests]
            together = await asyncio.gather(*(collect(runtime.stream(request)) for request in requests))
            assert alone[0].text != alone[1].text
            assert [each.text for each in together] == [each.text for each in alone]

        run(use())

    @needs("knows_its_models")
    def test_a_model_that_is_not_there_is_refused_or_the_one_that_answers_named(
        self, run: Run, runtime: Runtime, model: str
    ) -> None:
        asked = runtime.stream(ask("no/such-model", self.greeting))
        if not self.refuses_unknown_models:
            finished = run(collect(asked)).finished
            assert f"answered by {finished.model}" in finished.flags
            return
        with pytest.raises(ModelError) as raised:
            run(collect(asked))
        assert raised.value.advice
        assert not raised.value.retryable

    def test_the_http_call_holds_no_key(self, runtime: Runtime, model: str) -> None:
        call = runtime.http_call(ask(model, self.greeting))
        assert (call is not None) == self.uses_http
        if call:
            assert call.url.startswith("http")
            assert json.loads(json.dumps(call.body))["model"] == model
            assert "sk-contract" not in json.dumps([call.url, dict(call.headers), call.body])

    @needs("repeats")
    def test_the_same_seed_gives_the_same_answer(self, run: Run, runtime: Runtime, model: str) -> None:
        first, second = (run(collect(runtime.stream(ask(model, self.greeting)))) for _ in range(2))
        assert first.text == second.text
        assert first.finished.reason == second.finished.reason

    def test_unusual_text_is_answered(self, run: Run, runtime: Runtime, model: str) -> None:
        messages = (Message("system", ""), Message("user", UNUSUAL), Message("assistant", ""), Message("user", UNUSUAL))
        answer = run(collect(runtime.stream(replace(ask(model, ""), messages=messages, max_tokens=8))))
        assert answer.finished.reason in ("stop", "length")

    def test_sampling_is_taken_or_named_as_ignored(self, run: Run, runtime: Runtime, model: str) -> None:
        values = {
            "top_p": 0.9,
            "top_k": 20,
            "min_p": 0.05,
            "repetition_penalty": 1.1,
            "repetition_context_size": 32,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.1,
            "xtc_probability": 0.0,
            "xtc_threshold": 0.1,
        }
        answer = run(collect(runtime.stream(ask(model, self.greeting, sampling=Sampling(**values)))))
        ignored = {flag.removeprefix("ignored:") for flag in answer.finished.flags if flag.startswith("ignored:")}
        assert ignored <= set(values)

    def test_more_text_counts_more_tokens(self, run: Run, runtime: Runtime, model: str) -> None:
        async def use() -> list[int | None]:
            return [await runtime.count_tokens(ask(model, text)) for text in ("Hello", "Hello and goodbye, world")]

        few, more = run(use())
        assert few is more is None or 0 < few < more

    def test_what_was_loaded_or_unloaded_can_be_asked(self, run: Run, runtime: Runtime, model: str) -> None:
        run(runtime.load(model))
        if self.unloads:
            run(runtime.unload(model))
        else:
            with pytest.raises(Refused, match=r"\. \S.*\.$"):  # with advice
                run(runtime.unload(model))
        run(runtime.load(model))
        assert run(collect(runtime.stream(ask(model, self.greeting)))).text
