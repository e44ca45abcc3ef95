"""What every recorded server is: a personality that answers requests; and the routes of OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.peers.recorded.speech import count, say

Json = dict[str, Any]


DOWNLOAD_SECONDS = 0.25
"""How long downloads of LM Studio and llama.cpp take."""


class Failure(Exception):
    """What a server answers with another status than 200."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass
class Stream:
    """An answer that comes in pieces."""

    media_type: str
    pieces: Iterable[bytes]


def lines(documents: Iterable[Json]) -> Iterator[bytes]:
    """One JSON document a line."""
    for document in documents:
        yield json.dumps(document, ensure_ascii=False).encode() + b"\n"


class Personality:
    """A server: ``answer`` gives the JSON, the stream, or ``None`` for an empty body; it raises :class:`Failure`."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        raise NotImplementedError

    def not_found(self, path: str) -> Failure:
        return Failure(404, {"error": {"message": f"File Not Found: {path}", "type": "not_found_error", "code": 404}})


class OpenAI(Personality):
    """The two routes of OpenAI's protocol that all kinds have."""

    def models(self) -> Any:
        raise NotImplementedError

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        if path == "/v1/models":
            return self.models()
        if path == "/v1/chat/completions":
            return self.chat(body)
        raise self.not_found(path)

    def chat(self, body: Json) -> Any:
        schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
        limit = body.get("max_tokens") or body.get("max_completion_tokens")
        said = say(body["messages"], schema=schema, limit=limit)
        usage = {"prompt_tokens": count(body["messages"]), "completion_tokens": said.tokens}
        usage["total_tokens"] = sum(usage.values())
        finish = "length" if said.length else "stop"
        shared = {"id": "chatcmpl-0", "created": 1760000000, "model": body["model"]}
        if not body.get("stream"):
            message = {"role": "assistant", "content": "".join(said.pieces)}
            choice = {"index": 0, "message": message, "finish_reason": finish}
            return {**shared, "object": "chat.completion", "choices": [choice], "usage": usage}
        deltas: list[tuple[Json, str | None]] = [({"role": "assistant", "content": ""}, None)]
        deltas += [({"content": piece}, None) for piece in said.pieces] + [({}, finish)]
        choices: list[list[Json]] = [[{"index": 0, "delta": d, "finish_reason": f}] for d, f in deltas]
        chunks: list[Json] = [{**shared, "object": "chat.completion.chunk", "choices": choice} for choice in choices]
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks.append({**shared, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        events = [b"data: %s\n\n" % json.dumps(chunk, ensure_ascii=False).encode() for chunk in chunks]
        return Stream("text/event-stream", [*events, b"data: [DONE]\n\n"])
