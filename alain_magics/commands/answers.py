"""Turns as events of a command: one answer, or several side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from alain_magics.commands.base import Partial
from alain_magics.errors import AlainError
from alain_magics.runtimes.base import ReasoningDelta, TextDelta
from alain_magics.runtimes.turn import Turn


async def stream_answer(turn: Turn, slot: int = 0) -> AsyncGenerator[Partial, None]:
    """Ask, and yield the answer as it comes: ``answer``, ``delta`` for each piece, ``end``.

    ``slot`` tells answers apart that come at the same time. An error comes after the ``end`` of what there was.
    """
    yield Partial("answer", {"slot": slot, "runtime": turn.runtime.name, "model": turn.request.model})
    failed: AlainError | None = None
    try:
        async with aclosing(turn.stream()) as deltas:
            async for delta in deltas:
                if type(delta) is TextDelta:
                    yield Partial("delta", {"slot": slot, "text": delta.text, "reasoning": ""})
                elif type(delta) is ReasoningDelta:
                    yield Partial("delta", {"slot": slot, "text": "", "reasoning": delta.text})
    except AlainError as error:
        failed = error
    yield Partial(
        "end", {"slot": slot, "snippets": _snippets(turn), "error": str(failed or ""), **turn.answer.as_data()}
    )
    if failed:
        raise failed


async def stream_answers(turns: Sequence[Turn]) -> AsyncGenerator[Partial, None]:
    """Ask several models at once, and yield their answers as they come.

    One that fails does not stop the others; its error is in its ``end``. Only where all fail, the first is raised.
    """
    inbox: asyncio.Queue[Partial | None] = asyncio.Queue()
    errors: list[AlainError] = []

    async def pump(slot: int, turn: Turn) -> None:
        try:
            async with aclosing(stream_answer(turn, slot)) as partials:
                async for partial in partials:
                    inbox.put_nowait(partial)
        except AlainError as error:
            errors.append(error)
        finally:
            inbox.put_nowait(None)

    tasks = [asyncio.create_task(pump(slot, turn)) for slot, turn in enumerate(turns)]
    try:
        working = len(tasks)
        while working:
            partial = await inbox.get()
            if partial is None:
                working -= 1
            else:
                yield partial
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    if len(errors) == len(turns):
        raise errors[0]


def _snippets(turn: Turn) -> dict[str, str]:
    """Return the request as code to copy; nothing for a runtime that is not asked by HTTP."""
    from alain_magics.runtimes import snippets

    call = turn.runtime.http_call(turn.request)
    return snippets.snippets(call) if call else {}
