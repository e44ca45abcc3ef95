"""What an answer is worth, and what a question looks like without a widget."""

from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.questions import Feedback, as_html, as_text, grade
from alain_magics.lessons.schema import Option, Question

CHOICE = Question(
    form="predict",
    stem="What does `median([1, 2, 3, 4])` give?",
    code="from statistics import median",
    options=[
        Option(text="3", feedback="That is what `median_high` gives.", call="median_high([1, 2, 3, 4])"),
        Option(text="2.5", correct=True),
        Option(text="2"),
    ],
    literal=True,
    explanation="`median`: the middle, or the mean of the two in the middle.",
)
NUMBER = Question(
    form="numeric",
    stem="How many bytes?",
    answer=1024.0,
    unit="bytes",
    options=[Option(text="1,000 bytes", feedback="A kibibyte is meant.", call="2**10"), Option(text="none")],
    explanation="2 to the 10th.",
)


def number(answer: float, tolerance: float = 0.0) -> Question:
    return Question(form="numeric", stem="?", answer=answer, tolerance=tolerance)


def test_a_choice_is_graded_with_its_own_feedback() -> None:
    slip = Feedback(False, "That is what `median_high` gives.", "median_high([1, 2, 3, 4])")
    assert [grade(CHOICE, n) for n in range(3)] == [slip, Feedback(True, "Right."), Feedback(False, "Not this one.")]


@pytest.mark.parametrize("answer", [3, -1, "1", 1.0])
def test_what_is_no_option_is_not_graded(answer: int | float | str) -> None:
    assert grade(CHOICE, answer) == Feedback(None, "There is no such option: choose 1 to 3.")


@pytest.mark.parametrize(
    "typed",
    [
        1024,
        1024.0,
        "1024",
        "1,024",
        "1_024",
        "1 024",
        " 1024 ",
        "+1024",
        "1.024e3",
        "1.024×10^3",
        "1024 Bytes",
        "1024bytes",
    ],
)
def test_the_right_number_may_be_written_in_many_ways(typed: str | float) -> None:
    assert grade(NUMBER, typed) == Feedback(True, "Right.")


@pytest.mark.parametrize("typed", ["1000", "1e3", "1,000"])
def test_a_foreseen_slip_gets_its_own_feedback(typed: str) -> None:
    assert grade(NUMBER, typed) == Feedback(False, "A kibibyte is meant.", "2**10")


@pytest.mark.parametrize("typed", ["-1024", "1025", "1,024,000", "0"])
def test_another_number_is_wrong(typed: str) -> None:
    assert grade(NUMBER, typed) == Feedback(False, "Not this number.")


@pytest.mark.parametrize(
    "typed", ["", "ten", "1,02", "0,5", "1.2.3", "1 2", "nan", "inf", "e8", ".", "٣", "1" * 101, "1/2", "0x10"]
)
def test_what_is_no_number_is_not_graded(typed: str) -> None:
    feedback = grade(NUMBER, typed)
    assert feedback.correct is None
    assert "\n" not in feedback.text


def test_another_unit_is_not_converted_and_says_so() -> None:
    assert grade(NUMBER, "1 KiB") == Feedback(None, "Type the number alone, in bytes: the unit “KiB” is not converted.")
    assert grade(number(5), "5 %") == Feedback(None, "Type the number alone: the unit “%” is not converted.")


@pytest.mark.parametrize(
    ("answer", "tolerance", "typed", "correct"),
    [
        (0.3, 0.0, "0.3", True),
        (0.3, 0.0, 0.1 + 0.2, False),
        (0.3, 0.1, "0.4", True),
        (0.3, 0.1, "0.4000000000000000000001", False),
        (0.3, 0.1, "0.2", True),
        (1e300, 1e285, "1.000000000000001e300", True),
        (1e300, 1e285, "1.0000000000000011e300", False),
        (0.0, 0.0, "1e-999", False),
        (-2.5, 0.0, "−2.5", True),
        (5.0, 0.0, "5.", True),
        (0.5, 0.0, ".5", True),
    ],
)
def test_tolerance_is_compared_in_exact_decimals(
    answer: float, tolerance: float, typed: str | float, correct: bool
) -> None:
    assert grade(number(answer, tolerance), typed).correct is correct


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_a_number_is_right_however_python_writes_it(value: Decimal) -> None:
    question = number(float(value))
    assert grade(question, repr(float(value))).correct
    assert grade(question, f"{Decimal(repr(float(value))):,}").correct


@given(st.text())
def test_no_typed_text_breaks_grading(typed: str) -> None:
    assert grade(NUMBER, typed).text


def test_a_question_without_its_key_is_not_graded() -> None:
    options = [Option(text="1"), Option(text="2")]
    for question in (Question(form="single", stem="?", options=options), Question(form="numeric", stem="?")):
        assert grade(question, 1).correct is None
        assert "graded elsewhere" in grade(question, 1).text
        assert "details" not in as_html(question)


def test_the_text_shows_stem_code_and_options_but_no_key() -> None:
    assert as_text(CHOICE) == (
        "What does `median([1, 2, 3, 4])` give?\n\nfrom statistics import median\n\n1. 3\n2. 2.5\n3. 2"
    )
    assert as_text(NUMBER) == "How many bytes?\n\nType a number (bytes)."


def test_the_text_keeps_options_of_several_lines_together_and_names_the_empty_one() -> None:
    question = Question(form="single", stem="?", options=[Option(text="a\nb"), Option(text="")])
    assert as_text(question) == "?\n\n1. a\n   b\n2. (nothing)"


def test_the_text_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in as_text(Question(form="single", stem="\x1b[31m", options=[Option(text="\x1b]0;x\x07")]))


def test_the_html_is_a_list_with_the_folded_answer() -> None:
    assert as_html(CHOICE) == (
        '<ol type="1"><li><pre>3</pre></li><li><pre>2.5</pre></li><li><pre>2</pre></li></ol>'
        "<details><summary>Answer</summary>"
        "<p>2. <code>median</code>: the middle, or the mean of the two in the middle.</p></details>"
    )
    assert as_html(NUMBER) == "<details><summary>Answer</summary><p>1024 bytes. 2 to the 10th.</p></details>"


def test_options_in_words_mark_code() -> None:
    question = Question(form="single", stem="?", options=[Option(text="`a` < b")])
    assert as_html(question) == '<ol type="1"><li><code>a</code> &lt; b</li></ol>'


class Tags(HTMLParser):
    """Lists the elements of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))


@given(st.text(alphabet="<>&\"'`ab =/", max_size=30), st.booleans())
def test_no_text_of_a_question_becomes_an_element(text: str, literal: bool) -> None:
    options = [Option(text=text), Option(text=text, correct=True)]
    question = Question(form="single", stem=text, options=options, literal=literal, explanation=text)
    parser = Tags()
    parser.feed(as_html(question))
    assert {tag for tag, _ in parser.tags} <= {"ol", "li", "pre", "code", "details", "summary", "p"}
    assert [attrs for tag, attrs in parser.tags if attrs] == [[("type", "1")]]
