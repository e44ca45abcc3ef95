"""Run a command on the one background loop, and hand its events to the thread that called.

The loop does what waits; the caller drains a queue and alone touches displays. An interrupt of the caller, or its
loss of interest, cancels the command and gives it a moment to clean up.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from alain_magics.commands.base import Command, Context, Event, Request

GRACE = 5.0
"""Seconds that a cancelled command has to clean up."""

_IDLE = 0.1  # seconds without an event; this also lets Ctrl-C through where the system does not wake a waiting thread
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


class events(Iterator[Event]):  # noqa: N801  # called like a function, as other iterators are
    """The events of a command as they come; raises what the command raises.

    ``idle`` is called, by the calling thread, whenever nothing came for a moment. Close the iterator
    (``contextlib.closing``) where it may be left early: that cancels the command.
    """

    def __init__(
        self, command: Command, context: Context, request: Request, idle: Callable[[], None] = lambda: None
    ) -> None:
        self._idle = idle
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._over = False
        self._loop = background_loop()
        self._loop.call_soon_threadsafe(self._start, command, context, request)

    def __next__(self) -> Event:
        try:
            item = None if self._over else self._wait()
        except BaseException:  # Ctrl-C most of all
            self.close()
            raise
        if item is None or isinstance(item, BaseException):
            self._over = True
            raise item or StopIteration
        event: Event = item
        return event

    def close(self) -> None:
        """Cancel what is still at work, and wait for its end."""
        self._over = True
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(self._cancel)
            self._ended.wait(GRACE)

    def rest(self) -> list[Event]:
        """Return the events that came until the iterator was closed, and that nobody has taken."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._inbox.get_nowait())
        return [item for item in found if item is not None and not isinstance(item, BaseException)]

    def _wait(self) -> Any:
        while True:
            try:
                return self._inbox.get(timeout=_IDLE)
            except queue.Empty:
                self._idle()

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
