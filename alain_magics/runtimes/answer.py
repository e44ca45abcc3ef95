"""What a turn has brought so far: kept whatever happens to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from alain_magics.runtimes.base import FinishReason, ToolCall, ToolCallDelta, Usage

SHORTEST = 0.05
"""Seconds below which no speed is told: what the clock says then is when packets came, not how fast tokens did."""


@dataclass
class Answer:
    """The answer of a model, complete once ``finish`` is set.

    ``value`` is the structured output, ``cost`` in micro-dollars (``None``: unknown), ``first_token_seconds`` and
    ``seconds`` count from when the request was sent; ``flags`` are remarks such as ``answered by another model``.
    """

    runtime: str
    model: str
    finish: FinishReason | None = None
    usage: Usage | None = None
    first_token_seconds: float | None = None
    seconds: float = 0.0
    flags: tuple[str, ...] = ()
    value: Any = None
    cost: int | None = None
    texts: list[str] = field(default_factory=list, repr=False)
    thoughts: list[str] = field(default_factory=list, repr=False)
    calls: dict[int, list[ToolCallDelta]] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """The answer itself."""
        return "".join(self.texts)

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered."""
        return "".join(self.thoughts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls that the model wishes, in the order in which they began."""
        return tuple(
            ToolCall(
                next((piece.id for piece in pieces if piece.id), f"call_{slot}"),
                "".join(piece.name for piece in pieces),
                "".join(piece.arguments for piece in pieces),
            )
            for slot, pieces in self.calls.items()
        )

    @property
    def tokens_per_second(self) -> float | None:
        """How fast the tokens came, without the time before the first; ``None`` where that cannot be said.

        Thoughts that the server counts but does not show came before the first that is seen: all the time counts then.
        """
        usage, first = self.usage, self.first_token_seconds
        if not usage or not usage.output or first is None:
            return None
        if usage.generation_seconds and usage.output > 1:
            return usage.output / usage.generation_seconds
        hidden = usage.reasoning > 0 and not self.thoughts
        seconds = self.seconds if hidden else self.seconds - first
        return usage.output / seconds if seconds >= SHORTEST and (hidden or self.pieces > 1) else None

    @property
    def prefill_tokens_per_second(self) -> float | None:
        """How fast the prompt was read, as the server measured it; ``None`` where it does not say."""
        if not self.usage or not self.usage.prefill_seconds:
            return None
        return (self.usage.input - self.usage.cached) / self.usage.prefill_seconds

    @property
    def pieces(self) -> int:
        """How many deltas have come."""
        return len(self.texts) + len(self.thoughts) + sum(map(len, self.calls.values()))

    @property
    def empty(self) -> bool:
        """Whether nothing has come yet."""
        return not self.pieces

    def add_call(self, delta: ToolCallDelta) -> None:
        """Take the next piece of a tool call."""
        self.calls.setdefault(delta.slot, []).append(delta)

    def flag(self, *remarks: str) -> None:
        """Note remarks, each once."""
        self.flags += tuple(remark for remark in dict.fromkeys(remarks) if remark not in self.flags)

    def as_data(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "text": self.text,
            "reasoning": self.reasoning,
            "tool_calls": [asdict(call) for call in self.tool_calls],
            "usage": asdict(self.usage) if self.usage else None,
            "finish": self.finish,
            "runtime": self.runtime,
            "model": self.model,
            "first_token_seconds": self.first_token_seconds,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "prefill_tokens_per_second": self.prefill_tokens_per_second,
            "flags": list(self.flags),
            "cost": self.cost,
            "value": self.value,
        }
