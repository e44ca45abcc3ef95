"""Anthropic."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.peers.recorded.protocol import Failure, Json, Personality, Stream
from tests.peers.recorded.speech import Said, count, sample, say


@dataclass(frozen=True)
class Claude:
    """What a model of Anthropic takes."""

    title: str
    adaptive: bool = True
    budget: bool = True
    forced: bool = True
    sampling: bool = True
    structured: bool = True
    listed: bool = True
    max_tokens: int = 64000


CLAUDES = {
    "claude-opus-5-5": Claude("Claude Opus 5.5", budget=False, forced=False, sampling=False, max_tokens=128000),
    "claude-sonnet-4-6": Claude("Claude Sonnet 4.6"),
    "claude-haiku-4-5": Claude("Claude Haiku 4.5", adaptive=False),
    "claude-haiku-3": Claude("Claude Haiku 3", adaptive=False, budget=False, structured=False, max_tokens=4096),
    **{
        name: Claude(name, listed=False)
        for name in ("overloaded", "refuses", "pauses", "overflows", "severed", "whole")
    },
}
ENDINGS = {"refuses": "refusal", "pauses": "pause_turn", "overflows": "model_context_window_exceeded"}


class Anthropic(Personality):
    """Anthropic's Messages API."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        if not headers.get("x-api-key"):
            raise self._failure(401, "authentication_error", "x-api-key header is required")
        if headers.get("anthropic-version") != "2023-06-01":
            raise self._failure(400, "invalid_request_error", "anthropic-version: header is required")
        if path == "/v1/models":
            return self._models(query)
        if path == "/v1/messages":
            return self._message(body)
        if path == "/v1/messages/count_tokens":
            self._check(body)
            return {"input_tokens": count(self._conversation(body))}
        raise self._failure(404, "not_found_error", f"Not found: {path}")

    def _failure(self, status: int, kind: str, message: str) -> Failure:
        error = {"type": kind, "message": message}
        return Failure(status, {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})

    def _refuse(self, message: str) -> Failure:
        return self._failure(400, "invalid_request_error", message)

    def _models(self, query: Json) -> Json:
        names = [name for name, model in CLAUDES.items() if model.listed]
        begin = names.index(query["after_id"]) + 1 if "after_id" in query else 0
        page = names[begin : begin + min(2, int(query.get("limit", 20)))]  # small pages, so that there are several
        data = [self._listed(name) for name in page]
        more = begin + len(page) < len(names)
        return {"data": data, "first_id": page[0], "last_id": page[-1], "has_more": more}

    def _listed(self, name: str) -> Json:
        model = CLAUDES[name]
        kinds = {"adaptive": {"supported": model.adaptive}, "enabled": {"supported": model.budget}}
        thinking = {"supported": model.adaptive or model.budget, "types": kinds}
        capabilities = {"thinking": thinking, "structured_outputs": {"supported": model.structured}}
        shared = {"type": "model", "id": name, "display_name": model.title, "created_at": "2026-02-17T00:00:00Z"}
        return {**shared, "max_input_tokens": 200000, "max_tokens": model.max_tokens, "capabilities": capabilities}

    def _check(self, body: Json) -> None:
        """Refuse what the real one refuses."""
        if body.get("model") not in CLAUDES:
            raise self._failure(404, "not_found_error", f"model: {body.get('model')}")
        model = CLAUDES[body["model"]]
        for position, message in enumerate(body.get("messages") or []):
            where = f"messages.{position}"
            if message["role"] not in ("user", "assistant"):
                raise self._refuse(f'{where}: Unexpected role "{message["role"]}".')
            for block in message["content"] if isinstance(message["content"], list) else []:
                if block["type"] == "text" and not block["text"].strip():
                    raise self._refuse(f"{where}: text content blocks must contain non-whitespace text")
                if block["type"] == "thinking" and not str(block.get("signature")).startswith("signed:"):
                    raise self._refuse(f"{where}: Invalid `signature` in `thinking` block")
        if not body.get("messages"):
            raise self._refuse("messages: at least one message is required")
        self._check_tools(body)
        self._check_thinking(body, model)
        if any(not sequence.strip() for sequence in body.get("stop_sequences") or []):
            raise self._refuse("stop_sequences: each stop sequence must contain non-whitespace")
        if (body.get("output_config") or {}).get("format"):
            if not model.structured:
                raise self._refuse("output_config.format: Structured outputs are not supported on this model")
            self._check_schema(body["output_config"]["format"]["schema"])
        forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
        if forced and not model.forced:
            raise self._refuse("tool_choice forces tool use is not compatible with this model")
        for name in ("temperature", "top_p", "top_k"):
            if name in body and not model.sampling:
                raise self._refuse(f"`{name}` is deprecated for this model.")
        if not 0 <= body.get("temperature", 1) <= 1:
            raise self._refuse("temperature: range: 0..1")

    def _check_tools(self, body: Json) -> None:
        """Every call must be answered at once."""
        open_calls: set[str] = set()
        for message in body["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            answered = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
            if open_calls - answered:
                raise self._refuse("messages: `tool_use` ids were found without `tool_result` blocks immediately after")
            open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for tool in body.get("tools") or []:
            if tool["input_schema"].get("type") != "object":
                raise self._refuse("tools.0.custom.input_schema.type: Input should be 'object'")

    def _check_thinking(self, body: Json, model: Claude) -> None:
        thinking = body.get("thinking") or {"type": "disabled"}
        kind = thinking["type"]
        if (body.get("output_config") or {}).get("effort") and not model.adaptive:
            raise self._refuse("This model does not support the effort parameter.")
        if kind == "adaptive" and not model.adaptive:
            raise self._refuse("adaptive thinking is not supported on this model")
        if kind == "enabled" and not model.budget:
            raise self._refuse('"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".')
        if kind == "disabled":
            return
        if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
            raise self._refuse("Thinking may not be enabled when tool_choice forces tool use.")
        if body.get("temperature", 1) != 1 or "top_k" in body:
            raise self._refuse("`temperature` may only be set to 1 when thinking is enabled.")
        if kind == "enabled":
            if thinking["budget_tokens"] < 1024:
                raise self._refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
            if "max_tokens" in body and body["max_tokens"] <= thinking["budget_tokens"]:
                raise self._refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")

    def _check_schema(self, schema: Any) -> None:
        if isinstance(schema, list):
            for each in schema:
                self._check_schema(each)
        if not isinstance(schema, dict):
            return
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            what = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            raise self._refuse(f"output_config.format.schema: {what}")
        for name in ("minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern", "uniqueItems"):
            if name in schema and not isinstance(schema[name], dict):
                raise self._refuse(f"output_config.format.schema: property '{name}' is not supported")
        for each in schema.values():
            self._check_schema(each)

    def _conversation(self, body: Json) -> list[Json]:
        """The messages as text."""
        conversation = [{"role": "system", "content": body.get("system") or ""}]
        for message in body["messages"]:
            role, content = message["role"], message["content"]
            if isinstance(content, list):
                if any(block["type"] == "tool_result" for block in content):
                    role = "tool"
                content = " ".join(str(block.get("text") or block.get("content") or "") for block in content)
            conversation.append({"role": role, "content": content})
        return conversation

    def _message(self, body: Json) -> Any:
        self._check(body)
        if type(body.get("max_tokens")) is not int or body["max_tokens"] < 1:
            raise self._refuse("max_tokens: Field required")
        messages = self._conversation(body)
        tools = [(tool["name"], tool["input_schema"]) for tool in body.get("tools") or []]
        choice = body.get("tool_choice") or {}
        schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        thinks = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
        if choice.get("type") in ("any", "tool"):
            name, parameters = next((tool for tool in tools if tool[0] == choice.get("name")), tools[-1])
            said = Said(calls=[(name, sample(parameters))])
        else:
            limit, stop = body["max_tokens"], body.get("stop_sequences")
            said = say(messages, thinks=thinks, tools=tools, schema=schema, limit=limit, stop=stop)
        events = list(self._events(body["model"], said, count(messages)))
        if body["model"] == "whole" or not body.get("stream"):
            return self._whole(events)
        return Stream("text/event-stream", [self._event(event) for event in events])

    def _event(self, event: Json) -> bytes:
        return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json.dumps(event, ensure_ascii=False).encode())

    def _events(self, model: str, said: Said, prompt: int) -> Iterator[Json]:
        usage = {"input_tokens": prompt - 3, "cache_creation_input_tokens": 1, "cache_read_input_tokens": 2}
        message = {"id": "msg_014p7gG3wDgGV9EUtLvnow3U", "type": "message", "role": "assistant", "model": model}
        message |= {"content": [], "stop_reason": None, "stop_sequence": None}
        yield {"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}
        yield {"type": "ping"}
        index = 0
        if said.thoughts:
            deltas: list[Json] = [{"type": "thinking_delta", "thinking": thought} for thought in said.thoughts]
            deltas.append({"type": "signature_delta", "signature": "signed:" + "EqQBCgIYAhIM1gbcDa9GJwZA2b3h" * 3})
            yield from self._block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)
            index += 1
        if said.pieces:
            deltas = [{"type": "text_delta", "text": piece} for piece in said.pieces]
            if model == "overloaded":
                yield from list(self._block(index, {"type": "text", "text": ""}, deltas[:2]))[:-1]
                yield {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                return
            if model == "severed":
                yield from list(self._block(index, {"type": "text", "text": ""}, deltas[:2]))[:-1]
                return
            yield {"type": "vibes_update", "index": index, "delta": {"type": "vibes_delta"}}  # unknown: to be ignored
            yield from self._block(index, {"type": "text", "text": ""}, deltas)
            index += 1
        for name, arguments in said.calls:
            whole = json.dumps(arguments)
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *re.findall(".{1,7}", whole))]
            begun = {"type": "tool_use", "id": f"toolu_01T1x1fJ34qAmk2tNTrN7Up{index}", "name": name, "input": {}}
            yield from self._block(index, begun, deltas)
            index += 1
        reason = "tool_use" if said.calls else "max_tokens" if said.length else "end_turn"
        reason = ENDINGS.get(model, "stop_sequence" if said.stopped else reason)
        delta = {"stop_reason": reason, "stop_sequence": said.stopped}
        yield {"type": "message_delta", "delta": delta, "usage": {**usage, "output_tokens": said.tokens}}
        yield {"type": "message_stop"}

    def _block(self, index: int, block: Json, deltas: list[Json]) -> Iterator[Json]:
        yield {"type": "content_block_start", "index": index, "content_block": block}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}

    def _whole(self, events: list[Json]) -> Json:
        """Put the events of a stream together."""
        message: Json = events[0]["message"]
        for event in events:
            if event["type"] == "content_block_start":
                message["content"].append({**event["content_block"]})
            elif event["type"] == "message_delta":
                message |= {**event["delta"], "usage": event["usage"]}
            elif event["type"] == "content_block_delta":
                block, delta = message["content"][-1], event["delta"]
                if delta["type"] == "input_json_delta":
                    block["partial"] = block.get("partial", "") + delta["partial_json"]
                    continue
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
        for block in message["content"]:
            if "partial" in block:
                block["input"] = json.loads(block.pop("partial"))
        return message
