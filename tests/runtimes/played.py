"""A runtime that plays what a test gives it: for what only the turn decides."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from alain_magics.runtimes.base import ChatRequest, Event, HttpCall, Message, ModelInfo


class Played:
    """Plays one list of events an attempt; an exception among them is raised in its place."""

    name = "played"
    local = True

    def __init__(self, *attempts: Iterable[Any]) -> None:
        self._attempts = [list(attempt) for attempt in attempts]
        self.asked: list[ChatRequest] = []
        self.closed = 0

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo("model", self.name)]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.asked.append(request)
        try:
            for event in self._attempts[len(self.asked) - 1]:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self.closed += 1

    async def count_tokens(self, request: ChatRequest) -> int | None:
        return None

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        return None

    async def load(self, model: str) -> None: ...

    async def unload(self, model: str) -> None: ...

    async def aclose(self) -> None: ...


def question(text: str = "Why?", **options: Any) -> ChatRequest:
    """A request with one message."""
    return ChatRequest(options.pop("model", "model"), (Message("user", text),), **options)
