"""Chat completions as they arrive: bytes in, events out.

The usual chunk takes a short way: parse, look up, yield. Whatever else servers do is caught on the long way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
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
from alain_magics.runtimes.sse import SseDecoder

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put what a model thinks."""

WHOLE_LIMIT = 64 * 2**20
"""Bytes of an answer that is no stream; more is no answer."""

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_EVENTS: dict[str, Callable[[str], Event]] = {
    "content": TextDelta,
    **dict.fromkeys(REASONING_FIELDS, ReasoningDelta),
}
_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
_EVENT_LINES = re.compile(rb"^(?::|data|event|id|retry).*$", re.MULTILINE)
_SNAPSHOT = re.compile(r"[-@:](\d[\d.-]*|latest)")


class ChatParser:
    """Turns the bytes of one answer into events.

    ``feed`` takes bytes as they come; ``finish`` gives ``Usage`` and ``Finished``, or raises where the answer was cut.
    Both raise :class:`~alain_magics.errors.ModelError` after they have given everything that came before the failure.

    ``begun``: some of the answer has come; ``complete``: all of it has, and its usage, so that only the end is awaited;
    ``reasoning_field``: the name under which the model's thinking came.
    """

    def __init__(self, where: str, asked: str, flags: Sequence[str] = ()) -> None:
        self.begun = False
        self.complete = False
        self.reasoning_field = ""
        self._where = where
        self._asked = asked
        self._flags = list(flags)
        self._decoder = SseDecoder()
        self._head: list[bytes] | None = []  # what came before the first event: perhaps no stream at all
        self._size = 0
        self._model = ""
        self._reason = ""
        self._done = False
        self._usage: Usage | None = None
        self._calls = _Calls()

    @property
    def ended(self) -> bool:
        """Whether the model has said that it is done, so that nothing is lost if the connection breaks now."""
        return self._done or bool(self._reason)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events that are in them."""
        if self._head is not None:
            self._keep(chunk)
        for kind, data in self._decoder.feed(chunk):
            try:
                parsed = from_json(data)
            except ValueError:
                self._no_json(kind, data)
                continue
            try:
                choice = parsed["choices"][0]
                ((name, text),) = choice["delta"].items()
                event = _EVENTS[name]
                more = kind or choice.get("finish_reason") or parsed.get("usage")
                usual = text and type(text) is str and not more
            except (LookupError, TypeError, ValueError, AttributeError):
                usual = False
            if self._done:
                return
            self._head = None
            if usual:
                self.begun = True
                if event is ReasoningDelta:
                    self.reasoning_field = name
                yield event(text)
            else:
                yield from self._answer(kind, parsed)

    def finish(self) -> Iterator[Event]:
        """End the answer."""
        for kind, data in self._decoder.finish():
            try:
                parsed = from_json(data)
            except ValueError:
                with suppress(BadProtocol):  # the last event was cut
                    self._no_json(kind, data)
                continue
            if not self._done:
                self._head = None
                yield from self._answer(kind, parsed)
        if self._head is not None:
            yield from self._whole(b"".join(self._head))
        if not self._reason and not (self._done and self.begun):
            if self.begun:
                what, advice = "stopped in the middle of the answer", "What came is kept; ask again."
            else:
                what, advice = "answered with nothing", "Ask again; the prompt may be too long for the model."
            raise StreamTruncated(f"{self._where} {what}.", advice)
        if self._usage:
            yield self._usage
        reason = self._finish_reason()
        if self._model and not same_model(self._asked, self._model):
            self._flags.append(f"answered by {self._model}")
        yield Finished(reason, self._model or self._asked, tuple(self._flags))

    def _keep(self, chunk: bytes) -> None:
        self._head.append(chunk)  # type: ignore[union-attr]
        self._size += len(chunk)
        if self._size > WHOLE_LIMIT:
            raise BadProtocol(f"{self._where} sent {self._size:,} bytes without an answer.", "Check the base URL.")

    def _no_json(self, kind: bytes, data: bytes) -> None:
        """Take the data of an event that is no JSON: the end, or an error."""
        self._head = None
        if self._done:
            return
        if data.strip() == b"[DONE]":
            self._done = self.complete = True
            return
        if kind == b"error":
            raise failure(self._where, None, data.decode(errors="replace"))
        shown = data[:80].decode(errors="replace")
        raise BadProtocol(f"{self._where} sent something that is no JSON: {shown!r}.", "Ask again.")

    def _whole(self, body: bytes) -> Iterator[Event]:
        """Yield the events of an answer that came as one JSON document instead of a stream."""
        body = _EVENT_LINES.sub(b"", body).strip()
        if not body or any(name.startswith(body) for name in _EVENT_FIELDS):
            return
        try:
            parsed = from_json(body)
        except ValueError:
            if body.startswith((b"{", b"[")):
                return  # cut
            page = "a web page" if body.startswith(b"<") else "something else"
            advice = "Check the base URL: many end in /v1."
            raise BadProtocol(f"{self._where} answered with {page} instead of a stream.", advice) from None
        yield from self._answer(b"", parsed)
        if not self._reason and not self.begun:
            raise BadProtocol(f"{self._where} sent JSON without an answer: {str(parsed)[:80]}.", "Check the base URL.")
        self._done = True

    def _answer(self, kind: bytes, parsed: Any) -> Iterator[Event]:
        """Yield the events of one chunk, or of a whole answer, whatever it looks like."""
        if kind == b"error":
            raise failure(self._where, None, parsed)
        if type(parsed) is not dict:
            raise BadProtocol(f"{self._where} sent JSON that is no object: {str(parsed)[:80]!r}.", "Ask again.")
        error = parsed.get("error")
        if error is not None and (error or "choices" not in parsed):
            raise failure(self._where, None, parsed)
        if not self._model and type(model := parsed.get("model")) is str:
            self._model = _line(model)
        if "usage" in parsed or "timings" in parsed:
            self._usage = usage_of(parsed) or self._usage
        choices = parsed.get("choices")
        choice = choices[0] if type(choices) is list and choices else None
        if type(choice) is dict:
            delta = choice.get("delta")
            if type(delta) is not dict and not self.begun:
                delta = choice.get("message")
            if type(delta) is dict and (events := self._delta(delta)):
                self.begun = True
                yield from events
            if type(reason := choice.get("finish_reason")) is str and reason:
                if reason == "error":
                    raise failure(self._where, None, choice)
                self._reason = reason
        if self._reason and self._usage:
            self.complete = True

    def _delta(self, delta: dict[str, Any]) -> list[Event]:
        """Return the events of a delta or of a whole message."""
        events: list[Event] = []
        for name in REASONING_FIELDS:
            if type(thought := delta.get(name)) is str and thought:
                self.reasoning_field = name
                events.append(ReasoningDelta(thought))
                break
        content = delta.get("content")
        if type(content) is str:
            if content:
                events.append(TextDelta(content))
        elif type(content) is list:
            events += _parts(content, TextDelta)
        if type(refusal := delta.get("refusal")) is str and refusal:
            if "refusal" not in self._flags:
                self._flags.append("refusal")
            events.append(TextDelta(refusal))
        if type(calls := delta.get("tool_calls")) is list:
            events += [event for call in calls if (event := self._calls.take(call))]
        if type(function := delta.get("function_call")) is dict and (
            event := self._calls.take({"index": 0, "function": function})
        ):
            events.append(event)
        return events

    def _finish_reason(self) -> FinishReason:
        """Return why the answer ended, corrected by what came; a correction is flagged."""
        reason = _REASONS.get(self._reason.lower(), "stop")
        if self._reason and self._reason.lower() not in _REASONS:
            self._flags.append(f"finish_reason {_line(self._reason)}")
        inferred = reason
        if not self._calls:
            inferred = "stop" if reason == "tool_calls" else reason
        elif reason == "tool_calls" or not self._reason:
            inferred = "length" if self._calls.cut() else "tool_calls"
        elif reason == "stop":
            inferred = "tool_calls"
        if inferred != reason or not self._reason:
            self._flags.append("finish_reason inferred")
        return inferred


class _Calls:
    """Tells tool calls apart, also where the server numbers them wrongly or not at all."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._names: list[str] = []
        self._pieces: list[list[str]] = []  # of the arguments
        self._slots: dict[object, int] = {}  # by id and by index, the latest

    def __bool__(self) -> bool:
        return bool(self._names)

    def cut(self) -> bool:
        """Whether the arguments of a call end in the middle."""
        return any(not _is_json(pieces) and _is_json(pieces, partial=True) for pieces in self._pieces)

    def take(self, call: Any) -> ToolCallDelta | None:
        """Return the next piece of the call that this one belongs to; ``None`` where nothing is in it."""
        function = call.get("function") if type(call) is dict else None
        if type(function) is not dict:
            return None
        identity, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        identity = identity if type(identity) is str else ""
        name = name if type(name) is str else ""
        if type(arguments) is not str:
            arguments = to_json(arguments).decode() if type(arguments) is dict else ""
        if not (identity or name or arguments):
            return None
        slot = self._slot(call.get("index"), identity, name)
        new_id = identity if identity and not self._ids[slot] else ""
        new_name = name if name and not self._names[slot] else ""
        self._ids[slot] = self._ids[slot] or identity
        self._names[slot] = self._names[slot] or name
        self._pieces[slot].append(arguments)
        return ToolCallDelta(slot, new_id, new_name, arguments)

    def _slot(self, index: Any, identity: str, name: str) -> int:
        index = index if type(index) is int else None
        slot = self._slots.get(identity) if identity else None
        if slot is None:
            slot = self._slots.get(index, len(self._names) - 1)
            if slot < 0 or (index is not None and index not in self._slots) or self._another(slot, identity, name):
                slot = len(self._names)
                self._ids.append("")
                self._names.append("")
                self._pieces.append([])
        if identity:
            self._slots[identity] = slot
        if index is not None:
            self._slots[index] = slot
        return slot

    def _another(self, slot: int, identity: str, name: str) -> bool:
        """Whether a piece begins another call than that of the slot it is said to belong to."""
        if identity and self._ids[slot]:
            return bool(name) or _is_json(self._pieces[slot])
        known = self._names[slot]
        return bool(name and known) and (name != known or _is_json(self._pieces[slot]))


