"""The runtimes that can be asked by name, and which one is meant where none is named.

Names come from the presets, from the user's own file (never from a project, which may be a stranger's), and from entry
points of the group ``alain_magics.runtimes``, each of which leads to something that, called without arguments, makes a
:class:`~alain_magics.runtimes.base.Runtime`. A preset's name cannot be taken.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from alain_magics.errors import NoRuntime, TargetError, UnknownModel, Unreachable, UsageError
from alain_magics.runtimes.addresses import Addresses, Kind
from alain_magics.runtimes.catalogue import describe
from alain_magics.runtimes.discovery import Found, discover, listens, look, server
from alain_magics.runtimes.makers import Makers, runs_here
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.settings import Settings, nearest
from alain_magics.store.files import atomic_write

if TYPE_CHECKING:
    from alain_magics.keys import Key
    from alain_magics.runtimes.base import ModelInfo, Runtime
    from alain_magics.runtimes.http import Http
    from alain_magics.runtimes.recording import Recordings

GROUP = "alain_magics.runtimes"

KEPT = 10.0
"""Seconds for which it is remembered what runs on this machine."""

_BRIEFLY = 3  # runtimes whose steps an error tells


class Runtimes:
    """All runtimes of a user.

    ``file`` is the user's own list (see :mod:`~alain_magics.runtimes.addresses`), ``folder`` is where a ``.env`` with
    keys may lie and where the path of recorded turns begins, ``settings`` gives the settings of the moment, and
    ``names_file`` is where the names of the models that were found last are kept for completion.
    """

    def __init__(
        self,
        file: Path,
        *,
        folder: Path,
        settings: Callable[[], Settings],
        names_file: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.addresses = Addresses(file, environ)
        self._folder = folder
        self._settings = settings
        self._names_file = names_file
        self._makers = Makers(folder, settings, environ)
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._found: list[Found] = []
        self._found_at = 0.0
        self._recordings: dict[Path, Recordings] = {}

    def names(self) -> list[str]:
        """Return the names of all runtimes: the presets, the user's own, those of other packages."""
        return list(dict.fromkeys((*self.addresses.providers(), *self.addresses.problems(), *_foreign())))

    def provider(self, name: str) -> Provider:
        """Return where a runtime is and what it can do: as it was found, else as the user or the preset says.

        :class:`~alain_magics.errors.UnknownModel` names the nearest where there is none of that name,
        :class:`~alain_magics.errors.SettingsError` what is wrong with the user's entry for it.
        """
        if problem := self.addresses.problems().get(name):
            raise problem
        found = next((found.provider for found in self._found if found.runtime == name), None)
        provider = found or self.addresses.providers().get(name)
        if provider is None and name in _foreign():
            return Provider(name, name, "scripted")
        if provider is None:
            advice = nearest(name, self.names()) or f"There are: {', '.join(self.names())}."
            raise UnknownModel(f"There is no runtime {name[:80]!r}.", advice)
        return provider

    def get(self, name: str) -> Runtime:
        """Return a runtime by its name, the same one as long as nothing about it changes.

        Raises :class:`~alain_magics.errors.UnknownModel`, and :class:`~alain_magics.errors.KeyMissing` for a hosted
        runtime without its key.
        """
        if name in _foreign():
            return self._makers.foreign(name, lambda: _load(_foreign()[name]))
        return self._makers.runtime(self.provider(name))

    def http(self, name: str) -> Http:
        """Return a way to send requests to the root of a runtime's address, with its key."""
        return self._makers.http(self.provider(name))

    def key(self, name: str) -> Key | None:
        """Return a runtime's key; ``None`` where it has none."""
        return self._makers.key(self.provider(name))

    def add(self, name: str, base_url: str, kind: Kind | None = None, key_variable: str = "") -> Provider:
        """Keep an address of the user's own; see :meth:`~alain_magics.runtimes.addresses.Addresses.add`."""
        if name in _foreign():
            raise UsageError(f"{name} is the runtime of another package.", "Take another name.")
        self._found = []
        return self.addresses.add(name, base_url, kind, key_variable)

    def remove(self, name: str) -> None:
        """Forget an address of the user's own."""
        self._found = []
        self.addresses.remove(name)

    async def models(self, name: str) -> list[ModelInfo]:
        """List the models of one runtime, wherever it is; see :meth:`models_of`."""
        await self._look_for(name)
        return await self.models_of(await self._ready(name))

    async def models_of(self, runtime: Runtime) -> list[ModelInfo]:
        """List the models of a runtime, with what is known of each.

        :class:`~alain_magics.errors.NoRuntime` where it does not answer, and what it raises where it refuses.
        """
        try:
            return [describe(model) for model in await runtime.models()]
        except Unreachable as error:
            raise NoRuntime(error.what, steps_to(self.provider(runtime.name)) or error.advice) from error

    async def discover(self, *, fresh: bool = False) -> list[Found]:
        """Return what runs on this machine, the preferred first; ``fresh``: not as it was some seconds ago."""
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            if fresh or not self._found or time.monotonic() - self._found_at > KEPT:
                makers = self._makers
                places = self._places()
                own = [place for place in places if place.name not in PROVIDERS and place.key_variables]
                await asyncio.to_thread(lambda: [makers.key(place) for place in own])  # a keyring may take long
                servers, own_models = await asyncio.gather(
                    discover(places, makers.keyless, makers.lister), self._in_process()
                )
                self._found, self._found_at = servers + own_models, time.monotonic()
                await asyncio.to_thread(self._remember, self._found)
            return self._found

    async def choose(self, wanted: str | None = None) -> tuple[Runtime, str]:
        """Return the runtime and model that are meant by ``runtime/model``, a runtime, or a model's own id.

        Without a name it is the setting ``model``, and without that the default. An id that a runtime of this machine
        lists outranks the same text read as a hosted runtime's, so that nothing leaves the machine by mistake.
        """
        settings = self._settings()
        if settings.replay:
            return await self._replaying(wanted or settings.model, self._folder / Path(settings.replay).expanduser())
        if wanted:
            return await self._chosen(wanted)
        if not settings.model:
            return await self._default()
        try:
            return await self._chosen(settings.model)
        except UnknownModel as error:
            raise UnknownModel(f"{settings.origins.get('model', 'model')}: {error.what}", error.advice) from None

    async def _chosen(self, wanted: str) -> tuple[Runtime, str]:
        """Return the runtime and model of a name."""
        name, slash, model = wanted.partition("/")
        if slash and name in self.names() and runs_here(self.provider(name)):
            await self._look_for(name)
            return await self._ready(name), model
        found = await self.discover()
        listed = [info for each in found for info in each.models]
        for info in listed:
            if wanted in (info.id, info.id.removesuffix(":latest")):
                return await self._ready(info.runtime), info.id
        if name in self.names() or name in {each.runtime for each in found}:
            return (await self._ready(name), model) if slash else await self._first(name)
        advice = nearest(wanted, [text for info in listed for text in (info.id, info.name)])
        if slash and not advice:
            advice = nearest(name, self.names())
        raise UnknownModel(
            f"No runtime of this machine has a model {wanted[:80]!r}.",
            advice or "alain models lists what there is; a hosted model is written RUNTIME/MODEL.",
        )

    def remembered(self) -> list[str]:
        """Return the names of the models that were found last, without looking for any."""
        try:
            names = json.loads(self._names_file.read_bytes()) if self._names_file else []
        except (OSError, ValueError):
            return []
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    async def aclose(self) -> None:
        """Free what belongs to the running loop."""
        await self._makers.aclose()

    def close(self, seconds: float = 2.0) -> None:
        """Free what belongs to the loops of other threads, within so many seconds each."""
        self._makers.close(seconds)

    async def _default(self) -> tuple[Runtime, str]:
        """Return the default of this machine."""
        found = await self.discover()
        default = preferred(found)
        if default is None:
            raise nothing_found(found)
        return await self._ready(default.runtime), default.id

    async def _first(self, name: str) -> tuple[Runtime, str]:
        """Return the default of one runtime."""
        runtime, provider = await self._ready(name), self.provider(name)
        default = preferred([Found(provider, tuple(await self.models_of(runtime)))])
        if default is None:
            raise UnknownModel(f"{provider.title} lists no model to chat with.", f"Name one: {name}/MODEL.")
        return runtime, default.id

    async def _replaying(self, wanted: str, folder: Path) -> tuple[Runtime, str]:
        """Return what answers as recorded turns of a folder did."""
        from alain_magics.runtimes.recording import Recordings
        from alain_magics.runtimes.scripted import ReplayRuntime

        recordings = self._recordings.setdefault(folder, Recordings(folder))
        recorded = await asyncio.to_thread(recordings.models)
        name, slash, rest = wanted.partition("/")
        if not wanted:
            if not recorded:
                raise NoRuntime(f"There are no recorded turns in {folder}.", "Record some with --record.")
            wanted = next(iter(recorded))
        if wanted not in recorded and (last := await asyncio.to_thread(recordings.last_model, wanted)):
            return ReplayRuntime(wanted, recordings, any_model=True), last  # a runtime was named, and no model
        model = rest if slash and wanted not in recorded else wanted
        return ReplayRuntime(recorded.get(model, name), recordings), model

    async def _ready(self, name: str) -> Runtime:
        """Return a runtime by its name, after its key was looked for in a thread: a keyring may take long."""
        if name not in _foreign():
            await asyncio.to_thread(self.key, name)
        return self.get(name)

    async def _look_for(self, name: str) -> None:
        """Find out where a runtime of this machine is, unless it is where it should be."""
        provider = self.provider(name)
        if provider.base_url and runs_here(provider) and not await listens(provider.base_url):
            await self.discover(fresh=True)

    def _places(self) -> list[Provider]:
        """Return the addresses to look at: those of this machine, and servers of the user's own that take no key.

        Of two for one server the user's own is looked at, and then the first.
        """
        places: dict[str, Provider] = {}
        for provider in sorted(self.addresses.providers().values(), key=lambda each: each.name in PROVIDERS):
            if provider.base_url and (runs_here(provider) or not provider.key_variables):
                places.setdefault(server(provider), provider)
        return list(places.values())

    async def _in_process(self) -> list[Found]:
        """Return the models that can run in this process, where it can run any."""
        local = PROVIDERS["local"]
        if find_spec("llama_cpp") is None:
            return []
        found = await look(local, self._makers.runtime)
        folder = self._settings().models_dir
        if folder and not Path(folder).expanduser().is_dir():
            origin = self._settings().origins.get("models_dir", "models_dir")
            found = replace(found, problem=f"there is no folder {folder} ({origin})")
        return [found] if found.models or found.problem else []

    def _remember(self, found: Sequence[Found]) -> None:
        if self._names_file:
            names = [info.name for each in found for info in each.models if info.kind == "chat"]
            with suppress(TargetError, OSError):
                self._names_file.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(self._names_file, json.dumps(names), force=True, private=True)


