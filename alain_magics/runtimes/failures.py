"""What runtimes say when they refuse or fail, as typed errors with advice.

Errors come in the shapes of OpenAI (``{"error": {message, type, code}}``), Anthropic (``{"type": "error", "error":
{type, message}}``), Ollama and others (``{"error": "text"}``), FastAPI (``{"detail": ...}``), llama-server (numbers of
tokens beside the message), as web pages of proxies, and empty. The words are the server's: they are shown as plain
text, on one line, and cut.
"""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
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
    Unreachable,
)

LONGEST_WAIT = 60.0
"""Seconds that a server may make us wait before the next attempt."""

LINE = 300
"""Characters of what is shown, advice included."""

_ADVICE: dict[type[ModelError], str] = {
    KeyRefused: "Check the key",
    QuotaExceeded: "Add credit to the account, or choose another model",
    ContextExceeded: "Shorten the prompt or the conversation, or use a longer context",
    ModelMissing: "`alain models` lists those that are there",
    RateLimited: "Too many requests for now",
    Refused: "The request has to change",
    ServerFailed: "The fault is the server's",
}

_CONTEXT = re.compile(
    r"context[ _](length|window|size)|exceeds? (the |available |model'?s? )*context|(prompt|input) is too long"
)
_QUOTA = re.compile(
    r"insufficient[ _](quota|balance|credits?|funds)|billing_hard_limit|credit balance is too low"
    r"|exceeded your current quota|out of credits?"
)
_MODEL = re.compile(
    r"model_not_found|(unknown|invalid|no such|not a valid) model|^model: "
    r"|model\b.{0,120}?(not found|not exist)"
)
_RATE = re.compile(r"rate[ _]limit|too many requests|resource[ _]exhausted")
_KEY = re.compile(r"(authentication|permission)_error|(invalid|incorrect)[ _]api[ _]key|unauthorized")
_LOADING = re.compile(r"\bloading\b")


@dataclass(frozen=True)
class _Report:
    """What an error's body says: the words for a person, and all of it for telling kinds apart."""

    words: str = ""
    marks: str = ""
    code: int | None = None


def failure(
    where: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None, *, key: str = ""
) -> ModelError:
    """Return the error for an HTTP status and body, or, with ``status`` None, for an error inside a stream.

    ``where`` names the runtime; ``body`` is parsed JSON or text; ``key`` names the place of the key, for the advice.
    """
    headers = headers or {}
    report = _report(body)
    kind = _kind(status, report)
    retryable = _retryable(kind, status, headers)
    wait = _wait(headers)
    advice = _advice(kind, status, report, key)
    if retryable:
        advice += f"; try again {f'in {math.ceil(wait)} s' if wait else 'in a moment'}."
    else:
        advice += "; trying again does not help."
    error = kind(_what(where, status, report, LINE - len(advice)), advice, status=status, retry_after=wait)
    error.retryable = retryable
    return error


def no_connection(where: str, address: str, error: Exception, advice: str) -> Unreachable:
    """Return the error for a connection that could not be made; what led to ``error`` tells why.

    ``where`` names the runtime, ``advice`` says what to do where nothing answers.
    """
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    untrusted = next((each for each in causes if isinstance(each, ssl.SSLCertVerificationError)), None)
    if untrusted:
        what = f"The certificate of {where} at {address} is not trusted: {untrusted.verify_message}."
        problem = Unreachable(what, "Check the address and the clock; SSL_CERT_FILE names other authorities.")
    elif any(isinstance(each, ssl.SSLError) for each in causes):
        problem = Unreachable(f"{where} gives no secure connection at {address}.", "Does it want http:// there?")
    elif any(isinstance(each, socket.gaierror) for each in causes):
        return Unreachable(f"{where} is not known at {address}: no such host.", advice)
    else:
        return Unreachable(f"{where} does not answer at {address}.", advice)
    problem.retryable = False
    return problem


