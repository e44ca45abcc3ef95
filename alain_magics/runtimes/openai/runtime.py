"""Servers that speak OpenAI's chat completions, whoever made them.

What is known of how they differ is capability data; what is not is learnt from their refusals and kept, for each
model, as long as the runtime lives.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from urllib.parse import urlsplit

from alain_magics.errors import (
    ModelError,
    ModelMissing,
    Refused,
    ServerFailed,
    StreamTruncated,
    TimedOut,
    Unreachable,
)
from alain_magics.runtimes.base import ChatRequest, Event, HttpCall, ModelInfo
from alain_magics.runtimes.http import Http
from alain_magics.runtimes.openai.body import Attempt, Manners, manners_of
from alain_magics.runtimes.openai.stream import ChatParser
from alain_magics.runtimes.providers import Provider

LOADING = 600.0
"""Seconds that a server may take to load a model."""

_POLL = 0.1


class OpenAIRuntime:
    """The models of an OpenAI-compatible server."""

    def __init__(self, provider: Provider, http: Http) -> None:
        self.name = provider.name
        self.local = provider.local
        self._provider = provider
        self._http = http
        self._root = copy.copy(http)  # for what is not below the base URL
        address = urlsplit(provider.base_url)
        self._root.provider = replace(provider, base_url=f"{address.scheme}://{address.netloc}")
        self._manners: dict[str, Manners] = {}

    async def models(self) -> list[ModelInfo]:
        """List the models, with the details of the server's own list where it has one."""
        from alain_magics.runtimes.openai.models import models_of  # not needed for asking

        for path in self._provider.capabilities.native.models:
            try:
                found = models_of(self.name, await self._root.get(self._path(path)))
            except Unreachable:
                raise
            except ModelError:
                continue
            if found:
                return found
        return models_of(self.name, await self._http.get(self._path("/models")))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the answer; what the server refuses of the body is changed and asked again."""
        attempt = self._attempt(request)
        while True:
            body = attempt.body()
            parser = ChatParser(self._provider.title, request.model, attempt.flags)
            try:
                async with self._http.stream(self._path("/chat/completions"), body) as incoming:
                    try:
                        async for chunk in incoming:
                            for event in parser.feed(chunk):
                                incoming.content()
                                yield event
                            if parser.complete:
                                incoming.complete()
                    except (StreamTruncated, TimedOut, Unreachable):
                        if not parser.ended:
                            raise
                    for event in parser.finish():
                        yield event
            except ModelError as error:
                if parser.begun:
                    error.retryable = False
                    raise
                if not attempt.adapt(error):
                    raise
            else:
                self._learn(request.model, attempt.manners, parser.reasoning_field)
                return

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Count with the server's own template and tokenizer; ``None`` where it does not offer them."""
        native = self._provider.capabilities.native
        if not native.tokenize:
            return None
        names = {"model", "messages", "tools", "chat_template_kwargs"}
        asked = {name: value for name, value in self._attempt(request).body().items() if name in names}
        try:
            prompt = (await self._root.post(self._path(native.template), asked))["prompt"]
            text = {"model": request.model, "content": prompt, "add_special": True, "parse_special": True}
            return len((await self._root.post(self._path(native.tokenize), text))["tokens"])
        except (ModelError, LookupError, TypeError):
            return None

    def http_call(self, request: ChatRequest) -> HttpCall:
        """Return the request as it would be sent now, with ``$KEY`` in the place of the key."""
        provider = self._provider
        headers = {"content-type": "application/json", **provider.headers}
        variable = provider.key_variables[0] if provider.key_variables and provider.auth != "none" else ""
        if variable and (self._http.key or not provider.local):
            name, value = ("authorization", "Bearer $KEY") if provider.auth == "bearer" else (provider.auth, "$KEY")
            headers[name] = value
        else:
            variable = ""
        url = self._http.url(self._path("/chat/completions"))
        return HttpCall(url, headers, self._attempt(request).body(), variable)

    async def load(self, model: str) -> None:
        """Have the server load a model, and wait until it has; nothing where it does so by itself."""
        native = self._provider.capabilities.native
        if not native.load or await self._loaded(model):
            return
        if await self._command(native.load, {"model": model}) and await self._settled(model, None) is False:
            raise ServerFailed(f"{self._provider.title} could not load {model[:80]!r}.", "Its log says why.")

    async def unload(self, model: str) -> None:
        """Have the server free a model's memory; :class:`~alain_magics.errors.Refused` where it has no way to."""
        native = self._provider.capabilities.native
        advice = "Stop the server to free its memory." if self.local else "It takes no memory of this machine."
        if not native.unload or not await self._command(native.unload, {native.unload_field: model}):
            raise Refused(f"{self._provider.title} cannot unload a model.", advice)
        await self._settled(model, True)

    async def aclose(self) -> None:
        """Do nothing: the connections belong to the pool."""

    def _path(self, path: str) -> str:
        return f"{path}?{self._provider.query}" if self._provider.query else path

    def _attempt(self, request: ChatRequest) -> Attempt:
        capabilities = self._provider.capabilities
        manners = self._manners.get(request.model) or manners_of(capabilities, request.model)
        return Attempt(request, capabilities, manners)

    def _learn(self, model: str, manners: Manners, reasoning_field: str) -> None:
        field = reasoning_field or manners.reasoning_field
        self._manners[model] = replace(manners, reasoning_field=field, answered=True)

    async def _loaded(self, model: str) -> bool | None:
        """Whether a model is in memory; ``None``: the server does not say."""
        for info in await self.models():
            if info.id == model:
                return info.loaded
        raise ModelMissing(
            f"{self._provider.title} has no model {model[:80]!r}.", "`%alain models` lists those it has."
        )

    async def _command(self, path: str, body: dict[str, str]) -> bool:
        """Tell the server to do something with a model; ``False``: it does not know how."""
        try:
            answer = await self._root.post(self._path(path), body, deadline=LOADING)
        except Refused as error:
            if error.status in (404, 405):
                return False
            raise
        return not (isinstance(answer, dict) and "error" in answer)  # LM Studio tells of unknown paths with status 200

    async def _settled(self, model: str, passing: bool | None) -> bool | None:
        """Wait as long as a model is said to be in a state that passes; return the next one."""
        end = time.monotonic() + LOADING
        while (state := await self._loaded(model)) is passing:
            if time.monotonic() > end:
                raise TimedOut(f"{self._provider.title} is not done after {LOADING:g} seconds.", "Its log says why.")
            await asyncio.sleep(_POLL)
        return state
