"""The body of a chat completion: how a server wants to be asked, and what to change where it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any

from alain_magics.errors import ModelError, ModelMissing, Refused, ServerFailed
from alain_magics.runtimes.base import ChatRequest, Message, Sampling
from alain_magics.runtimes.providers import Capabilities

ATTEMPTS = 8
"""Bodies that are tried for one request, at most."""

_UNSUPPORTED = re.compile(r"un(supported|known|recogni[sz]ed|expected|available)|not (support|permit|allow)|extra")
_STREAMING = re.compile(r"\bstream(ing|ed)?\b(?!_)")
_FORM = re.compile(r"response_format|json_schema|json_object")
_CONTENT = re.compile(r"grammar|invalid schema|schema conversion|invalid json schema")
_PEG = "peg-native format"


@dataclass(frozen=True)
class Manners:
    """How one model of a server wants to be asked, as its refusals and its answers have shown.

    ``refused`` are names that may not stand in a body; ``form`` is the index of the first form of schema it takes;
    ``whole``: it does not stream; ``answered``: a body as we write it has been accepted.
    """

    max_tokens_name: str
    reasoning_field: str
    refused: frozenset[str] = frozenset()
    form: int = 0
    whole: bool = False
    answered: bool = False


def manners_of(capabilities: Capabilities, model: str) -> Manners:
    """Return how a model is asked for the first time."""
    whole = any(fnmatchcase(model.lower(), pattern) for pattern in capabilities.whole_answers)
    return Manners(capabilities.max_tokens_name, capabilities.reasoning_field, whole=whole)


class Attempt:
    """A request on its way to an answer: the body as the server wants it, changed after each refusal."""

    def __init__(self, request: ChatRequest, capabilities: Capabilities, manners: Manners) -> None:
        self.manners = manners
        self.flags: list[str] = []
        self._request = request
        self._capabilities = capabilities
        self._forms = _forms(capabilities)
        self._form = manners.form
        self._raw_reasoning = False
        self._left = ATTEMPTS - 1
        self._labels = {known: name for name, known in capabilities.sampling.items()} | {
            "reasoning_effort": "effort",
            "chat_template_kwargs": "effort",
            "stream_options": "",
        }

    def body(self) -> dict[str, Any]:
        """Return the body; ``flags`` then tell what of the request is not in it."""
        request, capabilities, manners = self._request, self._capabilities, self.manners
        self.flags = []
        body: dict[str, Any] = {"model": request.model, "messages": self._messages(), "stream": not manners.whole}
        if capabilities.stream_usage and not manners.whole:
            body["stream_options"] = {"include_usage": True}
        if request.max_tokens is not None:
            body[manners.max_tokens_name] = request.max_tokens
        if request.tools and capabilities.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                }
                for tool in request.tools
            ]
        elif request.tools:
            self.flags.append("ignored:tools")
        self._sampling(body)
        self._effort(body)
        for name in sorted(manners.refused & body.keys()):
            del body[name]
            if label := self._labels[name]:
                self.flags.append(f"ignored:{label}")
        if request.schema is not None:
            body |= response_format(self._forms[self._form], request.schema)
            if self._forms[self._form] in ("object", "text"):
                self.flags.append("schema not enforced")
        if self._raw_reasoning:
            body["reasoning_format"] = "none"
        return body | dict(request.extra)

    def adapt(self, error: ModelError) -> bool:
        """Change the body so that the server may take it; ``False``: there is nothing to change."""
        words, body = error.what.lower(), self.body()
        if type(error) not in (Refused, ModelMissing, ServerFailed) or not self._left:
            return False
        self._left -= 1
        if _PEG in words and not self._raw_reasoning:
            self._raw_reasoning = True
            return True
        if error.status not in (400, 422, 500, 501):
            return False
        if self._request.schema is not None and self._next_form(words):
            return True
        if error.status not in (400, 422):
            return False
        optional = [name for name in self._labels if name in body and name not in self._request.extra]
        named = {name for name in optional if re.search(rf"\b{name}\b", words)}
        if _UNSUPPORTED.search(words):
            if named:
                return self._without(named)
            if self._rename(words, body):
                return True
            if body["stream"] and _STREAMING.search(words):
                self.manners = replace(self.manners, whole=True)
                return True
        # What nobody has named may be the one part of the body that is ours and not the user's.
        return "stream_options" in optional and not self.manners.answered and self._without({"stream_options"})

    def _without(self, names: set[str]) -> bool:
        self.manners = replace(self.manners, refused=self.manners.refused | names)
        return True

    def _rename(self, words: str, body: Mapping[str, Any]) -> bool:
        """Take the other name of ``max_tokens`` where the server says that it wants it."""
        for old, new in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
            if old in body and re.search(rf"\b{old}\b", words) and self.manners.max_tokens_name == old:
                self.manners = replace(self.manners, max_tokens_name=new)
                return True
        return False

    def _next_form(self, words: str) -> bool:
        """Go on to another way of asking for JSON, and remember it where this kind of asking was refused."""
        later = list(enumerate(self._forms))[self._form + 1 :]
        if _CONTENT.search(words):
            found = next((at for at, _ in later), None)
        elif _FORM.search(words):
            kind = _kind(self._forms[self._form])
            found = next((at for at, form in later if _kind(form) != kind), None)
            if found is not None:
                self.manners = replace(self.manners, form=found)
        else:
            return False
        if found is None:
            return False
        self._form = found
        return True

    def _messages(self) -> list[dict[str, Any]]:
        messages = [_message(message, self.manners.reasoning_field) for message in self._request.messages]
        if self._request.schema is not None and _kind(self._forms[self._form]) != "json_schema":
            told = f"Answer with JSON only. It must satisfy this JSON schema:\n{json.dumps(self._request.schema)}"
            if messages and messages[0]["role"] == "system":
                messages[0]["content"] = f"{messages[0]['content']}\n\n{told}".strip()
            else:
                messages.insert(0, {"role": "system", "content": told})
        return messages

    def _sampling(self, body: dict[str, Any]) -> None:
        for each in fields(Sampling):
            value = getattr(self._request.sampling, each.name)
            if value is None or value == ():
                continue
            if known := self._capabilities.sampling.get(each.name):
                body[known] = list(value) if isinstance(value, tuple) else value
            else:
                self.flags.append(f"ignored:{each.name}")

    def _effort(self, body: dict[str, Any]) -> None:
        effort = self._request.effort
        if effort is None:
            return
        level = self._capabilities.thinking_off if effort == "off" else effort
        match self._capabilities.thinking:
            case "reasoning_effort":
                body["reasoning_effort"] = level
            case "chat_template":
                body["chat_template_kwargs"] = {"enable_thinking": effort != "off", "reasoning_effort": level}
            case _:
                self.flags.append("ignored:effort")


def _message(message: Message, reasoning_field: str) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.role == "assistant":
        if message.reasoning and reasoning_field:
            written[reasoning_field] = message.reasoning
        if message.tool_calls:
            written["content"] = message.content or None
            written["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.tool_calls
            ]
    elif message.role == "tool":
        written["tool_call_id"] = message.tool_call_id
        if message.name:
            written["name"] = message.name
    return written


def _forms(capabilities: Capabilities) -> tuple[str, ...]:
    """Return the ways of asking for JSON, the strictest first."""
    forms: tuple[str, ...] = ("strict", "unbounded") if capabilities.json_schema else ()
    if capabilities.json_object:
        forms += ("object with schema", "object")
    return (*forms, "text")


def _kind(form: str) -> str:
    return {"strict": "json_schema", "unbounded": "json_schema", "text": ""}.get(form, "json_object")


def response_format(form: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the body that asks for JSON in one of its forms."""
    from alain_magics.runtimes.parsing.structured import simplify

    match form:
        case "strict":
            described = {"name": "answer", "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": described}}
        case "unbounded":
            described = {"name": "answer", "schema": simplify(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": described}}
        case "object with schema":
            return {"response_format": {"type": "json_object", "schema": simplify(schema)}}
        case "object":
            return {"response_format": {"type": "json_object"}}
    return {}
