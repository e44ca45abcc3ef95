"""The runtimes that are known by name: where they are, which keys they take, and what they can do, as data.

What differs between OpenAI-compatible servers is written here, never as a branch on a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["openai", "anthropic", "ollama", "local", "scripted"]
Auth = Literal["bearer", "api-key", "x-api-key", "none"]


@dataclass(frozen=True)
class Capabilities:
    """What a server can do, and how it wants to be asked for it.

    ``sampling``: names of :class:`~alain_magics.runtimes.base.Sampling` fields it takes, each with the name in the body.
    ``whole_answers``: patterns of model ids that answer in one piece only. ``thinking``: how thinking is steered.
    """

    tools: bool = True
    json_schema: bool = True
    json_object: bool = True
    stream_usage: bool = True
    max_tokens_name: str = "max_tokens"
    thinking: Literal["", "reasoning_effort", "chat_template"] = ""
    sampling: Mapping[str, str] = field(default_factory=dict)
    whole_answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provider:
    """A runtime's preset, or what the user added under a name of their own.

    ``key_variables`` are the environment variables that may hold its key; none: no key is sent. ``steps`` are the two
    things to do where nothing answers at the address.
    """

    name: str
    title: str
    kind: Kind
    base_url: str = ""
    key_variables: tuple[str, ...] = ()
    auth: Auth = "bearer"
    capabilities: Capabilities = Capabilities()
    headers: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, str] = ("", "")

    @property
    def host(self) -> str:
        """The host and port that requests go to."""
        return urlsplit(self.base_url).netloc

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that it costs nothing and can be probed."""
        return self.kind in ("local", "scripted") or urlsplit(self.base_url).hostname in (
            "localhost",
            "127.0.0.1",
            "::1",
        )
