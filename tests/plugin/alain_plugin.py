"""Verbs of somebody else, as an installed package brings them: counts, echoes, speaks, fails, takes every option."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Partial, Permission, Progress, Request
from alain_magics.commands.interpolate import interpolate
from alain_magics.errors import ConsentNeeded, SourceError


class CountRequest(Request):
    """How far to count."""

    to: int = Field(3, description="the last number", json_schema_extra={"positional": True})
    pause: float = Field(0.0, description="seconds between two numbers")
    marker: str = Field("", description="a file that says how it ended", json_schema_extra={"complete": "file"})


async def _count(context: Context, request: CountRequest) -> AsyncIterator[Event]:
    ending = "left"
    try:
        for number in range(1, request.to + 1):
            yield Progress("counting <b>", number, request.to)
            await asyncio.sleep(request.pause)
        yield Partial("lesson", {"title": "<Numbers>", "path": "my numbers.ipynb"})
        yield Done({"counted": request.to}, f"counted to {request.to}\x1b[31m")
        ending = "finished"
    except asyncio.CancelledError:
        ending = "cancelled"
        raise
    finally:
        if request.marker:
            Path(request.marker).write_text(ending)


class EchoRequest(Request):
    """Nothing but the cell."""


async def _echo(context: Context, request: EchoRequest) -> AsyncIterator[Event]:
    if "execute" not in context.consent:
        raise ConsentNeeded("This runs code of somebody else.", "Look at it, then add --yes.")
    asked = interpolate(context.cell or "", context.namespace)
    yield Done({"text": asked.text, "sent": asked.sent, "names": sorted(context.namespace)}, asked.text)


class StumbleRequest(Request):
    """How to fail."""

    how: Literal["user", "bug", "exit", "nothing", "unfinished", "stubborn"] = Field(
        description="the way to fail", json_schema_extra={"positional": True}
    )


async def _stumble(context: Context, request: StumbleRequest) -> AsyncIterator[Event]:
    yield Progress("stumbling")
    match request.how:
        case "user":
            raise SourceError("The source is\nempty\x1b[31m.", "Choose another.")
        case "bug":
            raise ZeroDivisionError("a mistake of the author")
        case "exit":
            raise SystemExit(3)
        case "unfinished":
            yield Done({}, "something did not hold", exit_status=1)
        case "stubborn":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(1)


class EverythingRequest(Request):
    """One field of every kind."""

    source: str = Field(description="what to read: 100%", json_schema_extra={"positional": True, "complete": "source"})
    more: list[str] = Field([], description="and more", json_schema_extra={"positional": True, "complete": "module"})
    level: Literal["low", "high"] | None = Field(None, description="how much", json_schema_extra={"short": "l"})
    out_file: str = Field("", description="where to", json_schema_extra={"short": "o", "complete": "file"})
    tag: list[Literal["red", "green"]] = Field([], description="any number of them")
    seconds: float = Field(1.0, gt=0, description="how long")
    force: bool = Field(False, description="without asking")
    shuffle: bool = Field(True, description="in another order")


async def _everything(context: Context, request: EverythingRequest) -> AsyncIterator[Event]:
    yield Done(request.model_dump(), request.model_dump_json())


class SpeakRequest(Request):
    """How the text of the cell comes as the answer of a model."""

    slots: int = Field(1, description="how many models give it at the same time")
    think: str = Field("", description="what they think before")
    size: int = Field(4, description="characters of a piece")
    pause: float = Field(0.0, description="seconds between two pieces")
    wait: float = Field(0.0, description="seconds before the first")
    trouble: Literal["cut", "error", "tool"] | None = Field(None, description="what goes wrong")
    output: str = Field("", description="a variable", json_schema_extra={"short": "o", "variable": True})


async def _speak(context: Context, request: SpeakRequest) -> AsyncIterator[Event]:
    slots = range(request.slots)
    asked = [{"slot": slot, "runtime": "test", "model": f"parrot-{slot + 1}"} for slot in slots]
    for slot in slots:
        yield Partial("answer", asked[slot])
    await asyncio.sleep(request.wait)
    text = (context.cell or "").removesuffix("\n")
    begun = time.monotonic()
    for kind, words in (("reasoning", request.think), ("text", text)):
        for start in range(0, len(words), request.size):
            for slot in slots:
                piece = {"slot": slot, "text": "", "reasoning": "", kind: words[start : start + request.size]}
                yield Partial("delta", piece)
            await asyncio.sleep(request.pause)
    tokens = len(text) // request.size
    end: dict[str, Any] = {
        "text": text,
        "reasoning": request.think,
        "tool_calls": [],
        "usage": {"input": 12, "output": tokens, "reasoning": 0, "cached": 0, "source": "estimate"},
        "finish": "stop",
        "first_token_seconds": request.wait,
        "seconds": request.wait + time.monotonic() - begun,
        "tokens_per_second": tokens / (time.monotonic() - begun),
        "flags": [],
        "cost": 1200,
        "value": None,
        "snippets": {"curl": "curl http://localhost", "python": "import httpx", "javascript": "await fetch()"},
        "error": "",
    }
    match request.trouble:
        case "cut":
            end |= {"finish": "length", "flags": ["cut: the token limit was reached", "ignored:top_k"]}
        case "error":
            end |= {"error": "It broke. Ask again.", "usage": None, "cost": None, "tokens_per_second": None}
        case "tool":
            end |= {"tool_calls": [{"id": "1", "name": "add", "arguments": "{}"}], "finish": "tool_calls"}
    for slot in slots:
        yield Partial("end", {**asked[slot], **end})
    if request.trouble == "error":
        raise SourceError("It broke.", "Ask again.")
    if request.trouble == "tool":
        outcome: Future[Any] = Future()
        yield Permission("The model wants to call add().", context.namespace["add"], outcome)
        try:
            result = str(await asyncio.wrap_future(outcome))
        except Exception as error:
            result = repr(error)
        yield Partial("tool", {"name": "add", "arguments": "{}", "result": result})
    yield Done({**asked[0], **end, "sent": {"name": 3}}, text)


speak = Command("speak", "give back the cell as the answer of a model", SpeakRequest, _speak, takes_cell=True)
count = Command("count", "count to a number", CountRequest, _count, examples=("count 3",))
echo = Command("echo", "give back the cell", EchoRequest, _echo, takes_cell=True)
stumble = Command("stumble", "fail in some way", StumbleRequest, _stumble)
everything = Command("everything", "take every kind of option", EverythingRequest, _everything)
