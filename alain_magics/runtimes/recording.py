"""Turns written down, and played again: what was asked, what came, what was made of it.

A turn becomes ``runs/<id>/{meta,logs,metrics,plots}/<origin>/``, where the origin is ``cell`` or ``shell``:

- ``logs`` holds the seven artefacts, the same bytes for the same turn wherever it was asked: ``prompt.full.json``,
  ``prompt.tokens.json``, ``completion.tokens.json``, ``completion.raw.jsonl``, ``completion.cleaned.txt``,
  ``parse.channels.json``, ``retry.decision.json``;
- ``metrics/turn.json`` says how long everything took, ``plots/tokens.svg`` shows it;
- ``meta/turn.json`` holds what differs anyway (id, time, origin, address) and is written last: a run without it is
  unfinished.

Ids sort by time. Nobody but the user can read the files; keys and the values of headers are never in them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeGuard
from urllib.parse import urlsplit

from alain_magics import errors
from alain_magics.errors import BadProtocol, ModelError, Refused, ServerFailed, TargetError
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    HttpCall,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.plot import timeline
from alain_magics.store.files import atomic_write

Origin = Literal["cell", "shell"]

VERSION = 1

_ASKED = ("model", "messages", "max_tokens", "sampling", "tools", "schema", "effort", "context_tokens", "extra")
_EVENTS: dict[str, type[Any]] = {
    "text": TextDelta,
    "reasoning": ReasoningDelta,
    "tool_call": ToolCallDelta,
    "usage": Usage,
    "finished": Finished,
}
_NAMES = {kind: name for name, kind in _EVENTS.items()}


class Recorder:
    """Writes turns under ``folder`` (``runs``)."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self._folder = folder
        self._origin = origin

    def begin(self, runtime: str, request: ChatRequest, call: HttpCall | None) -> Record:
        """Begin the record of one turn; ``call`` is the HTTP request it becomes, if any."""
        return Record(self._folder, self._origin, runtime, request, call)


@dataclass
class _Attempt:
    """One time that a model was asked: the events with their times, and what was decided afterwards."""

    request: ChatRequest
    events: list[tuple[float, Event]] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)


