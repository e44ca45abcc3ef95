"""The question card's JavaScript alone, with a stand-in for its kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Mount = Callable[..., Page]

CHOICE = {
    "form": "predict",
    "stem": "What does `median([1, 2, 3, 4])` give?",
    "options": ["2.5", "3", "[1,\n  2]", ""],
    "literal": True,
    "unit": "",
    "hint": "Think of the `mean` of the middle.",
}
PROSE = {**CHOICE, "literal": False, "options": ["It calls `sorted` first", "It raises `StatisticsError`"], "hint": ""}
NUMBER = {**CHOICE, "form": "numeric", "options": [], "literal": False, "unit": "ms", "hint": ""}


def verdict(answer: int | str, correct: bool | None, **more: Any) -> dict[str, Any]:
    """What the kernel sets after an answer was checked."""
    return {"number": 1, "answer": answer, "correct": correct, "text": "", "call": "", "trouble": ""} | {
        "earlier": False,
        **more,
    }


def tell(page: Page, **kwargs: Any) -> None:
    """Answer as the kernel does."""
    page.evaluate("value => model.set('verdict', value)", verdict(**kwargs))


def sent(page: Page) -> list[Any]:
    """Every message that went to the kernel."""
    return page.evaluate("sent")


def test_options_are_radio_buttons_in_a_group_named_by_the_stem(mount: Mount) -> None:
    page = mount(CHOICE)
    group = page.get_by_role("group", name="What does median([1, 2, 3, 4]) give?")
    assert group.get_by_role("radio").count() == 4
    expect(group.get_by_role("radio", name="2.5")).to_be_visible()
    expect(group.get_by_role("radio", name="(nothing)")).to_be_visible()


def test_nothing_is_preselected(mount: Mount) -> None:
    page = mount(CHOICE)
    assert page.locator("input:checked").count() == 0
    expect(page.get_by_role("status")).to_be_empty()


def test_digits_choose_and_enter_checks(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").first.focus()
    page.keyboard.press("3")
    expect(page.get_by_role("radio").nth(2)).to_be_checked()
    expect(page.get_by_role("radio").nth(2)).to_be_focused()
    page.keyboard.press("9")
    expect(page.get_by_role("radio").nth(2)).to_be_checked()
    page.keyboard.press("Enter")
    assert sent(page) == [{"kind": "check", "answer": 2}]


def test_arrow_keys_move_the_choice(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").nth(2)).to_be_checked()


def test_digits_work_after_a_click_beside_the_options(mount: Mount) -> None:
    page = mount(CHOICE)
    page.locator(".alain-help").click()
    page.keyboard.press("1")
    expect(page.get_by_role("radio").first).to_be_checked()


def test_a_click_on_the_text_of_an_option_chooses_it(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_text("2.5").click()
    page.get_by_role("button", name="Check").click()
    assert sent(page) == [{"kind": "check", "answer": 0}]


@pytest.mark.parametrize(
    ("question", "words"),
    [(CHOICE, "Choose an answer first."), (NUMBER, "Type a number first.")],
    ids=["one", "number"],
)
def test_checking_nothing_says_what_is_missing(mount: Mount, question: dict[str, Any], words: str) -> None:
    page = mount(question)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_have_text(words)
    assert sent(page) == []


@pytest.mark.parametrize(("correct", "word"), [(True, "Right"), (False, "Not right")])
def test_feedback_has_a_word_an_icon_and_the_text(mount: Mount, correct: bool, word: str) -> None:
    page = mount(CHOICE)
    tell(page, answer=1, correct=correct, text="That is what `median_high` gives.")
    status = page.get_by_role("status")
    expect(status).to_contain_text(word)
    expect(status).to_contain_text("That is what median_high gives.")
    expect(status.locator("code")).to_have_text("median_high")
    assert status.locator("svg").count() == 1
    assert page.locator("label").nth(1).locator("svg").count() == 1
    assert status.get_attribute("aria-live") == "polite"


def test_what_cannot_be_graded_is_neither_right_nor_wrong(mount: Mount) -> None:
    page = mount(NUMBER)
    tell(page, answer="many", correct=None, text="Type a number, such as 2.5.")
    expect(page.get_by_role("status")).to_have_text("Type a number, such as 2.5.")


def test_focus_stays_where_it_was_when_feedback_comes(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").nth(1).click()
    page.keyboard.press("Enter")
    tell(page, answer=1, correct=False)
    expect(page.get_by_role("radio").nth(1)).to_be_focused()
    page.get_by_role("button", name="Try again").focus()
    tell(page, answer=1, correct=True)
    expect(page.get_by_role("button", name="Try again")).to_be_focused()


def test_enter_after_feedback_changes_nothing(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").nth(1).click()
    tell(page, answer=1, correct=False, text="No.")
    page.keyboard.press("Enter")
    assert sent(page) == []
    expect(page.get_by_role("status")).to_contain_text("No.")


def test_try_again_clears_the_card_and_goes_to_the_first_option(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").nth(1).click()
    tell(page, answer=1, correct=False, text="No.", call="median_high([1, 2])")
    page.get_by_role("button", name="Try again").click()
    assert page.locator("input:checked").count() == 0
    expect(page.get_by_role("radio").first).to_be_focused()
    expect(page.get_by_role("status")).to_be_empty()
    expect(page.get_by_text("median_high")).to_have_count(0)
    expect(page.get_by_role("button", name="Check")).to_be_visible()


def test_another_choice_takes_the_feedback_away_and_can_be_checked(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").nth(1).click()
    tell(page, answer=1, correct=False, text="No.")
    page.keyboard.press("1")
    expect(page.get_by_role("status")).to_be_empty()
    assert page.locator("main svg").count() == 0
    page.keyboard.press("Enter")
    assert sent(page) == [{"kind": "check", "answer": 0}]


def test_a_hint_opens_and_closes(mount: Mount) -> None:
    page = mount(CHOICE)
    button = page.get_by_role("button", name="Hint")
    hint = page.get_by_text("Think of the mean of the middle.")
    expect(hint).to_be_hidden()
    button.press("Enter")
    expect(hint).to_be_visible()
    assert button.get_attribute("aria-expanded") == "true"
    assert sent(page) == []
    button.click()
    expect(hint).to_be_hidden()


def test_without_a_hint_there_is_no_hint_button(mount: Mount) -> None:
    assert mount(PROSE).get_by_role("button").all_inner_texts() == ["Check"]


def test_a_number_is_typed_and_sent_as_it_stands(mount: Mount) -> None:
    page = mount(NUMBER)
    field = page.get_by_role("textbox", name="Your answer ms")
    assert field.get_attribute("inputmode") == "decimal"
    field.press_sequentially(" 1.25e3 ")
    field.press("Enter")
    assert sent(page) == [{"kind": "check", "answer": "1.25e3"}]
    tell(page, answer="1.25e3", correct=False)
    field.press_sequentially("9")
    expect(page.get_by_role("status")).to_be_empty()
    page.get_by_role("button", name="Check").click()
    assert len(sent(page)) == 2


def test_try_again_empties_the_number(mount: Mount) -> None:
    page = mount(NUMBER)
    tell(page, answer="12", correct=False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("textbox")).to_have_value("")
    expect(page.get_by_role("textbox")).to_be_focused()


@pytest.mark.parametrize(
    ("question", "answer", "correct", "line"),
    [
        (CHOICE, 0, True, "You answered: 2.5 – right"),
        (CHOICE, 2, False, "You answered: [1,… – not right"),
        (CHOICE, 3, False, "You answered: (nothing) – not right"),
        (PROSE, 1, False, "You answered: It raises StatisticsError – not right"),
        (NUMBER, "12.5", True, "You answered: 12.5 ms – right"),
    ],
    ids=["literal", "long", "empty", "prose", "number"],
)
def test_an_earlier_answer_is_shown_when_the_card_opens(
    mount: Mount, question: dict[str, Any], answer: Any, correct: bool, line: str
) -> None:
    page = mount(question, verdict(answer, correct, text="Because.", earlier=True))
    expect(page.get_by_role("status")).to_contain_text(line)
    expect(page.get_by_role("status")).to_contain_text("Because.")
    if question is NUMBER:
        expect(page.get_by_role("textbox")).to_have_value(answer)
    else:
        expect(page.get_by_role("radio").nth(answer)).to_be_checked()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_the_call_to_run_can_be_copied(mount: Mount) -> None:
    page = mount(CHOICE)
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => window.copied = text}})"
    )
    tell(page, answer=1, correct=False, call="from statistics import *\nmedian_high([1, 2])")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("copied") == "from statistics import *\nmedian_high([1, 2])"


def test_the_call_is_selected_where_the_clipboard_is_closed(mount: Mount) -> None:
    page = mount(CHOICE)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tell(page, answer=1, correct=False, call="median_high([1, 2])")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Selected")).to_be_visible()
    assert page.evaluate("getSelection().toString()") == "median_high([1, 2])"


def test_an_attempt_that_was_not_kept_is_said(mount: Mount) -> None:
    page = mount(CHOICE)
    tell(page, answer=0, correct=True, trouble="This attempt was not kept: the disk is full.")
    expect(page.get_by_role("status")).to_contain_text("This attempt was not kept: the disk is full.")


def test_a_silent_kernel_is_said_and_is_asked_once(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").first.click()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert len(sent(page)) == 1
    expect(page.get_by_role("status")).to_contain_text("Waiting for the kernel.")
    tell(page, answer=0, correct=True)
    expect(page.get_by_role("status")).to_have_text("Right")


def test_keys_stay_in_the_card_and_shortcuts_with_ctrl_leave_it(mount: Mount) -> None:
    page = mount(CHOICE)
    page.evaluate("window.seen = []; document.addEventListener('keydown', event => seen.push(event.key))")
    page.get_by_role("radio").first.focus()
    for key in ["a", "d", "1", "Enter", "ArrowDown", " ", "m", "Control+Enter"]:
        page.keyboard.press(key)
    assert page.evaluate("seen.filter(key => key !== 'Control')") == ["Enter"]
    assert page.locator("[data-lm-suppress-shortcuts=true]").count() == 1


def test_the_tab_key_leaves_the_card(mount: Mount) -> None:
    page = mount(CHOICE)
    page.get_by_role("radio").first.focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.alain-question')") is None


def test_two_cards_do_not_share_their_choice(mount: Mount) -> None:
    page = mount(CHOICE)
    page.evaluate("mount()")
    page.get_by_role("radio").nth(0).click()
    page.get_by_role("radio").nth(5).click()
    expect(page.get_by_role("radio").nth(0)).to_be_checked()
    expect(page.get_by_role("radio").nth(5)).to_be_checked()


def test_a_card_that_is_gone_hears_nothing_more(mount: Mount) -> None:
    page = mount(CHOICE)
    page.evaluate("unmount()")
    tell(page, answer=0, correct=True)
    expect(page.get_by_role("status")).to_be_empty()


def test_program_text_keeps_its_spaces_in_a_fixed_pitch(mount: Mount) -> None:
    page = mount(CHOICE)
    code = page.locator("label code").nth(2)
    assert code.inner_text() == "[1,\n  2]"
    assert "mono" in code.evaluate("node => getComputedStyle(node).fontFamily")


def test_backticks_mark_code_in_prose_and_mean_nothing_in_program_text(mount: Mount) -> None:
    assert mount(PROSE).locator("label code").all_inner_texts() == ["sorted", "StatisticsError"]
    literal = mount({**CHOICE, "options": ["`ls`", "b"]})
    assert literal.locator("label code").all_inner_texts() == ["`ls`", "b"]


@pytest.mark.parametrize("question", [CHOICE, NUMBER], ids=["choice", "number"])
def test_everything_to_touch_is_44_pixels_high(mount: Mount, question: dict[str, Any]) -> None:
    page = mount(question, width=320)
    tell(page, answer=1 if question is CHOICE else "1", correct=False, call="f(1)")
    for target in page.locator("button, .alain-option, input[type=text]").all():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44


def test_a_narrow_card_does_not_scroll_sideways(mount: Mount) -> None:
    long = "x" * 200
    page = mount({**CHOICE, "options": [long, f"  {long}", "a"], "hint": long}, width=320)
    tell(page, answer=1, correct=False, text=long, call=long, trouble=long)
    page.get_by_role("button", name="Hint").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert mount(NUMBER, width=320).get_by_text("ms").bounding_box()["height"] < 30  # on one line
    number = mount({**NUMBER, "unit": f"tokens a second {long}"}, width=320)
    assert number.evaluate("document.documentElement.scrollWidth") == 320


def test_the_focus_can_be_seen(mount: Mount) -> None:
    page = mount(CHOICE)
    outline = (
        "node => parseFloat(getComputedStyle(node).outlineWidth) * (getComputedStyle(node).outlineStyle !== 'none')"
    )
    for target in [page.locator("label").first, page.get_by_role("button", name="Check")]:
        assert target.evaluate(outline) == 0
        page.keyboard.press("Tab")
        assert target.evaluate(outline) >= 2


ATTACKS = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg onload='window.hit = 1'><a href='javascript:window.hit = 1'>x</a></svg>",
    "</code></legend><iframe srcdoc='<script>parent.hit = 1</script>'></iframe>",
    "`<b onmouseover='window.hit = 1'>`",
    "[a](javascript:window.hit=1) ![a](http://192.0.2.1/pixel.png)",
    "<style>@import 'http://192.0.2.1/style.css'</style>",
    "${window.hit = 1} {{constructor.constructor('window.hit = 1')()}}",
    "\u202etext turned round\u0000",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_never_becomes_markup(mount: Mount, attack: str) -> None:
    hostile = {"stem": attack, "options": [attack, "b"], "unit": attack, "hint": attack}
    said = {"text": attack, "call": attack, "trouble": attack, "earlier": True}
    for form, literal, answer in [("single", False, 0), ("predict", True, 0), ("numeric", False, attack)]:
        page = mount({**hostile, "form": form, "literal": literal}, verdict(answer, False, **said))
        page.get_by_role("button", name="Hint").click()
        page.locator("main").hover()
        assert page.evaluate("window.hit") is None
        assert page.locator("main :is(script, img, iframe, a, b, style)").count() == 0
        for shown in page.locator("legend, .alain-hint, pre, .alain-trouble").all():
            assert shown.text_content().replace("\ufffd", "\0") in {attack, attack.replace("`", "")}
