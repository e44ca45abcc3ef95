"""Lists of models as OpenAI-compatible servers give them, with whatever each says beyond the id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.catalogue import parameters
from alain_magics.text import plain

_CONTEXT = ("loaded_context_length", "max_model_len", "max_context_length", "context_length", "context_window", "n_ctx")
_CHAT = ("chat", "llm", "vlm", "language", "code", "model", "base", "")


def models_of(runtime: str, answer: Any) -> list[ModelInfo]:
    """Return the models of a list: a bare array, ``data`` or ``models``; what cannot be read is left out."""
    if isinstance(answer, dict):
        answer = answer.get("data") or answer.get("models")
    entries = answer if isinstance(answer, list) else []
    found = {info.id: info for info in _infos(runtime, entries)}
    return list(found.values())


def _infos(runtime: str, entries: list[Any]) -> Iterator[ModelInfo]:
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        identifier = _text(entry, "id", "key", "model", "name").removeprefix("models/")
        if entry.get("owned_by") == "llamacpp":  # names its only model by its path, and takes any name for it
            identifier = re.split(r"[/\\]", identifier)[-1] if identifier.endswith(".gguf") else identifier
        if not identifier:
            continue
        more = {**_of(entry, "meta"), **entry}
        yield ModelInfo(
            identifier,
            runtime,
            family=_text(entry, "architecture", "arch"),
            maker=_text(entry, "organization", "publisher"),
            parameters=_number(more, "n_params") or parameters(_text(entry, "params_string")),
            context=_loaded_window(entry) or _number(more, *_CONTEXT),
            quantisation=_text(_of(entry, "quantization"), "name") or _text(more, "quantization", "ftype"),
            tools=_tools(entry),
            size=_number(more, "size_bytes", "size"),
            loaded=_loaded(entry),
            shutdown=_text(entry, "shutdown_date", "deprecation", "expiration_date")[:10],
            description=_text(entry, "description")[:200],
            kind=_kind(entry),
        )


def _tools(entry: dict[str, Any]) -> bool | None:
    capabilities, taken = _of(entry, "capabilities"), entry.get("supported_parameters")
    for name in ("trained_for_tool_use", "function_calling"):
        if isinstance(known := capabilities.get(name), bool):
            return known
    return "tools" in taken if isinstance(taken, list) else None


def _loaded(entry: dict[str, Any]) -> bool | None:
    """Whether a local server has the model in memory; those that hold one model tell what they measured of it."""
    if isinstance(instances := entry.get("loaded_instances"), list):
        return bool(instances)
    if state := _text(_of(entry, "status"), "value") or _text(entry, "state"):
        return {"loaded": True, "loading": None, "downloading": None}.get(state, False)
    return True if "meta" in entry else None


def _loaded_window(entry: dict[str, Any]) -> int | None:
    """Return the window that a model was loaded with, of several instances the smallest: any of them may answer."""
    loaded = entry.get("loaded_instances")
    instances = [_of(each, "config") for each in loaded if isinstance(each, dict)] if isinstance(loaded, list) else []
    return min(filter(None, (_number(config, "context_length") for config in instances)), default=None)


def _kind(entry: dict[str, Any]) -> Literal["chat", "embedding", "other"]:
    kind = _text(entry, "type").lower()
    if kind.startswith("embedding"):
        return "embedding"
    return "chat" if kind in _CHAT else "other"


def _of(entry: dict[str, Any], name: str) -> dict[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _text(entry: dict[str, Any], *names: str) -> str:
    """Return the first text that stands under one of the names, on one line."""
    values = (entry.get(name) for name in names)
    return next((" ".join(plain(value[:2000]).split()) for value in values if isinstance(value, str) and value), "")


def _number(entry: dict[str, Any], *names: str) -> int | None:
    values = (entry.get(name) for name in names)
    return next((value for value in values if type(value) is int and value > 0), None)
