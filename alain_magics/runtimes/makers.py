"""Runtimes made from providers: with the key of each, the deadlines of the settings and connections that are shared.

Connections belong to an event loop, and so do the runtimes that use them: whoever asks on a loop gets that loop's own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from alain_magics.errors import KeyMissing, NoRuntime
from alain_magics.keys import KEYRING_SERVICE, Key, find_key
from alain_magics.runtimes.discovery import root
from alain_magics.runtimes.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.http import Http, Pool
    from alain_magics.settings import Settings


@dataclass
class _Made:
    """A runtime, and what it was made with: it is made anew when that changes."""

    runtime: Runtime
    signature: tuple[object, ...] = ()
    key: Key | None = None


@dataclass
class _Loop:
    """What belongs to one event loop."""

    pool: Pool | None = None
    made: dict[str, _Made] = field(default_factory=dict)


class Makers:
    """Makes runtimes, each once. ``folder`` may hold a ``.env`` with keys, ``settings`` are those of the moment."""

    def __init__(self, folder: Path, settings: Callable[[], Settings], environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._settings = settings
        self._environ = environ
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Loop] = WeakKeyDictionary()

    def key(self, provider: Provider) -> Key | None:
        """Return a runtime's key, for its own host only; ``None`` where it has none."""
        if not provider.key_variables:
            return None
        return find_key(provider.key_variables, [provider.host], folder=self._folder, environ=self._environ)

    def runtime(self, provider: Provider) -> Runtime:
        """Return the runtime of a provider: the same one as long as nothing about it changes.

        :class:`~alain_magics.errors.KeyMissing` for a hosted one without its key.
        """
        settings, key = self._settings(), self._needed_key(provider)
        deadlines = (settings.connect_seconds, settings.first_token_seconds, settings.silence_seconds)
        signature = (provider, deadlines, settings.models_dir)
        made = self._loop().made
        known = made.get(provider.name)
        if known and known.signature == signature and _secret(known.key, provider) == _secret(key, provider):
            return known.runtime
        made[provider.name] = _Made(self._make(provider, key), signature, key)
        return made[provider.name].runtime

    def foreign(self, name: str, make: Callable[[], Runtime]) -> Runtime:
        """Return a runtime of another package, which ``make`` makes."""
        made = self._loop().made
        if name not in made:
            made[name] = _Made(make())
        return made[name].runtime

    def http(self, provider: Provider) -> Http:
        """Return a way to send requests to the root of a runtime's address, with its key."""
        return self._http(root(provider), self._needed_key(provider))

    def keyless(self, provider: Provider) -> Http:
        """Return a way to ask an address what it is."""
        return self._http(provider)

    async def aclose(self) -> None:
        """Free what belongs to the running loop."""
        here = self._loops.pop(asyncio.get_running_loop(), _Loop())
        for made in here.made.values():
            await made.runtime.aclose()
        if here.pool:
            await here.pool.aclose()

    def _loop(self) -> _Loop:
        return self._loops.setdefault(asyncio.get_running_loop(), _Loop())

    def _needed_key(self, provider: Provider) -> Key | None:
        """Return a runtime's key; a hosted one must have one."""
        if provider.kind in ("openai", "anthropic", "ollama") and not provider.base_url:
            raise NoRuntime(f"{provider.title} has no address.", provider.steps[1])
        key = self.key(provider)
        if key or not provider.key_variables or runs_here(provider):
            return key
        places = (
            f"the variable {' or '.join(provider.key_variables)}, into {self._folder / '.env'}, or into the keyring"
        )
        raise KeyMissing(
            f"{provider.title} needs a key.",
            f"Put it into {places}: keyring set {KEYRING_SERVICE} {provider.key_variables[0]}",
        )

    def _make(self, provider: Provider, key: Key | None) -> Runtime:
        match provider.kind:
            case "scripted":
                from alain_magics.runtimes.scripted import ScriptedRuntime

                return ScriptedRuntime()
            case "local":
                from alain_magics.runtimes.local.runtime import LocalRuntime

                folder = self._settings().models_dir
                return LocalRuntime([Path(folder).expanduser()] if folder else [])
            case "ollama":
                from alain_magics.runtimes.ollama.runtime import OllamaRuntime

                return OllamaRuntime(provider, self._http(provider, key))
            case "anthropic":
                from alain_magics.runtimes.anthropic.runtime import AnthropicRuntime

                return AnthropicRuntime(provider, self._http(provider, key))
            case "openai":
                from alain_magics.runtimes.openai.runtime import OpenAIRuntime

                return OpenAIRuntime(provider, self._http(provider, key))

    def _http(self, provider: Provider, key: Key | None = None) -> Http:
        from alain_magics.runtimes.http import Deadlines, Http, Pool

        here, settings = self._loop(), self._settings()
        here.pool = here.pool or Pool()
        deadlines = Deadlines(settings.connect_seconds, settings.first_token_seconds, settings.silence_seconds)
        return Http(here.pool, provider, key, deadlines)


def runs_here(provider: Provider) -> bool:
    """Whether a runtime is the user's own: on this machine, or of a kind that otherwise is and was put elsewhere."""
    return provider.local or PROVIDERS.get(provider.name, provider).local


def _secret(key: Key | None, provider: Provider) -> str:
    return key.reveal(provider.host) if key else ""
