"""Where options stand."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.quality.ordering import balance_positions, numbers, reorder
from alain_magics.lessons.schema import Option, Proof, Question, Run

words = st.text("abcdefgh", min_size=1, max_size=4)
numerals = st.integers(-999, 999).map(str)


@st.composite
def proven(draw: st.DrawFn) -> Question:
    """A question whose options are words or numbers, each with a run that printed it."""
    texts = draw(st.lists(draw(st.sampled_from([words, numerals])), min_size=3, max_size=5, unique=True))
    key = draw(st.integers(0, len(texts) - 1))
    runs = [Run(code="key", output=texts[key], option=draw(st.sampled_from([None, key])))]
    runs += [Run(code=f"run {i}", output=text, option=i, how="sibling") for i, text in enumerate(texts) if i != key]
    return Question(
        form="predict",
        stem="What does this print?",
        literal=True,
        options=[Option(text=text, correct=i == key, feedback=f"about {text}") for i, text in enumerate(texts)],
        proof=Proof(runs=runs, versions={}, isolation="isolated", seeds=[0, 1]).sealed(),
    )


def plain(options: int, key: int = 0) -> Question:
    """A question with options that are words."""
    return Question(
        form="single", stem="?", options=[Option(text="abcde"[i] * 3, correct=i == key) for i in range(options)]
    )


def shown(question: Question) -> list[str]:
    return [option.text for option in question.options]


@given(st.lists(proven(), max_size=12), st.integers(0, 2**32))
def test_balancing_moves_options_and_nothing_else(questions: list[Question], seed: int) -> None:
    for before, after in zip(questions, balance_positions(questions, seed), strict=True):
        assert sorted(map(str, after.options)) == sorted(map(str, before.options))
        assert after.proof is not None
        assert after.proof == after.proof.sealed()
        for run in after.proof.runs:
            assert run.how == "key" or after.options[run.option or 0].text == run.output
            assert run.how != "key" or run.option in {None, after.key}
        if shown(after) != shown(before):
            assert after.id == after.content_id()


@given(st.lists(proven(), max_size=12), st.integers(0, 2**32))
def test_balancing_forgets_the_order_in_which_options_came(questions: list[Question], seed: int) -> None:
    once = balance_positions(questions, seed)
    assert balance_positions(once, seed) == once


@given(st.lists(proven(), max_size=12), st.integers(0, 2**32))
def test_numbers_are_not_shuffled(questions: list[Question], seed: int) -> None:
    for before, after in zip(questions, balance_positions(questions, seed), strict=True):
        assert numbers(before) is None or after == before


@given(st.integers(3, 5), st.integers(0, 40), st.integers(0, 2**32))
def test_keys_stand_equally_often_at_every_place(options: int, count: int, seed: int) -> None:
    places = Counter(question.key for question in balance_positions([plain(options)] * count, seed))
    assert max(places.values(), default=0) - min((places[i] for i in range(options)), default=0) <= 1


def test_questions_with_different_numbers_of_options_are_balanced_together() -> None:
    questions = [plain(3), plain(5), plain(4)] * 20
    places = Counter(question.key for question in balance_positions(questions, 0))
    expected = [sum(1 / len(q.options) for q in questions if len(q.options) > place) for place in range(5)]
    assert all(abs(places[place] - expected[place]) <= 1 for place in range(5))


def test_free_keys_make_up_for_numbers_that_cannot_move() -> None:
    fixed = Question(form="single", stem="?", options=[Option(text="1", correct=True), *map(_number, "23")])
    places = Counter(question.key for question in balance_positions([plain(3)] * 8 + [fixed] * 4, 7))
    assert places == {0: 4, 1: 4, 2: 4}


def _number(text: str) -> Option:
    return Option(text=text)


def test_another_seed_gives_another_order() -> None:
    orders = {tuple(tuple(shown(q)) for q in balance_positions([plain(5)] * 5, seed)) for seed in range(5)}
    assert len(orders) == 5


def test_questions_without_a_key_stay_as_they_are() -> None:
    typed = Question(form="numeric", stem="How many?", answer=3.0, options=[Option(text="x"), Option(text="a")])
    assert balance_positions([typed], 0) == [typed]


def test_reordering_takes_the_proof_along() -> None:
    question = plain(3).model_copy(
        update={"proof": Proof(runs=[Run(code="x", option=2)], versions={}, isolation="", seeds=[])}
    )
    moved = reorder(question, [2, 0, 1])
    assert shown(moved) == ["ccc", "aaa", "bbb"]
    assert moved.key == 1
    assert moved.proof is not None
    assert moved.proof.runs[0].option == 0


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2.5", "1e3"], [1.0, -2.5, 1000.0]),
        (["1,024 MB", "512 MB"], [1024.0, 512.0]),
        (["16GB", "8 GB"], [16.0, 8.0]),
        (["8 GB", "8 MB"], None),
        (["1", "one"], None),
        (["0x10", "0x1f"], None),
        (["[1, 2]", "[3]"], None),
        ([], None),
    ],
)
def test_numbers_have_one_unit_or_none(texts: list[str], values: list[float] | None) -> None:
    assert numbers(Question(form="single", stem="?", options=[Option(text=text) for text in texts])) == values
