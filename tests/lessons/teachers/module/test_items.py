"""Questions about examples: their keys are right, their distractors wrong, and their feedback says why truly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.lessons.document import Span
from alain_magics.lessons.quality import judge
from alain_magics.lessons.schema import Question, Run
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import ModuleDocument, assemble
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.items import (
    ItemMaker,
    choose_calls,
    hoist,
    mutant_feedback,
    share,
    spread_around,
    usable_option,
    usable_output,
)
from alain_magics.lessons.teachers.module.mutants import Mutant
from alain_magics.lessons.teachers.module.siblings import Siblings
from alain_magics.lessons.values import same_value
from alain_magics.lessons.verify import question_problems
from tests.lessons.modules import document_of, shown_by

SETUP = "tally = Tally(['to', 'be', 'or', 'not', 'to', 'be'])\ntally.add('to')\ntally.add('or')"


@pytest.fixture
def maker(kit, prover) -> ItemMaker:
    """Makes questions about the kit."""
    return ItemMaker(kit, prover, Siblings(kit), "beginner")


@pytest.fixture
def importable(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets this process import the kit, to see for itself."""
    monkeypatch.syspath_prepend(str(folder))


def find(document: ModuleDocument, source: str) -> Example:
    """The fullest documented example with this last line."""
    return [example for example in find_examples(document) if example.source == source][-1]


def others(document: ModuleDocument, example: Example) -> list[Example]:
    return [other for other in find_examples(document) if other != example]


def right(question: Question) -> str:
    return question.options[question.key].text


def runs(question: Question) -> dict[int | None, Run]:
    return {run.option: run for run in question.proof.runs}


def assert_holds(question: Question) -> None:
    """Every option is what this process says it is, one is right, and no rule rejects the question."""
    assert judge(question).rejected == []
    assert question_problems(question, question.proof) == []
    assert question.proof == question.proof.sealed()
    for place, option in enumerate(question.options):
        run = runs(question)[place]
        assert (run.output, run.error) == shown_by(run.code)
        assert option.correct == (place == question.key)
        if question.form != "error" and not option.correct:
            assert not same_value(run.output, runs(question)[question.key].output)


def test_the_output_of_an_example_is_asked_for(kit, maker, finish, importable):
    question = finish(maker.predict(find(kit, "middle_low([9, 2, 4, 6])")))
    assert (question.form, question.stem) == ("predict", "What does `middle_low` return here?")
    assert (question.code, right(question)) == ("middle_low([9, 2, 4, 6])", "4")
    assert question.explanation == "`middle_low`: Return the lower of the two middle values."
    assert (question.objective, question.citations[0].ref) == ("kit.middle_low", "kit.middle_low")
    assert "middle_low([9, 2, 4, 6])" in question.citations[0].quote
    assert_holds(question)


def test_what_a_sibling_gives_is_a_distractor_that_can_be_tried_out(kit, maker, finish):
    question = finish(maker.predict(find(kit, "middle_low([9, 2, 4, 6])")))
    option = next(option for option in question.options if option.text == "6")
    assert option.call.endswith("\n\nmiddle_high([9, 2, 4, 6])")
    assert option.feedback == "That is what `middle_high([9, 2, 4, 6])` gives."


def test_the_lines_that_an_example_needs_are_shown_with_it(kit, maker, finish, importable):
    question = finish(maker.predict(find(kit, "tally.top(2)")))
    assert question.code == f"{SETUP}\ntally.top(2)"
    skipped = [option for option in question.options if "without the line" in option.feedback]
    assert {option.feedback for option in skipped} <= {
        f"That would be right without the line `tally.add('{word}')`." for word in ("to", "or")
    }
    assert_holds(question)


def test_imports_from_elsewhere_are_shown_and_those_of_the_module_are_not(kit, maker, finish):
    example = find(kit, "shares([Ratio(1, 2), Ratio(3, 2)])")
    question = finish(maker.predict(example))
    assert question.code == "from fractions import Fraction as Ratio\n\nshares([Ratio(1, 2), Ratio(3, 2)])"
    assert_holds(question)


def test_a_program_to_try_out_gives_what_its_option_says(kit, maker, finish, importable):
    tried = [
        shown_by(option.call) == (option.text, "")
        for example in find_examples(kit)
        if (question := finish(maker.predict(example)))
        for option in question.options
        if option.call
    ]
    assert len(tried) > 20
    assert all(tried)


