"""``pull``: fetch a model into a runtime, with its variants to choose from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.commands.models import size_text, table
from alain_magics.errors import DownloadError

if TYPE_CHECKING:
    from alain_magics.runtimes.hub import Variant
    from alain_magics.runtimes.pull import Gauge, Way
    from alain_magics.runtimes.registry import Runtimes
    from alain_magics.store.jobs import Jobs

LOOK = 0.2
"""Seconds between two looks at how far a pull is, and whether somebody wants it to end."""

NOTE = 1.0
"""Seconds between two events of the job."""

_SUGGESTED = "Q4_K_M"  # the usual compromise between size and quality


class PullRequest(Request):
    """What to fetch, and where it goes."""

    name: str = Field(
        description="owner/name of the Hub, with :variant; or a model of Ollama's library",
        json_schema_extra={"positional": True},
    )
    into: str | None = Field(
        default=None,
        description="the runtime to fetch it into; local: the Hub's cache (default: the first that runs and can)",
        json_schema_extra={"complete": "runtime"},
    )


class _Unwanted(DownloadError):
    """Somebody asked that the job should end."""


@dataclass(frozen=True)
class _Target:
    """Where a model goes: a runtime, and how it is fetched into it."""

    name: str
    title: str
    way: Way


async def run(context: Context, request: PullRequest) -> AsyncIterator[Event]:
    """List the variants where there is a choice; else fetch the model, as a job that can be resumed."""
    from alain_magics.runtimes import hub
    from alain_magics.runtimes.pull import Gauge

    runtimes, name, variant = context.workspace.runtimes, request.name, None
    target = await _wanted(runtimes, request.into, name) if request.into else None
    repository, wanted = hub.parse_name(name)
    if repository:
        yield Progress(f"looking at {repository} on the Hub")
        try:
            found = await hub.variants(repository)
        except DownloadError:
            if target is None or target.way not in ("ollama", "lmstudio"):  # which have libraries with such names
                raise
        else:
            variant = _chosen(found, wanted)
            if variant is None:
                yield _choice(found)
                return
            name = variant.id
    target = target or await _default(runtimes, name, variant)
    _check(target, name, variant)
    gauge = Gauge()
    work = partial(_fetch, runtimes, target, name, variant, gauge)
    what = f"fetching {name} into {target.title}"
    try:
        async with aclosing(
            _job(context.workspace.jobs, {"name": name, "into": target.name}, what, work, gauge)
        ) as job:
            async for event in job:
                yield event
    except asyncio.CancelledError:
        if target.way == "lmstudio":
            context.workspace.notices.append(f"{target.title} goes on with it: downloads can be stopped there only.")
        raise


async def _wanted(runtimes: Runtimes, name: str, model: str) -> _Target:
    """Return the runtime that the user chose; an error where it does not run, or cannot fetch models."""
    from alain_magics.runtimes import pull

    provider = runtimes.provider(name)
    way = pull.way_into(provider)
    if way == "cache":
        return _Target(name, "the Hub's cache", way)
    if not way:
        raise pull.by_hand(provider, model)
    await runtimes.models(name)  # where it does not run, this says what to do
    if not await pull.can_fetch(runtimes.http(name)):
        raise pull.by_hand(provider, model)
    return _Target(name, provider.title, way)


async def _default(runtimes: Runtimes, name: str, variant: Variant | None) -> _Target:
    """Return the first runtime that runs and can fetch a model, else the Hub's cache."""
    from alain_magics.runtimes import pull

    for found in await runtimes.discover():
        way = pull.way_into(found.provider)
        if way == "cache" or (way == "lmstudio" and variant is None) or not pull.takes(way, variant):
            continue
        if await pull.can_fetch(runtimes.http(found.runtime)):
            return _Target(found.runtime, found.provider.title, way)
    if variant is None:
        words = name.partition(":")[0]
        advice = f"Start it: ollama serve, or look on the Hub: alain models --search {words}"
        raise DownloadError(f"No Ollama runs here that could fetch {name}.", advice)
    return _Target("local", "the Hub's cache", "cache")


def _check(target: _Target, name: str, variant: Variant | None) -> None:
    """Refuse what cannot go into a target."""
    from alain_magics.runtimes.pull import takes

    if takes(target.way, variant):
        return
    if variant:
        raise DownloadError(f"{target.title} takes no {variant.format.upper()} weights.", "Choose a GGUF repository.")
    words = name.partition(":")[0].rpartition("/")[2]
    advice = f"Name one (owner/name): alain models --search {words}"
    raise DownloadError(f"{target.title} takes models of the Hub, and {name} is none.", advice)


