"""Sessions at both levels, kept open for a module of tests, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from alain_magics.sandbox import Level, Limits, Outcome, Program, Sandbox, bubblewrap
from tests.conftest import require

LIMITS = Limits(seconds=1.5, memory_mb=200, output_bytes=50_000)


def require_level(level: Level) -> None:
    """Skip where programs cannot be isolated."""
    if level == "isolated":
        require(not bubblewrap.obstacle(), f"reason: {bubblewrap.obstacle()}")


@pytest.fixture(params=["isolated", "limited"])
def level(request: pytest.FixtureRequest) -> Level:
    """Each level in turn."""
    require_level(request.param)
    return request.param


@pytest.fixture(scope="module")
def finish() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Finishes a coroutine on a loop that runs in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module", params=["isolated", "limited"])
def run(request: pytest.FixtureRequest, finish) -> Iterator[Callable[..., Outcome]]:
    """Runs a program in a session that all tests of a module share."""
    require_level(request.param)
    session = Sandbox(request.param, LIMITS).session()
    finish(session.__aenter__())
    yield lambda code, *argv: finish(session.run([Program(code, argv)]))[0]
    finish(session.__aexit__(None, None, None))


def descendants() -> set[int]:
    """Every process below this one, zombies too."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found: set[int] = set()
    new = {pid for pid, parent in parents.items() if parent == os.getpid()}
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in new}
    return found
