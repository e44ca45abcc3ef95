"""An answer in a notebook: what the page is sent while it comes, and what stands there in the end."""

from __future__ import annotations

import json
import re
import time

import pytest

from alain_magics.commands.base import Done, Partial
from alain_magics.display import NotebookView
from alain_magics.display.blocks import HARD
from alain_magics.display.panel import PERIOD
from tests.display.conftest import asked, ended, piece

WIDGET = "application/vnd.jupyter.widget-view+json"
DONE = Done({}, "")


def test_what_is_waited_for_is_said_with_the_seconds(published):
    view = NotebookView()
    view.partial(asked())
    assert published[0]["data"]["text/plain"] == "waiting for test/parrot-1… 0 s"
    time.sleep(PERIOD + 0.01)
    view.idle()
    assert len(published) == 1
    time.sleep(0.6)
    view.idle()
    assert published[1]["data"]["text/plain"] == "waiting for test/parrot-1… 1 s"


def test_the_first_piece_is_drawn_at_once_in_place_of_the_waiting(published):
    view = NotebookView()
    view.partial(asked())
    view.partial(piece("**Hel"))
    assert published[-1]["data"] == {"text/markdown": "\\*\\*Hel", "text/plain": "**Hel"}
    assert published[-1]["transient"] == published[0]["transient"]


def test_what_follows_is_drawn_now_and_then(published):
    view = NotebookView()
    view.partial(asked())
    begun = time.monotonic()
    for _ in range(200):
        view.partial(piece("word "))
        time.sleep(0.002)
    seconds = time.monotonic() - begun
    assert 3 <= len(published) <= seconds / PERIOD + 3


def test_the_rest_is_drawn_when_nothing_more_comes(published):
    view = NotebookView()
    view.partial(asked())
    view.partial(piece("one "))
    view.partial(piece("two"))
    assert published[-1]["data"]["text/plain"] == "one "
    time.sleep(PERIOD + 0.01)
    view.idle()
    assert published[-1]["data"]["text/plain"] == "one two"


def test_in_the_end_there_are_the_text_and_the_figures_with_buttons(shown):
    view = NotebookView()
    for event in [asked(), piece("An *answer*"), piece("."), ended(text="An *answer*.", flags=["cut: too long"])]:
        view.partial(event)
    text, figures = shown()
    assert text == {"text/markdown": "An *answer*.", "text/plain": "An *answer*."}
    assert figures["text/plain"] == (
        "test/parrot-1 · 3.0 s, first token after 0.3 s · 186 tokens/s · 12 tokens in, 500 out · ⚠ cut: too long"
    )
    assert "⚠ cut: too long" in figures["text/html"]
    assert WIDGET not in figures
    view.finish(Done({"sent": {"name": 7}}, ""))
    text_after, bar = shown()
    assert text_after == text
    assert WIDGET in bar
    assert "{name}: 7 characters sent" in bar["text/html"]


def test_the_output_with_the_buttons_is_marked_for_the_extension(published):
    view = NotebookView()
    for event in [asked(), piece("a"), ended(text="a")]:
        view.partial(event)
    view.finish(DONE)
    assert [message["metadata"] for message in published] == [{}] * (len(published) - 1) + [{"alain": "answer"}]


def test_thoughts_are_glimpsed_then_folded_and_escaped(published, shown):
    view = NotebookView()
    view.partial(asked())
    view.partial(piece(reasoning="<b>Let me</b> "))
    assert published[-1]["data"]["text/plain"] == "test/parrot-1 thinks… 0 s · <b>Let me</b>"
    view.partial(piece(reasoning="think. " * 100))
    time.sleep(0.15)
    view.partial(piece("Yes."))
    thoughts, text = shown()
    assert thoughts["text/plain"] == "Thought for 0.2 s · 102 words"
    assert re.match(r"<details [^>]*><summary [^>]*>Thought for 0\.2 s", thoughts["text/html"])
    assert " open" not in thoughts["text/html"]
    assert "&lt;b&gt;Let me&lt;/b&gt; think. think." in thoughts["text/html"]
    assert text["text/markdown"] == "Yes."


def test_the_glimpse_of_long_thoughts_is_short(published):
    view = NotebookView()
    view.partial(asked())
    for _ in range(3000):
        view.partial(piece(reasoning="thinking of many things "))
    time.sleep(PERIOD + 0.01)
    view.idle()
    assert all(len(json.dumps(message["data"])) < 800 for message in published)


def test_thoughts_that_come_later_are_added_in_the_end(shown, published):
    view = NotebookView()
    for event in [asked(), piece(reasoning="one "), piece("a"), piece(reasoning="two "), piece("b"), piece("c")]:
        view.partial(event)
        time.sleep(PERIOD + 0.01)
    drawn = [message for message in published if "<details" in message["data"].get("text/html", "")]
    assert len(drawn) == 1
    view.partial(ended(text="abc"))
    thoughts, text, _ = shown()
    assert "one two " in thoughts["text/html"]
    assert text["text/plain"] == "abc"


def test_thoughts_alone_are_shown_too(shown):
    view = NotebookView()
    for event in [asked(), piece(reasoning="hm"), ended(reasoning="hm")]:
        view.partial(event)
    thoughts, figures = shown()
    assert "hm" in thoughts["text/html"]
    assert "3.0 s" in figures["text/plain"]


def test_an_answer_that_only_calls_tools_is_its_figures(shown):
    view = NotebookView()
    view.partial(asked())
    view.partial(ended(tool_calls=[{"id": "1", "name": "add", "arguments": '{"a": "<b>"}'}], finish="tool_calls"))
    (figures,) = shown()
    assert "→ add({&quot;a&quot;: &quot;&lt;b&gt;&quot;})" in figures["text/html"]


