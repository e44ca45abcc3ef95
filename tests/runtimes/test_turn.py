"""The turn: what every call of a model has in common."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import (
    AlainError,
    BadProtocol,
    InvalidOutput,
    KeyRefused,
    ModelError,
    RateLimited,
    ServerFailed,
    StreamTruncated,
    UsageError,
)
from alain_magics.runtimes import turn as turn_module
from alain_magics.runtimes.answer import Answer
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    ReasoningDelta,
    Runtime,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.meter import Reservation
from alain_magics.runtimes.recording import Recorder
from alain_magics.runtimes.turn import Turn, TurnOptions

from .played import Played, question

DONE = Finished("stop")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_module, "FIRST_DELAY", 0.001)


def said(*pieces: str) -> list[Event]:
    return [*map(TextDelta, pieces), DONE]


def ask(*attempts: Any, request: ChatRequest | None = None, **options: Any) -> tuple[Turn, Played]:
    runtime = Played(*attempts)
    turn = Turn(runtime, request or question(), **options)
    asyncio.run(turn.run())
    return turn, runtime


class Accounts:
    """A meter that notes what is asked of it."""

    def __init__(self, refuse: AlainError | None = None) -> None:
        self.refuse = refuse
        self.calls: list[Any] = []

    async def reserve(self, runtime: Runtime, request: ChatRequest) -> Reservation:
        if self.refuse:
            raise self.refuse
        self.calls.append("reserve")
        return Reservation(runtime.name, runtime.local, "1")

    async def settle(self, reservation: Reservation, model: str, usage: Usage) -> int | None:
        assert reservation.id == "1"
        self.calls.append(("settle", model, usage.input, usage.output, usage.source))
        return 42

    async def release(self, reservation: Reservation) -> None:
        self.calls.append("release")


def test_an_answer_holds_what_came() -> None:
    usage = Usage(3, 5)
    turn, _ = ask(
        [ReasoningDelta("so "), ReasoningDelta("then"), *said("for ", "that")[:-1], usage, Finished("stop", "m2")]
    )
    answer = turn.answer
    assert (answer.text, answer.reasoning, answer.finish) == ("for that", "so then", "stop")
    assert (answer.model, answer.usage, answer.cost) == ("m2", usage, 0)
    assert answer.first_token_seconds is not None
    assert 0 <= answer.first_token_seconds <= answer.seconds
    assert answer.as_data()["usage"]["output"] == 5


def test_deltas_are_passed_on_as_they_come() -> None:
    async def deltas() -> list[Any]:
        turn = Turn(Played([ReasoningDelta("a"), *said("b", "c")]), question())
        return [delta async for delta in turn.stream()]

    assert asyncio.run(deltas()) == [ReasoningDelta("a"), TextDelta("b"), TextDelta("c")]


def test_thoughts_within_the_text_are_told_apart() -> None:
    turn, _ = ask(said("<think>hm", "m</th", "ink>yes"))
    assert (turn.answer.reasoning, turn.answer.text.strip()) == ("hmm", "yes")


def test_markup_within_the_text_stays() -> None:
    turn, _ = ask([ReasoningDelta("hm"), *said("The tag <think>", " ends with </think>")])
    assert turn.answer.text == "The tag <think> ends with </think>"


def test_a_call_in_the_text_is_found_also_where_reasoning_comes_in_a_field() -> None:
    tool = Tool("add", "Add", {"type": "object"})
    call = said('<tool_call>{"name": "add", ', '"arguments": {"x": 1}}</tool_call>')
    turn, _ = ask([ReasoningDelta("hm"), *call], request=question(tools=(tool,)))
    assert [(call.name, call.parsed()) for call in turn.answer.tool_calls] == [("add", {"x": 1})]
    assert turn.answer.finish == "tool_calls"


def test_what_looked_like_a_marker_is_given_out_at_the_end() -> None:
    assert ask(said("a <thi"))[0].answer.text == "a <thi"
    assert ask(said("<thi"))[0].answer.text == "<thi"


def test_usage_is_estimated_and_marked_where_the_server_gives_none() -> None:
    turn, _ = ask(said("some words of an answer"))
    assert turn.answer.usage is not None
    assert turn.answer.usage.source == "estimate"
    assert turn.answer.usage.output >= 5


@pytest.mark.parametrize("mode", ["cheap", "full"])
@pytest.mark.parametrize("piece", ["…", " the", "I am a model. "])
def test_endless_repetition_is_stopped_within_200_repeats(mode: Any, piece: str) -> None:
    turn, runtime = ask(
        [TextDelta("Well: "), *[TextDelta(piece)] * 5000, DONE], options=TurnOptions(loop_detection=mode)
    )
    assert turn.answer.finish == "loop"
    assert turn.answer.text.count(piece) <= 200
    assert runtime.closed == 1


def test_repetition_goes_on_where_detection_is_off() -> None:
    turn, _ = ask([*[TextDelta("…")] * 1000, DONE], options=TurnOptions(loop_detection="off"))
    assert (turn.answer.finish, len(turn.answer.text)) == ("stop", 1000)


def test_endless_thoughts_are_stopped_too() -> None:
    turn, _ = ask([*[ReasoningDelta("hm ")] * 1000, DONE])
    assert turn.answer.finish == "loop"


def test_tool_calls_are_collected() -> None:
    events = [
        ToolCallDelta(0, "a", "add", '{"x"'),
        ToolCallDelta(1, "b", "sub"),
        ToolCallDelta(0, arguments=": 1}"),
        DONE,
    ]
    turn, _ = ask(events)
    first, second = turn.answer.tool_calls
    assert (first.id, first.name, first.parsed()) == ("a", "add", {"x": 1})
    assert (second.name, second.parsed()) == ("sub", {})
    assert turn.answer.finish == "tool_calls"


def test_arguments_that_are_no_json_are_noted() -> None:
    turn, _ = ask([ToolCallDelta(0, "a", "add", '{"x": '), Finished("tool_calls")])
    assert any("add" in flag for flag in turn.answer.flags)


def test_a_structured_answer_is_validated_here() -> None:
    turn, _ = ask(said('```json\n{"n": ', "4}\n```"), request=question(schema=SCHEMA))
    assert turn.answer.value == {"n": 4}


def test_an_answer_of_another_structure_is_an_error_and_kept() -> None:
    turn = Turn(Played(said('{"n": "four"}')), question(schema=SCHEMA))
    with pytest.raises(InvalidOutput) as raised:
        asyncio.run(turn.run())
    assert "n" in raised.value.defect
    assert turn.answer.text == '{"n": "four"}'


def test_thoughts_that_use_up_the_tokens_of_a_structured_answer_are_switched_off() -> None:
    thinking = [ReasoningDelta("hmmm"), Usage(5, 100), Finished("length")]
    turn, runtime = ask(thinking, [*said('{"n": 1}')[:-1], Usage(5, 10), DONE], request=question(schema=SCHEMA))
    assert [asked.effort for asked in runtime.asked] == [None, "off"]
    assert turn.answer.value == {"n": 1}
    assert turn.answer.usage == Usage(10, 110)
    assert "asked again without thinking" in turn.answer.flags


def test_a_failure_before_the_first_token_is_tried_again() -> None:
    turn, runtime = ask([ServerFailed("loading")], [RateLimited("slow down", retry_after=0.001)], said("hello"))
    assert turn.answer.text == "hello"
    assert len(runtime.asked) == 3


def test_retries_are_bounded() -> None:
    runtime = Played(*[[ServerFailed(f"no {n}")] for n in range(9)])
    with pytest.raises(ServerFailed, match="no 2"):
        asyncio.run(Turn(runtime, question()).run())


@pytest.mark.parametrize("error", [KeyRefused("no"), StreamTruncated("cut"), UsageError("what?")])
def test_what_another_try_cannot_help_is_not_tried_again(error: AlainError) -> None:
    runtime = Played([error], said("hello"))
    with pytest.raises(type(error)):
        asyncio.run(Turn(runtime, question()).run())
    assert len(runtime.asked) == 1


def test_nothing_is_tried_again_after_the_first_token_and_the_part_is_kept() -> None:
    runtime = Played([TextDelta("half of "), ServerFailed("broke")], said("hello"))
    turn = Turn(runtime, question())
    with pytest.raises(ServerFailed):
        asyncio.run(turn.run())
    assert turn.answer.text == "half of "
    assert len(runtime.asked) == 1


def test_an_answer_without_an_end_is_truncated() -> None:
    turn = Turn(Played([TextDelta("half")]), question())
    with pytest.raises(StreamTruncated):
        asyncio.run(turn.run())
    assert turn.answer.text == "half"


def test_an_error_of_no_known_kind_becomes_one() -> None:
    with pytest.raises(BadProtocol) as raised:
        asyncio.run(Turn(Played([ZeroDivisionError("secret")]), question()).run())
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        (said("a b"), [("settle", "model", 9, 2, "estimate")]),
        ([*said("a")[:-1], Usage(7, 1), Finished("stop", "m2")], [("settle", "m2", 7, 1, "provider")]),
        ([KeyRefused("no")], ["release"]),
        ([TextDelta("a b"), ServerFailed("broke")], [("settle", "model", 9, 2, "estimate")]),
        ([UsageError("what?")], ["release"]),
        ([Usage(7, 0), KeyRefused("no credit")], [("settle", "model", 7, 0, "provider")]),
    ],
)
def test_every_reservation_is_settled_or_released_once(events: list[Any], calls: list[Any]) -> None:
    accounts = Accounts()
    turn = Turn(Played(events), question("Why"), meter=accounts)
    with suppress(AlainError):
        asyncio.run(turn.run())
    assert accounts.calls == ["reserve", *calls]


def test_nothing_is_sent_where_the_meter_refuses() -> None:
    runtime = Played(said("a"))
    with pytest.raises(ModelError, match="cap"):
        asyncio.run(Turn(runtime, question(), meter=Accounts(ModelError("cap"))).run())
    assert runtime.asked == []


def interrupted(how: Callable[[Turn], Any]) -> tuple[Turn, Accounts, Played]:
    class Slow(Played):
        async def stream(self, request: ChatRequest) -> AsyncIterator[Event]:
            async with aclosing(super().stream(request)) as events:
                async for event in events:
                    yield event
                    await asyncio.sleep(0.01)

    accounts, runtime = Accounts(), Slow(said(*"abcdefgh"))
    turn = Turn(runtime, question("Why"), meter=accounts)
    asyncio.run(how(turn))
    return turn, accounts, runtime


async def cancel(turn: Turn) -> None:
    task = asyncio.create_task(turn.run())
    while len(turn.answer.texts) < 3:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave(turn: Turn) -> None:
    async with aclosing(turn.stream()) as deltas:
        async for _ in deltas:
            if len(turn.answer.texts) == 3:
                break


@pytest.mark.parametrize("how", [cancel, leave])
def test_an_interrupt_keeps_the_part_settles_and_closes(how: Callable[[Turn], Any]) -> None:
    turn, accounts, runtime = interrupted(how)
    assert turn.answer.text == "abc"
    assert turn.answer.finish is None
    assert "interrupted" in turn.answer.flags
    assert accounts.calls == ["reserve", ("settle", "model", 9, 1, "estimate")]
    assert runtime.closed == 1


def test_text_held_back_is_kept_where_the_turn_is_cut() -> None:
    class Halts(Played):
        async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
            for piece in ("a", "b", "c </thi"):
                yield TextDelta(piece)
            await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(turn.run())
        while len(turn.answer.texts) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    turn = Turn(Halts(), question())
    asyncio.run(cancelled())
    assert turn.answer.text == "abc </thi"


def test_all_of_a_piece_is_kept_where_the_turn_is_left_within_it() -> None:
    async def leave_at_once() -> None:
        async with aclosing(turn.stream()) as deltas:
            await anext(deltas)

    turn = Turn(Played(said("<think>hm</think>yes <thi", "no")), question())
    asyncio.run(leave_at_once())
    assert (turn.answer.reasoning, turn.answer.text) == ("hm", "yes <thi")


def unwritable(folder: Path) -> Recorder:
    (folder / "runs").write_text("a file")
    return Recorder(folder / "runs", "cell")


def test_an_answer_that_cannot_be_recorded_is_an_answer(tmp_path: Path) -> None:
    turn, _ = ask(said("yes"), recorder=unwritable(tmp_path))
    assert (turn.answer.text, turn.answer.finish) == ("yes", "stop")
    assert [flag for flag in turn.answer.flags if flag.startswith("not recorded: ")]


def test_a_cancelled_turn_that_cannot_be_recorded_stays_cancelled(tmp_path: Path) -> None:
    turn = Turn(Played([*[TextDelta("a")] * 3, asyncio.CancelledError()]), question(), recorder=unwritable(tmp_path))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(turn.run())
    assert turn.answer.flags[0] == "interrupted"
    assert turn.answer.flags[1].startswith("not recorded: ")


def test_arguments_of_calls_are_estimated() -> None:
    turn, _ = ask([ToolCallDelta(0, "a", "add", '{"number": 12}'), DONE])
    assert turn.answer.usage is not None
    assert turn.answer.usage.output >= 6


def test_the_estimate_of_a_second_attempt_counts_its_own_tokens_alone() -> None:
    thinking = [ReasoningDelta(" ".join(map(str, range(300)))), Usage(5, 300), Finished("length")]
    turn, _ = ask(thinking, said('{"n": 1}'), request=question(schema=SCHEMA))
    assert turn.answer.usage is not None
    assert 300 < turn.answer.usage.output < 320
    assert turn.answer.usage.source == "estimate"


def test_what_a_failed_attempt_used_is_counted() -> None:
    accounts = Accounts()
    ask([Usage(7, 0), ServerFailed("overloaded")], [*said("a")[:-1], Usage(7, 1), DONE], meter=accounts)
    assert accounts.calls == ["reserve", ("settle", "model", 14, 1, "provider")]
    accounts = Accounts()
    with pytest.raises(KeyRefused):
        ask([Usage(7, 0), ServerFailed("overloaded")], [KeyRefused("no credit")], meter=accounts)
    assert accounts.calls[1][0] == "settle"


@pytest.mark.parametrize("piece", ["…", "0, ", '{"a": 1}, '])
def test_endless_arguments_of_a_call_are_stopped(piece: str) -> None:
    turn, runtime = ask([ToolCallDelta(0, "a", "add", '{"x": ['), *[ToolCallDelta(0, arguments=piece)] * 2000, DONE])
    assert turn.answer.finish == "loop"
    assert turn.answer.tool_calls[0].arguments.count(piece) <= 300
    assert runtime.closed == 1


def test_equal_calls_side_by_side_are_no_loop() -> None:
    turn, _ = ask([*[ToolCallDelta(slot, str(slot), "get", '{"city": "Lima"}') for slot in range(100)], DONE])
    assert (turn.answer.finish, len(turn.answer.tool_calls)) == ("tool_calls", 100)


def test_asking_without_thinking_is_no_retry() -> None:
    thinking = [ReasoningDelta("hmmm"), Finished("length")]
    options = TurnOptions(retries=0)
    turn, runtime = ask(thinking, said('{"n": 1}'), request=question(schema=SCHEMA), options=options)
    assert [asked.effort for asked in runtime.asked] == [None, "off"]
    assert (turn.answer.value, turn.answer.finish) == ({"n": 1}, "stop")
    assert turn.answer.flags == ("asked again without thinking",)
    runtime = Played(thinking, thinking, said('{"n": 1}'))
    with pytest.raises(InvalidOutput):
        asyncio.run(Turn(runtime, question(schema=SCHEMA), options=options).run())
    assert len(runtime.asked) == 2


@pytest.mark.parametrize(
    ("events", "flags"),
    [
        ([DONE], ("the model answered nothing",)),
        (said("\n"), ("the model answered nothing",)),
        ([ReasoningDelta("hm"), DONE], ("only thought, no answer",)),
        ([ToolCallDelta(0, "a", "get", "{}"), DONE], ()),
        ([Finished("content_filter")], ()),
        (said("yes"), ()),
    ],
)
def test_an_end_without_an_answer_is_told(events: list[Event], flags: tuple[str, ...]) -> None:
    assert ask(events)[0].answer.flags == flags


@pytest.mark.parametrize(
    ("usage", "flag"),
    [
        ([], "cut: the token limit was reached"),
        ([Usage(5, 20)], "cut: the token limit was reached"),
        ([Usage(5, 12)], "cut: the context window is full"),
        ([Usage(5, 12, source="estimate")], "cut: the token limit was reached"),
    ],
)
def test_a_cut_answer_says_which_limit_was_reached(usage: list[Usage], flag: str) -> None:
    turn, _ = ask([TextDelta("a"), *usage, Finished("length")], request=question(max_tokens=20))
    assert turn.answer.flags == (flag,)


@pytest.mark.parametrize(("output", "advice"), [(20, "Raise --max-tokens."), (12, "Give it a larger context")])
def test_a_structure_that_was_cut_says_what_gives_it_room(output: int, advice: str) -> None:
    turn = Turn(
        Played([TextDelta('{"n": '), Usage(5, output), Finished("length")]), question(schema=SCHEMA, max_tokens=20)
    )
    with pytest.raises(InvalidOutput) as raised:
        asyncio.run(turn.run())
    assert raised.value.advice.startswith(advice)


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"items": {"$ref": "http://example.org/x"}}])
def test_a_schema_that_cannot_hold_is_refused_before_anything_is_sent(schema: dict[str, Any]) -> None:
    runtime, accounts = Played(said("{}")), Accounts()
    with pytest.raises(UsageError, match=r"objekt|example\.org"):
        asyncio.run(Turn(runtime, question(schema=schema), meter=accounts).run())
    assert (runtime.asked, accounts.calls) == ([], [])


def test_the_price_of_a_hosted_turn_is_known_without_holding_the_loop_up() -> None:
    """In a process of its own: the price data loads once."""
    script = """
