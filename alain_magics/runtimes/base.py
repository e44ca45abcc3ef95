"""The contract of a runtime: what it is asked, what it yields, what it says about its models.

Third parties add runtimes by entry points of the group ``alain_magics.runtimes``; ``tests/runtimes/contract.py`` is the
one contract test class for all of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from alain_magics.errors import InvalidOutput

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["off", "low", "medium", "high"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "loop"]


@dataclass(frozen=True)
class ToolCall:
    """A model's wish to have a function called; ``arguments`` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str

    def parsed(self) -> dict[str, Any]:
        """Return the arguments; :class:`~alain_magics.errors.InvalidOutput` where they are no JSON object."""
        try:
            value = json.loads(self.arguments or "{}")
        except ValueError as error:
            raise self._invalid(f"the arguments are no JSON: {error}") from None
        if not isinstance(value, dict):
            raise self._invalid("the arguments are no JSON object")
        return value

    def sent_back(self) -> dict[str, Any]:
        """Return the arguments for servers that want an object; under ``invalid`` what the model wrote instead."""
        try:
            return self.parsed()
        except InvalidOutput:
            return {"invalid": self.arguments}

    def _invalid(self, defect: str) -> InvalidOutput:
        return InvalidOutput(f"The model called {self.name[:80]!r} wrongly: {defect}.", "Ask again.", defect=defect)


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    ``tool_calls`` and ``reasoning`` belong to the assistant's, ``tool_call_id`` to a tool's. ``name`` is the tool's.
    """

    role: Role
    content: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""


@dataclass(frozen=True)
class Tool:
    """A function that the model may ask for; ``parameters`` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; ``None`` leaves it to the server.

    A runtime sends what it knows and lists the rest in ``Finished.flags`` as ``ignored:NAME``: nothing is dropped
    silently.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    repetition_context_size: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked.

    ``schema`` is the JSON schema that the answer must satisfy; ``context_tokens`` the window to run the model with,
    where the runtime lets one choose; ``effort`` how much it should think; ``extra`` goes into the body as it is.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None = None
    sampling: Sampling = Sampling()
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None
    effort: Effort | None = None
    context_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TextDelta:
    """The next piece of the answer."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """The next piece of what the model thinks before it answers."""

    text: str


@dataclass(slots=True)
class ToolCallDelta:
    """The next piece of a tool call: ``slot`` tells calls apart (0, 1, …), ``id`` and ``name`` come once."""

    slot: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Usage:
    """Tokens of a turn; ``output`` includes ``reasoning``, ``input`` includes ``cached``.

    ``prefill_seconds`` and ``generation_seconds`` are the server's own measurements where it gives them.
    """

    input: int
    output: int
    reasoning: int = 0
    cached: int = 0
    source: Literal["provider", "estimate"] = "provider"
    prefill_seconds: float | None = None
    generation_seconds: float | None = None


@dataclass(slots=True)
class Finished:
    """The end of an answer, always the last event.

    ``model`` is the one that the server says has answered; ``flags`` are remarks for the record, such as
    ``finish_reason inferred`` or ``ignored:top_k``.
    """

    reason: FinishReason
    model: str = ""
    flags: tuple[str, ...] = ()


Delta = TextDelta | ReasoningDelta | ToolCallDelta
Event = Delta | Usage | Finished


@dataclass(frozen=True)
class ModelInfo:
    """What is known about a model; ``None`` and empty text mean unknown.

    ``id`` is what its runtime calls it, ``parameters`` their number, ``context`` its window in tokens, ``size`` its
    bytes on disk, ``shutdown`` the announced last day (ISO date).
    """

    id: str
    runtime: str
    family: str = ""
    maker: str = ""
    parameters: int | None = None
    context: int | None = None
    quantisation: str = ""
    tools: bool | None = None
    size: int | None = None
    loaded: bool | None = None
    shutdown: str = ""
    description: str = ""
    kind: Literal["chat", "embedding", "other"] = "chat"

    @property
    def name(self) -> str:
        """What the user writes: ``runtime/model``."""
        return f"{self.runtime}/{self.id}"


@dataclass(frozen=True)
class HttpCall:
    """The HTTP request that a chat request becomes, without any key: for showing, recording and copying.

    ``key_variable`` names the environment variable whose value belongs where ``headers`` say ``$KEY``.
    """

    url: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    key_variable: str = ""


class Runtime(Protocol):
    """Something that runs models. All methods run on the background loop."""

    name: str
    local: bool

    async def models(self) -> list[ModelInfo]:
        """List the models that can be asked."""

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the answer as it comes, ``Finished`` last; closing the iterator ends the connection.

        An async generator. Raises :class:`~alain_magics.errors.ModelError`; ``retryable`` ones only before the first
        delta.
        """

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Count the tokens of a request with the model's own tokenizer; ``None`` where that cannot be done."""

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        """Return the HTTP request that would be sent; ``None`` for a runtime that uses none."""

    async def load(self, model: str) -> None:
        """Load a model into memory, so that the first answer comes soon; nothing where that has no meaning."""

    async def unload(self, model: str) -> None:
        """Free the memory that a model takes; :class:`~alain_magics.errors.Refused` where that cannot be done."""

    async def aclose(self) -> None:
        """Free what the runtime holds."""
