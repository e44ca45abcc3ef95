"""``pull``: fetch a model into a runtime, with its variants to choose from."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Literal

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.errors import DownloadError
from alain_magics.runtimes import hub, pull
from alain_magics.runtimes.hub import Variant
from alain_magics.runtimes.pull import Step

Target = Literal["ollama", "lmstudio", "llamacpp", "local"]

_NOTE_PERIOD = 1.0  # seconds between two events of the job


class PullRequest(Request):
    """What to fetch, and where it goes."""

    name: str = Field(
        description="a model of Ollama's library, or owner/name of the Hub, with :variant",
        json_schema_extra={"positional": True},
    )
    into: Target | None = Field(default=None, description="the runtime to fetch it into (default: the preferred one)")


async def run(context: Context, request: PullRequest) -> AsyncIterator[Event]:
    """List the variants where there is a choice; else fetch the model, as a job that can be resumed."""
    repository, _, wanted = request.name.removeprefix("hf.co/").partition(":")
    chosen: Variant | None = None
    if hub.is_repository(repository):
        yield Progress(f"Looking at {repository}")
        found = await hub.variants(repository)
        chosen = _chosen(found, wanted)
        if chosen is None:
            yield _choice(repository, found)
            return
    target = request.into or await _target(context, chosen)
    jobs = context.workspace.jobs
    asked = request.model_dump() | {"into": target}
    earlier = jobs.find_resumable("pull", asked)
    if earlier:
        jobs.resume(earlier.id)
    job = earlier.id if earlier else jobs.start("pull", asked)
    identifier, noted = "", 0.0
    try:
        async with aclosing(_steps(context, target, request.name, chosen)) as steps:
            async for step in steps:
                identifier = step.id
                if step.what:
                    yield Progress(step.what, step.done, step.total)
                if time.monotonic() - noted >= _NOTE_PERIOD:
                    jobs.append(job, {"what": step.what, "done": step.done, "total": step.total})
                    noted = time.monotonic()
    except DownloadError as error:
        jobs.fail(job, str(error))
        raise
    except BaseException:
        jobs.cancel(job)
        raise
    jobs.finish(job, {"id": identifier})
    yield Done({"id": identifier}, f"{identifier} is there. Use it: alain use {identifier}")


def _chosen(found: list[Variant], wanted: str) -> Variant | None:
    """Return the variant that the user named, or the only one; nothing where there is a choice."""
    if not wanted:
        return found[0] if len(found) == 1 else None
    for variant in found:
        if variant.name.lower() == wanted.lower():
            return variant
    names = ", ".join(variant.name for variant in found[:12])
    raise DownloadError(f"{found[0].repository} has no variant {wanted!r}.", f"There are: {names}.")


def _choice(repository: str, found: list[Variant]) -> Done:
    rows = [
        {
            "id": variant.id,
            "variant": variant.name,
            "size": variant.size,
            "files": len(variant.files),
            "fits_memory": pull.fits_memory(variant.size),
        }
        for variant in found
    ]
    width = max(len(variant.name) for variant in found)
    lines = [f"{repository} comes in {len(found)} variants:", ""]
    for variant, row in zip(found, rows, strict=True):
        fits = "fits into memory" if row["fits_memory"] else "larger than this machine's memory"
        lines.append(f"  {variant.name:<{width}}  {variant.size / 1e9:7.2f} GB  {fits}")
    best = [variant for variant, row in zip(found, rows, strict=True) if row["fits_memory"]]
    suggested = next((variant for variant in best if variant.name.upper() == "Q4_K_M"), (best or found)[-1])
    lines += ["", f"Fetch one: alain pull {suggested.id}"]
    return Done({"variants": rows}, "\n".join(lines))


async def _target(context: Context, chosen: Variant | None) -> Target:
    """Return the first running runtime that can fetch models; this process where none runs."""
    running = {found.runtime for found in await context.workspace.runtimes.discover()}
    for name in ("lmstudio", "ollama", "llamacpp"):
        if name in running and (chosen or name == "ollama"):
            return name
    if chosen is None:
        raise DownloadError(
            "No Ollama runs to fetch that into.", "Start it (ollama serve), or name owner/name of the Hub."
        )
    return "local"


async def _steps(context: Context, target: Target, name: str, chosen: Variant | None) -> AsyncGenerator[Step, None]:
    """Yield the steps of the way that leads into a target."""
    if target == "local":
        if chosen is None:
            raise DownloadError(f"{name} is not on the Hub.", "Name it as owner/name.")
        ways = pull.into_cache(chosen)
    else:
        http = context.workspace.runtimes.http(target)
        if target == "ollama":
            ways = pull.into_ollama(http, f"hf.co/{chosen.id}" if chosen else name)
        elif chosen is None:
            raise DownloadError(f"{name} is not on the Hub.", "Name it as owner/name.")
        elif target == "lmstudio":
            ways = pull.into_lm_studio(http, chosen.repository, chosen.name)
        else:
            ways = pull.into_llama_cpp(http, chosen.id)
    async with aclosing(ways) as steps:
        async for step in steps:
            yield step


command = Command(
    "pull",
    "fetch a model into Ollama, LM Studio, llama.cpp or the Hub's cache",
    PullRequest,
    run,
    examples=("pull llama3.2:3b", "pull Qwen/Qwen3-0.6B-GGUF", "pull Qwen/Qwen3-0.6B-GGUF:Q8_0 --into local"),
)
