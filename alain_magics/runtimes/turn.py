"""The turn: the only way to call a model.

Reserve, stream, parse channels, stop endless repetition, validate structure, settle, record: the same for a cell, the
shell, lessons, evaluation and whatever else asks a model.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from alain_magics.errors import AlainError, BadProtocol, InvalidOutput, ModelError, StreamTruncated
from alain_magics.runtimes.answer import Answer
from alain_magics.runtimes.base import (
    ChatRequest,
    Delta,
    Finished,
    Runtime,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.meter import FreeMeter, Meter, Reservation
from alain_magics.runtimes.parsing.channels import channel_parser
from alain_magics.runtimes.parsing.loops import loop_detector
from alain_magics.runtimes.tokens import estimate_request, estimate_tokens

if TYPE_CHECKING:
    from alain_magics.runtimes.parsing.loops import LoopDetector
    from alain_magics.runtimes.recording import Recorder
    from alain_magics.settings import LoopMode

FIRST_DELAY = 0.5
"""Seconds before the first retry, doubled for each further one, where the server names no time."""


@dataclass(frozen=True)
class TurnOptions:
    """How a turn deals with what goes wrong: when a loop counts, and how often to try again before the first token."""

    loop_detection: LoopMode = "cheap"
    retries: int = 2


class Turn:
    """One question to a model. ``answer`` always holds what has come so far, also after an error or an interrupt."""

    def __init__(
        self,
        runtime: Runtime,
        request: ChatRequest,
        *,
        meter: Meter | None = None,
        options: TurnOptions = TurnOptions(),
        recorder: Recorder | None = None,
    ) -> None:
        self.runtime = runtime
        self.request = request
        self.answer = Answer(runtime.name, request.model)
        self._meter = meter or FreeMeter()
        self._options = options
        self._record = recorder.begin(runtime.name, request, runtime.http_call(request)) if recorder else None
        self._begun = time.perf_counter()
        self._earlier: Usage | None = None  # of attempts that brought no answer
        self._earlier_thoughts = 0  # how many of the answer's thoughts came before it was asked again

    async def stream(self) -> AsyncGenerator[Delta, None]:
        """Ask, and yield the answer as it comes; an interrupt or an error leaves ``answer`` as far as it came.

        Raises :class:`~alain_magics.errors.ModelError` (an :class:`~alain_magics.errors.InvalidOutput` where the
        request's schema does not hold), :class:`~alain_magics.errors.UsageError` where that schema is none, and what
        the meter raises.
        """
        if self.request.schema is not None:
            from alain_magics.runtimes.parsing.structured import check_schema

            await asyncio.to_thread(check_schema, self.request.schema)
        reservation = await self._meter.reserve(self.runtime, self.request)
        self._begun = time.perf_counter()
        spent = True
        try:
            for attempt in itertools.count():
                try:
                    async with aclosing(self._attempt()) as deltas:
                        async for delta in deltas:
                            yield delta
                except ModelError as error:
                    delay = self._delay(error, attempt)
                    if delay is None:
                        raise
                    if self.answer.usage:
                        self._earlier, self.answer.usage = self._usage(), None
                    await asyncio.sleep(delay)
                else:
                    if not self._only_thought():
                        break
                    self._ask_without_thinking(attempt)
            self._validate()
        except AlainError:
            spent = not self.answer.empty or self.answer.usage is not None or self._earlier is not None
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self.answer.flag("interrupted")
            raise
        finally:
            await self._account(reservation, spent)

    async def run(self) -> Answer:
        """Ask, and return the whole answer."""
        async with aclosing(self.stream()) as deltas:
            async for _ in deltas:
                pass
        return self.answer

    async def _attempt(self) -> AsyncGenerator[Delta, None]:
        """Ask once, and put what comes into the answer."""
        parser = channel_parser(self.request.model, tools=bool(self.request.tools))
        mode = self._options.loop_detection
        self._loops: defaultdict[type | int, LoopDetector | None] = defaultdict(partial(loop_detector, mode))
        self._before = self.answer.pieces
        pending: Iterator[Delta] = iter(())
        finished: Finished | None = None
        failed: ModelError | None = None
        try:
            async with aclosing(self.runtime.stream(self.request)) as events:
                async for event in events:
                    if self._record:
                        self._record.raw(event)
                    deltas: Sequence[Delta] = ()
                    if isinstance(event, TextDelta):
                        deltas = parser.feed(event.text)
                    elif isinstance(event, Usage):
                        self.answer.usage = event
                    elif isinstance(event, Finished):
                        finished = event
                    else:
                        parser.reasoning_is_separate()
                        deltas = (event,)
                    pending = iter(deltas)
                    for delta in pending:
                        repeats = self._keep(delta)
                        yield delta
                        if repeats:
                            self.answer.finish = "loop"
                            self.answer.flag("stopped: it repeated itself")
                            return
        except (asyncio.CancelledError, GeneratorExit):
            for delta in (*pending, *parser.finish()):
                self._keep(delta)
            self.answer.flag(*parser.flags)
            raise
        except ModelError as error:
            failed = error
        except AlainError:
            raise
        except Exception as error:  # noqa: BLE001  # runtimes come from third parties, too
            failed = BadProtocol(f"{self.runtime.name} sent what it should not: {type(error).__name__}.", "Try again.")
        held = parser.finish()  # in case it was the beginning of a marker
        for delta in held:
            self._keep(delta)
        for delta in held:
            yield delta
        self.answer.flag(*parser.flags)
        if failed:
            raise failed
        if finished is None:
            raise StreamTruncated(f"{self.runtime.name} stopped before the end of the answer.", "Ask again.")
        self._finish(finished)

    def _keep(self, delta: Delta) -> bool:
        """Put a delta into the answer; whether it shows that the model repeats itself without end."""
        answer = self.answer
        if answer.first_token_seconds is None:
            answer.first_token_seconds = time.perf_counter() - self._begun
        if isinstance(delta, ToolCallDelta):
            answer.add_call(delta)
            detector, text = self._loops[delta.slot], delta.arguments
        else:
            detector, text = self._loops[type(delta)], delta.text
            (answer.texts if isinstance(delta, TextDelta) else answer.thoughts).append(text)
        return detector is not None and detector.feed(text)

    def _finish(self, finished: Finished) -> None:
        """Note how the answer ended, and what is odd about it."""
        answer = self.answer
        answer.model = finished.model or answer.model
        answer.finish = finished.reason
        if answer.calls and finished.reason == "stop":
            answer.finish = "tool_calls"
        answer.flag(*finished.flags)
        for call in answer.tool_calls:
            try:
                call.parsed()
            except InvalidOutput as error:
                answer.flag(f"tool call {call.name}: {error.defect}")
        if answer.finish == "length":
            reached = "context window is full" if self._below_limit() else "token limit was reached"
            answer.flag(f"cut: the {reached}")
        if answer.finish == "stop" and not answer.text.strip():
            answer.flag("only thought, no answer" if answer.reasoning.strip() else "the model answered nothing")

    def _below_limit(self) -> bool:
        """Whether the server counted fewer tokens than the answer may have."""
        usage, limit = self.answer.usage, self.request.max_tokens
        return usage is not None and usage.source == "provider" and limit is not None and usage.output < limit

    def _delay(self, error: ModelError, attempt: int) -> float | None:
        """Return how long to wait before asking again; ``None``: don't."""
        tries = self._options.retries + (self._earlier_thoughts > 0)
        again = error.retryable and self.answer.pieces == self._before and attempt < tries
        delay = FIRST_DELAY * 2**attempt if error.retry_after is None else error.retry_after
        if self._record:
            decision = {
                "type": type(error).__name__,
                "error": str(error),
                "again": again,
                "delay": delay if again else None,
            }
            self._record.attempt(attempt, decision)
        return delay if again else None

    def _only_thought(self) -> bool:
        """Whether thinking used up the tokens of an answer that a program waits for."""
        answer, request = self.answer, self.request
        thought = answer.finish == "length" and bool(answer.thoughts) and not answer.text.strip()
        return thought and not answer.calls and request.schema is not None and request.effort != "off"

    def _ask_without_thinking(self, attempt: int) -> None:
        """Leave the thoughts of the first attempt in the answer, and nothing else; this attempt is no retry."""
        answer = self.answer
        self._earlier, self._earlier_thoughts = self._usage(), len(answer.thoughts)
        self.request = replace(self.request, effort="off")
        answer.usage, answer.finish, answer.flags = None, None, ()
        answer.flag("asked again without thinking")
        if self._record:
            self._record.attempt(attempt, {"again": True, "effort": "off"})

    def _validate(self) -> None:
        if self.request.schema is not None and self.answer.finish != "tool_calls":
            from alain_magics.runtimes.parsing.structured import parse

            try:
                self.answer.value = parse(self.answer.text, self.request.schema)
            except InvalidOutput as error:
                if self.answer.finish == "length":
                    full = self._below_limit()
                    error.advice = "Give it a larger context, or ask for less." if full else "Raise --max-tokens."
                raise

    def _usage(self) -> Usage:
        """Return the tokens of all attempts: as the server says, else as an estimate."""
        usage, before = self.answer.usage, self._earlier
        if usage is None:
            answer = self.answer
            parts = [answer.text, "".join(answer.thoughts[self._earlier_thoughts :])]
            parts += [part for call in answer.tool_calls for part in (call.name, call.arguments)]
            output = sum(map(estimate_tokens, parts))
            usage = Usage(estimate_request(self.request), output, source="estimate")
        if before is None:
            return usage
        return replace(
            usage,
            input=usage.input + before.input,
            output=usage.output + before.output,
            reasoning=usage.reasoning + before.reasoning,
            cached=usage.cached + before.cached,
            source="provider" if usage.source == before.source == "provider" else "estimate",
            prefill_seconds=None,  # they are those of one attempt
            generation_seconds=None,
        )

    async def _account(self, reservation: Reservation, spent: bool) -> None:
        """Settle with the meter and write the record, also for a turn that was cut."""
        answer = self.answer
        answer.seconds = time.perf_counter() - self._begun
        if spent:
            answer.usage = self._usage()
            answer.cost = await self._meter.settle(reservation, answer.model, answer.usage)
        else:
            await self._meter.release(reservation)
        if self._record:
            tokens = answer.usage.input if answer.usage else None
            try:
                await asyncio.to_thread(self._record.finish, answer.as_data(), tokens)
            except Exception as error:  # noqa: BLE001  # an answer outweighs its record
                answer.flag(f"not recorded: {error}")