class Record:
    """One turn as it goes on. ``id`` names it."""

    def __init__(self, folder: Path, origin: Origin, runtime: str, request: ChatRequest, call: HttpCall | None) -> None:
        self._time = datetime.now(UTC)
        self._begun = time.perf_counter()
        self.id = f"{self._time:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}"
        self._folder = folder / self.id
        self._origin = origin
        self._runtime = runtime
        self._request = request
        self._call = call
        self._attempts = [_Attempt(request)]

    def raw(self, event: Event) -> None:
        """Take an event as the runtime yielded it; what is no event is left to the turn, which refuses it."""
        if type(event) in _NAMES:
            self._attempts[-1].events.append((time.perf_counter(), event))

    def attempt(self, number: int, decision: Mapping[str, Any]) -> None:
        """Note how an attempt ended without an answer, and whether it is made again (``again``).

        ``error`` is what was said, ``type`` the name of its class; ``effort`` what the next attempt asks for.
        """
        current = self._attempts[-1]
        current.decision = {"attempt": number, **decision}
        if decision.get("again"):
            effort = decision.get("effort", current.request.effort)
            self._attempts.append(_Attempt(replace(current.request, effort=effort)))

    def finish(self, answer: Mapping[str, Any], prompt_tokens: int | None) -> Path:
        """Write everything and return the turn's folder; ``answer`` is the answer as plain data.

        Raises :class:`~alain_magics.errors.TargetError` where a file cannot be written.
        """
        try:
            self._write_all(answer, prompt_tokens)
        except OSError as error:
            what = f"The turn cannot be kept in {self._folder}: {error.strerror}."
            raise TargetError(what, "Make its folder writable, or ask without --record.") from error
        return self._folder

    def _write_all(self, answer: Mapping[str, Any], prompt_tokens: int | None) -> None:
        self._folder.mkdir(mode=0o700, parents=True)
        for name, content in self._logs(answer, prompt_tokens).items():
            self._write("logs", name, content)
        times = [moment - self._begun for attempt in self._attempts for moment, event in attempt.events if _said(event)]
        self._write("metrics", "turn.json", _json(_metrics(answer, times)))
        self._write("plots", "tokens.svg", timeline(times, f"{self._runtime}/{self._request.model}"))
        self._write("meta", "turn.json", _json(self._meta(answer)))

    def _logs(self, answer: Mapping[str, Any], prompt_tokens: int | None) -> dict[str, str]:
        usage = answer.get("usage") or {}
        pieces = [event.text for attempt in self._attempts for _, event in attempt.events if _said(event)]
        prompt = {"request": _asked(self._request), "body": self._call.body if self._call else None}
        source = usage.get("source")
        read = {"tokens": prompt_tokens, "cached": usage.get("cached"), "source": source}
        written = {"tokens": usage.get("output"), "reasoning": usage.get("reasoning"), "source": source}
        channels = {name: answer.get(name) for name in ("reasoning", "text", "tool_calls", "value")}
        decisions = [attempt.decision for attempt in self._attempts if attempt.decision]
        ended = {"attempts": decisions, "finish": answer.get("finish"), "flags": answer.get("flags")}
        return {
            "prompt.full.json": _json(prompt),
            "prompt.tokens.json": _json(read),
            "completion.tokens.json": _json({**written, "pieces": pieces}),
            "completion.raw.jsonl": "".join(_raw_lines(self._attempts)),
            "completion.cleaned.txt": str(answer.get("text") or ""),
            "parse.channels.json": _json(channels),
            "retry.decision.json": _json(ended),
        }

    def _meta(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        call = self._call
        address = urlsplit(call.url) if call else None
        return {
            "version": VERSION,
            "id": self.id,
            "time": self._time.isoformat(),
            "origin": self._origin,
            "runtime": self._runtime,
            "model": self._request.model,
            "answered_by": answer.get("model"),
            "keys": [request_key(attempt.request) for attempt in self._attempts],
            "keys_of_runtime": [_runtime_key(self._runtime, attempt.request) for attempt in self._attempts],
            "interrupted": "interrupted" in (answer.get("flags") or ()),
            "address": f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}" if address else None,
            "headers": sorted(call.headers) if call else [],
        }

    def _write(self, kind: str, name: str, content: str) -> None:
        path = self._folder / kind / self._origin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content.encode("utf-8", "surrogatepass"), private=True)


@dataclass(frozen=True)
class Recording:
    """One attempt of a recorded turn: what came, and the error that it ended with, if any."""

    events: tuple[Event, ...]
    error: ModelError | None


