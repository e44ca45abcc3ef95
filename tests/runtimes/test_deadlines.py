"""A watch ends the wait of a task when a deadline passes, and only then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from alain_magics.runtimes.deadlines import DRAIN, Deadlines, Watch
from tests.runtimes.contract import Run


async def ended_after(seconds: float, *steps: tuple[float, Callable[[Watch], None]]) -> float:
    """Seconds until a watch of 0.2 s for the first content and 0.4 s of silence ends a wait.

    ``steps`` are what is called, and when.
    """
    began = time.monotonic()
    watch = Watch(Deadlines(first=0.2, silence=0.4), began)
    for delay, step in steps:
        asyncio.get_running_loop().call_later(delay, step, watch)
    watch.waiting = asyncio.current_task()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        assert watch.expired
        assert watch.waiting
        watch.waiting.uncancel()
    finally:
        watch.close()
    return time.monotonic() - began


def test_the_first_content_is_waited_for_as_long_as_allowed(run: Run) -> None:
    assert 0.2 <= run(ended_after(5)) < 0.5


def test_each_content_starts_the_deadline_of_silence_anew(run: Run) -> None:
    assert 0.7 <= run(ended_after(5, (0.1, Watch.content), (0.3, Watch.content))) < 1.0


def test_once_complete_only_the_end_is_awaited_whatever_else_comes(run: Run) -> None:
    steps = [(0.1, Watch.content), (0.15, Watch.complete), (0.2, Watch.complete)]
    assert 0.15 + DRAIN <= run(ended_after(5, *steps)) < 0.5


def test_a_closed_watch_ends_nothing(run: Run) -> None:
    assert run(ended_after(0.4, (0.1, Watch.close))) >= 0.4


def test_nothing_is_ended_while_nobody_waits(run: Run) -> None:
    async def busy() -> bool:
        watch = Watch(Deadlines(first=0.05), time.monotonic())
        await asyncio.sleep(0.3)
        watch.close()
        return watch.expired

    assert run(busy()) is False


@pytest.mark.parametrize("begun", [False, True])
def test_it_is_known_whether_content_has_come(run: Run, begun: bool) -> None:
    async def watch() -> bool:
        watch = Watch(Deadlines(), time.monotonic())
        if begun:
            watch.content()
        watch.close()
        return watch.begun

    assert run(watch()) is begun
