"""Runtimes that need no model: one that does what it is told, for lessons and tests, and one that replays recordings.

The models of :class:`ScriptedRuntime` say nothing of their own:

- ``echo`` repeats the last message, word by word;
- ``think`` does the same, and shows the message as its reasoning first;
- ``count`` counts from 1;
- ``loop`` repeats the last message again and again, as a model does that has lost its way.

The last two go on for ``max_tokens``, or :data:`ENOUGH` of them. Two kinds of lines in the user's last message are
orders to any model:

- ``/call NAME {"argument": 1}`` calls a tool that was offered;
- ``/fail NAME [WORDS]`` ends in the error of that name (``rate_limited``, ``key_refused``, …; any
  :class:`~alain_magics.errors.ModelError` in small letters), after so many words. An error that may pass by itself
  always comes before the first word.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import asdict, dataclass, replace

from alain_magics import errors
from alain_magics.errors import ContextExceeded, InvalidOutput, ModelError, ModelMissing, Refused
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    FinishReason,
    HttpCall,
    ModelInfo,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.recording import Recordings
from alain_magics.settings import nearest

MODELS = {
    "echo": "Repeats your message word by word",
    "think": "Repeats your message as its reasoning, then as its answer",
    "count": "Counts from 1 until it is stopped",
    "loop": "Repeats your message until it is stopped",
}

ENOUGH = 20_000
"""Tokens after which an answer without an end of its own is cut."""

FAILURES: dict[str, type[ModelError]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ModelError) and kind is not InvalidOutput
}
"""What ``/fail`` can be told."""

_WORD = re.compile(r"\s*\S+|\s+$")
_CALL = re.compile(r"/call\s+(\S+)\s*(.*)")
_FAIL = re.compile(r"/fail\s+(\S+)(?:\s+(\d+))?")


class ScriptedRuntime:
    """Answers without a model, always in the same way. Its tokens are words with the space before them.

    ``pace`` is in seconds a token, for demonstrations; ``extra={"pace": …}`` of a request goes before it.
    """

    name = "scripted"
    local = True

    def __init__(self, pace: float = 0.0) -> None:
        self._pace = pace

    async def models(self) -> list[ModelInfo]:
        """List the four models."""
        return [
            ModelInfo(model, self.name, tools=True, loaded=True, description=description)
            for model, description in MODELS.items()
        ]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Do what the last message says."""
        script = _read(request)
        pace = float(request.extra.get("pace", self._pace))
        used = await self.count_tokens(request)
        if request.context_tokens is not None and used > request.context_tokens:
            what = f"The prompt is {used:,} words long; {request.context_tokens:,} were allowed."
            raise ContextExceeded(what, "Shorten it, or ask for a larger context.")
        reason: FinishReason = "stop"
        said = thought = 0
        for event in script.words:
            if script.failure and said + thought >= script.after:
                break
            if said + thought >= (request.max_tokens or ENOUGH):
                reason = "length"
                break
            await asyncio.sleep(pace)
            yield event
            said, thought = said + (type(event) is TextDelta), thought + (type(event) is ReasoningDelta)
        if script.failure:
            raise script.failure
        if reason == "stop" and script.calls:
            reason = "tool_calls"
            for slot, call in enumerate(script.calls):
                await asyncio.sleep(pace)
                yield ToolCallDelta(slot, call.id, call.name, call.arguments)
                said += _count(call.arguments)
        yield Usage(used, said + thought, reasoning=thought)
        yield Finished(reason, request.model, tuple(_ignored(request)))

    async def count_tokens(self, request: ChatRequest) -> int:
        """Count the words of all messages."""
        return sum(_count(message.content) for message in request.messages)

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        """Return nothing: no request is sent."""
        return None

    async def load(self, model: str) -> None:
        """Do nothing: there is nothing to load."""

    async def unload(self, model: str) -> None:
        """Do nothing: nothing takes memory."""

    async def aclose(self) -> None:
        """Do nothing."""


