"""``use``: which model is asked where none is named; to load a model, and to free its memory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.errors import BadProtocol, KeyRefused, Refused, UnknownModel, UsageError
from alain_magics.runtimes.makers import runs_here
from alain_magics.settings import PROJECT_FILE, configured, nearest, user_file

if TYPE_CHECKING:
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.registry import Runtimes

_SHOWN = 80


class UseRequest(Request):
    """Which model, and for what."""

    name: str = Field(
        description="the model, as runtime/model; a runtime alone stands for its first loaded model, else its first",
        json_schema_extra={"positional": True, "complete": "model"},
    )
    project: bool = Field(
        default=False,
        description="keep it in the project's alain.toml; a shell does so anyway, or, outside of one, keeps it for you",
    )
    preload: bool = Field(default=False, description="load it into memory now, so that the first answer comes soon")
    unload: bool = Field(default=False, description="free its memory instead, and change no default")


async def run(context: Context, request: UseRequest) -> AsyncIterator[Event]:
    """Look whether the model is there, keep its name, and load it if that is wanted."""
    if request.unload and (request.preload or request.project):
        raise UsageError("--unload goes with no other option.", "Leave one out.")
    runtimes = context.workspace.runtimes
    target = _target(context, request)
    yield Progress(f"looking for {request.name[:_SHOWN]}")
    runtime, wanted = await runtimes.choose(request.name)
    model, note = await _listed(runtimes, runtime, wanted, "%alain" if context.interactive_kernel else "alain")
    name = f"{runtime.name}/{model}"
    if request.unload:
        await runtime.unload(model)
        yield Done({"model": name, "loaded": False}, f"{name} is out of memory.")
        return
    where = _keep(name, target)
    lines = [f"{name} is asked from now on {where}.", note]
    if outranking := _outranked(context, name):
        lines.append(f"But {outranking} names another, which counts more.")
    if request.preload:
        yield Progress(f"loading {name}")
        begun = time.monotonic()
        await runtime.load(model)
        lines.append(f"It was loaded in {time.monotonic() - begun:.1f} s.")
    data = {"model": name, "file": str(target) if target else None, "note": note, "loaded": request.preload or None}
    yield Done(data, "\n".join(filter(None, lines)))


async def _listed(runtimes: Runtimes, runtime: Runtime, model: str, program: str) -> tuple[str, str]:
    """Return a model's id as its runtime lists it, and a remark where it does not.

    A hosted runtime may know models that it does not list; one of this machine knows none.
    """
    provider = runtimes.provider(runtime.name)
    title = provider.title
    try:
        listed = {info.id: info for info in await runtimes.models_of(runtime)}
    except KeyRefused:
        raise
    except (Refused, BadProtocol) as error:
        return model, f"{title} does not say which models it has ({error.what}), so this name was not checked."
    found = listed.get(model) or listed.get(f"{model}:latest")
    if found is None:
        similar = nearest(model, listed)
        if listed and runs_here(provider):
            raise UnknownModel(
                f"{title} has no model {model[:_SHOWN]!r}.",
                similar or f"{program} models --runtime {runtime.name} lists them.",
            )
        return model, f"{title} does not list it. {similar}".rstrip()
    if found.kind != "chat":
        raise UsageError(f"{found.name} is no model to chat with.", f"{program} models lists those that are.")
    ends = f"It is shut down on {found.shutdown}." if found.shutdown else ""
    return found.id, ends


def _target(context: Context, request: UseRequest) -> Path | None:
    """Return the file that keeps the default; ``None``: this process does."""
    project = context.workspace.project
    if request.project and project is None:
        raise UsageError("This folder belongs to no project.", f"Make it one: an empty file {PROJECT_FILE} does.")
    if context.interactive_kernel and not request.project:
        return None
    return project / PROJECT_FILE if project else user_file()


def _keep(name: str, target: Path | None) -> str:
    """Make a model the default, and say for whom."""
    if target is None:
        configured["model"] = name
        return "in this notebook"
    import tomlkit

    from alain_magics.store.files import atomic_write

    document = tomlkit.parse(target.read_text(encoding="utf-8")) if target.exists() else tomlkit.document()
    document["model"] = name
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, tomlkit.dumps(document), force=True)
    return f"({target})"


def _outranked(context: Context, name: str) -> str:
    """Return the place that gives another default in spite of what was kept; empty where none does."""
    settings = context.workspace.settings
    return "" if settings.model == name else settings.origins["model"]


command = Command(
    "use",
    "choose the model that is asked where none is named",
    UseRequest,
    run,
    examples=("use ollama/gpt-oss:20b", "use lmstudio/openai/gpt-oss-20b --preload", "use openai/gpt-4o --project"),
)
