"""Which model runtimes run on this machine: known addresses are tried, and what listens is told by what it answers.

A port says little: an Ollama may be moved to LM Studio's, and on 8080 stands many a web application. So nothing counts
as a runtime before it answers as one does. No key is sent to find out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alain_magics.errors import AlainError, BadProtocol, Refused, ServerFailed
from alain_magics.runtimes.catalogue import describe
from alain_magics.runtimes.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from alain_magics.runtimes.base import ModelInfo, Runtime
    from alain_magics.runtimes.http import Http

CONNECT = 0.1
"""Seconds in which something must accept a connection."""

IDENTIFY = 0.2
"""Seconds in which it must then answer as a runtime does."""

LISTING = 2.0
"""Seconds that a runtime, once known as one, has to list its models."""


@dataclass(frozen=True)
class Found:
    """A runtime that answers: where it is, and its models; ``problem`` says why it lists none, or fewer."""

    provider: Provider
    models: tuple[ModelInfo, ...] = ()
    problem: str = ""

    @property
    def runtime(self) -> str:
        """The name by which it can be asked."""
        return self.provider.name


async def discover(
    places: Sequence[Provider], http: Callable[[Provider], Http], runtime: Callable[[Provider], Runtime]
) -> list[Found]:
    """Look at the addresses of ``places``, all at once, and return what runs there, in the order of the presets.

    A place with a preset's name may turn out to be another preset: what is found has the name of what it is, with its
    port where there are two of a kind. A place with another name is what its owner says. ``http`` and ``runtime`` make
    the connection to a provider, and its runtime; neither is called where nothing listens. What answered without a key
    lists its models without one.
    """
    accepting = await asyncio.gather(*(listens(place.base_url) for place in places))
    here = [place for place, accepts in zip(places, accepting, strict=True) if accepts]
    connections = [http(root(place)) for place in here]
    known = await asyncio.gather(*(_identify(*pair) for pair in zip(here, connections, strict=True)))
    providers = _named(provider for provider in known if provider)
    own = {place.name for place in here} - PROVIDERS.keys()
    return await asyncio.gather(
        *(
            look(provider, runtime if provider.name in own else lambda found: runtime(replace(found, key_variables=())))
            for provider in providers
        )
    )


async def look(provider: Provider, runtime: Callable[[Provider], Runtime], seconds: float = LISTING) -> Found:
    """Return a runtime with the models that it lists in time, and without them what it does instead."""
    try:
        async with asyncio.timeout(seconds):
            return Found(provider, tuple(describe(model) for model in await runtime(provider).models()))
    except AlainError as error:
        return Found(provider, problem=error.what)
    except TimeoutError:
        return Found(provider, problem=f"It accepts connections, but lists no models within {seconds:g} s.")


async def listens(url: str, seconds: float = CONNECT) -> bool:
    """Whether something accepts connections at an address."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, ValueError, KeyError, TimeoutError):
        return False
    writer.close()
    return True


async def list_models(runtime: Runtime, seconds: float = LISTING) -> tuple[ModelInfo, ...]:
    """Return the models that a runtime lists in time, described as far as they are known; none where it fails."""
    with suppress(AlainError, TimeoutError):
        async with asyncio.timeout(seconds):
            return tuple(describe(model) for model in await runtime.models())
    return ()


async def _identify(place: Provider, http: Http) -> Provider | None:
    """Return what runs at a place; ``None`` where it is no runtime, or does not answer in time."""
    if place.name not in PROVIDERS:
        return place
    with suppress(AlainError, TimeoutError):
        async with asyncio.timeout(IDENTIFY):
            for name, path, fits in sorted(_MARKS, key=lambda mark: mark[0] != place.name):
                try:
                    answer = await http.get(path)
                except (Refused, BadProtocol):
                    continue
                except ServerFailed as error:
                    if "loading model" in error.what.lower():  # what llama-server says to everything at first
                        return _moved(PROVIDERS["llamacpp"], place)
                    continue
                if isinstance(answer, dict) and fits(answer):
                    return _moved(PROVIDERS.get(name) or _unnamed(place), place)
    return None


def _listed(answer: dict[str, Any], name: str, *keys: str) -> bool:
    """Whether an answer is a list of things that have all the keys."""
    entries = answer.get(name)
    return isinstance(entries, list) and all(isinstance(each, dict) and each.keys() >= set(keys) for each in entries)


def _openai(answer: dict[str, Any]) -> bool:
    return answer.get("object") == "list" and _listed(answer, "data", "id", "object")


_MARKS: tuple[tuple[str, str, Callable[[dict[str, Any]], bool]], ...] = (
    ("lmstudio", "/api/v1/models", lambda answer: _listed(answer, "models", "key", "type")),
    ("lmstudio", "/api/v0/models", lambda answer: _listed(answer, "data", "id", "state")),
    ("llamacpp", "/props", lambda answer: "default_generation_settings" in answer),
    ("ollama", "/api/tags", lambda answer: _listed(answer, "models", "name", "digest") and "object" not in answer),
    (
        "vllm",
        "/v1/models",
        lambda answer: _openai(answer) and {"vllm"} == {each.get("owned_by") for each in answer["data"]},
    ),
    ("mlx", "/v1/models", lambda answer: _openai(answer) and not _listed(answer, "data", "owned_by")),
    ("", "/v1/models", _openai),
)
"""What runtimes answer to ``GET path`` and others do not; without a name, whatever speaks OpenAI's protocol."""


def root(provider: Provider) -> Provider:
    """Return a provider without the path of its address, for what lies beside its API."""
    parts = urlsplit(provider.base_url)
    return replace(provider, base_url=f"{parts.scheme}://{parts.netloc}")


def server(provider: Provider) -> str:
    """Return what addresses of one server have in common: all but the name of this machine and the API's path."""
    parts = urlsplit(provider.base_url)
    return f"{parts.netloc.replace('localhost', '127.0.0.1')}{parts.path.rstrip('/').removesuffix('/v1')}"


def _moved(preset: Provider, place: Provider) -> Provider:
    """Return a preset at the address of a place, with the keys that the user meant for that address."""
    if preset.name == place.name:
        return place
    url = root(place).base_url + urlsplit(preset.base_url).path
    return replace(preset, base_url=url, key_variables=place.key_variables, auth=place.auth)


def _unnamed(place: Provider) -> Provider:
    """Return a server that no preset knows, named after its address."""
    host = place.host.replace("127.0.0.1", "localhost")
    return Provider(host, f"the server at {host}", "openai", "/v1", auth="none")


def _named(providers: Iterable[Provider]) -> list[Provider]:
    """Return providers in the order of the presets, each with a name of its own: one that is at home keeps its name."""
    names: set[str] = set()
    found: list[tuple[int, Provider]] = []
    for each in sorted(providers, key=_elsewhere):
        name = f"{each.name}-{urlsplit(each.base_url).port}" if each.name in names else each.name
        names.add(name)
        found.append((_RANKS.get(each.name, len(_RANKS)), replace(each, name=name)))
    return [provider for _, provider in sorted(found, key=lambda pair: pair[0])]


def _elsewhere(provider: Provider) -> bool:
    return provider.base_url != PROVIDERS.get(provider.name, provider).base_url


_RANKS = {name: rank for rank, name in enumerate(PROVIDERS)}
