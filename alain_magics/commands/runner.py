"""Run a command on the one background loop, and hand its events to the thread that called.

The loop does what waits; the caller drains a queue and alone touches displays. An interrupt of the caller, or its
loss of interest, cancels the command and gives it a moment to clean up.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from alain_magics.commands.base import Command, Context, Event, Request

GRACE = 5.0
"""Seconds that a cancelled command has to clean up."""

_IDLE = 0.1  # seconds without an event; this also lets Ctrl-C through where the system does not wake a waiting thread
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


def events(
    command: Command, context: Context, request: Request, idle: Callable[[], None] = lambda: None
) -> Generator[Event, None, None]:
    """Yield a command's events as they come, and raise what it raises.

    ``idle`` is called, by the calling thread, whenever nothing came for a moment. Close the iterator
    (``contextlib.closing``) where it may be left early: that cancels the command.
    """
    run = _Run(command, context, request)
    try:
        while (event := run.next(idle)) is not None:
            yield event
    finally:
        run.stop()


class _Run:
    """One command at work on the loop."""

    def __init__(self, command: Command, context: Context, request: Request) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._loop = background_loop()
        self._loop.call_soon_threadsafe(self._start, command, context, request)

    def next(self, idle: Callable[[], None]) -> Event | None:
        """Wait for the next event; ``None`` at the end."""
        while True:
            try:
                item = self._inbox.get(timeout=_IDLE)
            except queue.Empty:
                idle()
                continue
            if isinstance(item, BaseException):
                raise item
            event: Event | None = item
            return event

    def stop(self) -> None:
        """Cancel what is still at work, and wait for its end."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
            self._ended.wait(GRACE)

    def _start(self, command: Command, context: Context, request: Request) -> None:
        self._task = self._loop.create_task(self._pump(command, context, request))
        self._task.add_done_callback(lambda _: self._ended.set())

    def _cancel(self) -> None:
        self._task.cancel()

    async def _pump(self, command: Command, context: Context, request: Request) -> None:
        try:
            async for event in command.run(context, request):
                self._inbox.put(event)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # it is raised in the calling thread
            self._inbox.put(error)
        else:
            self._inbox.put(None)


def background_loop() -> asyncio.AbstractEventLoop:
    """Return the process's one background loop, which is started at its first use."""
    with _lock:
        if not _loops:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="alain-loop", daemon=True).start()
            _loops.append(loop)
        return _loops[0]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loops.clear)  # the thread that ran it is not in the child
