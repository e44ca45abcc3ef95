"""The turn: the only way to call a model.

Reserve, stream, parse channels, stop endless repetition, validate structure, settle, record: the same for a cell, the
shell, lessons, evaluation and whatever else asks a model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alain_magics.errors import AlainError, BadProtocol, InvalidOutput, ModelError, StreamTruncated
from alain_magics.runtimes.answer import Answer
from alain_magics.runtimes.base import (
    ChatRequest,
    Delta,
    Finished,
    ReasoningDelta,
    Runtime,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.meter import FreeMeter, Meter, Reservation
from alain_magics.runtimes.parsing.channels import channel_parser
from alain_magics.runtimes.parsing.loops import loop_detector
from alain_magics.runtimes.tokens import estimate_request, estimate_tokens
from alain_magics.settings import LoopMode

if TYPE_CHECKING:
    from alain_magics.runtimes.recording import Recorder

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
        self._earlier: Usage | None = None  # of an attempt that brought no answer

    async def stream(self) -> AsyncGenerator[Delta, None]:
        """Ask, and yield the answer as it comes; an interrupt or an error leaves ``answer`` as far as it came.

        Raises :class:`~alain_magics.errors.ModelError` (an :class:`~alain_magics.errors.InvalidOutput` where the
        request's schema does not hold) and what the meter raises.
        """
        reservation = await self._meter.reserve(self.runtime, self.request)
        self._begun = time.perf_counter()
        spent = True
        try:
            for attempt in range(self._options.retries + 1):
                try:
                    async with aclosing(self._attempt()) as deltas:
                        async for delta in deltas:
                            yield delta
                except ModelError as error:
                    delay = self._delay(error, attempt)
                    if delay is None:
                        raise
                    await asyncio.sleep(delay)
                else:
                    if not self._only_thought():
                        break
                    self._ask_without_thinking(attempt)
            self._validate()
        except AlainError:
            spent = not self.answer.empty
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
        self._loops = {TextDelta: loop_detector(mode), ReasoningDelta: loop_detector(mode)}
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
                    for delta in deltas:
                        repeats = self._keep(delta)
                        yield delta
                        if repeats:
                            self.answer.finish = "loop"
                            self.answer.flag("stopped: it repeated itself")
                            return
        except ModelError as error:
            failed = error
        except AlainError:
            raise
        except Exception as error:  # noqa: BLE001  # runtimes come from third parties, too
            failed = BadProtocol(f"{self.runtime.name} sent what it should not: {type(error).__name__}.", "Try again.")
        for delta in parser.finish():  # held back, in case it was the beginning of a marker
            self._keep(delta)
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
            return False
        (answer.texts if isinstance(delta, TextDelta) else answer.thoughts).append(delta.text)
        detector = self._loops[type(delta)]
        return detector is not None and detector.feed(delta.text)

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
            answer.flag("cut: the token limit was reached")

    def _delay(self, error: ModelError, attempt: int) -> float | None:
        """Return how long to wait before asking again; ``None``: don't."""
        again = error.retryable and self.answer.empty and attempt < self._options.retries
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
        return thought and request.schema is not None and request.effort != "off"

    def _ask_without_thinking(self, attempt: int) -> None:
        self.request = replace(self.request, effort="off")
        self.answer.flag("asked again without thinking")
        self._earlier, self.answer.usage = self._usage(), None
        if self._record:
            self._record.attempt(attempt, {"again": True, "effort": "off"})

    def _validate(self) -> None:
        if self.request.schema is not None and self.answer.finish != "tool_calls":
            from alain_magics.runtimes.parsing.structured import parse

            self.answer.value = parse(self.answer.text, self.request.schema)

    def _usage(self) -> Usage:
        """Return the tokens of all attempts: as the server says, else as an estimate."""
        usage, before = self.answer.usage, self._earlier
        if usage is None:
            output = estimate_tokens(self.answer.text) + estimate_tokens(self.answer.reasoning)
            usage = Usage(estimate_request(self.request), output, source="estimate")
        if before is None:
            return usage
        return replace(
            usage,
            input=usage.input + before.input,
            output=usage.output + before.output,
            reasoning=usage.reasoning + before.reasoning,
            cached=usage.cached + before.cached,
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
            await asyncio.to_thread(self._record.finish, answer.as_data(), tokens)
