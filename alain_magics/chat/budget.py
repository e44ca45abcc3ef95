"""The context budget: what of a conversation is sent, so that prompt and answer fit the model's window.

The oldest exchanges are left out first, each as a whole; the system message never. When that is needed, more goes than
must, down to a low-water mark: prompts then begin alike for many turns, and the server's cache of them keeps hitting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alain_magics.chat.conversation import Correction, Exchange, Window
from alain_magics.errors import ContextExceeded
from alain_magics.runtimes.base import ChatRequest, Runtime, Usage
from alain_magics.runtimes.local.llamacpp import DEFAULT_WINDOW
from alain_magics.runtimes.tokens import estimate_request

LOW_WATER = 0.75
"""The share of the limit that remains filled when exchanges are left out."""

MARGIN = 64
"""Tokens that stay free where nothing else is chosen."""

ANSWER = 4096
"""Tokens kept for an answer without a limit of its own, but never more than a quarter of the window."""

WINDOWS: Mapping[str, int] = {"local": DEFAULT_WINDOW, "ollama": 32_768}
"""Tokens, by the kind of a runtime that lets one choose the window, where nobody does: memory grows with it."""


@dataclass(frozen=True)
class Budget:
    """Tokens: the window that prompt and answer share, what the answer may take, what stays free."""

    window: int
    answer: int
    margin: int = MARGIN

    @classmethod
    def of(cls, window: int, max_tokens: int | None, margin: int | None) -> Budget:
        """Fill in what was not chosen."""
        return cls(window, max_tokens or min(window // 4, ANSWER), MARGIN if margin is None else margin)

    @property
    def limit(self) -> int:
        """The tokens that a prompt may have."""
        return self.window - self.answer - self.margin

    def tight(self, tokens: int) -> bool:
        """Whether a window that grows with the conversation, by doubling, has come to this one."""
        return tokens + self.answer > self.window // 2


@dataclass(frozen=True)
class Fitted:
    """A request that fits, the ``tokens`` of its prompt, and how many exchanges it leaves out.

    ``counted``: the tokens are no estimate. ``window`` is to be handed in again with the next turn.
    """

    request: ChatRequest
    tokens: int
    counted: bool
    dropped: int
    window: Window | None


async def fit(
    runtime: Runtime,
    request: ChatRequest,
    exchanges: Sequence[Exchange],
    budget: Budget | None,
    *,
    window: Window | None = None,
    correction: Correction | None = None,
) -> Fitted:
    """Put into ``request``, behind the messages it holds, as many of the last exchanges as the budget allows.

    Without a budget all of them are sent. Raises :class:`~alain_magics.errors.ContextExceeded` where not even the last
    one fits.
    """
    prompts = _Prompts(runtime, request, exchanges, _factor(correction, request.model), budget is not None)
    if budget is None:
        return Fitted(prompts.since(0), await prompts.tokens(0), prompts.counted, 0, None)
    begin, last = _begin(exchanges, window, budget.limit), len(exchanges) - 1
    tokens = await prompts.tokens(begin)
    if tokens > budget.limit and begin < last:
        low, begin = begin + 1, last
        while low < begin:  # the first of the prompts that is short enough; the later it begins, the shorter it is
            middle = (low + begin) // 2
            if await prompts.tokens(middle) <= budget.limit * LOW_WATER:
                begin = middle
            else:
                low = middle + 1
        tokens = await prompts.tokens(begin)
    if tokens > budget.limit:
        raise _too_long(budget, tokens, prompts.counted)
    kept = Window(first=exchanges[begin].id, limit=budget.limit) if begin else None
    return Fitted(prompts.since(begin), tokens, prompts.counted, begin, kept)


def corrected(request: ChatRequest, usage: Usage | None) -> Correction | None:
    """Learn from what the server says a prompt has taken how wrong estimates are; ``None`` where it says nothing."""
    if usage is None or usage.source != "provider" or usage.input <= 0:
        return None
    return Correction(model=request.model, factor=usage.input / estimate_request(request))


class _Prompts:
    """The prompts that begin with each of the exchanges, and their lengths."""

    def __init__(
        self, runtime: Runtime, request: ChatRequest, exchanges: Sequence[Exchange], factor: float, counted: bool
    ) -> None:
        self.counted = counted
        self._runtime = runtime
        self._request = request
        self._exchanges = exchanges
        self._factor = factor

    def since(self, begin: int) -> ChatRequest:
        """Return the request with the exchanges from ``begin`` on."""
        said = [message for exchange in self._exchanges[begin:] for message in exchange.messages]
        return replace(self._request, messages=(*self._request.messages, *said))

    async def tokens(self, begin: int) -> int:
        """Count the tokens of that request, or estimate them where that is enough or the runtime cannot count."""
        request = self.since(begin)
        count = await self._runtime.count_tokens(request) if self.counted else None
        if count is None:
            self.counted = False
            count = round(estimate_request(request) * self._factor)
        return count


def _factor(correction: Correction | None, model: str) -> float:
    return correction.factor if correction and correction.model == model else 1.0


def _begin(exchanges: Sequence[Exchange], window: Window | None, limit: int) -> int:
    """Return where the last prompt began, if that was decided for the same limit."""
    if window is None or window.limit != limit:
        return 0
    return next((number for number, exchange in enumerate(exchanges) if exchange.id == window.first), 0)


def _too_long(budget: Budget, tokens: int, counted: bool) -> ContextExceeded:
    about = "" if counted else "about "
    return ContextExceeded(
        f"This message is too long: with what must go along it takes {about}{tokens} tokens, and {max(budget.limit, 0)}"
        f" are left (a window of {budget.window}, {budget.answer} of them for the answer, {budget.margin} kept free).",
        "Shorten it, allow fewer tokens for the answer (max_tokens), or choose a larger window (context_tokens, or "
        "another model).",
    )
