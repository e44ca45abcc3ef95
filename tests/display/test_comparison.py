"""Answers side by side: one output, drawn the more rarely the longer they are."""

from __future__ import annotations

import json
import time

from alain_magics.commands.base import Done
from alain_magics.display import NotebookView
from alain_magics.display.comparison import Comparison
from alain_magics.display.panel import BYTES, PERIOD, Panel
from tests.display.conftest import asked, ended, piece

WIDGET = "application/vnd.jupyter.widget-view+json"


def compare(count: int = 2) -> NotebookView:
    """A view of answers that were asked for at the same time."""
    view = NotebookView()
    for slot in range(count):
        view.partial(asked(slot))
    return view


def test_answers_that_come_together_stand_in_one_grid(published, shown):
    view = compare(3)
    view.partial(piece("*one*", slot=0))
    view.partial(piece("<b>two</b>", slot=1))
    (grid,) = shown()
    markup = grid["text/html"]
    assert len({message["transient"]["display_id"] for message in published}) == 1
    assert [markup.count(f'aria-label="test/parrot-{number}"') for number in (1, 2, 3)] == [1, 1, 1]
    assert "<p><em>one</em></p>" in markup
    assert "&lt;b&gt;two" in markup
    assert "waiting for test/parrot-3… 0 s" in markup


def test_each_answer_gets_its_figures_when_it_ends(shown):
    view = compare()
    view.partial(piece("one", slot=0))
    view.partial(ended(0, text="one"))
    markup = shown()[0]["text/html"]
    assert markup.count("186 tokens/s") == 1
    assert "waiting for test/parrot-2" in markup


def test_an_answer_that_fails_says_why_in_its_place(shown):
    view = compare()
    view.partial(ended(0, error="The <key> is wrong."))
    view.partial(ended(1, text="fine"))
    assert "The &lt;key&gt; is wrong." in shown()[0]["text/html"]


def test_in_the_end_there_are_the_thoughts_the_plain_texts_and_buttons_for_each(shown):
    view = compare()
    for slot in (0, 1):
        view.partial(piece(reasoning="hm <i>", slot=slot))
        view.partial(piece(f"answer {slot}", slot=slot))
    assert "<details" not in shown()[0]["text/html"]
    for slot in (0, 1):
        view.partial(ended(slot, text=f"answer {slot}"))
    view.finish(Done({"answers": [], "sent": {"name": 5}}, ""))
    grid, bar = shown()
    assert grid["text/html"].count("<details") == 2
    assert grid["text/html"].count("hm &lt;i&gt;") == 2
    assert grid["text/html"].count("{name}: 5 characters sent") == 2
    assert grid["text/plain"] == "test/parrot-1:\nanswer 0\n\ntest/parrot-2:\nanswer 1"
    assert WIDGET in bar


def test_an_interrupt_ends_those_that_still_come(shown):
    view = compare()
    view.partial(piece("one", slot=0))
    view.partial(ended(0, text="one"))
    view.partial(piece("tw", slot=1))
    view.stop()
    markup = shown()[0]["text/html"]
    assert markup.count("stopped by you") == 1
    assert "<p>tw</p>" in markup


def test_an_answer_that_began_earlier_moves_into_the_grid(shown):
    view = NotebookView()
    long = "Some words.\n\n" * 1000
    for event in [asked(0), piece(reasoning="hm"), piece(long)]:
        view.partial(event)
    assert len(shown()) > 2
    view.partial(asked(1))
    (grid,) = shown()
    assert grid["text/html"].count("<p>Some words.</p>") == 1000


def test_the_work_a_second_is_bounded_however_long_the_answers_are(published):
    view = compare()
    text = "A line of words with `code` and *more* in it.\n\n" * 40
    begun = time.monotonic()
    while time.monotonic() - begun < 2:
        for slot in (0, 1):
            view.partial(piece(text, slot=slot))
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    sizes = [len(json.dumps(message["data"])) for message in published]
    assert sum(sizes[:-1]) <= BYTES * 1.3 * seconds + 100_000
    assert sizes[-1] > 50_000
    assert len(sizes) < seconds / PERIOD


def test_only_answers_that_can_be_copied_get_buttons():
    pane = Comparison(Panel(), {})
    answers = [ended(0, text="fine").data, ended(1, snippets={}).data, ended(2).data]
    assert [row["name"] for row in pane.rows(answers)] == ["test/parrot-1", "test/parrot-3"]
    assert {row["figures"] for row in pane.rows(answers)} == {""}
