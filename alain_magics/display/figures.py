"""What is said about an answer beside its text: who gave it, how fast, for how much, and what is odd about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alain_magics.ledger import prices

STOPPED = "stopped by you"
"""The remark on an answer that was interrupted."""

_LONGEST = 200  # characters of a tool call that are shown


def name_of(answer: Mapping[str, Any]) -> str:
    """Who answers: ``runtime/model``."""
    return f"{answer['runtime']}/{answer['model']}"


def figures(answer: Mapping[str, Any]) -> list[str]:
    """What was measured, as far as it is known: seconds, speed, tokens, cost."""
    found = []
    first = answer.get("first_token_seconds")
    found.append(duration(answer["seconds"]) + (f", first token after {duration(first)}" if first is not None else ""))
    if speed := answer.get("tokens_per_second"):
        found.append(f"{speed:,.0f} tokens/s" if speed >= 10 else f"{speed:.1f} tokens/s")
    if usage := answer.get("usage"):
        found.append(_tokens(usage))
    if (cost := answer.get("cost")) is not None:
        found.append(prices.as_text(cost))
    for name, size in (answer.get("sent") or {}).items():
        found.append(f"{{{name}}}: {_count(size, 'character')} sent")
    return found


def remarks(answer: Mapping[str, Any]) -> list[str]:
    """What is odd about an answer (after ``⚠``), and the calls of tools that it wishes (after ``→``)."""
    flags = (STOPPED if flag == "interrupted" else flag for flag in answer.get("flags", ()))
    found = [f"⚠ {flag.replace('ignored:', 'not sent: ')}" for flag in flags]
    if answer.get("finish") == "content_filter":
        found.append("⚠ cut: the content filter stepped in")
    return found + [f"→ {call['name']}({call['arguments']})"[:_LONGEST] for call in answer.get("tool_calls", ())]


def badge(answer: Mapping[str, Any]) -> str:
    """All of it as one line."""
    return " · ".join([name_of(answer), *figures(answer), *remarks(answer)])


def duration(seconds: float) -> str:
    """Seconds for people: ``85 ms``, ``1.3 s``, ``2 min 5 s``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tokens(usage: Mapping[str, Any]) -> str:
    about = "about " if usage.get("source") == "estimate" else ""
    details = [f"{usage[name]:,} {what}" for name, what in (("cached", "cached"), ("reasoning", "thinking"))
               if usage.get(name)]  # fmt: skip
    counts = f"{about}{_count(usage['input'], 'token')} in, {usage['output']:,} out"
    return f"{counts} ({', '.join(details)})" if details else counts