class ReplayRuntime:
    """Answers recorded questions as they were answered then, under the name of the runtime it stands for.

    ``any_model``: where the model that is asked has no answer, one of another model of that runtime does, too.
    """

    local = True

    def __init__(self, name: str, recordings: Recordings, pace: float = 0.0, *, any_model: bool = False) -> None:
        self.name = name
        self._recordings = recordings
        self._pace = pace
        self._any_model = any_model

    async def models(self) -> list[ModelInfo]:
        """List the models that recorded questions went to."""
        models = await asyncio.to_thread(self._recordings.models)
        return [ModelInfo(model, self.name, loaded=True, description="Recorded answers") for model in models]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Yield what was recorded, usage included, and end as it ended, flagged ``replayed``.

        Raises :class:`~alain_magics.errors.Refused` where the question was never recorded.
        """
        runtime = self.name if self._any_model else None
        recording = await asyncio.to_thread(self._recordings.find, request, runtime)
        for event in recording.events:
            await asyncio.sleep(self._pace)
            yield replace(event, flags=(*event.flags, "replayed")) if isinstance(event, Finished) else event
        if recording.error:
            raise recording.error

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Return nothing: the model is not here."""
        return None

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        """Return nothing: no request is sent."""
        return None

    async def load(self, model: str) -> None:
        """Do nothing: there is nothing to load."""

    async def unload(self, model: str) -> None:
        """Do nothing: nothing takes memory."""

    async def aclose(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class _Script:
    """What is to be done: the words, then the calls, unless a failure comes after so many words."""

    words: Iterable[TextDelta | ReasoningDelta]
    calls: tuple[ToolCall, ...] = ()
    failure: ModelError | None = None
    after: int = 0


def _read(request: ChatRequest) -> _Script:
    """Read the last message; :class:`~alain_magics.errors.Refused` for an order that cannot be followed."""
    if request.model not in MODELS:
        advice = nearest(request.model, MODELS) or f"There are {', '.join(MODELS)}."
        raise ModelMissing(f"There is no scripted model {request.model!r}.", advice)
    heard = [message for message in request.messages if message.role in ("user", "tool")]
    said: list[str] = []
    calls: list[ToolCall] = []
    failure, after = None, 0
    for line in heard[-1].content.splitlines(keepends=True) if heard else ():
        ordered = heard[-1].role == "user"
        if ordered and (match := _CALL.fullmatch(line.strip())):
            calls.append(_call(request, len(calls), match[1], match[2] or "{}"))
        elif ordered and (match := _FAIL.fullmatch(line.strip())):
            failure = _failure(match[1])
            after = 0 if failure.retryable else int(match[2] or 0)
        else:
            said.append(line)
    text = "".join(said)
    if request.schema is not None and not calls and not _is_json(text):
        raise Refused("A scripted model makes no structure up.", "Write the JSON that it should repeat.")
    return _Script(_words(request, text), tuple(calls), failure, after)


def _words(request: ChatRequest, text: str) -> Iterable[TextDelta | ReasoningDelta]:
    """Return the words of the answer, up to a stop sequence."""
    whole = text
    for stop in filter(None, request.sampling.stop):
        text = text.partition(stop)[0]
    words = _WORD.findall(text)
    if request.model == "count":
        return itertools.chain([TextDelta("1")], (TextDelta(f" {number}") for number in itertools.count(2)))
    if request.model == "loop" and text == whole:
        return (TextDelta(word) for word in itertools.cycle([*words[:-1], *(f"{word} " for word in words[-1:])]))
    thinks = request.model == "think" and request.effort != "off"
    return itertools.chain(map(ReasoningDelta, words if thinks else ()), map(TextDelta, words))


def _call(request: ChatRequest, slot: int, name: str, arguments: str) -> ToolCall:
    names = [tool.name for tool in request.tools]
    if name not in names:
        advice = nearest(name, names) or f"Offered are: {', '.join(names) or 'none'}."
        raise Refused(f"No tool {name!r} was offered.", advice)
    return ToolCall(f"call_{slot}", name, arguments)


def _failure(name: str) -> ModelError:
    if name not in FAILURES:
        raise Refused(f"There is no failure {name!r}.", nearest(name, FAILURES) or f"There are {', '.join(FAILURES)}.")
    return FAILURES[name](f"This failure was asked for: {name}.", "Take the line /fail out of the message.")


def _ignored(request: ChatRequest) -> list[str]:
    """Name what was given but changes nothing here."""
    sampling = asdict(request.sampling)
    taken = ("seed",) if request.model == "count" else ("seed", "stop")
    given = [name for name, value in sampling.items() if value not in (None, ()) and name not in taken]
    given += [name for name in request.extra if name != "pace"]
    if request.effort not in (None, "off") and request.model != "think":
        given.append("effort")
    return [f"ignored:{name}" for name in given]


def _count(text: str) -> int:
    return len(_WORD.findall(text))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
