"""The bar for a set: well-made sets pass, biased ones do not."""

from __future__ import annotations

import ast
import json
import random
from pathlib import Path
from typing import Any

import pytest

from alain_magics.lessons.quality import balance_positions, bars, judge, mend, similar_stems
from alain_magics.lessons.schema import Bar, Citation, Option, Proof, Question, Run

CITED = [Citation(ref="doc", start=0, end=4, quote="text")]
LETTERS = "bcdfghjklmnpqrtvwxz"


def word(chance: random.Random, letters: int = 7) -> str:
    return "".join(chance.choices(LETTERS, k=letters))


def cited(chance: random.Random, options: int = 4, **fields: Any) -> Question:
    """A question about nonsense words; the key stands anywhere and looks like the others."""
    texts = [word(chance) for _ in range(options)]
    key = chance.randrange(options)
    content = {"stem": f"Which of them is {word(chance)} by {word(chance)}?", "citations": CITED} | fields
    return Question(
        form="single", options=[Option(text=text, correct=i == key) for i, text in enumerate(texts)], **content
    )


def executed(chance: random.Random, options: int = 4) -> Question:
    """A proven question about an output."""
    texts = [word(chance, chance.randrange(4, 9)) for _ in range(options)]
    key = chance.randrange(options)
    code = f"print({word(chance)!r}, {word(chance)!r})"
    runs = [Run(code=code, output=texts[key])]
    runs += [Run(code=f"{i}", output=text, option=i, how="sibling") for i, text in enumerate(texts) if i != key]
    return Question(
        form="predict",
        stem="What does this print?",
        code=code,
        literal=True,
        options=[Option(text=text, correct=i == key) for i, text in enumerate(texts)],
        proof=Proof(runs=runs, versions={}, isolation="isolated", seeds=[0, 1]).sealed(),
    )


def well_made(seed: int, count: int) -> list[Question]:
    chance = random.Random(seed)
    made = [(cited if chance.random() < 0.5 else executed)(chance, chance.choice([3, 4, 5])) for _ in range(count)]
    return balance_positions([mend(question) for question in made], seed)


def key_changed(question: Question, text: str) -> Question:
    options = [option.model_copy(update={"text": text}) if option.correct else option for option in question.options]
    return question.model_copy(update={"options": options})


def key_at(question: Question, place: int) -> Question:
    options = sorted(question.options, key=lambda option: option.correct)
    options.insert(place, options.pop())
    return question.model_copy(update={"options": options})


def failed(questions: list[Question]) -> set[str]:
    return {bar.name for bar in bars(questions) if not bar.passed}


def named(questions: list[Question], name: str) -> Bar:
    return next(bar for bar in bars(questions) if name in bar.name)


@pytest.mark.parametrize("count", [1, 3, 8, 15, 40, 120])
def test_well_made_sets_pass_nearly_always(count: int) -> None:
    assert sum(bool(failed(well_made(seed, count))) for seed in range(20)) <= 2


@pytest.mark.parametrize("count", [8, 15, 120])
def test_keys_that_are_always_longest_fail(count: int) -> None:
    biased = [key_changed(question, question.options[0].text + "x" * 9) for question in well_made(1, count)]
    assert "guessing the longest option, above chance" in failed(biased)


@pytest.mark.parametrize("count", [8, 15, 120])
def test_keys_that_are_always_at_b_fail(count: int) -> None:
    biased = [key_at(question, 1) for question in well_made(1, count)]
    assert "guessing option 2, above chance" in failed(biased)
    if count >= 10:
        assert {"commonest key position", "p-value of evenly spread key positions (above the limit)"} <= failed(biased)


def test_keys_that_repeat_the_stem_fail() -> None:
    biased = [key_changed(q, f"{q.options[0].text} {q.stem.split()[-1]}") for q in well_made(1, 40)]
    assert "guessing most words of the stem, above chance" in failed(biased)


def test_keys_that_differ_from_all_others_fail() -> None:
    chance = random.Random(1)
    made = [cited(chance) for _ in range(40)]
    alike = [
        question.model_copy(
            update={
                "options": [
                    o if o.correct else o.model_copy(update={"text": f"{o.text} too"}) for o in question.options
                ]
            }
        )
        for question in made
    ]
    assert "guessing the odd one out, above chance" in failed(alike)


def test_a_set_of_a_hundred_may_exceed_chance_by_ten_points_and_no_more() -> None:
    chance = random.Random(1)
    made = balance_positions([cited(chance) for _ in range(100)], 0)
    longest = lambda count: [key_changed(q, "x" * 8) if i < count else q for i, q in enumerate(made)]  # noqa: E731
    assert named(longest(13), "longest").passed
    assert not named(longest(14), "longest").passed
    assert named(longest(14), "longest").value == pytest.approx(0.105)


def test_small_sets_say_that_they_are_small() -> None:
    questions = [key_at(question, 1) for question in well_made(1, 5)]
    assert named(questions, "commonest").note == "fewer than 10 items: not judged"
    assert named(questions, "commonest").value == 1.0
    assert named(questions, "option 2").note.startswith("fewer than 100 items: p = ")