def _report(body: Any) -> _Report:
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, Mapping):
        words = _words(body)
        return _Report(words, words)
    found = body.get("error") or body.get("detail") or body
    if isinstance(found, list):
        found = found[0]
    if not isinstance(found, Mapping):
        words = _words(found)
        return _Report(words, words)
    words = next(filter(None, (_words(found.get(name)) for name in ("message", "msg", "error"))), "")
    if isinstance(place := found.get("loc"), list):  # FastAPI: what is wrong, and where
        words = f"{'.'.join(map(_words, place))}: {words}"
    marks = " ".join(filter(None, (_words(found.get(name)) for name in ("code", "type", "status"))))
    marks = "" if marks == "error" else marks
    prompt, context = found.get("n_prompt_tokens"), found.get("n_ctx")
    if isinstance(prompt, int) and isinstance(context, int) and 0 <= context <= prompt < 10**9:
        words = f"The prompt has {prompt} tokens, the context {context}."
        marks += " context_size"
    return _Report(words or marks, f"{words} {marks}", _status(found.get("code")))


def _words(value: object) -> str:
    """One plain line of a text; of a web page its title; nothing of anything else."""
    text = value[:4000] if isinstance(value, str) else ""
    if re.match(r"\s*<", text):
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        text = title[1] if title else ""
    from alain_magics.text import plain  # rarely needed: failures are rare

    return " ".join(plain(text).split())


def _status(code: object) -> int | None:
    """The HTTP status that a code within a stream stands for."""
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and re.fullmatch("[45][0-9]{2}", code)) else 0
    return number if number in range(400, 600) else None


def _kind(status: int | None, report: _Report) -> type[ModelError]:
    marks = report.marks.lower()
    status = status or report.code
    if status == 413 or (status in (None, 400, 422, 500) and _CONTEXT.search(marks)):
        return ContextExceeded
    if status == 402 or (status in (None, 400, 403, 429) and _QUOTA.search(marks)):
        return QuotaExceeded
    if status == 429 or (status is None and _RATE.search(marks)):
        return RateLimited
    if status in (401, 403) or (status in (None, 400) and _KEY.search(marks)):
        return KeyRefused
    if (status == 404 and "model" in marks) or (status in (None, 400, 422) and _MODEL.search(marks)):
        return ModelMissing
    if status in (408, 409) or (status is None and "invalid_request" not in marks) or (status and status >= 500):
        return ServerFailed
    return Refused


def _what(where: str, status: int | None, report: _Report, room: int) -> str:
    name, words = _words(where)[:40], report.words
    ending = f" (status {status})" if status else ""
    if words:
        room -= len(f"{name}: {ending} ")
        return f"{name}: {words if len(words) <= room else f'{words[: room - 1]}…'}{ending}"
    if status is None:
        return f"{name} reports an error within its answer."
    known = status in HTTPStatus.__members__.values()
    return f"{name} answered with status {status}{f' ({HTTPStatus(status).phrase})' if known else ''}."


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds after which the server wants to be asked again."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except KeyError:
            continue
        except ValueError:
            try:
                seconds = parsedate_to_datetime(headers[name]).timestamp() - time.time()
            except (ValueError, OverflowError):
                continue
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), LONGEST_WAIT)
    return None


def _retryable(kind: type[ModelError], status: int | None, headers: Mapping[str, str]) -> bool:
    """Whether the same request may succeed later; the server's own word counts, but for an account without credit."""
    said = headers.get("x-should-retry", "").strip().lower()
    if said in ("true", "false") and kind is not QuotaExceeded:
        return said == "true"
    return kind.retryable and status not in (501, 505)


def _advice(kind: type[ModelError], status: int | None, report: _Report, key: str) -> str:
    if kind is KeyRefused and key:
        return f"Check the key in {_words(key)[:60]}"
    if kind is Refused and status in (404, 405):
        return "Check the runtime's address: that path does not exist there"
    if kind is ServerFailed and _LOADING.search(report.marks.lower()):
        return "The model is still being loaded"
    return _ADVICE[kind]
