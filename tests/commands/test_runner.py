"""Commands run on one loop; the caller gets their events, and can leave."""

from __future__ import annotations

import _thread
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from alain_magics.commands import runner
from alain_magics.commands.base import Context, Done, Partial, Progress
from alain_magics.commands.registry import find
from alain_magics.errors import SourceError
from alain_magics.workspace import open_workspace


def start(verb: str, idle=lambda: None, **values):
    """Start a verb with the values of its request."""
    command = find(verb)
    return runner.events(command, Context(open_workspace()), command.request(**values), idle)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def test_events_come_in_order_and_end(plugin, marker: Path):
    found = list(start("count", to=3, marker=str(marker)))
    assert found[:3] == [Progress("counting <b>", number, 3) for number in (1, 2, 3)]
    assert isinstance(found[3], Partial)
    assert isinstance(found[4], Done)
    assert marker.read_text() == "finished"


def test_events_come_as_they_happen(plugin):
    begun = time.monotonic()
    with closing(start("count", to=100, pause=0.1)) as stream:
        next(stream)
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize(("how", "error"), [("user", SourceError), ("bug", ZeroDivisionError), ("exit", SystemExit)])
def test_what_a_command_raises_the_caller_gets(plugin, how: str, error: type[BaseException]):
    stream = start("stumble", how=how)
    assert next(stream) == Progress("stumbling")
    with pytest.raises(error):
        next(stream)
    assert len(list(start("count"))) == 5  # the loop goes on


def test_a_caller_that_leaves_cancels_the_command(plugin, marker: Path):
    with closing(start("count", to=1000, pause=0.01, marker=str(marker))) as stream:
        next(stream)
    assert marker.read_text() == "cancelled"


def test_what_nobody_took_can_be_had_after_the_end(plugin):
    stream = start("count", to=3, pause=60)
    time.sleep(0.2)
    stream.close()
    assert stream.rest() == [Progress("counting <b>", 1, 3)]
    assert list(stream) == []


def test_an_interrupt_while_waiting_cancels_the_command_and_comes_through(plugin, marker: Path):
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(start("count", to=2, pause=60, marker=str(marker)))
    assert time.monotonic() - begun < 2
    assert marker.read_text() == "cancelled"


def test_a_command_that_does_not_end_is_left_after_a_moment(plugin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "GRACE", 0.1)
    stream = start("stumble", how="stubborn")
    next(stream)
    begun = time.monotonic()
    stream.close()
    assert time.monotonic() - begun < 0.6


def test_a_waiting_caller_is_told_that_nothing_came(plugin):
    calls = []
    caller = threading.get_ident()
    list(start("count", to=2, pause=0.3, idle=lambda: calls.append(threading.get_ident())))
    assert set(calls) == {caller}
    assert len(calls) >= 2


def test_many_callers_share_the_loop_and_get_their_own_events(plugin):
    results: dict[int, list[object]] = {}

    def work(to: int) -> None:
        results[to] = list(start("count", to=to, pause=0.001))

    threads = [threading.Thread(target=work, args=(to,)) for to in range(1, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {to: events[-1].data["counted"] for to, events in results.items()} == {to: to for to in range(1, 20)}
    assert sum(thread.name == "alain-loop" for thread in threading.enumerate()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="reason: this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_a_loop_of_its_own(plugin):
    list(start("count"))
    if (child := os.fork()) == 0:
        os._exit(0 if len(list(start("count"))) == 5 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