@pytest.mark.parametrize(
    ("body", "documented", "reason"),
    [
        ("return True", "True", "key is True, False, None or empty"),
        ("return []", "[]", "key is True, False, None or empty"),
        ("return 1.23456789", "1.23456789", "key is a number too long to work out"),
        ("return 'x' * 80", repr("x" * 80), "output too long to choose from"),
        ("print('a\\nb')", "a\n    b", "output too long to choose from"),
        ("print(end='')", "1", "output too long to choose from"),
        ("return 7", "7", "fewer than two distractors proven wrong"),
        ("return object()", "7", "output not reproduced"),
        ("raise KeyError(x)", "7", "output not reproduced"),
    ],
)
def test_an_example_without_a_good_question_is_dropped_for_a_reason(module, prover, finish, body, documented, reason):
    name = f"dull_{len(body)}_{len(documented)}"
    document = module(f'def give(x):\n    """Give.\n\n    >>> give(3)\n    {documented}\n    """\n    {body}\n', name)
    maker = ItemMaker(document, prover, Siblings(document), "beginner")
    assert finish(maker.predict(find_examples(document)[0])) is None
    assert maker.dropped == {reason: 1}


def test_an_output_that_depends_on_the_hash_seed_is_no_distractor(module, prover, finish):
    document = module(
        '''def words_sorted(words):
    """Sort the words.

    >>> words_sorted(['b', 'a', 'd', 'c'])
    ['a', 'b', 'c', 'd']
    """
    return sorted(words)

def words_mixed(words):
    """Mix the words."""
    return list(set(words))

def words_turned(words):
    """Turn the words."""
    return words[::-1]

def words_doubled(words):
    """Double the words."""
    return words + words
''',
        "unsteady",
    )
    maker = ItemMaker(document, prover, Siblings(document), "beginner")
    question = finish(maker.predict(find_examples(document)[0]))
    codes = [run.code for run in question.proof.runs]
    assert not any("words_mixed" in code for code in codes)
    assert None not in finish(prover.reproduce(codes))


def test_which_call_gives_an_output_is_asked_on_shared_data(kit, maker, finish, importable):
    example = find(kit, "middle_low([9, 2, 4, 6])")
    question = finish(maker.call(example, others(kit, example)))
    assert question.code == "data = [9, 2, 4, 6]"
    assert question.stem == f"Which call gives `{runs(question)[question.key].output}` here?"
    assert {option.text for option in question.options} <= {
        f"{name}(data)" for name in ("middle", "middle_low", "middle_high")
    }
    assert_holds(question)


def test_the_feedback_of_a_call_says_what_it_gives(kit, maker, finish):
    example = find(kit, "tally.top(2)")
    question = finish(maker.call(example, others(kit, example)))
    for place, option in enumerate(question.options):
        output = runs(question)[place].output
        assert option.feedback == f"`{option.text}` gives `{output}`" + ("." if option.correct else " here.")
        assert option.call == runs(question)[place].code


def test_an_output_that_stands_in_the_lesson_already_is_not_asked_for(kit, maker, finish):
    example = find(kit, "turn_left(letters, 2)")
    question = finish(maker.call(example, [], avoid=["['c', 'a', 'b']"]))
    assert runs(question)[question.key].output != "['c', 'a', 'b']"


def test_imports_that_only_the_options_need_are_shown(prover, finish):
    difflib = assemble(inspect_module("difflib"))
    example = find(difflib, 'get_close_matches("wheel", _keyword.kwlist)')
    maker = ItemMaker(difflib, prover, Siblings(difflib), "beginner")
    question = finish(maker.call(example, others(difflib, example)))
    assert question.code == "import keyword as _keyword"
    assert_holds(question)


def test_calls_that_all_give_the_same_make_no_question(module, prover, finish):
    document = module('def one(x):\n    """One.\n\n    >>> one(\'aaa\')\n    1\n    """\n    return 1\n', "ones")
    maker = ItemMaker(document, prover, Siblings(document), "beginner")
    assert finish(maker.call(find_examples(document)[0], [])) is None
    assert maker.dropped == {"no calls that differ on this data": 1}


