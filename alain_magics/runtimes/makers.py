"""Runtimes made from providers: with the key of each, the deadlines of the settings and connections that are shared.

Connections belong to an event loop, and so do the runtimes that use them: whoever asks on a loop gets that loop's own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from alain_magics.errors import KeyMissing, KeyMisused, NoRuntime
from alain_magics.keys import KEYRING_SERVICE, Key, find_key
from alain_magics.runtimes.addresses import exposed
from alain_magics.runtimes.deadlines import Deadlines
from alain_magics.runtimes.discovery import root
from alain_magics.runtimes.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.http import Http, Pool
    from alain_magics.settings import Settings


@dataclass
class _Made:
    """A runtime, and what it was made with: it is made anew when that changes. ``http`` is its way to its server."""

    runtime: Runtime
    signature: object = None
    key: Key | None = None
    http: Http | None = None


@dataclass
class _Loop:
    """What belongs to one event loop."""

    pool: Pool | None = None
    made: dict[str, _Made] = field(default_factory=dict)
    closing: set[asyncio.Task[None]] = field(default_factory=set)


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
        """Return the runtime of a provider: the same one as long as its address, key or folder does not change.

        One that is replaced is closed. Raises :class:`~alain_magics.errors.KeyMissing` for a hosted one without its
        key, and :class:`~alain_magics.errors.KeyMisused` where the key would travel in the open.
        """
        key = self._needed_key(provider)
        signature = self._settings().models_dir if provider.kind == "local" else provider
        here = self._loop()
        known = here.made.get(provider.name)
        if known and known.signature == signature and _secret(known.key, provider) == _secret(key, provider):
            if known.http:
                known.http.deadlines = self._deadlines()
            return known.runtime
        runtime, http = self._make(provider, key)
        here.made[provider.name] = _Made(runtime, signature, key, http)
        if known:
            closing = asyncio.get_running_loop().create_task(known.runtime.aclose())
            here.closing.add(closing)
            closing.add_done_callback(here.closing.discard)
        return runtime

    def lister(self, provider: Provider) -> Runtime:
        """Return a runtime that lists what a server of this machine has, and is then forgotten."""
        return self._make(provider, self._needed_key(provider))[0]

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
        closing = (*here.closing, *(made.runtime.aclose() for made in here.made.values()))
        await asyncio.gather(*closing, return_exceptions=True)  # one that fails hinders no other
        if here.pool:
            await here.pool.aclose()

    def close(self, seconds: float) -> None:
        """Free what belongs to loops that run in other threads, within so many seconds each.

        What belonged to a loop that runs no more is gone with it.
        """
        for loop in list(self._loops):
            if loop.is_running() and loop is not _running():
                with suppress(TimeoutError, CancelledError):
                    asyncio.run_coroutine_threadsafe(self._within(seconds), loop).result(seconds + 1)
        self._loops.clear()

    async def _within(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await self.aclose()

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

    def _make(self, provider: Provider, key: Key | None) -> tuple[Runtime, Http | None]:
        """Make a runtime, and its way to its server where it has one."""
        if provider.kind == "scripted":
            from alain_magics.runtimes.scripted import ScriptedRuntime

            return ScriptedRuntime(), None
        if provider.kind == "local":
            from alain_magics.runtimes.local.runtime import LocalRuntime

            folder = self._settings().models_dir
            return LocalRuntime([Path(folder).expanduser()] if folder else []), None
        http = self._http(provider, key)
        if provider.kind == "ollama":
            from alain_magics.runtimes.ollama.runtime import OllamaRuntime

            return OllamaRuntime(provider, http), http
        if provider.kind == "anthropic":
            from alain_magics.runtimes.anthropic.runtime import AnthropicRuntime

            return AnthropicRuntime(provider, http), http
        from alain_magics.runtimes.openai.runtime import OpenAIRuntime

        return OpenAIRuntime(provider, http), http

    def _http(self, provider: Provider, key: Key | None = None) -> Http:
        """Return a way to a server; :class:`~alain_magics.errors.KeyMisused` where a key would travel in the open."""
        from alain_magics.runtimes.http import Http, Pool

        if key and exposed(provider.base_url):
            what = f"{provider.title}: the key would go to {provider.host} unencrypted."
            raise KeyMisused(what, "Use its https:// address.")
        here = self._loop()
        here.pool = here.pool or Pool()
        return Http(here.pool, provider, key, self._deadlines())

    def _deadlines(self) -> Deadlines:
        settings = self._settings()
        return Deadlines(settings.connect_seconds, settings.first_token_seconds, settings.silence_seconds)


def runs_here(provider: Provider) -> bool:
    """Whether a runtime is the user's own: on this machine, or of a kind that otherwise is and was put elsewhere."""
    return provider.local or PROVIDERS.get(provider.name, provider).local


def _secret(key: Key | None, provider: Provider) -> str:
    return key.reveal(provider.host) if key else ""


def _running() -> asyncio.AbstractEventLoop | None:
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
