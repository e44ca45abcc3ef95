"""Anthropic's Messages API, which llama-server, LM Studio and Ollama speak as well.

Source: the documentation of the Messages API, version 2023-06-01. What models take differs: how thinking is asked for,
whether sampling may be set, how an answer is constrained by a schema. A hosted server refuses what a model does not
take, and names it; the runtime then asks again without it, or in the other way there is, and remembers that.
"""

from __future__ import annotations

import copy
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from alain_magics.errors import ModelError, Refused, StreamTruncated, TimedOut
from alain_magics.runtimes.anthropic.stream import MessagesParser
from alain_magics.runtimes.base import ChatRequest, Event, HttpCall, Message, ModelInfo, Sampling, Tool
from alain_magics.runtimes.openai.models import models_of
from alain_magics.runtimes.parsed import count, mapping, text
from alain_magics.runtimes.providers import Provider
from alain_magics.text import plain

if TYPE_CHECKING:
    from alain_magics.runtimes.http import Http

VERSION = "2023-06-01"

MAX_TOKENS = 8192
"""Tokens of an answer, its thinking included, where the request sets no limit: the API wants one."""

BUDGETS = {"low": 2048, "medium": 4096, "high": 16384}
"""Tokens for thinking by effort, for models that are told a number; at most half of an answer's tokens."""

SMALLEST_BUDGET = 1024

ANSWER_TOOL = "final_answer"
"""The tool whose arguments are the answer, where a schema cannot be given in another way."""

SAMPLING = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "stop": "stop_sequences"}

_THINKING = re.compile(r"thinking(?!\W+block)")  # of blocks of thinking something else is said
_OPTIONAL = ("chat_template_kwargs", "top_k", "top_p", "temperature")  # what may be left out of a body
_REMEMBERED = 256  # tool calls whose thinking is kept
_PAGES = 50

# What constrained answers may not be told; they are validated here anyway.
_UNSUPPORTED = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format minItems maxItems"
    " uniqueItems contains minProperties maxProperties patternProperties propertyNames if then else not".split()
)