def test_the_first_line_that_raises_is_the_key(kit, maker, finish, importable):
    lines = ("middle_high([1, 3])", "middle_low([])", "turn_left([1, 2])", "middle([])")
    example = find(kit, "middle_low([1, 3, 5, 7])")
    imports = ("from kit import middle, middle_high, middle_low, turn_left",)
    question = finish(maker.error(example, imports, lines))
    assert question.code == "\n".join(lines)
    assert right(question) == "middle_low([])"
    assert [option.feedback for option in question.options] == [
        "Nothing is raised here.",
        "`middle_low([])` raises `KitError`: there is no middle of nothing.",
        "Nothing is raised here.",
        "It would raise `KitError`, but an earlier line ends the program first.",
    ]
    assert_holds(question)


@pytest.mark.parametrize(
    "lines", [("middle_high([1, 3])", "turn_left([1, 2])"), ("object()", "1 / 0", "print(object())")]
)
def test_lines_of_which_none_raises_or_whose_output_varies_are_no_question(kit, maker, finish, lines):
    imports = ("from kit import middle_high, turn_left",)
    assert finish(maker.error(find(kit, "middle_low([1, 3, 5, 7])"), imports, lines)) is None


def test_a_line_that_an_earlier_fault_would_stop_is_not_said_to_raise(kit, maker, finish):
    lines = ("middle([])", "x = 1 / 0", "middle_low([x])")
    assert (
        finish(maker.error(find(kit, "middle_low([1, 3, 5, 7])"), ("from kit import middle, middle_low",), lines))
        is None
    )


def test_which_object_is_documented_so_is_cited(kit, maker):
    question = maker.single(kit.object("kit.Tally.top"))
    assert (
        question.stem
        == "Which method of `kit.Tally` is documented with “Return the commonest words with their counts.”?"
    )
    assert (right(question), question.proof) == ("top", None)
    assert {option.text for option in question.options} == {"top", "last", "add"}
    assert question.citations[0].quote == "Return the commonest words with their counts."
    assert judge(question).kept


def test_a_summary_that_names_its_object_is_not_asked_for(kit, maker):
    assert maker.single(kit.object("kit.middle")) is None
    assert maker.dropped == {"the summary gives the name away": 1}


@pytest.mark.parametrize("summary", ["Too short.", "It says `code` in its summary.", "", "Long " * 31 + "end."])
def test_a_summary_that_is_short_long_or_code_is_not_asked_for(prover, summary):
    document = document_of("\n".join(f"def {name}(x): {summary!r}" for name in ("one", "two", "three", "four")))
    assert ItemMaker(document, prover, Siblings(document), "beginner").single(document.object("sample.one")) is None


def test_objects_with_one_summary_cannot_be_told_apart(prover):
    summary = "Return what is asked for here."
    document = document_of("\n".join(f"def {name}(x): {summary!r}" for name in ("one", "two", "three", "four")))
    assert ItemMaker(document, prover, Siblings(document), "beginner").single(document.object("sample.one")) is None


def test_all_questions_about_the_kit_hold(kit, maker, finish, importable):
    examples = find_examples(kit)
    made = [finish(maker.predict(example)) for example in examples if not example.raises]
    made += [finish(maker.call(example, others(kit, example))) for example in examples if not example.raises]
    questions = [question for question in made if question]
    assert {question.form for question in questions} == {"predict", "call"}
    assert len(questions) > 15
    for question in questions:
        assert_holds(question)


def mutant(value: int) -> tuple[Mutant, str, Run]:
    return (
        Mutant("sibling", (), (), f"f({value})", f"f({value})"),
        str(value),
        Run(code=f"f({value})", output=str(value)),
    )


@settings(deadline=None)
@given(
    key=st.integers(-9, 9),
    values=st.lists(st.integers(-9, 9), min_size=3, unique=True),
    number=st.integers(0, 99),
)
def test_numbers_are_chosen_on_both_sides_of_the_key_as_the_number_says(key, values, number):
    found = [mutant(value) for value in values if value != key]
    chosen = [int(text) for _, text, _ in spread_around(str(key), found, number)]
    below = sum(value < key for value in values)
    above = len(found) - below
    assert len(set(chosen)) == min(3, len(found))
    if below >= 3 and above >= 3:
        assert sum(value < key for value in chosen) == number % 4


