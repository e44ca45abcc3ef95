"""``models``: which models can be asked here, or, with ``--search``, which ones the Hub has."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.errors import AlainError
from alain_magics.runtimes.catalogue import amount, describe
from alain_magics.runtimes.registry import startable, steps_to

if TYPE_CHECKING:
    from alain_magics.runtimes.base import ModelInfo
    from alain_magics.runtimes.registry import Runtimes

_ROWS = 200  # of a runtime are printed
_HOSTED = "Hosted models are listed one runtime at a time, such as: alain models --runtime openai"


class ModelsRequest(Request):
    """Where to look for models."""

    runtime: str | None = Field(
        default=None,
        description="list the models of this runtime only, such as openai (default: those of this machine)",
        json_schema_extra={"complete": "runtime"},
    )
    search: str | None = Field(default=None, description="look for models on the Hugging Face Hub instead")


async def run(context: Context, request: ModelsRequest) -> AsyncIterator[Event]:
    """List models with all that is known of them."""
    if request.search:
        yield Progress(f"looking for {request.search} on the Hub")
        yield await _search(request.search)
        return
    runtimes = context.workspace.runtimes
    yield Progress(f"asking {request.runtime}" if request.runtime else "looking for runtimes")
    if request.runtime:
        models: Sequence[ModelInfo] = await runtimes.models(request.runtime)
    else:
        models = [model for found in await runtimes.discover(fresh=True) for model in found.models]
    default, problem = await _default(runtimes)
    rows = [{"name": model.name, "default": model.name == default, **asdict(model)} for model in models]
    data = {"default": default, "models": rows}
    if not models:
        yield Done(data, f"{request.runtime} lists no models." if request.runtime else no_models())
        return
    printed, left = _printed(models)
    lines = [*_table(printed, default), *left, "", f"* the default: {default}" if default else problem]
    yield Done(data, "\n".join([*lines, "Choose another: alain use NAME", *([] if request.runtime else [_HOSTED])]))


def _printed(models: Sequence[ModelInfo]) -> tuple[list[ModelInfo], list[str]]:
    """Return the models to print, and a line for each runtime of which some are left out."""
    of: dict[str, list[ModelInfo]] = {}
    for model in models:
        of.setdefault(model.runtime, []).append(model)
    printed = [model for each in of.values() for model in each[:_ROWS]]
    left = {name: len(each) - _ROWS for name, each in of.items() if len(each) > _ROWS}
    return printed, [f"  and {more:,} more of {name}; --json lists them all" for name, more in left.items()]


def no_models() -> str:
    """Return what to do where there is no model, for people."""
    lines = ["No model runs on this machine. Two steps lead to one:"]
    lines += [f"  {provider.title}: {steps_to(provider)}" for provider in startable()]
    return "\n".join([*lines, "Or ask a hosted one, with its key: alain use openai/NAME"])


def size_text(size: int | None) -> str:
    """Return bytes as people write them."""
    if size is None:
        return ""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines whose columns stand below each other; columns in which nothing stands are left out."""
    body = [list(row) for row in rows]
    used = [number for number, _ in enumerate(header) if any(row[number] for row in body)]
    widths = {number: max(len(row[number]) for row in [header, *body]) for number in used}
    return ["  ".join(f"{row[number]:<{widths[number]}}" for number in used).rstrip() for row in [header, *body]]


async def _default(runtimes: Runtimes) -> tuple[str, str]:
    """Return the name of the model that is asked where none is named, or why there is none."""
    try:
        runtime, model = await runtimes.choose()
    except AlainError as error:
        return "", f"There is no default: {error}"
    return f"{runtime.name}/{model}", ""


def _table(models: Sequence[ModelInfo], default: str) -> list[str]:
    header = ("  model", "family", "parameters", "context", "stored as", "tools", "size", "loaded")
    first, *lines = table(header, [_row(model, default) for model in models])
    shown = [first]
    for model, line in zip(models, lines, strict=True):
        ends = f"Shut down on {model.shutdown}" if model.shutdown else ""
        remarks = "; ".join(filter(None, (model.description, ends)))
        shown += [line, f"      {remarks}"] if remarks else [line]
    return shown


def _row(model: ModelInfo, default: str) -> tuple[str, ...]:
    return (
        f"{'*' if model.name == default else ' '} {model.name}",
        model.family,
        amount(model.parameters),
        f"{model.context:,}" if model.context else "",
        model.quantisation,
        {True: "yes", False: "no", None: ""}[model.tools],
        size_text(model.size),
        {True: "yes", False: "no", None: ""}[model.loaded],
    )


async def _search(text: str) -> Done:
    from alain_magics.runtimes import hub
    from alain_magics.runtimes.base import ModelInfo

    found = await hub.search(text)
    rows: list[dict[str, Any]] = []
    lines = []
    for model in found:
        info = describe(ModelInfo(model.id, "hub"))
        rows.append({**asdict(model), "family": info.family, "maker": info.maker, "parameters": info.parameters})
        terms = "terms to accept" if model.gated else ""
        lines.append(
            (model.id, model.format, info.family, amount(info.parameters), f"{model.downloads:,}", model.updated, terms)
        )
    if not rows:
        return Done({"found": []}, f"The Hub has no GGUF or MLX model for {text!r}.")
    shown = table(("model", "format", "family", "parameters", "downloads", "updated", ""), lines)
    return Done({"found": rows}, "\n".join([*shown, "", f"See the variants and fetch one: alain pull {found[0].id}"]))


command = Command(
    "models",
    "the models of this machine, of a hosted runtime, or of the Hub",
    ModelsRequest,
    run,
    exposed=True,
    examples=("models", "models --runtime openai --json", "models --search qwen"),
)