class AnthropicRuntime:
    """A server that speaks Anthropic's Messages API."""

    def __init__(self, provider: Provider, http: Http) -> None:
        self.name = provider.name
        self.local = provider.local
        self._provider = replace(provider, headers={"anthropic-version": VERSION, **provider.headers})
        self._http = copy.copy(http)
        self._http.provider = self._provider
        self._root = "" if provider.base_url.rstrip("/").endswith("/v1") else "/v1"
        self._refused: dict[str, set[str]] = {}  # by model, what it does not take
        self._thoughts: OrderedDict[tuple[str, str], list[dict[str, Any]]] = OrderedDict()  # by model and tool call

    async def models(self) -> list[ModelInfo]:
        """List the models, page by page."""
        found: list[ModelInfo] = []
        after = ""
        for _ in range(_PAGES):
            page = await self._http.get(self._path("/models", "limit=1000", after))
            listed = mapping(page).get("data")
            entries = {text(each, "id"): each for each in map(mapping, listed if type(listed) is list else ())}
            found += [self._known(info, entries.get(info.id, {})) for info in models_of(self.name, page)]
            last = text(mapping(page), "last_id")
            if mapping(page).get("has_more") is not True or not last:
                break
            after = f"after_id={quote(last, safe='')}"
        return found

    def _known(self, info: ModelInfo, entry: dict[str, Any]) -> ModelInfo:
        """Add what this API tells of a model, and remember what the model does not take."""
        thinking = ("capabilities", "thinking", "types")
        for name, path in (
            ("adaptive", (*thinking, "adaptive")),
            ("enabled", (*thinking, "enabled")),
            ("format", ("capabilities", "structured_outputs")),
        ):
            if mapping(entry, *path).get("supported") is False:
                self._refused.setdefault(info.id, set()).add(name)
        context = info.context or count(entry, "max_input_tokens") or None
        return replace(info, context=context, description=info.description or plain(text(entry, "display_name")[:80]))

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the answer as it comes, ``Finished`` last."""
        answer_tool = ANSWER_TOOL if request.schema is not None else ""
        asking = True
        while asking:
            body, ignored = self._body(request)
            flags = [f"ignored:{name}" for name in ignored]
            parser = MessagesParser(self._provider.title, request.model, flags, answer_tool)
            asking = False
            try:
                async with self._http.stream(self._path("/messages"), body) as incoming:
                    parser.whole = incoming.media_type == "application/json"
                    try:
                        async for chunk in incoming:
                            for event in parser.feed(chunk):
                                incoming.content()
                                yield event
                            if parser.complete:
                                incoming.complete()
                    except (StreamTruncated, TimedOut):
                        if not parser.ended:
                            raise
                for event in parser.finish():
                    yield event
            except ModelError as error:
                error.retryable = error.retryable and not parser.begun
                asking = error.status == 400 and self._learn(request.model, body, error.what.lower())
                if not asking:
                    raise
        self._remember(request.model, parser)

    def _learn(self, model: str, body: dict[str, Any], message: str) -> bool:
        """Remember what a model does not take, as its refusal names it; whether something new was learnt."""
        output, thinking = body.get("output_config", {}), mapping(body, "thinking").get("type")
        named = {
            "format": "format" in output and re.search(r"output_config\.format|structured|schema", message),
            "tool_choice": "tool_choice" in body and re.search("tool_choice|forces tool use", message),
            "effort": "effort" in output and "effort" in message,
            **{kind: thinking == kind and _THINKING.search(message) for kind in ("adaptive", "enabled", "disabled")},
            **{name: name in body and name in message for name in _OPTIONAL},
        }
        known = self._refused.setdefault(model, set())
        new = next((name for name, found in named.items() if found and name not in known), None)
        if new:
            known.add(new)
        return new is not None

    def _remember(self, model: str, parser: MessagesParser) -> None:
        """Keep the thinking that led to a tool call: the server wants it back, signed, with the call's result."""
        if parser.thoughts and parser.call_ids and parser.call_ids[0]:
            self._thoughts[model, parser.call_ids[0]] = parser.thoughts
            if len(self._thoughts) > _REMEMBERED:
                self._thoughts.popitem(last=False)

    def _body(self, request: ChatRequest) -> tuple[dict[str, Any], list[str]]:
        """Return the body of a request, and what of the request is not in it."""
        refused, ignored = self._refused.get(request.model, set()), list[str]()
        body: dict[str, Any] = {"model": request.model, "max_tokens": request.max_tokens or MAX_TOKENS, "stream": True}
        if system := "\n\n".join(m.content for m in request.messages if m.role == "system" and m.content.strip()):
            body["system"] = system
        output: dict[str, Any] = {}
        tools = [_tool(tool) for tool in request.tools]
        forced = False
        if request.schema is not None:
            # Servers of this machine pass over what they do not know, and all know tools.
            if not self.local and self._provider.capabilities.json_schema and "format" not in refused:
                output["format"] = {"type": "json_schema", "schema": _constraint(request.schema)}
            else:
                tools.append(_tool(Tool(ANSWER_TOOL, "Give the answer; always call this.", request.schema)))
                forced = "tool_choice" not in refused
        body["messages"] = list(self._messages(request, thoughts=request.effort != "off" and not forced))
        if forced:
            body["tool_choice"] = {"type": "any"} if request.tools else {"type": "tool", "name": ANSWER_TOOL}
        if tools:
            body["tools"] = tools
        thinks = self._think(request, body, output, ignored, forced=forced)
        if output:
            body["output_config"] = output
        body |= self._sampling(request.sampling, refused, ignored, thinks=thinks and not self.local)
        return {**body, **request.extra}, ignored

    def _think(
        self, request: ChatRequest, body: dict[str, Any], output: dict[str, Any], ignored: list[str], *, forced: bool
    ) -> bool:
        """Say in the body how much to think, and return whether there will be any; a forced tool allows none."""
        refused = self._refused.get(request.model, set())
        effort = request.effort or ("off" if forced else None)
        if effort is None:
            return False
        kind, budget = "disabled", min(BUDGETS.get(effort, 0), body["max_tokens"] // 2)
        if effort != "off" and not forced:
            kind = "enabled" if self.local or "adaptive" in refused else "adaptive"
        if kind in refused or (kind == "enabled" and (budget < SMALLEST_BUDGET or self._lost_thoughts(request))):
            kind = ""
        if kind:
            body["thinking"] = {"type": kind}
        if kind == "enabled":
            body["thinking"]["budget_tokens"] = budget
        elif kind == "adaptive":
            body["thinking"]["display"] = "summarized"
            if "effort" not in refused:
                output["effort"] = effort
        if self.local and "chat_template_kwargs" not in refused:  # how llama-server is told; others pass over it
            level = {"enable_thinking": kind != "disabled", "reasoning_effort": "low" if effort == "off" else effort}
            body["chat_template_kwargs"] = level
        heard = kind == "enabled" or "effort" in output or (kind == "disabled" and effort == "off")
        if request.effort and not heard:
            ignored.append("effort")
        return kind in ("enabled", "adaptive")

    def _lost_thoughts(self, request: ChatRequest) -> bool:
        """Whether the answer goes on after tool calls whose thinking is not here any more: that would be refused."""
        if self.local or not request.messages or request.messages[-1].role != "tool":
            return False
        calling = next((message for message in reversed(request.messages) if message.tool_calls), None)
        return calling is None or not self._kept(request.model, calling)

    def _kept(self, model: str, message: Message) -> list[dict[str, Any]]:
        return self._thoughts.get((model, message.tool_calls[0].id), []) if message.tool_calls else []

    def _sampling(self, sampling: Sampling, refused: set[str], ignored: list[str], *, thinks: bool) -> dict[str, Any]:
        """Return the part of a body that says how tokens are chosen."""
        if thinks:
            refused = refused | {"temperature", "top_k", "top_p"}
        taken: dict[str, Any] = {}
        for name, value in ((each.name, getattr(sampling, each.name)) for each in fields(sampling)):
            if name == "stop":
                kept = [sequence for sequence in value if sequence.strip()]  # others are refused
                if kept:
                    taken[SAMPLING[name]] = kept
                if len(kept) < len(value):
                    ignored.append(name)
            elif value is not None and name in SAMPLING and name not in refused:
                taken[SAMPLING[name]] = value
            elif value is not None:
                ignored.append(name)
        return taken

    def _messages(self, request: ChatRequest, *, thoughts: bool) -> Iterator[dict[str, Any]]:
        """Yield the conversation without the system's messages: those of one side that follow each other are one.

        ``thoughts``: with what the model thought before it called tools.
        """
        side, blocks = "", list[dict[str, Any]]()
        for message in request.messages:
            if message.role == "system":
                continue
            role = "assistant" if message.role == "assistant" else "user"
            if role != side and blocks:
                yield {"role": side, "content": blocks}
                blocks = []
            side = role
            if message.role == "tool":
                blocks.append({"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content})
                continue
            blocks += self._kept(request.model, message) if thoughts else []
            if message.content.strip():
                blocks.append({"type": "text", "text": message.content})
            blocks += [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": call.sent_back()}
                for call in message.tool_calls
            ]
        if blocks:
            yield {"role": side, "content": blocks}

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Ask the server to count; ``None`` where it cannot."""
        body, _ = self._body(request)
        counted = ("model", "messages", "system", "tools", "tool_choice", "thinking")
        body = {name: body[name] for name in counted if name in body}
        try:
            found = await self._http.post(self._path("/messages/count_tokens"), body)
        except Refused:
            return None
        return count(mapping(found), "input_tokens") or None

    def http_call(self, request: ChatRequest) -> HttpCall:
        """Return the HTTP request that would be sent, without the key."""
        provider, headers, variable = self._provider, {"content-type": "application/json"}, ""
        headers |= provider.headers
        if provider.key_variables and provider.auth != "none" and (self._http.key or not self.local):
            variable = provider.key_variables[0]
            name, value = ("authorization", "Bearer $KEY") if provider.auth == "bearer" else (provider.auth, "$KEY")
            headers[name] = value
        body, _ = self._body(request)
        return HttpCall(self._http.url(self._path("/messages")), headers, body, variable)

    def _path(self, path: str, *query: str) -> str:
        queries = "&".join(filter(None, (*query, self._provider.query)))
        return f"{self._root}{path}?{queries}" if queries else f"{self._root}{path}"

    async def load(self, model: str) -> None:
        """Do nothing: the server loads its models itself."""

    async def unload(self, model: str) -> None:
        """Refuse: the API has no way to say it."""
        raise Refused(f"{self._provider.title} decides itself what it keeps in memory.", "There is nothing to do.")

    async def aclose(self) -> None:
        """Hold nothing, free nothing."""


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}


def _constraint(schema: Any) -> Any:
    """Return the part of a schema that constrained answers can be told."""
    if isinstance(schema, list | tuple):
        return [_constraint(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in ("properties", "$defs", "definitions") and isinstance(value, Mapping):
            kept[name] = {key: _constraint(each) for key, each in value.items()}
        elif name in ("enum", "const", "default", "examples"):
            kept[name] = value
        elif name not in _UNSUPPORTED:
            kept["anyOf" if name == "oneOf" else name] = _constraint(value)
    if kept.get("type") == "object" or "properties" in kept:
        kept["additionalProperties"] = False
    return kept