def _is_json(pieces: list[str], *, partial: bool = False) -> bool:
    """Whether arguments are complete JSON, or could become it."""
    try:
        from_json("".join(pieces) or "{}", allow_partial="trailing-strings" if partial else False)
    except ValueError:
        return False
    return True


def _parts(parts: list[Any], kind: Callable[[str], Event]) -> Iterator[Event]:
    """Yield the text of content that is given as a list of parts."""
    for part in parts:
        if type(part) is str:
            text: Any = part
        elif type(part) is dict:
            if type(thinking := part.get("thinking")) is list:
                yield from _parts(thinking, ReasoningDelta)
            text = part.get("text")
        else:
            continue
        if type(text) is str and text:
            yield kind(text)


def usage_of(parsed: dict[str, Any]) -> Usage | None:
    """Return the tokens that a chunk or an answer tells of."""
    timings = parsed.get("timings")
    timings = timings if type(timings) is dict else {}
    seconds = [_seconds(timings, name) for name in ("prompt_ms", "predicted_ms")]
    if type(usage := parsed.get("usage")) is dict:
        prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        reasoning = _count(usage.get("completion_tokens_details"), "reasoning_tokens")
        cached = _count(usage.get("prompt_tokens_details"), "cached_tokens")
        if not prompt and not output:
            return None
        return Usage(prompt, output, min(reasoning, output), min(cached, prompt), "provider", *seconds)
    if "prompt_n" in timings and "predicted_n" in timings:
        cached = _count(timings, "cache_n")
        return Usage(
            _count(timings, "prompt_n") + cached, _count(timings, "predicted_n"), 0, cached, "provider", *seconds
        )
    return None


def _seconds(timings: dict[str, Any], name: str) -> float | None:
    value = timings.get(name)
    return value / 1000 if isinstance(value, (int, float)) else None


def _count(values: Any, name: str) -> int:
    value = values.get(name) if type(values) is dict else None
    return value if type(value) is int and value > 0 else 0


def _line(name: str) -> str:
    """A name that the server gives, fit for one line."""
    name = name[:100]
    if name.isprintable():
        return name
    from alain_magics.text import plain

    return " ".join(plain(name).split())


def same_model(asked: str, answered: str) -> bool:
    """Whether the model that was asked has answered: a date after its name and folders before it don't count."""
    wanted, given = (name.lower().rsplit("/", 1)[-1] for name in (asked, answered))
    return given == wanted or (given.startswith(wanted) and bool(_SNAPSHOT.fullmatch(given[len(wanted) :])))
