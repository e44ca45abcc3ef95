"""Verbs of somebody else, as an installed package brings them: counts, asks, fails, takes every kind of option."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from alain_magics.commands.base import Command, Context, Done, Event, Partial, Progress, Request
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


class AskRequest(Request):
    """Nothing but the cell."""


async def _ask(context: Context, request: AskRequest) -> AsyncIterator[Event]:
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


count = Command("count", "count to a number", CountRequest, _count, examples=("count 3",))
ask = Command("ask", "give back the cell", AskRequest, _ask, takes_cell=True)
stumble = Command("stumble", "fail in some way", StumbleRequest, _stumble)
everything = Command("everything", "take every kind of option", EverythingRequest, _everything)