def test_one_unproven_key_or_distractor_is_too_many() -> None:
    questions = well_made(1, 20)
    question = next(question for question in questions if question.form == "predict")
    assert question.proof is not None
    others = [q for q in questions if q is not question]
    unproven = question.model_copy(update={"proof": None})
    assert {"executed keys not reproduced", "distractors not proven wrong"} <= failed([*others, unproven])
    key_output = next(run.output for run in question.proof.runs if run.how == "key")
    same = [run.model_copy(update={"output": key_output}) for run in question.proof.runs]
    equal = question.model_copy(update={"proof": question.proof.model_copy(update={"runs": same})})
    assert failed([*others, equal]) == {"distractors not proven wrong"}


def test_a_call_is_wrong_only_if_it_ran() -> None:
    question = executed(random.Random(1)).model_copy(update={"form": "call"})
    assert question.proof is not None
    keys = question.proof.model_copy(update={"runs": question.proof.runs[:1]})
    assert "distractors not proven wrong" not in failed([question])
    assert "distractors not proven wrong" in failed([question.model_copy(update={"proof": keys})])


def test_the_line_that_raises_first_is_proven_by_its_own_run() -> None:
    question = executed(random.Random(1)).model_copy(update={"form": "error"})
    assert question.proof is not None
    same_end = [run.model_copy(update={"output": "", "error": "KeyError", "line": 1}) for run in question.proof.runs]
    proof = question.proof.model_copy(update={"runs": same_end})
    assert "distractors not proven wrong" not in failed([question.model_copy(update={"proof": proof})])


def test_flaws_are_counted_and_nothing_to_be_dropped_is_let_through() -> None:
    chance = random.Random(1)
    flawed = [cited(chance, stem=f"Which {word(chance)} is not {word(chance)}?") for _ in range(10)]
    sound = [cited(chance) for _ in range(21)]
    assert named(sound + flawed[:9], "flaws").passed
    assert not named(sound + flawed, "flaws").passed
    two = cited(chance, stem=f"{word(chance)} is not")
    assert {"items rejected or with two flaws"} <= failed([*sound, two])


@pytest.mark.parametrize(
    ("name", "change", "allowed"),
    [
        ("negations in capitals", {"stem": "Which is NOT {}?"}, 2),
        ("items about signatures", {"about": "signature"}, 6),
    ],
)
def test_a_kind_of_item_is_limited_in_number(name: str, change: dict[str, str], allowed: int) -> None:
    chance = random.Random(1)

    def changed(count: int, size: int) -> list[Question]:
        kind = [cited(chance, **{k: v.format(word(chance)) for k, v in change.items()}) for _ in range(count)]
        return kind + [cited(chance) for _ in range(size - count)]

    assert named(changed(allowed, 20), name).passed
    assert not named(changed(allowed + 1, 20), name).passed
    assert named(changed(1, 2), name).note == "a single item is always allowed"
    assert not named(changed(2, 2), name).passed


def test_keys_are_more_than_true_false_and_none() -> None:
    questions = well_made(1, 20)
    mostly = [
        key_changed(question, text)
        for question, text in zip(questions, ["True", "None", "False", "True"], strict=False)
    ]
    assert named(mostly[:3] + questions[3:], "True, False or None").passed
    assert not named(mostly + questions[4:], "True, False or None").passed


def test_one_uncited_prose_item_is_too_many() -> None:
    chance = random.Random(1)
    assert failed([cited(chance), cited(chance, citations=[])]) == {"prose items without a citation"}


def program(code: str) -> Question:
    return Question(form="predict", stem="What does this print?", code=code)


SETUP = "from statistics import NormalDist\nsat = NormalDist(1060, 195)\n"


@pytest.mark.parametrize(
    ("one", "two", "similar"),
    [
        (f"{SETUP}sat.cdf(1200)", f"{SETUP}sat.cdf(1300)", True),
        (f"{SETUP}sat.cdf(1200)", f"{SETUP}sat.pdf(1200)", False),
        ("median_low([1, 3, 5, 7])", "median_high([1, 3, 5, 7])", False),
        ("median_low([1, 3, 5, 7])", "median_low( [1,3,5,7] )", True),
        ("-7 // 2", "-7 % 2", False),
    ],
)
def test_programs_are_similar_when_they_ask_the_same_again(one: str, two: str, similar: bool) -> None:
    assert bool(similar_stems([program(one), program("print('something else')"), program(two)])) is similar


def test_similar_stems_are_named_by_their_places() -> None:
    questions = [program("x"), program("y = 1"), program("x")]
    assert similar_stems(questions) == [(0, 2, 1.0)]
    assert not named(questions, "similarity").passed


def test_no_questions_no_bars() -> None:
    assert bars([]) == []


def test_the_questions_of_published_notebooks_do_not_reach_the_bar(shared: Path) -> None:
    found = []
    for path in sorted((shared / "fixtures" / "alain_notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if source.startswith("render_mcq("):
                stem, texts, key, why = map(ast.literal_eval, ast.parse(source).body[0].value.args)  # type: ignore[attr-defined]
                options = [Option(text=text, correct=i == key) for i, text in enumerate(texts)]
                found.append(
                    mend(Question(form="single", stem=stem, options=options, explanation=why, citations=CITED))
                )
    assert [judge(question).kept for question in found].count(False) == 3
    assert {"flaws per item", "guessing the longest option, above chance"} <= failed(found)
