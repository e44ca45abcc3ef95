"""What tokens cost, from the dated price data of the ``genai-prices`` package; nothing is fetched."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache

MICRO = 1_000_000

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "together": "together", "openrouter": "openrouter"}
_PROVIDERS |= {"groq": "groq", "mistral": "mistral", "deepseek": "deepseek", "google": "google", "azure": "azure"}


def prepare(runtime: str) -> None:
    """Load the price data if a runtime has any, which takes a moment the first time: for a thread of its own."""
    if runtime in _PROVIDERS:
        import genai_prices  # noqa: F401


@lru_cache(maxsize=4096)
def cost(runtime: str, model: str, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int | None:
    """Return the cost in micro-dollars (rounded up), or ``None`` where the price is unknown: never a guess.

    ``runtime`` is the preset's name, ``model`` as the runtime calls it; ``input_tokens`` include the ``cached_tokens``.
    """
    provider = _PROVIDERS.get(runtime)
    if provider is None:
        return None
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cache_read_tokens=cached_tokens)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            price = calc_price(usage, model.removeprefix("models/"), provider_id=provider)
    except (LookupError, ValueError):
        return None
    return math.ceil(price.total_price * MICRO)


def as_text(micro_dollars: int | None) -> str:
    """Say a cost: ``free``, ``$0.0012``, ``$1.25``, or ``cost unknown``."""
    if micro_dollars is None:
        return "cost unknown"
    if micro_dollars == 0:
        return "free"
    dollars = micro_dollars / MICRO
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.2g}" if dollars >= 0.0001 else "< $0.0001"
