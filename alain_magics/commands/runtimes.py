"""``runtimes``: where models run; addresses of one's own; and whether one of them answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Progress, Request
from alain_magics.commands.models import no_models, table
from alain_magics.errors import BadProtocol, Refused, TimedOut, UnknownModel, UsageError
from alain_magics.runtimes.addresses import REQUEST_PATH, Kind
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.discovery import Found, listens, server
from alain_magics.runtimes.makers import runs_here
from alain_magics.runtimes.registry import preferred

if TYPE_CHECKING:
    from alain_magics.runtimes.base import ModelInfo
    from alain_magics.runtimes.providers import Provider
    from alain_magics.runtimes.registry import Runtimes

TEST_PROMPT = "Answer with one word: ready"

TEST_TOKENS = 16

TEST_SECONDS = 10.0
"""Seconds in which a runtime that is tried has to list its models, and then to answer."""


class RuntimesRequest(Request):
    """What to do with which runtime."""

    action: Literal["list", "add", "test", "remove"] = Field(
        default="list", description="what to do", json_schema_extra={"positional": True}
    )
    name: str = Field(
        default="",
        description="the runtime; test takes runtime/model too",
        json_schema_extra={"positional": True, "complete": "runtime"},
    )
    url: str = Field(
        default="",
        description="add: its address, such as http://localhost:8000/v1",
        json_schema_extra={"positional": True},
    )
    kind: Kind | None = Field(default=None, description="add: the protocol that it speaks (default: openai)")
    key_variable: str = Field(default="", description="add: the variable that holds its key")


async def run(context: Context, request: RuntimesRequest) -> AsyncIterator[Event]:
    """List runtimes, add or remove one, or try one."""
    runtimes = context.workspace.runtimes
    _check(request)
    match request.action:
        case "list":
            yield Progress("looking for runtimes")
            yield await _list(runtimes)
        case "add":
            provider = runtimes.add(request.name, request.url, request.kind, request.key_variable)
            data = {"runtime": provider.name, "url": provider.base_url, "kind": provider.kind}
            text = f"{provider.name} is {provider.base_url}. Try it: alain runtimes test {provider.name}"
            if urlsplit(request.url).path.rstrip("/").endswith(REQUEST_PATH):
                text += f"\n{REQUEST_PATH} was taken off its end: every request appends it."
            yield Done(data, text)
        case "remove":
            runtimes.remove(request.name)
            yield Done({"removed": request.name}, f"{request.name} is forgotten.")
        case "test":
            async for event in _test(context, request.name):
                yield event


def _check(request: RuntimesRequest) -> None:
    example = f"alain runtimes {request.action} work" + (" http://localhost:8000/v1" if request.action == "add" else "")
    if (request.action != "list" and not request.name) or (request.action == "add" and not request.url):
        raise UsageError(f"{request.action} what?", f"Such as: {example}")
    if request.action != "add" and (request.url or request.kind or request.key_variable):
        raise UsageError("An address, a kind and a key's variable go with add only.", f"Such as: {example}")


async def _list(runtimes: Runtimes) -> Done:
    """Say of every runtime where it is, and whether it answers or has its key."""
    found = {each.runtime: each for each in await runtimes.discover(fresh=True)}
    problems = runtimes.addresses.problems()
    names = [name for name in [*found, *runtimes.names()] if name not in problems]
    names = list(dict.fromkeys(names))
    providers = [runtimes.provider(name) for name in names]
    listening = await asyncio.gather(*(_listens(provider) for provider in providers))
    twins = {server(each.provider): name for name, each in found.items() if each.provider.base_url}

    def look() -> list[dict[str, Any]]:
        return [
            _row(runtimes, name, found.get(name), twins.get(server(provider), ""), listens)
            for name, provider, listens in zip(names, providers, listening, strict=True)
        ]

    rows = await asyncio.to_thread(look)
    rows += [
        {"runtime": name, "title": name, "url": "", "own": True, "local": False, "state": str(error), "models": None}
        for name, error in problems.items()
    ]
    columns = ("runtime", "title", "url", "state")
    lines = table(columns, [[row[column] for column in columns] for row in rows])
    if not any(each.models for each in found.values()):
        lines += ["", no_models()]
    return Done({"runtimes": rows}, "\n".join(lines))


async def _listens(provider: Provider) -> bool:
    """Whether anything accepts connections at the address of a server nearby."""
    nearby = runs_here(provider) or not provider.key_variables
    return bool(provider.base_url) and nearby and await listens(provider.base_url)


def _row(runtimes: Runtimes, name: str, found: Found | None, twin: str, listening: bool) -> dict[str, Any]:
    """Return what is known of a runtime; ``twin`` is one that was found at its address."""
    provider = runtimes.provider(name)
    own = name in runtimes.addresses.own()
    row = {"runtime": name, "title": provider.title, "url": provider.base_url, "own": own, "local": runs_here(provider)}
    if found:
        count = len(found.models)
        runs = f"runs, {count} model{'' if count == 1 else 's'}"
        state = "; ".join(filter(None, (runs if count or not found.problem else "", found.problem.rstrip("."))))
        return {**row, "state": state, "models": count}
    if provider.kind in ("scripted", "local"):
        return {**row, "state": "always here" if provider.kind == "scripted" else "no models", "models": None}
    if not provider.base_url:
        return {**row, "state": "has no address", "models": None}
    if runs_here(provider) or not provider.key_variables:
        state = f"listens, but not as {provider.title}" if listening else "does not answer"
        return {**row, "state": f"same server as {twin}" if twin else state, "models": None}
    key = runtimes.key(name)
    return {**row, "state": f"key in {key.origin}" if key else f"no key ({provider.key_variables[0]})", "models": None}


async def _test(context: Context, name: str) -> AsyncIterator[Event]:
    """List the models of a runtime and ask one of them for a word; without a key, only look whether it answers."""
    runtimes = context.workspace.runtimes
    runtime, _, model = name.partition("/")
    provider = runtimes.provider(runtime)
    if provider.key_variables and not runs_here(provider) and not await asyncio.to_thread(runtimes.key, runtime):
        yield Progress(f"connecting to {provider.host}")
        yield await _reach(provider, context.workspace.settings.connect_seconds)
        return
    yield Progress(f"listing the models of {provider.title}")
    try:
        async for waited in _awaiting(listing := asyncio.ensure_future(runtimes.models(runtime)), provider.title):
            yield waited
        models = listing.result()
    except (Refused, BadProtocol) as error:
        if provider.kind == "openai" and not urlsplit(provider.base_url).path:
            error.advice = f"Most servers want /v1 at its end: alain runtimes add {runtime} {provider.base_url}/v1"
        raise
    model = model or _first(provider, models)
    yield Progress(f"asking {model}")
    asked = ChatRequest(model, (Message("user", TEST_PROMPT),), max_tokens=TEST_TOKENS)
    turn = context.workspace.turn(runtimes.get(runtime), asked)
    async for waited in _awaiting(answering := asyncio.ensure_future(turn.run()), provider.title):
        yield waited
    answer = answering.result()
    data = {
        "runtime": runtime,
        "reachable": True,
        "models": len(models),
        "model": model,
        "answer": answer.text,
        "first_token_seconds": answer.first_token_seconds,
        "seconds": answer.seconds,
    }
    said = f"said {answer.text.strip()[:60]!r}" if answer.text.strip() else f"only thought within {TEST_TOKENS} tokens"
    count = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    first = f"first token after {answer.first_token_seconds:.2f} s, " if answer.first_token_seconds is not None else ""
    yield Done(data, f"{provider.title} works: {count}; {model} {said} ({first}{answer.seconds:.2f} s in all).")


async def _awaiting(work: asyncio.Future[Any], title: str) -> AsyncIterator[Progress]:
    """Say each second that a runtime is waited for, and end when the work does, or it has taken too long."""
    begun = time.monotonic()
    try:
        while (seconds := time.monotonic() - begun) < TEST_SECONDS:
            if seconds >= 1:
                yield Progress(f"waiting for {title} ({seconds:.0f} s)")
            if (await asyncio.wait([work], timeout=1.0))[0]:
                return
    finally:
        work.cancel()
    raise TimedOut(
        f"{title} did not answer within {TEST_SECONDS:g} seconds.", "It may still be loading a model: try again."
    )


def _first(provider: Provider, models: Sequence[ModelInfo]) -> str:
    default = preferred([Found(provider, tuple(models))])
    if default is None:
        raise UnknownModel(f"{provider.title} answers, but lists no model to chat with.", "Name one: RUNTIME/MODEL.")
    return default.id


async def _reach(provider: Provider, seconds: float) -> Done:
    """Say whether a hosted runtime can be reached: all that can be tried without its key."""
    reachable = await listens(provider.base_url, seconds)
    state = "can be reached" if reachable else "cannot be reached"
    text = f"{provider.title} {state} at {provider.host}; more can be tried with its key ({provider.key_variables[0]})."
    return Done({"runtime": provider.name, "reachable": reachable}, text, exit_status=0 if reachable else 1)


command = Command(
    "runtimes",
    "where models run: list, try, add your own addresses",
    RuntimesRequest,
    run,
    examples=(
        "runtimes",
        "runtimes add work https://llm.example.org/v1 --key-variable WORK_API_KEY",
        "runtimes test ollama",
    ),
)