def test_what_is_no_number_is_chosen_in_order():
    found = [mutant(value) for value in range(5)]
    assert spread_around("'text'", found, 1) == found[:3]


def called(text: str, output: str, how: str = "sibling") -> tuple[str, Run]:
    return text, Run(code=text, output=output, how=how)


def test_the_first_call_with_a_usable_output_is_the_key_and_siblings_come_first_among_the_rest():
    calls = [called("a", "None", "key"), called("b", "1", "off by one"), called("c", "2"), called("d", "3")]
    assert [text for text, _ in choose_calls(calls, [])] == ["b", "c", "d", "a"]


def test_calls_with_equal_outputs_count_once_and_never_beside_an_equal_key():
    calls = [called("a", "1"), called("b", "1.0"), called("c", "2"), called("d", "2"), called("e", "3")]
    assert [text for text, _ in choose_calls(calls, [])] == ["a", "c", "e"]


@pytest.mark.parametrize("outputs", [["1"], ["1", "2"], ["1", "1", "1", "2"], ["None", "[]", "''"], ["a\nb"] * 4])
def test_no_question_where_too_few_calls_differ(outputs):
    assert choose_calls([called(f"f{n}", output) for n, output in enumerate(outputs)], []) == []


@pytest.mark.parametrize(
    ("source", "setup", "shown"),
    [
        ("middle([1, 2, 3])", (), "data = [1, 2, 3]\nmiddle(data)"),
        ("turn_left([1, 2, 3], 2)", (), "items = [1, 2, 3]\nturn_left(items, 2)"),
        ("list(shares([0.5, 0.5]))", (), "weights = [0.5, 0.5]\nlist(shares(weights))"),
        ("Tally(['a', 'b']).top(1)", (), "data = ['a', 'b']\nTally(data).top(1)"),
        ("middle([1, 2])", (), "middle([1, 2])"),
        ("middle(x)", (), "middle(x)"),
        ("middle([1, 2, 3])", ("x = 1",), "x = 1\nmiddle([1, 2, 3])"),
    ],
)
def test_long_data_of_a_bare_call_gets_a_name(kit, source, setup, shown):
    names = {"middle": "kit.middle", "turn_left": "kit.turn_left", "shares": "kit.shares", "top": "kit.Tally.top"}
    path = next(path for name, path in names.items() if f"{name}(" in source)
    example = Example(path, Span(0, 0), (), setup, source, "", "", (path,))
    assert hoist(kit, example).shown == shown


@pytest.mark.parametrize(
    ("how", "setup", "source", "changed", "says"),
    [
        ("sibling", (), "g(x)", "g(x)", "That is what `g(x)` gives."),
        ("other data", (), "f(2)", "f(2)", "That would be right for `f(2)`."),
        ("swapped arguments", ("x = g(2, 1)",), "f(x)", "x = g(2, 1)", "That would be right for `x = g(2, 1)`."),
        ("skipped line", (), "f(x)", "x.sort()", "That would be right without the line `x.sort()`."),
        ("printed, not shown", (), "print(x)", "",
         "That is how `print` shows it; the last line of a cell shows the repr."),
        ("sibling", (), "g(`x`)", "g(`x`)", "That is the result of slightly different code."),
        ("sibling", (), "a\nb", "a\nb", "That is the result of slightly different code."),
    ],
)  # fmt: skip
def test_feedback_says_what_was_changed(how, setup, source, changed, says):
    assert mutant_feedback(Mutant(how, (), setup, source, changed)) == says


def test_an_option_is_one_line_that_is_not_too_long():
    assert [usable_option(text) for text in ("1", "", "a\nb", "x" * 90, "x" * 91)] == [True, False, False, True, False]


def test_an_output_to_ask_for_says_something_and_can_be_worked_out():
    texts = ["[1, 2]", "True", "None", "''", "1.23456789", "`a`", "x" * 61]
    assert [usable_output(text) for text in texts] == [True] + 6 * [False]


@pytest.mark.parametrize(("name", "part"), [("median_low", 0.6), ("mode", 0.0), ("median", 1.0), ("medianize", 2 / 3)])
def test_how_much_of_a_name_a_summary_gives_away(name, part):
    assert share(name, {"return", "the", "median"}) == pytest.approx(part)
