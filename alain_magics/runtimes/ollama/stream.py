"""Ollama's answers as they arrive: a line of JSON for each piece, events out.

Source: ``docs/api.md`` and ``api/types.go`` of Ollama.
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
from alain_magics.runtimes.sse import LineDecoder


class ChatLines:
    """Turns the bytes of one answer into events.

    ``feed`` takes bytes as they come; ``finish`` gives ``Usage`` and ``Finished``, or raises where the answer was cut.
    Both raise :class:`~alain_magics.errors.ModelError` after they have given everything that came before the failure.

    ``begun``: some of the answer has come; ``complete``: all of it has, only the end is awaited. ``prompt`` is the
    estimated number of tokens that were asked, for servers that do not count those they had in their cache.
    """

    def __init__(self, where: str, asked: str, flags: Sequence[str] = (), prompt: int = 0) -> None:
        self.begun = False
        self.complete = False
        self._where = where
        self._asked = asked
        self._flags = list(flags)
        self._prompt = prompt
        self._decoder = LineDecoder()
        self._model = ""
        self._calls = 0
        self._last: dict[str, Any] = {}

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events that are in them."""
        for line in self._decoder.feed(chunk):
            if self.complete:
                return
            try:
                parsed = from_json(line)
            except ValueError:
                shown = line[:80].decode(errors="replace")
                raise BadProtocol(f"{self._where} sent something that is no JSON: {shown!r}.", "Ask again.") from None
            yield from self._piece(parsed)

    def finish(self) -> Iterator[Event]:
        """End the answer."""
        for line in self._decoder.finish():
            try:
                parsed = from_json(line)
            except ValueError:
                continue  # the last line was cut
            yield from self._piece(parsed)
        if not self.complete:
            if self.begun:
                raise StreamTruncated(f"{self._where} stopped in the middle of the answer.", "Ask again.")
            raise StreamTruncated(f"{self._where} answered with nothing.", "Ask again.")
        if usage := self._usage():
            yield usage
        reason = self._finish_reason()
        if self._model and not same_model(self._asked, self._model.removesuffix(":latest")):
            self._flags.append(f"answered by {self._model[:200]}")
        yield Finished(reason, self._model or self._asked, tuple(self._flags))

    def _piece(self, parsed: Any) -> Iterator[Event]:
        """Yield what is in a line, whatever it looks like."""
        if type(parsed) is not dict:
            return
        message = parsed.get("message")
        if type(message) is dict:
            thought, said = message.get("thinking"), message.get("content")
            if thought and type(thought) is str:
                self.begun = True
                yield ReasoningDelta(thought)
            if said and type(said) is str:
                self.begun = True
                yield TextDelta(said)
            if calls := message.get("tool_calls"):
                yield from self._tools(calls)
        if error := parsed.get("error"):
            status = parsed.get("status")
            raise failure(self._where, status if type(status) is int else None, {"error": error})
        if parsed.get("done") is True:
            self.complete, self._last = True, parsed
            self._model = text(parsed, "model")

    def _tools(self, calls: Any) -> Iterator[Event]:
        """Yield tool calls, which come whole."""
        for call in map(mapping, calls if type(calls) is list else ()):
            function = mapping(call, "function")
            if not function:
                continue
            arguments = function.get("arguments")
            if type(arguments) is not str:
                arguments = to_json(arguments).decode() if arguments else "{}"
            self._calls += 1
            self.begun = True
            yield ToolCallDelta(self._calls - 1, text(call, "id"), text(function, "name"), arguments)

    def _usage(self) -> Usage | None:
        prompt, output = count(self._last, "prompt_eval_count"), count(self._last, "eval_count")
        if not prompt and not output:
            return None
        prefill, generation = self._seconds("prompt_eval_duration"), self._seconds("eval_duration")
        if prompt:
            return Usage(prompt, output, prefill_seconds=prefill, generation_seconds=generation)
        return Usage(self._prompt, output, source="estimate", prefill_seconds=prefill, generation_seconds=generation)

    def _seconds(self, name: str) -> float | None:
        return count(self._last, name) / 1e9 or None

    def _finish_reason(self) -> FinishReason:
        """Return why the answer ended; what the server leaves open is inferred from what came, and flagged."""
        said = text(self._last, "done_reason")
        if said == "length":
            return "length"
        if said != "stop":
            self._flags.append(f"finish_reason {said[:40] or 'inferred'}")
        return "tool_calls" if self._calls else "stop"
