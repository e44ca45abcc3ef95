"""What is mended without changing what is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.quality import mend
from alain_magics.lessons.schema import Option, Proof, Question, QuestionForm, Run

pieces = st.sampled_from(
    [
        "not",
        "Never ",
        "false",
        " ",
        "  ",
        "\n",
        "?",
        "?",
        ".",
        "..",
        "...",
        ",",
        " ;",
        "`a  b`",
        "`",
        '"',
        "“",
        "”",
        "```",
        "A) ",
        "B.",
        "x",
        "1",
    ]
)
messy = st.lists(pieces, max_size=8).map("".join)
forms: st.SearchStrategy[QuestionForm] = st.sampled_from(["predict", "single", "numeric"])


def asked(stem: str = "Which?", *texts: str, **fields: Any) -> Question:
    """A question whose first option is right."""
    options = [Option(text=text, correct=i == 0) for i, text in enumerate(texts)]
    return Question(form="single", stem=stem, options=options, **fields)


def shown(question: Question) -> list[str]:
    return [option.text for option in question.options]


@given(messy, st.lists(messy, max_size=5), st.booleans(), forms)
def test_mending_twice_is_mending_once(stem: str, texts: list[str], literal: bool, form: QuestionForm) -> None:
    once = mend(asked(stem, *texts, literal=literal).model_copy(update={"form": form}))
    assert mend(once) == once


@given(messy, st.lists(messy, max_size=5), st.booleans())
def test_mending_keeps_the_key_and_the_words(stem: str, texts: list[str], literal: bool) -> None:
    question = asked(stem, *texts, literal=literal)
    mended = mend(question)
    assert set(filter(str.isalnum, mended.stem.lower())) == set(filter(str.isalnum, stem.lower()))
    assert len(mended.options) == len(texts)
    if literal:
        assert sorted(shown(mended)) == sorted(texts)
        assert not texts or next(option.text for option in mended.options if option.correct) == texts[0]


@pytest.mark.parametrize(
    ("stem", "mended"),
    [
        ("  Which \n value ? ", "Which value?"),
        ("Which value??", "Which value?"),
        ("Which is it: `a  ,,  b` ?", "Which is it: `a  ,,  b`?"),
        ("What is meant by “It is  not ..”??", "What is meant by “It is  not ..”?"),
        ("Which ,, if any ? ?", "Which, if any?"),
        ("It ends.. or goes on...", "It ends. or goes on..."),
        ("Which does not hold without `not`?", "Which does NOT hold WITHOUT `not`?"),
        ("What is it when strict is False?", "What is it when strict is False?"),
    ],
)
def test_a_stem_is_tidied_outside_code(stem: str, mended: str) -> None:
    assert mend(asked(stem)).stem == mended


def test_labels_are_taken_off() -> None:
    assert shown(mend(asked("Which?", "A) a list", "b. a tuple", "(C) a dict"))) == ["a list", "a tuple", "a dict"]


def test_what_only_looks_like_labels_stays() -> None:
    texts = ["A. Turing", "K. Gödel", "A. Church"]
    assert shown(mend(asked("Who?", *texts))) == texts


def test_numbers_are_sorted_and_their_runs_follow() -> None:
    runs = [Run(code="k", output="9"), Run(code="d", output="10", option=1, how="sibling"), Run(code="e", option=2)]
    question = Question(
        form="predict",
        stem="What?",
        literal=True,
        options=[Option(text="9", correct=True), Option(text="10"), Option(text="-1")],
        proof=Proof(runs=runs, versions={}, isolation="", seeds=[0, 1]).sealed(),
    )
    mended = mend(question)
    assert shown(mended) == ["-1", "9", "10"]
    assert mended.key == 1
    assert mended.proof is not None
    assert [run.option for run in mended.proof.runs] == [None, 2, 0]
    assert mended.proof == mended.proof.sealed()


def test_a_proof_is_sealed_again_only_if_options_moved() -> None:
    tampered = Proof(runs=[Run(code="x")], versions={}, isolation="", seeds=[], digest="not its own")
    mended = mend(asked("Which ?", "a", "b", proof=tampered))
    assert mended.proof == tampered


def test_literal_options_keep_every_character() -> None:
    texts = ["A) a  list", "B) it..", "C) what ??"]
    assert shown(mend(asked("Which?", *texts, literal=True))) == texts


def test_the_identifier_is_that_of_what_is_now_asked() -> None:
    mended = mend(asked("Which  ?", "a", "b", id="q-old"))
    assert mended.id == mended.content_id() == mend(asked("Which?", "a", "b")).id
