"""Each rule on a question that breaks it, and on one that nearly does."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from alain_magics.lessons.quality import judge
from alain_magics.lessons.quality.flagging import FLAGGING
from alain_magics.lessons.quality.rejecting import REJECTING
from alain_magics.lessons.schema import Citation, Option, Proof, Question, Run

CITED = [Citation(ref="doc", start=0, end=4, quote="text")]
ABOVE = "The function returns the middle value of the sorted data, or the mean of the two middle values."


def prose(stem: str, *texts: str, **fields: Any) -> Question:
    """A cited choice whose first option is right."""
    options = [Option(text=text, correct=i == 0) for i, text in enumerate(texts)]
    return Question(form="single", stem=stem, options=options, citations=CITED, **fields)


def predict(*texts: str, **fields: Any) -> Question:
    """A proven question about an output; the first option is right."""
    options = [Option(text=text, correct=i == 0) for i, text in enumerate(texts)]
    content = {"stem": "What does this print?", "code": "print(x)", "proof": ran(texts[0] if texts else "")} | fields
    return Question(form="predict", literal=True, options=options, **content)


def ran(output: str, *, error: str = "", seeds: tuple[int, ...] = (0, 1), how: str = "key", option: int = 0) -> Proof:
    """The proof of one run."""
    run = Run(code="print(x)", output=output, error=error, how=how, option=option)
    return Proof(runs=[run], versions={"python": "3.11"}, isolation="isolated", seeds=list(seeds)).sealed()


def typed(answer: float | None, *slips: str, **fields: Any) -> Question:
    """A cited question with a typed answer and foreseen slips."""
    content = {"stem": "How many gigabytes do the weights take?", "citations": CITED} | fields
    return Question(form="numeric", answer=answer, options=[Option(text=slip) for slip in slips], **content)


WHICH = "Which value comes out?"
SHORT = ("the smallest number", "the largest number", "the first number")


class Case(NamedTuple):
    """A rule, a question that breaks it, one that nearly does, and the words that the finding names."""

    code: str
    broken: Question
    sound: Question
    names: str


CASES = {
    "no proof at all": Case("R1", predict("1", "2", "3", proof=None), predict("1", "2", "3"), "nothing was run"),
    "one seed": Case("R1", predict("1", "2", "3", proof=ran("1", seeds=(0, 0))), predict("1", "2", "3"), "1 hash seed"),
    "no run of the key": Case(
        "R1", predict("1", "2", "3", proof=ran("1", how="sibling")), predict("1", "2", "3"), "no run of the key"
    ),
    "the run belongs to a distractor": Case(
        "R1", predict("1", "2", "3", proof=ran("1", option=2)), predict("1", "2", "3"), "option 2"
    ),
    "another output": Case(
        "R1", predict("1", "2", "3", proof=ran("4")), predict("1", "2", "3", proof=ran("1\n")), '"4"'
    ),
    "another error": Case(
        "R1",
        predict("KeyError", "2", "3", proof=ran("", error="TypeError")),
        predict("raises KeyError", "2", "3", proof=ran("", error="KeyError")),
        "TypeError",
    ),
    "a number neither run nor cited": Case("R1", typed(4, "8", citations=[]), typed(4, "8"), "nothing was run"),
    "equal but for space": Case("R2", predict("[1, 2]", "[1,2]", "[2]"), predict("[1, 2]", "(1, 2)", "[2]"), "[1,2]"),
    "equal as a value": Case(
        "R2", predict("{'a': 1}", '{"a": 1}', "{}"), predict("{'a': 1}", '{"a": 2}', "{}"), '{"a": 1}'
    ),
    "equal to nine digits": Case(
        "R2", predict("0.3", "0.30000000000000004", "1"), predict("0.3", "0.30001", "1"), "0.30000000000000004"
    ),
    "equal but for case and full stop": Case(
        "R2",
        prose(WHICH, "The mean", "the mean.", "a list"),
        prose(WHICH, "The mean", "the means", "a list"),
        "the mean.",
    ),
    "a slip that would be accepted": Case(
        "R2", typed(4, "4.04 GB", tolerance=0.05), typed(4, "4.06 GB", tolerance=0.05), "4.04 GB"
    ),
    "two options": Case("R3", predict("1", "2"), predict("1", "2", "3"), "2 options"),
    "six options": Case("R3", predict(*"123456"), predict(*"12345"), "6 options"),
    "two keys": Case(
        "R3",
        predict("1", "2", "3").model_copy(update={"options": [Option(text=t, correct=t != "3") for t in "123"]}),
        predict("1", "2", "3"),
        "2 keys",
    ),
    "no key": Case("R3", typed(4, "8", "9").model_copy(update={"form": "single"}), typed(4, "8", "9"), "2 options"),
    "duplicates": Case("R3", predict("1", "2", "2.0"), predict("1", "2", "-2"), '"2"'),
    "an empty option": Case("R3", prose(WHICH, "a list", " ", "a dict"), predict("a", "", "b"), "empty"),
    "labels alone": Case("R3", prose(WHICH, "A", "B", "C"), predict("A", "B", "C"), "only labels"),
    "a typed answer without a number": Case("R3", typed(None, "8"), typed(0, "8"), "needs a number"),
    "a right slip": Case(
        "R3", typed(4).model_copy(update={"options": [Option(text="8", correct=True)]}), typed(4, "8"), "none of them"
    ),
    "all of the above": Case(
        "R4",
        prose(WHICH, *SHORT, "All of the above."),
        prose(WHICH, *SHORT, "all of the options that were given"),
        "All of the above.",
    ),
    "none of these": Case("R4", prose(WHICH, *SHORT, "None of these"), prose(WHICH, *SHORT, "None"), "None of these"),
    "two options combined": Case(
        "R5", prose(WHICH, *SHORT, "Both A and C"), prose(WHICH, *SHORT, "a list and a tuple"), "Both A and C"
    ),
    "numbered options combined": Case(
        "R5", prose(WHICH, *SHORT, "options 1 and 3"), prose(WHICH, *SHORT, "1 and 3"), "options 1 and 3"
    ),
    "true and false": Case("R6", predict("True", "False"), predict("True", "False", "None"), '"True", "False"'),
    "yes, no and a filler": Case(
        "R6",
        prose("Is it sorted?", "Yes", "No", "It depends"),
        prose("Is it sorted?", "Yes, by value", "No, it keeps order", "Yes, by name"),
        "true/false",
    ),
    "the key is the longest": Case(
        "F7",
        prose(WHICH, "the middle value once the data are sorted", "the mean", "the first value"),
        prose(WHICH, "the middle value once the data are sorted", "the value in the middle as given", "the mean"),
        "41 characters",
    ),
    "a long key of three words": Case(
        "F7",
        prose(WHICH, "an arithmetic progression of numbers", "a list", "a dict"),
        prose(WHICH, "incomprehensibly long words", "a list", "a dict"),
        "36 characters",
    ),
    "an absolute word": Case(
        "F8", prose(WHICH, *SHORT, "always the mean"), prose(WHICH, *SHORT, "Returns `all` or None"), "always"
    ),
    "a vague word": Case(
        "F9", prose(WHICH, *SHORT, "usually the mean"), prose(WHICH, *SHORT, "the usual mean"), "usually"
    ),
    "a negative stem": Case(
        "F10",
        prose("Which of them is not changed?", *SHORT),
        prose("Which note “not” about `not` with False is NOT changed?", *SHORT),
        '"not"',
    ),
    "a word of the stem in the key alone": Case(
        "F11",
        prose("Which function sorts in place?", "it is sorting the list", "it returns a copy", "it reads a file"),
        prose("Which function sorts in place?", "it is sorting the list", "it sorts a copy", "it reads a file"),
        "sorting",
    ),
    "a word of the stem in a name": Case(
        "F11",
        prose("Which gives the median of grouped data?", "median_grouped", "median_low", "median_high", literal=True),
        prose("Which gives the low median?", "median_low", "median_high", "median_grouped", literal=True),
        "grouped",
    ),
    "an article that fits the key": Case(
        "F12",
        prose("Complete: the result is an", "integer", "list", "dict"),
        prose("Complete: the result is an", "integer", "array", "exception"),
        'ends in "an"',
    ),
    "an article that fits all": Case(
        "F12",
        prose("Complete: the result is a", "tuple", "array", "iterator"),
        prose("Complete: the result is a", "tuple", "list", "set"),
        'ends in "a"',
    ),
    "another number": Case(
        "F12",
        prose("What does it do?", "returns the mean", "sort the data", "raise an error"),
        prose("What does it do?", "returns the mean", "sorts the data", "raises an error"),
        "returns",
    ),
    "another tense": Case(
        "F12",
        prose("What happened?", "counting values", "sorted values", "dropped values"),
        prose("What happened?", "string values", "number values", "other values"),
        "counting",
    ),
    "numbers out of order": Case("F13", predict("10", "9", "11"), predict("9", "10", "11"), "not in order"),
    "quantities out of order": Case(
        "F13", prose(WHICH, "16 GB", "8 GB", "32 GB"), prose(WHICH, "16 GB", "8 MB", "32 GB"), "not in order"
    ),
    "everything leads to the key": Case(
        "F14",
        prose(WHICH, "mean with sorted weighted values", "mean with sorted items", "mode over weighted values"),
        prose(WHICH, "mean with sorted weighted values", "mean with sorted items", "mean over sorted items"),
        "rather than",
    ),
    "the key is of another kind": Case(
        "F15", predict("'a'", "[1]", "[2]", "[3]"), predict("'a'", "[1]", "None", "a"), "every other option"
    ),
    "one distractor of another kind is wanted": Case(
        "F15", predict("None", "[1]", "[2]"), predict("[1]", "None", "[2]"), "NoneType"
    ),
    "nothing in common with the key": Case(
        "F15",
        prose(WHICH, "the middle value of sorted data", "the first value of sorted data", "a blue whale"),
        prose(WHICH, "the middle value of sorted data", "the first value of sorted data", "the blue value"),
        "a blue whale",
    ),
    "no question": Case("F16", prose("The result", *SHORT), prose("Choose the result.", *SHORT), "asks nothing"),
    "a question about the options alone": Case(
        "F16",
        prose("Which of the following statements is true?", *SHORT),
        prose("Which of the following functions is sorted?", *SHORT),
        "options hidden",
    ),
    "a long stem": Case(
        "F17",
        prose("word " * 60 + "last?", *SHORT),
        prose("word " * 58 + "and `some long code` last?", *SHORT),
        "61 words",
    ),
    "a blank inside": Case(
        "F18",
        prose("The ____ of the data is?", *SHORT),
        prose("Fill the blank: the ____ of the data is?", *SHORT),
        "blank",
    ),
    "a blank at the end": Case(
        "F18", prose("Is the … a list?", *SHORT), prose("Which value does it print: ____?", *SHORT), "blank"
    ),
    "an option from the text above": Case(
        "F19",
        prose(WHICH, "the middle value of the sorted data", "the mode", "the sum"),
        prose(WHICH, "the middle value of sorted data", "the mean", "the sum"),
        "the middle value of the sorted data",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rule_finds_what_is_wrong_and_names_it(case: Case) -> None:
    found = {finding.code: finding.what for finding in judge(case.broken, ABOVE).findings}
    assert case.names in found.get(case.code, "nothing found")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_near_miss_passes_the_rule(case: Case) -> None:
    assert case.code not in {finding.code for finding in judge(case.sound, ABOVE).findings}


def test_every_rule_is_tried_and_has_a_code_of_its_own() -> None:
    codes = [rule.code for rule in (*REJECTING, *FLAGGING)]
    assert codes == [f"R{i}" for i in range(1, 7)] + [f"F{i}" for i in range(7, 20)]
    assert {case.code for case in CASES.values()} == set(codes)


def test_a_sound_question_has_no_findings() -> None:
    question = prose(
        "Which value does `median` return for an even number of values?",
        "the mean of the two in the middle",
        "the smaller of the two in the middle",
        "the larger of the two in the middle",
    )
    assert judge(question).findings == []


def test_rules_about_prose_leave_programs_and_outputs_alone() -> None:
    question = predict("always the middle value of it", "never", "all")
    assert judge(question).findings == []


def test_one_flag_is_forgiven_two_are_not_and_no_rejection_is() -> None:
    one = prose("Which value is not sorted?", *SHORT)
    two = prose("Which value is not sorted?", *SHORT, "usually the mean")
    rejected = prose(WHICH, *SHORT, "all of the above")
    assert [len(judge(question).flagged) for question in (one, two)] == [1, 2]
    assert [judge(question).kept for question in (one, two, rejected)] == [True, False, False]


def test_a_question_without_its_key_is_rejected_and_not_a_reason_to_crash() -> None:
    blind = prose("Which value?", *SHORT).model_copy(update={"options": [Option(text=text) for text in SHORT]})
    assert [finding.code for finding in judge(blind).rejected] == ["R3"]
    assert not judge(Question(form="single", stem="")).kept


def test_judging_takes_well_under_a_millisecond() -> None:
    questions = [case.broken for case in CASES.values()]
    for question in questions:
        judge(question, ABOVE)
    before = time.process_time()
    for _ in range(5):
        for question in questions:
            judge(question, ABOVE)
    assert (time.process_time() - before) / (5 * len(questions)) < 0.001
