"""Models that do what they are told: the contract, the orders, the pace."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from alain_magics.errors import (
    ContextExceeded,
    KeyRefused,
    ModelError,
    RateLimited,
    Refused,
    StreamTruncated,
)
from alain_magics.runtimes.base import Message, ReasoningDelta, Runtime, Sampling, TextDelta, Tool
from alain_magics.runtimes.scripted import ENOUGH, FAILURES, ScriptedRuntime
from alain_magics.runtimes.turn import Turn
from tests.runtimes.contract import SCHEMA, WEATHER, Run, RuntimeContract, ask, collect


@pytest.fixture
def runtime() -> ScriptedRuntime:
    return ScriptedRuntime()


class TestEcho(RuntimeContract):
    """The contract, kept by a model that repeats."""

    constrains = False  # it makes nothing up, so it makes no structure up
    uses_http = False
    greeting = "Say hello to all who are here, and to those who are not."
    counting = "one two three four five"
    weather = 'I look it up.\n/call get_weather {"city": "Paris"}'

    @pytest.fixture
    def runtime(self, runtime: ScriptedRuntime) -> Runtime:
        return runtime

    @pytest.fixture
    def model(self) -> str:
        return "echo"


class TestThink(TestEcho):
    """The contract, kept by a model that thinks first."""

    @pytest.fixture
    def model(self) -> str:
        return "think"


def text(run: Run, runtime: ScriptedRuntime, model: str, message: str, **options: Any) -> str:
    return run(collect(runtime.stream(ask(model, message, **options)))).text


def test_echo_repeats_the_last_message_exactly(run: Run, runtime: ScriptedRuntime) -> None:
    message = "  Hello,\n\n  *world*  \u2028 {x} 🎉 \n"
    assert text(run, runtime, "echo", message) == message


def test_think_shows_its_thoughts_unless_told_not_to(run: Run, runtime: ScriptedRuntime) -> None:
    thinking = run(collect(runtime.stream(ask("think", "Let me see"))))
    assert thinking.reasoning == thinking.text == "Let me see"
    assert thinking.usage
    assert (thinking.usage.reasoning, thinking.usage.output) == (3, 6)
    silent = run(collect(runtime.stream(ask("think", "Let me see", effort="off"))))
    assert (silent.reasoning, silent.text) == ("", "Let me see")


def test_count_and_loop_go_on_until_the_limit(run: Run, runtime: ScriptedRuntime) -> None:
    assert text(run, runtime, "count", "Go", max_tokens=4) == "1 2 3 4"
    assert text(run, runtime, "loop", "a b", max_tokens=5) == "a b a b a"
    endless = run(collect(runtime.stream(ask("count", "Go", max_tokens=None))))
    assert endless.text.endswith(f" {ENOUGH}")
    assert endless.finished.reason == "length"


def test_the_turn_stops_the_loop(run: Run, runtime: ScriptedRuntime) -> None:
    answer = run(Turn(runtime, ask("loop", "again and", max_tokens=None)).run())
    assert answer.finish == "loop"


def test_tokens_are_words(run: Run, runtime: ScriptedRuntime) -> None:
    request = replace(ask("echo", ""), messages=(Message("system", "Be brief."), Message("user", " one  two\nthree ")))
    answer = run(collect(runtime.stream(request)))
    assert answer.usage
    assert (answer.usage.input, answer.usage.output) == (6, 4)
    assert run(runtime.count_tokens(request)) == 6
    assert [event.text for event in answer.events if type(event) is TextDelta] == [" one", "  two", "\nthree", " "]


def test_several_tools_are_called_in_order(run: Run, runtime: ScriptedRuntime) -> None:
    add = Tool("add", "Add", {"type": "object", "properties": {}})
    message = '/call get_weather {"city": "Oslo"}\nBoth.\n/call add'
    answer = run(collect(runtime.stream(ask("echo", message, tools=(WEATHER, add)))))
    assert [(call.name, call.parsed()) for call in answer.calls] == [("get_weather", {"city": "Oslo"}), ("add", {})]
    assert answer.text == "Both.\n"


def test_what_a_tool_says_is_repeated_and_never_obeyed(run: Run, runtime: ScriptedRuntime) -> None:
    result = Message("tool", "/fail rate_limited", tool_call_id="1", name="get_weather")
    request = replace(ask("echo", "", tools=(WEATHER,)), messages=(Message("user", "Hi"), result))
    assert run(collect(runtime.stream(request))).text == "/fail rate_limited"


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_can_be_asked_for(run: Run, runtime: ScriptedRuntime, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        run(collect(runtime.stream(ask("echo", f"Hello\n/fail {name}"))))
    assert type(caught.value) is FAILURES[name]
    assert caught.value.advice


def test_names_of_failures_are_those_of_the_errors() -> None:
    assert FAILURES["rate_limited"] is RateLimited
    assert FAILURES["key_refused"] is KeyRefused


def test_a_failure_can_come_in_the_middle(run: Run, runtime: ScriptedRuntime) -> None:
    turn = Turn(runtime, ask("echo", "one two three four\n/fail stream_truncated 2"))
    with pytest.raises(StreamTruncated):
        run(turn.run())
    assert turn.answer.text == "one two"


def test_what_may_pass_by_itself_comes_before_the_first_word(run: Run, runtime: ScriptedRuntime) -> None:
    async def first() -> None:
        await anext(runtime.stream(ask("echo", "one two\n/fail rate_limited 1")))

    with pytest.raises(RateLimited):
        run(first())


@pytest.mark.parametrize(
    ("model", "message", "advice"),
    [
        ("ehco", "Hello", "'echo'"),
        ("echo", "/fail rate_limit", "'rate_limited'"),
        ("echo", "/call get_wether {}", "'get_weather'"),
        ("echo", "/call launch {}", "get_weather"),
    ],
)
def test_orders_that_cannot_be_followed_name_what_there_is(
    run: Run, runtime: ScriptedRuntime, model: str, message: str, advice: str
) -> None:
    with pytest.raises(Refused) as caught:
        run(collect(runtime.stream(ask(model, message, tools=(WEATHER,)))))
    assert advice in caught.value.advice


def test_structure_is_repeated_but_never_made_up(run: Run, runtime: ScriptedRuntime) -> None:
    written = '{"title": "A", "answer": 42}'
    assert text(run, runtime, "echo", written, schema=SCHEMA) == written
    with pytest.raises(Refused, match="makes no structure up"):
        text(run, runtime, "echo", "Give me a title and an answer", schema=SCHEMA)


def test_a_window_can_be_too_small(run: Run, runtime: ScriptedRuntime) -> None:
    with pytest.raises(ContextExceeded, match="3 words long; 2 were allowed"):
        text(run, runtime, "echo", "one two three", context_tokens=2)
    assert text(run, runtime, "echo", "one two", context_tokens=2) == "one two"


def test_a_stop_sequence_ends_before_it(run: Run, runtime: ScriptedRuntime) -> None:
    for model in ("echo", "loop"):
        assert text(run, runtime, model, "one two three", sampling=Sampling(stop=("ee", "tw"))) == "one "
    counted = run(collect(runtime.stream(ask("count", "Go", sampling=Sampling(stop=("3",))))))
    assert "ignored:stop" in counted.finished.flags


def test_what_changes_nothing_is_named(run: Run, runtime: ScriptedRuntime) -> None:
    request = ask(
        "echo", "Hi", sampling=Sampling(temperature=1, seed=1), effort="high", extra={"pace": 0, "best_of": 2}
    )
    answer = run(collect(runtime.stream(request)))
    assert answer.finished.flags == ("ignored:temperature", "ignored:best_of", "ignored:effort")


@pytest.mark.parametrize("runtime", [ScriptedRuntime(pace=0.02), ScriptedRuntime()])
def test_the_pace_is_as_asked_for(run: Run, runtime: ScriptedRuntime) -> None:
    begun = time.perf_counter()
    run(collect(runtime.stream(ask("echo", "one two three", extra={} if runtime._pace else {"pace": 0.02}))))
    assert time.perf_counter() - begun >= 3 * 0.02


def test_thoughts_come_before_the_answer(run: Run, runtime: ScriptedRuntime) -> None:
    events = run(collect(runtime.stream(ask("think", "a b")))).events
    assert [type(event) for event in events[:4]] == [ReasoningDelta, ReasoningDelta, TextDelta, TextDelta]


def test_a_long_answer_lets_others_work(run: Run, runtime: ScriptedRuntime) -> None:
    async def use() -> int:
        long = asyncio.create_task(collect(runtime.stream(ask("count", "Go", max_tokens=5000))))
        turns = 0
        while not long.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert run(use()) > 1000
