"""The context budget: what is left out, what never is, and the real server's own count of what was sent."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.chat.budget import ANSWER, LOW_WATER, MARGIN, Budget, Fitted, corrected, fit
from alain_magics.chat.conversation import Correction, Exchange, Window
from alain_magics.errors import ContextExceeded
from alain_magics.runtimes.base import ChatRequest, Message, Sampling, ToolCall, Usage
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import PROVIDERS
from alain_magics.runtimes.tokens import estimate_request
from alain_magics.runtimes.turn import Turn
from tests.peers.llama_server import Peer
from tests.runtimes.contract import Run
from tests.runtimes.played import Played

SYSTEM = Message("system", "s s s s s")  # 5 tokens for one that counts words
REQUEST = ChatRequest("model", (SYSTEM,))


class Counting(Played):
    """A runtime whose tokens are words."""

    def __init__(self, *attempts: Any) -> None:
        super().__init__(*attempts)
        self.counts = 0

    async def count_tokens(self, request: ChatRequest) -> int | None:
        self.counts += 1
        return words(request)


def words(request: ChatRequest) -> int:
    return sum(len(message.content.split()) for message in request.messages)


def turn(number: int, length: int) -> Exchange:
    """A user's message and its answer, of so many words together."""
    text = f"{number} " * (length // 2)
    return Exchange(str(number), (Message("user", text), Message("assistant", f"{number} " * (length - length // 2))))


def fitted(exchanges: list[Exchange], budget: Budget | None, runtime: Played | None = None, **state: Any) -> Fitted:
    return asyncio.run(fit(runtime or Counting(), REQUEST, exchanges, budget, **state))


def limit(tokens: int) -> Budget:
    return Budget(tokens + 10, 4, 6)


def test_the_limit_is_what_answer_and_margin_leave_of_the_window():
    assert Budget.of(1000, 100, 50).limit == 850
    assert Budget.of(1000, None, None) == Budget(1000, 250, MARGIN)
    assert Budget.of(100_000, None, 0) == Budget(100_000, ANSWER, 0)


def test_what_fits_is_sent_whole():
    done = fitted([turn(1, 10), turn(2, 10)], limit(25))
    assert (done.tokens, done.counted, done.dropped, done.window) == (25, True, 0, None)
    assert [message.content.split()[0] for message in done.request.messages] == ["s", "1", "1", "2", "2"]


def test_the_oldest_turns_go_first_down_to_low_water():
    turns = [turn(number, 10) for number in range(10)]
    done = fitted(turns, limit(100))  # 105 words
    assert done.tokens == 75
    assert done.dropped == 3
    assert done.request.messages[0] == SYSTEM
    assert done.request.messages[1:] == tuple(message for each in turns[3:] for message in each.messages)
    assert done.window == Window(first="3", limit=100)


def test_prompts_begin_alike_until_the_window_is_full_again():
    turns = [turn(number, 10) for number in range(10)]
    window, begins = None, []
    for number in range(10, 30):
        turns.append(turn(number, 10))
        done = fitted(turns, limit(100), window=window)
        assert done.tokens <= 100
        window = done.window
        begins.append(done.request.messages[1].content.split()[0])
    assert sum(one != other for one, other in pairwise(begins)) <= 20 / 2


def test_another_limit_begins_anew():
    turns = [turn(number, 10) for number in range(10)]
    assert fitted(turns, limit(200), window=Window(first="5", limit=100)).dropped == 0
    assert fitted(turns, limit(100), window=Window(first="5", limit=100)).dropped == 5
    assert fitted(turns, limit(200), window=Window(first="gone", limit=200)).dropped == 0


def test_the_last_turn_stays_even_above_low_water():
    done = fitted([turn(1, 50), turn(2, 90)], limit(100))
    assert (done.tokens, done.dropped) == (95, 1)


def test_a_message_that_is_too_long_is_refused_before_it_is_sent():
    runtime = Counting()
    with pytest.raises(ContextExceeded) as caught:
        fitted([turn(1, 10), turn(2, 101)], limit(100), runtime)
    assert str(caught.value) == (
        "This message is too long: with what must go along it takes 106 tokens, and 100 are left (a window of 110, "
        "4 of them for the answer, 6 kept free). Shorten it, allow fewer tokens for the answer (max_tokens), or choose "
        "a larger window (context_tokens, or another model)."
    )
    assert runtime.asked == []


def test_a_window_that_is_chosen_is_told_once_doubling_has_come_to_it():
    assert not Budget(32_768, 4096).tight(12_288)
    assert Budget(32_768, 4096).tight(12_289)


def test_an_answer_that_leaves_no_room_is_refused():
    with pytest.raises(ContextExceeded, match="and 0 are left"):
        fitted([turn(1, 1)], Budget(100, 200))


def test_tool_calls_go_or_stay_with_their_turn():
    call = Message("assistant", "", tool_calls=(ToolCall("1", "f", "{}"),))
    result = Message("tool", "word " * 50, tool_call_id="1")
    asked = Exchange("1", (Message("user", "a"), call, result, Message("assistant", "b")))
    done = fitted([asked, turn(2, 60)], limit(100))
    assert [message.role for message in done.request.messages] == ["system", "user", "assistant"]
    done = fitted([turn(2, 60), asked], limit(100))
    assert done.request.messages == (SYSTEM, *asked.messages)


def test_counting_takes_few_calls_even_of_long_conversations():
    runtime = Counting()
    fitted([turn(number, 10) for number in range(1000)], limit(500), runtime)
    assert runtime.counts <= 12


def test_without_a_budget_all_is_sent_and_nothing_counted():
    runtime = Counting()
    done = fitted([turn(number, 10) for number in range(100)], None, runtime)
    assert (done.dropped, done.counted, runtime.counts) == (0, False, 0)
    assert done.tokens == estimate_request(done.request)


def test_a_runtime_that_cannot_count_gives_an_estimate():
    turns = [turn(number, 10) for number in range(30)]
    done = fitted(turns, limit(100), Played())
    assert not done.counted
    assert done.tokens == estimate_request(done.request) <= 100
    with pytest.raises(ContextExceeded, match="takes about 1"):
        fitted([turn(1, 95)], limit(100), Played())


def test_estimates_are_corrected_by_what_the_server_reported():
    turns = [turn(number, 10) for number in range(30)]
    sent = fitted(turns, limit(200), Played()).request
    learnt = corrected(sent, Usage(2 * estimate_request(sent), 5))
    assert learnt == Correction(model="model", factor=2.0)
    done = fitted(turns, limit(200), Played(), correction=learnt)
    assert done.tokens == 2 * estimate_request(done.request) <= 200
    other = fitted(turns, limit(200), Played(), correction=replace_model(learnt))
    assert other.tokens == estimate_request(other.request)


def replace_model(correction: Correction) -> Correction:
    return correction.model_copy(update={"model": "another"})


@pytest.mark.parametrize("usage", [None, Usage(100, 5, source="estimate"), Usage(0, 5)])
def test_nothing_is_learnt_where_the_server_says_nothing(usage: Usage | None):
    assert corrected(REQUEST, usage) is None


@given(
    st.lists(st.integers(2, 60), min_size=1, max_size=40),
    st.integers(20, 200),
    st.integers(-1, 45),
)
def test_a_prompt_is_never_above_the_limit_and_loses_no_more_than_it_must(lengths: list[int], room: int, first: int):
    turns = [turn(number, length) for number, length in enumerate(lengths)]
    window = None if first < 0 else Window(first=str(first), limit=room)
    try:
        done = fitted(turns, limit(room), window=window)
    except ContextExceeded:
        assert lengths[-1] + 5 > room
        return
    assert words(done.request) == done.tokens <= room
    assert done.request.messages[0] == SYSTEM
    assert done.request.messages[1:] == tuple(message for each in turns[done.dropped :] for message in each.messages)
    begin = first if 0 <= first < len(turns) else 0
    if done.dropped > begin:
        assert 5 + sum(lengths[begin:]) > room
        assert 5 + sum(lengths[done.dropped - 1 :]) > room * LOW_WATER


def runtime_at(peer: Peer, pool: Pool) -> OpenAIRuntime:
    provider = PROVIDERS["llamacpp"].at(f"{peer.url}/v1")
    return OpenAIRuntime(provider, Http(pool, provider))


@pytest.mark.parametrize("model", ["tiny-random", "tiny-chatml"])
def test_the_real_server_never_counts_more_than_the_limit(
    llama: Callable[[str], Peer], pool: Pool, run: Run, model: str
):
    runtime = runtime_at(llama(model), pool)
    (info,) = run(runtime.models())
    assert info.context
    budget = Budget.of(info.context, 16, 32)
    request = ChatRequest(info.id, (SYSTEM,), max_tokens=16, sampling=Sampling(seed=1))
    turns: list[Exchange] = []
    window, dropped, counts = None, 0, []
    for number in range(24):
        question = Message("user", f"{number}: {string.printable.strip()} " * (1 + number % 5))
        done = run(fit(runtime, request, [*turns, Exchange(str(number), (question,))], budget, window=window))
        answer = run(Turn(runtime, done.request).run())
        assert answer.usage
        assert answer.usage.source == "provider"
        assert answer.usage.input == done.tokens <= budget.limit
        counts.append(answer.usage.input)
        window, dropped = done.window, done.dropped
        turns.append(Exchange(str(number), (question, Message("assistant", answer.text))))
    assert dropped > 0
    assert max(counts) > budget.limit * LOW_WATER


def test_the_real_server_reads_a_prompt_that_begins_alike_from_its_cache(
    llama: Callable[[str], Peer], pool: Pool, run: Run
):
    runtime = runtime_at(llama("tiny-chatml"), pool)
    (info,) = run(runtime.models())
    budget = Budget.of(info.context or 0, 8, 32)
    request = ChatRequest(info.id, (SYSTEM,), max_tokens=8, sampling=Sampling(seed=1, temperature=0.0))
    turns: list[Exchange] = []
    window, shares = None, []
    for number in range(40):
        question = Message("user", f"{number}: {string.ascii_letters}")
        done = run(fit(runtime, request, [*turns, Exchange(str(number), (question,))], budget, window=window))
        answer = run(Turn(runtime, done.request).run())
        assert answer.usage
        shares.append(answer.usage.cached / answer.usage.input)
        window = done.window
        turns.append(Exchange(str(number), (question, Message("assistant", answer.text))))
    assert window is not None
    assert sum(share > 0.5 for share in shares) >= 0.75 * len(shares)


def test_the_real_server_confirms_that_a_message_is_too_long(llama: Callable[[str], Peer], pool: Pool, run: Run):
    runtime = runtime_at(llama("tiny-random"), pool)
    (info,) = run(runtime.models())
    long = Exchange("1", (Message("user", "Why? " * 2000),))
    request = ChatRequest(info.id, ())
    with pytest.raises(ContextExceeded, match="too long"):
        run(fit(runtime, request, [long], Budget.of(info.context or 0, 16, 0)))
    with pytest.raises(ContextExceeded):
        run(Turn(runtime, replace(request, messages=long.messages)).run())