import asyncio, sys, threading
from alain_magics.runtimes.meter import FreeMeter
from alain_magics.runtimes.base import Usage

class Hosted:
    name, local = "openai", False

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "genai_prices":
            print("loaded", "on the loop" if threading.current_thread() is threading.main_thread() else "in a thread")

async def main():
    sys.meta_path.insert(0, Watch())
    meter = FreeMeter()
    reservation = await meter.reserve(Hosted(), None)
    if not HOSTED_ONLY:
        print(await meter.settle(reservation, "gpt-4o", Usage(1_000_000, 0)))

asyncio.run(main())
"""
    for only, said in ((True, "loaded in a thread\n"), (False, "loaded in a thread\n2500000\n")):
        text = script.replace("HOSTED_ONLY", str(only))
        outcome = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert outcome.stdout == said


def spoken(*pieces: str, usage: Usage | None, first: float, seconds: float, thoughts: int = 0) -> Answer:
    answer = Answer("played", "model", usage=usage, first_token_seconds=first, seconds=seconds)
    answer.texts.extend(pieces)
    answer.thoughts.extend(["hm"] * thoughts)
    return answer


@pytest.mark.parametrize(
    ("answer", "speed"),
    [
        (spoken("a", "b", usage=Usage(1, 30), first=1.0, seconds=2.5), 20),
        (spoken("a", "b", usage=Usage(1, 30), first=1.0, seconds=1.0001), None),  # it came at once
        (spoken("ab", usage=Usage(1, 30), first=1.0, seconds=1.2), None),  # in one piece
        (spoken("a", "b", usage=Usage(1, 300, reasoning=280), first=2.9, seconds=3.0), 100),  # thoughts not shown
        (spoken("a", "b", usage=Usage(1, 30, reasoning=20), first=1.0, seconds=2.5, thoughts=9), 20),
        (spoken("ab", usage=Usage(1, 30, generation_seconds=0.5), first=1.0, seconds=1.2), 60),
        (spoken("ab", usage=Usage(1, 1, generation_seconds=0.000001), first=1.0, seconds=1.2), None),
        (spoken("a", "b", usage=None, first=1.0, seconds=2.5), None),
    ],
)
def test_a_speed_is_told_where_it_means_something(answer: Answer, speed: float | None) -> None:
    assert answer.tokens_per_second == (None if speed is None else pytest.approx(speed))