def test_what_a_tool_gave_is_folded(shown):
    view = NotebookView()
    view.partial(asked())
    view.partial(ended())
    view.partial(Partial("tool", {"name": "add", "arguments": "{}", "result": "<i>3</i>"}))
    assert "&lt;i&gt;3&lt;/i&gt;" in shown()[-1]["text/html"]
    assert shown()[-1]["text/plain"] == "add({})"


def test_an_answer_after_another_gets_outputs_of_its_own(shown):
    view = NotebookView()
    for text in ["one", "two"]:
        for event in [asked(), piece(text), ended(text=text)]:
            view.partial(event)
    view.finish(DONE)
    assert [views["text/plain"] for views in shown()][::2] == ["one", "two"]
    assert [WIDGET in views for views in shown()] == [False, False, False, True]


def test_an_error_before_anything_came_leaves_nothing(shown):
    view = NotebookView()
    view.partial(asked())
    view.partial(ended(error="Nothing listens there."))
    view.finish(None)
    assert shown() == []


def test_an_error_in_the_middle_keeps_what_came(shown):
    view = NotebookView()
    for event in [asked(), piece("half an ans"), piece("wer"), ended(text="half an answer", error="It was cut.")]:
        view.partial(event)
    view.finish(None)
    text, figures = shown()
    assert text["text/plain"] == "half an answer"
    assert WIDGET not in figures


def test_an_interrupt_keeps_what_came_and_says_so(shown):
    view = NotebookView()
    for event in [asked(), piece("half an ans"), piece("wer")]:
        view.partial(event)
    view.stop()
    text, figures = shown()
    assert text["text/plain"] == "half an answer"
    assert re.fullmatch(r"test/parrot-1 · \S+ m?s, first token after \S+ m?s · ⚠ stopped by you", figures["text/plain"])


def test_an_interrupt_before_anything_came_is_said_where_it_was_waited(shown):
    view = NotebookView()
    view.partial(asked())
    view.stop()
    (figures,) = shown()
    assert figures["text/plain"].endswith("· ⚠ stopped by you")


def test_a_heading_does_not_flash_up_when_a_list_begins(published):
    view = NotebookView()
    view.partial(asked())
    for text in ["Two things:\n", "-", " one"]:
        view.partial(piece(text))
        time.sleep(PERIOD + 0.01)
        view.idle()
    drawn = {message["data"]["text/markdown"] for message in published[1:]}
    assert drawn == {"Two things:", "Two things:\n\n- one"}


LONG = "".join(
    f"## Part {number}\n\nSome words, `code` and $x_{number}$.\n\n- one\n- two\n\n" for number in range(1200)
)


def test_a_long_answer_costs_as_much_a_piece_at_its_end_as_at_its_beginning(published, shown, monkeypatch):
    monkeypatch.setattr("alain_magics.display.panel.PERIOD", 0.0)
    monkeypatch.setattr("alain_magics.display.panel.SHARE", 1.0)
    monkeypatch.setattr("alain_magics.display.panel.BYTES", 1e9)
    view = NotebookView()
    view.partial(asked())
    for start in range(0, len(LONG), 200):
        view.partial(piece(LONG[start : start + 200]))
    view.partial(ended(text=LONG))
    sizes = [len(message["data"]["text/plain"]) for message in published]
    assert max(sizes) <= HARD
    quarter = len(sizes) // 4
    assert sum(sizes[-quarter:]) < 1.3 * sum(sizes[:quarter])
    *texts, _figures = shown()
    assert "".join(views["text/plain"] for views in texts) == LONG
    assert 8 <= len(texts) <= 25


def test_finished_parts_are_never_drawn_again(published):
    view = NotebookView()
    view.partial(asked())
    for start in range(0, len(LONG), 2000):
        view.partial(piece(LONG[start : start + 2000]))
    view.partial(ended(text=LONG))
    order = [message["transient"]["display_id"] for message in published]
    changes = [one for one, other in zip(order, [*order[1:], ""], strict=True) if one != other]
    assert len(changes) == len(set(changes))


def test_links_find_references_that_come_later(shown):
    view = NotebookView()
    text = f"See [the docs][d].\n\n{LONG[:9000]}\n\n[d]: https://docs.example/\n"
    for event in [asked(), piece(text), ended(text=text)]:
        view.partial(event)
    texts = [views for views in shown() if "text/markdown" in views]
    assert len(texts) == 2
    assert texts[0]["text/markdown"].startswith("See [the docs](https://docs.example/).")
    assert texts[0]["text/plain"].startswith("See [the docs][d].")


def test_two_prices_are_no_formula(shown):
    view = NotebookView()
    for event in [asked(), piece("It costs $5 or $6, and $x$."), ended()]:
        view.partial(event)
    assert shown()[0]["text/markdown"] == "It costs <span>&#36;</span>5 or <span>&#36;</span>6, and $x$."


def test_nothing_of_an_answer_is_shown_where_json_was_asked_for(published):
    view = NotebookView(answers=False)
    for event in [asked(), piece("a"), ended()]:
        view.partial(event)
    view.finish(DONE)
    assert published == []
    assert not view.shown


@pytest.mark.parametrize("text", ["", "\n\n "])
def test_an_empty_answer_shows_its_figures_only(shown, text: str):
    view = NotebookView()
    for event in [asked(), piece(text), ended(text=text)]:
        view.partial(event)
    (figures,) = shown()
    assert figures["text/plain"].startswith("test/parrot-1 · 3.0 s")
