"""What is published to the page, and events as a command sends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from alain_magics.commands.base import Partial

Page = list[dict[str, Any]]


@pytest.fixture
def published(shell) -> Page:
    """Every message to the page: its views under ``data``, whether it is an ``update``, and its display id."""
    shell.display_pub = CapturingDisplayPublisher(parent=shell)
    return shell.display_pub.outputs


@pytest.fixture
def shown(published: Page) -> Callable[[], list[dict[str, str]]]:
    """The outputs as they stand on the page in the end, without those that were emptied."""

    def outputs() -> list[dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for message in published:
            found[message["transient"]["display_id"]] = message["data"]
        return [views for views in found.values() if any(views.values())]

    return outputs


def asked(slot: int = 0) -> Partial:
    """The first event of an answer."""
    return Partial("answer", {"slot": slot, "runtime": "test", "model": f"parrot-{slot + 1}"})


def piece(text: str = "", reasoning: str = "", slot: int = 0) -> Partial:
    """The next event of an answer."""
    return Partial("delta", {"slot": slot, "text": text, "reasoning": reasoning})


def ended(slot: int = 0, **known: Any) -> Partial:
    """The last event of an answer."""
    usage = {"input": 12, "output": 500, "reasoning": 0, "cached": 0, "source": "provider"}
    whole = {
        "text": "", "reasoning": "", "tool_calls": [], "usage": usage, "finish": "stop", "first_token_seconds": 0.31,
        "seconds": 3.0, "tokens_per_second": 186.0, "flags": [], "cost": None, "value": None, "error": "",
        "snippets": {"curl": "curl x", "python": "import httpx", "javascript": "fetch()"},
    }  # fmt: skip
    return Partial("end", {**asked(slot).data, **whole, **known})
