"""What runtimes say when they refuse or fail, as typed errors with advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alain_magics.errors import (
    ContextExceeded,
    KeyRefused,
    ModelError,
    ModelMissing,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerFailed,
)


def failure(where: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None) -> ModelError:
    """Return the error for an HTTP status and body, or, with ``status`` None, for an error inside a stream.

    ``where`` names the runtime; ``body`` is parsed JSON or text.
    """
    message = _message(body)
    what = f"{where}: {message}" if message else f"{where} answered with status {status}."
    kind: type[ModelError] = ServerFailed
    if status in (401, 403):
        kind = KeyRefused
    elif status == 402:
        kind = QuotaExceeded
    elif status == 404:
        kind = ModelMissing
    elif status == 429:
        kind = RateLimited
    elif "context" in message and status == 400:
        kind = ContextExceeded
    elif status is not None and status < 500:
        kind = Refused
    return kind(what, status=status)


def _message(body: Any) -> str:
    found = body.get("error", body.get("detail", "")) if isinstance(body, Mapping) else body
    if isinstance(found, Mapping):
        found = found.get("message", "")
    return str(found or "")[:300]