def _chosen(found: Sequence[Variant], wanted: str) -> Variant | None:
    """Return the variant that the user named, or the only one; nothing where there is a choice."""
    if not wanted:
        return found[0] if len(found) == 1 else None
    for variant in found:
        if variant.name.lower() == wanted.lower():
            return variant
    names = ", ".join(variant.name for variant in found)
    raise DownloadError(f"{found[0].repository} has no variant {wanted[:80]!r}.", f"It has: {names}.")


def _choice(found: Sequence[Variant]) -> Done:
    """Return the variants as a table, with one to begin with."""
    from alain_magics.runtimes.room import fits_memory

    fits = {each.id: fits_memory(each.size) for each in found}
    lines = table(
        ("variant", "size", "files", "memory"),
        [
            (each.name, size_text(each.size), str(len(each.files)), "fits" if fits[each.id] else "too little for it")
            for each in found
        ],
    )
    rows = [
        {
            "id": each.id,
            "variant": each.name,
            "format": each.format,
            "size": each.size,
            "files": len(each.files),
            "fits_memory": fits[each.id],
        }
        for each in found
    ]
    fitting = [each for each in found if fits[each.id]] or found[:1]
    suggested = next((each for each in fitting if each.name.upper() == _SUGGESTED), fitting[-1])
    return Done({"variants": rows}, "\n".join([*lines, "", f"Fetch one: alain pull {suggested.id}"]))


async def _fetch(runtimes: Runtimes, target: _Target, name: str, variant: Variant | None, gauge: Gauge) -> Done:
    """Fetch a model, and say how `use` calls it."""
    from alain_magics.runtimes import pull

    if target.way == "cache":
        assert variant
        await pull.into_cache(variant, gauge)
        identifier, remark = pull.in_cache(variant)
    else:
        before = await runtimes.models(target.name)
        await pull.into_server(target.way, runtimes.http(target.name), name, variant, gauge)
        model = pull.arrived(before, await runtimes.models(target.name), name)
        identifier = model.name if model else ""
        remark = "" if model else f"alain models --runtime {target.name} tells how it is called there."
    lines = [f"{name} is in {target.title}.", remark, f"Use it: alain use {identifier}" if identifier else ""]
    data = {"id": identifier, "name": name, "into": target.name}
    return Done(data, "\n".join(filter(None, lines)))


async def _job(
    jobs: Jobs, asked: dict[str, str], what: str, work: Callable[[], Awaitable[Done]], gauge: Gauge
) -> AsyncGenerator[Event, None]:
    """Do the work as a job, which others can follow and cancel; one that ended early is taken up again."""
    earlier = jobs.find_resumable("pull", asked)
    if earlier:
        jobs.resume(earlier.id)
    job = earlier.id if earlier else jobs.start("pull", asked)
    task, told = asyncio.ensure_future(work()), None
    noted, noted_at = replace(gauge), 0.0
    try:
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=LOOK)
                if (now := _progress(what, gauge)) != told:
                    told = now
                    yield now
                if gauge != noted and time.monotonic() - noted_at >= NOTE:
                    noted, noted_at = replace(gauge), time.monotonic()
                    jobs.append(job, {"what": what, **vars(gauge)})
                if not task.done() and jobs.get(job).cancel_requested:
                    raise _Unwanted(f"Somebody has cancelled {what}.", "Pull again to go on.")
        finally:
            task.cancel()
            await asyncio.wait({task})
        done = task.result()
    except (asyncio.CancelledError, GeneratorExit, _Unwanted):
        jobs.cancel(job)
        raise
    except BaseException as error:
        jobs.fail(job, str(error))
        raise
    jobs.finish(job, done.data)
    yield done


def _progress(what: str, gauge: Gauge) -> Progress:
    stage = f": {gauge.stage}" if gauge.stage else ""
    if not gauge.total:
        return Progress(f"{what}{stage}")
    return Progress(f"{what}{stage}, MB", gauge.done // 10**6, -(-gauge.total // 10**6))


command = Command(
    "pull",
    "fetch a model into Ollama, LM Studio, llama.cpp or the Hub's cache",
    PullRequest,
    run,
    examples=("pull llama3.2:3b", "pull Qwen/Qwen3-0.6B-GGUF", "pull Qwen/Qwen3-0.6B-GGUF:Q8_0 --into local"),
)
