"""Anthropic's Messages as they arrive: bytes in, events out.

Source: the documentation of the Messages API, "Streaming". Blocks of text, thinking and tool calls come one after the
other, each begun, filled and ended by events of its own; events and blocks of unknown kinds are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from alain_magics.errors import BadProtocol, StreamTruncated
from alain_magics.runtimes.base import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.failures import failure
from alain_magics.runtimes.openai.stream import same_model
from alain_magics.runtimes.parsed import count, mapping, text
from alain_magics.runtimes.sse import SseDecoder

_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_PLAIN = ("end_turn", "stop_sequence", "max_tokens", "tool_use")  # the finish reason says as much; others are flagged

_ANSWER = -1  # the slot of the tool whose arguments are the answer


class MessagesParser:
    """Turns the bytes of one answer into events.

    ``feed`` takes bytes as they come; ``finish`` gives ``Usage`` and ``Finished``, or raises where the answer was cut.
    Both raise :class:`~alain_magics.errors.ModelError` after they have given everything that came before the failure.

    The arguments of the tool named ``answer_tool`` are the text of the answer. ``whole``: the answer comes as one JSON
    document, not as a stream. ``begun``: some of the answer has come; ``complete``: all of it has, only the end is
    awaited. ``thoughts`` are the blocks of thinking as the server wants them back, ``call_ids`` the tool calls' ids.
    """

    def __init__(self, where: str, asked: str, flags: Sequence[str] = (), answer_tool: str = "") -> None:
        self.whole = False
        self.begun = False
        self.complete = False
        self.thoughts: list[dict[str, Any]] = []
        self.call_ids: list[str] = []
        self._where = where
        self._asked = asked
        self._flags = list(flags)
        self._answer_tool = answer_tool
        self._document = bytearray()
        self._decoder = SseDecoder()
        self._model = ""
        self._reason = ""
        self._counts: dict[str, Any] = {}
        self._slots: dict[int, int] = {}  # of tool calls, by the index of their block
        self._index = -1  # of the latest block

    @property
    def ended(self) -> bool:
        """Whether the server has said that the answer is over."""
        return self.complete or bool(self._reason)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events that are in them."""
        if self.whole:
            self._document += chunk
            return
        for kind, data in self._decoder.feed(chunk):
            if self.complete:
                return
            try:
                parsed = from_json(data)
            except ValueError:
                self._no_json(kind, data)
                continue
            try:
                said = parsed["delta"]["text"] if parsed["type"] == "content_block_delta" else None
            except (LookupError, TypeError):
                said = None
            if said and type(said) is str:
                self.begun = True
                yield TextDelta(said)
            else:
                yield from self._event(parsed)

    def finish(self) -> Iterator[Event]:
        """End the answer."""
        if self.whole:
            yield from self._whole(bytes(self._document))
        for _, data in self._decoder.finish():
            try:
                parsed = from_json(data)
            except ValueError:
                continue  # the last event was cut
            yield from self._event(parsed)
        if not self.ended:
            if self.begun:
                raise StreamTruncated(f"{self._where} stopped in the middle of the answer.", "Ask again.")
            raise StreamTruncated(f"{self._where} answered with nothing.", "Ask again.")
        if usage := self._usage():
            yield usage
        reason = self._finish_reason()
        if self._model and not same_model(self._asked, self._model):
            self._flags.append(f"answered by {self._model[:200]}")
        yield Finished(reason, self._model or self._asked, tuple(self._flags))

    def _no_json(self, kind: bytes, data: bytes) -> None:
        """Take the data of an event that is no JSON: the end as other protocols mark it, or an error."""
        if data.strip() == b"[DONE]":
            return
        shown = data[:80].decode(errors="replace")
        if kind == b"error":
            raise failure(self._where, None, shown)
        raise BadProtocol(f"{self._where} sent something that is no JSON: {shown!r}.", "Ask again.")

    def _event(self, event: Any) -> Iterator[Event]:
        """Yield what is in an event, whatever it looks like."""
        event = mapping(event)
        kind = event.get("type")
        if kind == "error" or (event.get("error") and kind != "message"):
            raise failure(self._where, None, event)
        if kind in ("content_block_start", "content_block_delta"):
            index = event.get("index")
            if kind == "content_block_start":
                self._index = index if type(index) is int else self._index + 1
                yield from self._start(mapping(event, "content_block"))
            else:
                yield from self._delta(index if type(index) is int else self._index, mapping(event, "delta"))
        elif kind == "message_start":
            message = mapping(event, "message")
            self._model = text(message, "model") or self._model
            self._counts.update(mapping(message, "usage"))
        elif kind == "message_delta":
            delta = mapping(event, "delta")
            self._reason = text(delta, "stop_reason") or self._reason
            if category := text(mapping(delta, "stop_details"), "category"):
                self._flags.append(f"refusal: {category[:40]}")
            counts = mapping(event, "usage")
            self._counts.update({name: number for name, number in counts.items() if number is not None})
        elif kind == "message_stop":
            self.complete = True

    def _start(self, block: dict[str, Any]) -> Iterator[Event]:
        """Begin a block; some servers put all of it into its beginning."""
        kind = block.get("type")
        if kind == "text":
            yield from self._say(TextDelta(text(block, "text")))
        elif kind == "thinking":
            self.thoughts.append({"type": kind, "thinking": "", "signature": ""})
            yield from self._think(block)
        elif kind == "redacted_thinking":
            self.thoughts.append({"type": kind, "data": text(block, "data")})
        elif kind == "tool_use":
            given = block.get("input")
            arguments = to_json(given).decode() if given and type(given) is dict else ""
            name, identity = text(block, "name"), text(block, "id")
            if name == self._answer_tool:
                self._slots[self._index] = _ANSWER
                yield from self._say(TextDelta(arguments))
                return
            slot = len(self._calls)
            self._slots[self._index] = slot
            self.call_ids.append(identity)
            self.begun = True
            yield ToolCallDelta(slot, identity, name, arguments)

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[Event]:
        """Fill a block."""
        kind = delta.get("type")
        if kind == "input_json_delta" and index in self._slots:
            slot, part = self._slots[index], text(delta, "partial_json")
            if part:
                self.begun = True
                yield TextDelta(part) if slot == _ANSWER else ToolCallDelta(slot, arguments=part)
        elif kind in ("thinking_delta", "signature_delta"):
            yield from self._think(delta)

    def _think(self, part: dict[str, Any]) -> Iterator[Event]:
        """Take the next piece of a block of thinking, or its signature."""
        thought = text(part, "thinking")
        if self.thoughts and "thinking" in self.thoughts[-1]:
            self.thoughts[-1]["thinking"] += thought
            self.thoughts[-1]["signature"] += text(part, "signature")
        yield from self._say(ReasoningDelta(thought))

    def _say(self, event: TextDelta | ReasoningDelta) -> Iterator[Event]:
        if event.text:
            self.begun = True
            yield event

    def _whole(self, document: bytes) -> Iterator[Event]:
        """Yield the events of an answer that came as one message."""
        try:
            message = from_json(document)
        except ValueError:
            if document.lstrip().startswith((b"{", b"[")) or not document.strip():
                return  # cut
            self._no_json(b"", document)
            return
        message = mapping(message)
        if message.get("type") != "message":
            yield from self._event(message)
            raise BadProtocol(f"{self._where} sent JSON without an answer: {str(message)[:80]}.", "Check its address.")
        blocks = message.get("content")
        yield from self._event({"type": "message_start", "message": message})
        for index, block in enumerate(blocks if type(blocks) is list else []):
            yield from self._event({"type": "content_block_start", "index": index, "content_block": block})
        yield from self._event({"type": "message_delta", "delta": message})
        self.complete = True

    @property
    def _calls(self) -> list[int]:
        return [slot for slot in self._slots.values() if slot != _ANSWER]

    def _usage(self) -> Usage | None:
        """Return the tokens: those of the prompt that were or went into a cache are counted apart by the server."""
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        new, created, cached, output = (count(self._counts, name) for name in names)
        reasoning = count(mapping(self._counts, "output_tokens_details"), "thinking_tokens")
        if not (new or created or cached):
            return None
        return Usage(new + created + cached, output, min(reasoning, output), cached)

    def _finish_reason(self) -> FinishReason:
        """Return why the answer ended, corrected by what came; a correction is flagged."""
        reason = _REASONS.get(self._reason, "stop")
        if self._reason and self._reason not in _PLAIN:
            self._flags.append(f"finish_reason {self._reason[:40]}")
        inferred = reason
        if self._calls and reason == "stop":
            inferred = "tool_calls"
        elif reason == "tool_calls" and not self._calls:
            inferred = "stop"
        answered = _ANSWER in self._slots.values() and reason == "tool_calls"
        if not self._reason or (inferred != reason and not answered):
            self._flags.append("finish_reason inferred")
        return inferred