def preferred(found: Sequence[Found]) -> ModelInfo | None:
    """Return the default: of the first runtime that has models to chat with its first loaded one, else its first."""
    for each in found:
        if models := [info for info in each.models if info.kind == "chat"]:
            return next((info for info in models if info.loaded), models[0])
    return None


def nothing_found(found: Sequence[Found]) -> NoRuntime:
    """Return the error for a machine where no model can be asked, with the steps to take."""
    if found:
        provider = found[0].provider
        if found[0].problem:
            return NoRuntime(
                f"{provider.title} lists no models: {found[0].problem}", "alain runtimes lists the others."
            )
        return NoRuntime(f"{provider.title} runs, but has no model to chat with.", steps_to(provider))
    advice = [f"{provider.title}: {steps_to(provider)}" for provider in startable()[:_BRIEFLY]]
    return NoRuntime("No model runs on this machine.", f"{'; '.join(advice)}; alain models names more ways.")


def startable() -> list[Provider]:
    """Return the presets of this machine that can be installed and started, the preferred first."""
    return [provider for provider in PROVIDERS.values() if provider.local and provider.steps[0]]


def steps_to(provider: Provider) -> str:
    """Return the steps that lead to a runtime that does not answer; empty where they are not known."""
    installed = provider.kind == "local" and find_spec("llama_cpp") is not None
    return ", then: ".join(step.rstrip(".") for step in provider.steps[installed:] if step)


@cache
def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in PROVIDERS}


def _load(entry: EntryPoint) -> Runtime:
    try:
        runtime: Runtime = entry.load()()
    except Exception as error:  # whatever a foreign module may raise
        what = f"The runtime {entry.name!r} of {entry.value} does not load: {error!r}."
        raise UsageError(what, "Upgrade or remove the package that it comes from.") from error
    return runtime
