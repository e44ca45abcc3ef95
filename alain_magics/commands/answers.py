"""What verbs that ask models have in common: their options, and turns as events, one or several side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType

from pydantic import Field

from alain_magics.chat import profiles
from alain_magics.chat.profiles import Options
from alain_magics.commands.base import Context, Partial, Request
from alain_magics.commands.interpolate import Interpolated, interpolate
from alain_magics.errors import AlainError
from alain_magics.runtimes.base import Effort, ReasoningDelta, TextDelta
from alain_magics.runtimes.turn import Turn


class ModelRequest(Request):
    """Whom to ask, and how."""

    model: str | None = Field(
        default=None,
        description="whom to ask, as runtime/model (default: what use chose, else the first that runs)",
        json_schema_extra={"short": "m", "complete": "model"},
    )
    profile: str | None = Field(
        default=None, description="the profile of profiles/NAME.toml to use", json_schema_extra={"short": "p"}
    )
    system: str | None = Field(
        default=None, description="what the model should know about its role", json_schema_extra={"short": "s"}
    )
    effort: Effort | None = Field(default=None, description="how much to think before the answer")
    max_tokens: int | None = Field(default=None, ge=1, description="tokens that an answer may have")
    temperature: float | None = Field(default=None, ge=0, le=5, description="0: always the likeliest token")
    seed: int | None = Field(default=None, description="the same seed gives the same answer, where the runtime can")
    set: list[str] = Field(default=[], description="any option, as NAME=VALUE; NAME= leaves it open again (repeatable)")
    record: bool = Field(default=False, description="keep prompt, answer and measurements under runs/")

    def explicit(self) -> tuple[Options, list[str]]:
        """Return the options that were given, and the names of those to leave open again."""
        options, cleared = profiles.from_words(self.set)
        named = {name: getattr(self, name) for name in _NAMED}
        given = Options.of({name: value for name, value in named.items() if value is not None})
        return profiles.resolve(given, options), cleared


LONGEST_SNIPPET = 20_000
"""Characters of the messages of a request that can be copied as code."""

_NAMED = ("model", "system", "effort", "max_tokens", "temperature", "seed")


async def stream_answer(
    turn: Turn, slot: int = 0, *, sent: Mapping[str, int] = MappingProxyType({})
) -> AsyncGenerator[Partial, None]:
    """Ask, and yield the answer as it comes: ``answer``, ``delta`` for each piece, ``end``.

    ``slot`` tells answers apart that come at the same time; ``sent`` says how many characters of which variables are
    in the question. An error comes after the ``end`` of what there was, and so does being cancelled.
    """
    yield _beginning(turn, slot)
    failed: AlainError | asyncio.CancelledError | None = None
    try:
        async with aclosing(turn.stream()) as deltas:
            async for delta in deltas:
                if type(delta) is TextDelta:
                    yield Partial("delta", {"slot": slot, "text": delta.text, "reasoning": ""})
                elif type(delta) is ReasoningDelta:
                    yield Partial("delta", {"slot": slot, "text": "", "reasoning": delta.text})
    except (AlainError, asyncio.CancelledError) as error:
        failed = error
    said = defect(failed) if failed else ""
    end = {"slot": slot, "snippets": _snippets(turn), "error": said, "sent": dict(sent)}
    yield Partial("end", end | turn.answer.as_data())
    if failed:
        raise failed


async def stream_answers(turns: Sequence[Turn], *, sent: Mapping[str, int]) -> AsyncGenerator[Partial, None]:
    """Ask several models at once, and yield their answers as they come.

    One that fails does not stop the others; its error is in its ``end``. Only where all fail, the first is raised.
    """
    inbox: asyncio.Queue[Partial | None] = asyncio.Queue()
    errors: list[AlainError] = []

    async def pump(slot: int, turn: Turn) -> None:
        """Put the pieces of one answer into the inbox, and ``None`` at its end."""
        try:
            async with aclosing(stream_answer(turn, slot, sent=sent)) as partials:
                async for partial in partials:
                    if partial.kind != "answer":
                        inbox.put_nowait(partial)
        except AlainError as error:
            errors.append(error)
        finally:
            inbox.put_nowait(None)

    for slot, turn in enumerate(turns):  # all of them, before the first can end: a view should know how many there are
        yield _beginning(turn, slot)
    tasks = [asyncio.create_task(pump(slot, turn)) for slot, turn in enumerate(turns)]
    try:
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
    except asyncio.CancelledError:
        while not inbox.empty():
            if partial := inbox.get_nowait():
                yield partial
        raise
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    if len(errors) == len(turns):
        raise errors[0]


def defect(error: AlainError | asyncio.CancelledError) -> str:
    """Return what is to be said of an answer that did not come to its end."""
    return str(error) if isinstance(error, AlainError) else "Interrupted."


def question(words: Sequence[str], context: Context) -> Interpolated:
    """Return what is said: the words, then the cell (or a shell's standard input), with the values of variables in it.

    A lone ``-`` stands for the latter alone.
    """
    spoken = "" if list(words) == ["-"] else " ".join(words)
    text = "\n".join(part for part in (spoken, context.cell or "") if part.strip()).strip("\n")
    return interpolate(text, context.namespace, context.workspace.project or context.workspace.folder)


def _beginning(turn: Turn, slot: int) -> Partial:
    return Partial("answer", {"slot": slot, "runtime": turn.runtime.name, "model": turn.request.model})


def _snippets(turn: Turn) -> dict[str, str]:
    """Return the request as code to copy; nothing for a runtime that is not asked by HTTP, or for a long request.

    What is shown with an answer is stored with the notebook: a whole conversation should not be, turn by turn.
    """
    if sum(len(message.content) for message in turn.request.messages) > LONGEST_SNIPPET:
        return {}
    from alain_magics.runtimes import snippets

    call = turn.runtime.http_call(turn.request)
    return snippets.snippets(call) if call else {}