class Recordings:
    """Finds recorded turns under a folder by what was asked: the last one that was asked the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[Path, int]] = {}
        self._models: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def models(self) -> dict[str, str]:
        """Return the models that were asked, each with the runtime that ran it last."""
        self._scan()
        return dict(self._models)

    def last_model(self, runtime: str) -> str | None:
        """Return the model of a runtime that was asked last; ``None`` where none was."""
        self._scan()
        return self._last.get(runtime)

    def find(self, request: ChatRequest, runtime: str | None = None) -> Recording:
        """Return the recorded attempt for a request; :class:`~alain_magics.errors.Refused` where there is none.

        With a ``runtime`` it may also be that of another model of this runtime.
        """
        keys = [request_key(request), *([_runtime_key(runtime, request)] if runtime else [])]
        if keys[0] not in self._places:
            self._scan()
        key = next((key for key in keys if key in self._places), None)
        if key is None:
            what = f"This question to {request.model} is not among the recorded turns in {self._folder}."
            raise Refused(what, "Ask it once with --record and without the setting replay.")
        return _read(*self._places[key])

    def _scan(self) -> None:
        for path in sorted(self._folder.glob("**/meta/*/turn.json"), key=lambda path: path.parent.parent.parent.name):
            try:
                meta = json.loads(path.read_bytes())
                keys, model, runtime = list(meta["keys"]), str(meta["model"]), str(meta["runtime"])
                keys_of_runtime = list(meta.get("keys_of_runtime", ()))
                interrupted = bool(meta["interrupted"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if interrupted:
                continue
            self._models[model] = runtime
            self._last[runtime] = model
            log = path.parent.parent.parent / "logs" / path.parent.name / "completion.raw.jsonl"
            for each in (keys, keys_of_runtime):
                self._places.update({str(key): (log, number) for number, key in enumerate(each)})


def request_key(request: ChatRequest) -> str:
    """Return what stands for all that an answer depends on: equal for equal questions to the same model."""
    asked = json.dumps(_asked(request), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(asked.encode()).hexdigest()


def _runtime_key(runtime: str, request: ChatRequest) -> str:
    """Return what stands for a question to any model of a runtime."""
    return request_key(replace(request, model=f"{runtime}/"))


def _asked(request: ChatRequest) -> dict[str, Any]:
    """Return a question as plain data, without what was left open, so that new fields change no keys."""
    plain: dict[str, Any] = _plain(request)
    if not request.extra:
        del plain["extra"]
    return {name: plain[name] for name in _ASKED if name in plain}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {name: _plain(part) for name, part in _values(value).items() if part not in (None, "", ())}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _values(instance: Any) -> dict[str, Any]:
    return {each.name: getattr(instance, each.name) for each in fields(instance)}


def _said(event: Event) -> TypeGuard[TextDelta | ReasoningDelta]:
    return isinstance(event, TextDelta | ReasoningDelta)


def _raw_lines(attempts: list[_Attempt]) -> Iterator[str]:
    """Yield one JSON document a line: each attempt's events, then its error, if that is how it ended."""
    for number, attempt in enumerate(attempts):
        yield _line({"event": "attempt", "attempt": number})
        for _, event in attempt.events:
            yield _line({"event": _NAMES[type(event)], **_values(event)})
        if message := attempt.decision.get("error"):
            yield _line({"event": "error", "type": attempt.decision.get("type", ""), "message": message})


def _read(path: Path, number: int) -> Recording:
    """Read one attempt; :class:`~alain_magics.errors.BadProtocol` where the record is damaged."""
    events: list[Event] = []
    error: ModelError | None = None
    current = None
    try:
        for line in path.read_bytes().split(b"\n"):
            if not line:
                continue
            data = json.loads(line.decode("utf-8", "surrogatepass"))
            name = data.pop("event")
            if name == "attempt":
                current = data["attempt"]
            elif current != number:
                continue
            elif name == "error":
                error = _error(data["type"], data["message"])
            else:
                events.append(_event(name, data))
    except (OSError, ValueError, KeyError, TypeError) as problem:
        what = f"The recorded turn {path.parent.parent.parent.name} is damaged: {problem}."
        raise BadProtocol(what, "Record it again.") from None
    return Recording(tuple(events), error)


def _event(name: str, data: dict[str, Any]) -> Event:
    if "flags" in data:
        data["flags"] = tuple(data["flags"])
    event: Event = _EVENTS[name](**data)
    return event


def _error(name: str, message: str) -> ModelError:
    kind = getattr(errors, name, None)
    if not isinstance(kind, type) or not issubclass(kind, ModelError) or kind is errors.InvalidOutput:
        kind = ServerFailed
    return kind(message)


def _metrics(answer: Mapping[str, Any], times: list[float]) -> dict[str, Any]:
    import psutil

    usage = answer.get("usage") or {}
    return {
        "first_token_seconds": answer.get("first_token_seconds"),
        "prefill_seconds": usage.get("prefill_seconds"),
        "generation_seconds": usage.get("generation_seconds"),
        "seconds": answer.get("seconds"),
        "tokens_per_second": answer.get("tokens_per_second"),
        "input_tokens": usage.get("input"),
        "output_tokens": usage.get("output"),
        "cost_microdollars": answer.get("cost"),
        "memory_bytes": psutil.Process().memory_info().rss,
        "piece_seconds": [round(moment, 6) for moment in times],
    }


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1, default=dict) + "\n"
