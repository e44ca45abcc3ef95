"""An output is changed in place, and the more rarely the more it costs."""

from __future__ import annotations

import time

from alain_magics.display.panel import BYTES, PERIOD, SHARE, Pace, Panel


def test_a_panel_is_one_output_that_changes(published):
    panel = Panel()
    assert panel.draw({"text/plain": "one"}) == 3
    assert panel.draw({"text/plain": "two", "text/html": "<b>two</b>"}) == 13
    first, second = published
    assert (first["update"], second["update"]) == (False, True)
    assert first["transient"] == second["transient"]


def test_what_is_there_already_is_not_sent_again(published):
    panel = Panel()
    panel.draw({"text/plain": "one"})
    assert panel.draw({"text/plain": "one"}) == 0
    assert len(published) == 1


def test_an_empty_panel_has_nothing_to_clear(published):
    panel = Panel()
    panel.clear()
    assert published == []
    panel.draw({"text/plain": "one"})
    assert panel.drawn
    panel.clear()
    assert not panel.drawn


def wait_after(seconds: float, size: int) -> float:
    """How long to wait after a drawing."""
    pace = Pace()
    assert pace.due
    now = time.monotonic()
    pace.drew(now - seconds, size)
    assert not pace.due
    return pace._next - now


def test_drawings_come_ten_times_a_second_at_most():
    assert PERIOD <= wait_after(0, 10) < PERIOD + 0.05


def test_a_slow_drawing_is_followed_by_a_long_rest():
    assert 0.3 / SHARE <= wait_after(0.3, 10) < 0.3 / SHARE + 0.5


def test_a_large_drawing_is_followed_by_a_long_rest():
    assert 4 <= wait_after(0, 4 * BYTES) < 4.05


def test_a_rest_ends():
    pace = Pace()
    pace.drew(time.monotonic(), 10)
    time.sleep(PERIOD + 0.01)
    assert pace.due
