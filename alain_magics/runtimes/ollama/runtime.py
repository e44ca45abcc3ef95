"""Ollama by its own API.

Its OpenAI protocol takes no ``num_ctx``: a prompt that is longer than the default window loses its beginning without a
word. Here the window is chosen so that the prompt and the answer fit, and servers that know it are told not to
truncate. A model is loaded anew whenever its window changes, so windows grow in powers of two and never shrink.

Source: ``docs/api.md``, ``api/types.go`` and ``server/routes.go`` of Ollama.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

from alain_magics.errors import BadProtocol, ContextExceeded, ModelError, ModelMissing, StreamTruncated, TimedOut
from alain_magics.runtimes.base import ChatRequest, Event, HttpCall, ModelInfo, Sampling, Tool
from alain_magics.runtimes.catalogue import parameters
from alain_magics.runtimes.ollama.stream import ChatLines
from alain_magics.runtimes.parsed import count, mapping, text
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.tokens import estimate_request
from alain_magics.text import plain

if TYPE_CHECKING:
    from alain_magics.runtimes.http import Http

DEFAULT_WINDOW = 4096
"""Tokens of the window that Ollama gives a model where nothing else is said and little memory is there."""

REPLY = 2048
"""Tokens for which there must be room after the prompt where the request sets no limit."""

MARGIN = 1.25
"""How much longer than estimated a prompt may be."""

KEPT_LOADED = "30m"
"""How long a model stays in memory that was loaded ahead of its first question."""

LOADING = 600.0
"""Seconds that loading a model may take."""

OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
    "repetition_context_size": "repeat_last_n",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "stop": "stop",
}

_AT_ONCE = 16  # models that are looked up at the same time


class OllamaRuntime:
    """An Ollama server."""

    def __init__(self, provider: Provider, http: Http) -> None:
        self.name = provider.name
        self.local = provider.local
        self._provider = provider
        self._http = http
        self._windows: dict[str, int] = {}  # that were chosen here, by model
        self._manners: dict[str, Literal["no thinking", "no levels"]] = {}  # what models refuse, by model

    async def models(self) -> list[ModelInfo]:
        """List the models that have been downloaded, with what Ollama knows about each."""
        listed, loaded = await asyncio.gather(self._http.get("/api/tags"), self._loaded())
        entries = _entries(listed)
        if entries is None:
            raise BadProtocol(f"{self._provider.title} gave no list of models.", "Check its address.")
        limit = asyncio.Semaphore(_AT_ONCE)

        async def described(entry: dict[str, Any]) -> ModelInfo:
            """Look up what the list leaves out."""
            if type(entry.get("capabilities")) is list and count(mapping(entry, "details"), "context_length"):
                return self._info(entry, {}, loaded)  # newer servers tell enough at once
            async with limit:
                return self._info(entry, await self._shown(entry["model"]), loaded)

        return list(await asyncio.gather(*map(described, entries)))

    async def _shown(self, model: str) -> dict[str, Any]:
        """Return what Ollama knows about a model; nothing where it cannot say."""
        try:
            return mapping(await self._http.post("/api/show", {"model": model}))
        except ModelError:
            return {}

    async def _loaded(self) -> dict[str, int]:
        """Return the windows of the models in memory, 0 where that is not told."""
        try:
            entries = _entries(await self._http.get("/api/ps")) or []
        except ModelError:
            return {}
        return {entry["model"]: count(entry, "context_length") for entry in entries}

    def _info(self, entry: dict[str, Any], shown: dict[str, Any], loaded: dict[str, int]) -> ModelInfo:
        details = mapping(shown, "details") or mapping(entry, "details")
        can = shown.get("capabilities") or entry.get("capabilities")
        can = can if type(can) is list else None
        info = mapping(shown, "model_info")
        elsewhere = _line(entry, "remote_host")
        return ModelInfo(
            entry["model"],
            self.name,
            family=_line(info, "general.architecture") or _line(details, "family"),
            parameters=count(info, "general.parameter_count") or parameters(text(details, "parameter_size")),
            context=_context(shown) or count(details, "context_length") or None,
            quantisation=_line(details, "quantization_level"),
            tools=None if can is None else "tools" in can,
            size=None if elsewhere else count(entry, "size") or None,
            loaded=None if elsewhere else entry["model"] in loaded,
            description=f"Runs at {elsewhere}, not on this machine." if elsewhere else "",
            kind="chat" if not can or "completion" in can else "embedding" if "embedding" in can else "other",
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the answer as it comes, ``Finished`` last."""
        prompt = estimate_request(request)
        if request.context_tokens is None:
            await self._widen(request.model, int(prompt * MARGIN) + (request.max_tokens or REPLY))
        asking = True
        while asking:
            body, ignored = self._body(request)
            flags = [f"ignored:{name}" for name in ignored]
            parser = ChatLines(self._provider.title, request.model, flags, prompt)
            asking = False
            try:
                async with self._http.stream("/api/chat", body) as incoming:
                    try:
                        async for chunk in incoming:
                            for event in parser.feed(chunk):
                                incoming.content()
                                yield event
                            if parser.complete:
                                incoming.complete()
                    except (StreamTruncated, TimedOut):
                        if not parser.complete:
                            raise
                for event in parser.finish():
                    yield event
            except ModelError as error:
                if parser.begun:
                    error.retryable = False
                    raise
                asking = await self._adapt(request, body, error)
                if not asking:
                    raise _advised(error, request.model) from None

    async def _adapt(self, request: ChatRequest, body: dict[str, Any], error: ModelError) -> bool:
        """Learn from a refusal what a model does not take; whether to ask again."""
        model = _full(request.model)
        if isinstance(error, ContextExceeded) and request.context_tokens is None:
            window = max(self._windows.get(model, DEFAULT_WINDOW), (await self._loaded()).get(model, 0))
            return await self._widen(request.model, window + 1)
        if error.status == 400 and body.get("think") and model not in self._manners:
            if "does not support thinking" in error.what:
                self._manners[model] = "no thinking"
                return True
            if "think value" in error.what:  # servers of 2025 know levels for gpt-oss only
                self._manners[model] = "no levels"
                return True
        return False

    async def _widen(self, model: str, needed: int) -> bool:
        """Choose a window in which so many tokens fit, as far as the model reaches; whether it has grown."""
        name = _full(model)
        window = self._windows.get(name, DEFAULT_WINDOW)
        if needed <= window:
            return False
        if name not in self._windows and (await self._loaded()).get(name, 0) >= needed:
            return False  # the server's own choice does
        wider = 1 << (needed - 1).bit_length()
        if largest := _context(await self._shown(model)):
            wider = min(wider, largest)
        if wider <= window:
            return False
        self._windows[name] = wider
        return True

    def _body(self, request: ChatRequest) -> tuple[dict[str, Any], list[str]]:
        """Return the body of a request, and what of the request is not in it."""
        options, ignored = _options(request.sampling)
        if request.max_tokens is not None:
            options["num_predict"] = request.max_tokens
        if window := request.context_tokens or self._windows.get(_full(request.model)):
            options["num_ctx"] = window
        body: dict[str, Any] = {"model": request.model, "messages": list(_messages(request)), "stream": True}
        body["truncate"] = False  # servers that are older pass over it
        if request.tools:
            body["tools"] = [_tool(tool) for tool in request.tools]
        if request.schema is not None:
            body["format"] = dict(request.schema)
        if effort := request.effort:
            manner = self._manners.get(_full(request.model))
            if effort == "off":
                body["think"] = False
            elif manner != "no thinking":
                body["think"] = effort if manner is None else True
            if effort != "off" and manner:
                ignored.append("effort")
        if options:
            body["options"] = options
        return {**body, **request.extra}, ignored

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Return ``None``: Ollama counts only what it answers."""
        return None

    def http_call(self, request: ChatRequest) -> HttpCall:
        """Return the request as it would be sent now, with ``$KEY`` in the place of the key."""
        provider, variable = self._provider, ""
        headers = {"content-type": "application/json", **provider.headers}
        if provider.key_variables and provider.auth != "none" and (self._http.key or not self.local):
            variable = provider.key_variables[0]
            name, value = ("authorization", "Bearer $KEY") if provider.auth == "bearer" else (provider.auth, "$KEY")
            headers[name] = value
        return HttpCall(self._http.url("/api/chat"), headers, self._body(request)[0], variable)

    async def load(self, model: str) -> None:
        """Load a model with the window that it will be asked with, and keep it for half an hour."""
        await self._keep(model, KEPT_LOADED)

    async def unload(self, model: str) -> None:
        """Free the memory that a model takes."""
        await self._keep(model, 0)

    async def _keep(self, model: str, duration: str | int) -> None:
        """Have a model in memory for a time, without asking it anything."""
        body: dict[str, Any] = {"model": model, "messages": [], "stream": False, "keep_alive": duration}
        if window := self._windows.get(_full(model)):
            body["options"] = {"num_ctx": window}
        try:
            await self._http.post("/api/chat", body, deadline=LOADING)
        except ModelError as error:
            raise _advised(error, model) from None

    async def aclose(self) -> None:
        """Hold nothing, free nothing: the connections belong to the pool."""


def _advised(error: ModelError, model: str) -> ModelError:
    """Name the way to get a model that is not there."""
    if isinstance(error, ModelMissing):
        error.advice = f"`%alain pull {model[:80]}` downloads it; `%alain models` lists those that are there."
    return error


def _messages(request: ChatRequest) -> Iterator[dict[str, Any]]:
    for message in request.messages:
        written: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.reasoning:
            written["thinking"] = message.reasoning
        if message.tool_calls:
            written["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": call.sent_back()}}
                for call in message.tool_calls
            ]
        if message.role == "tool":
            written |= {"tool_name": message.name, "tool_call_id": message.tool_call_id}
        yield written


def _tool(tool: Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": described}


def _options(sampling: Sampling) -> tuple[dict[str, Any], list[str]]:
    """Return how tokens are chosen as Ollama is told it, and what it cannot be told."""
    options: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in ((each.name, getattr(sampling, each.name)) for each in fields(sampling)):
        if value is None or value == ():
            continue
        if name in OPTIONS:
            options[OPTIONS[name]] = list(value) if name == "stop" else value
        else:
            ignored.append(name)
    return options, ignored


def _full(model: str) -> str:
    """Return a model's name as lists have it."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _entries(listed: Any) -> list[dict[str, Any]] | None:
    """Return the models of a list, each with its name under ``model``; ``None`` where it is none."""
    found = mapping(listed).get("models", ())
    if type(found) is not list:
        return [] if found is None else None  # an empty list of Go is null
    named = ((text(mapping(each), "model") or text(mapping(each), "name"), each) for each in found)
    return [{**each, "model": name} for name, each in named if name]


def _context(shown: dict[str, Any]) -> int:
    """Return the longest window of a model, 0 where that is not told."""
    info = mapping(shown, "model_info")
    return count(info, f"{text(info, 'general.architecture')}.context_length")


def _line(values: dict[str, Any], name: str) -> str:
    """Return the text under a name as it may be shown, on one line."""
    return " ".join(plain(text(values, name)[:80]).split())
