"""From candidates to questions: judged, unlike each other, mixed, evenly keyed, and every loss counted."""

from __future__ import annotations

from collections import Counter

import pytest

from alain_magics.lessons.schema import Exercise, Option, Proof, Question, QuestionForm, Run
from alain_magics.lessons.schema import Test as Case
from alain_magics.lessons.selection import MIX, QUESTIONS, SAME_KIND, Selection, answer_text

WORDS = "amber basalt cobalt dune ember fjord garnet heath iris jade karst lichen marsh nectar onyx peat quartz".split()


def question(number: int, form: QuestionForm = "predict", objective: str = "", key: str = "") -> Question:
    """A sound question that is like no other of another number."""
    word = f"{WORDS[number % len(WORDS)]}_{number}"
    texts = [repr(key or word), *(repr(f"{word}_{other}") for other in ("mint", "sage", "thyme"))]
    runs = [
        Run(code=f"{word}({n})", output=text, option=n, how="sibling" if n else "key") for n, text in enumerate(texts)
    ]
    if form == "call":
        texts = [f"{word}({n})" for n in range(4)]
    if form == "error":
        texts = [f"{word}({n})  # ValueError" for n in range(4)]
    return Question(
        form=form,
        stem=f"What does `{word}` of {word} say about {word}?",
        code="" if form == "single" else f"{word}.first({number})\n{word}.then({number})",
        options=[Option(text=text, correct=n == 0) for n, text in enumerate(texts)],
        literal=True,
        objective=objective or f"m.{word}",
        proof=None if form == "single" else Proof(runs=runs, versions={}, isolation="limited", seeds=[0, 1]).sealed(),
    )


def exercise() -> Exercise:
    return Exercise(id="e", task="Do it.", starter="...", solution="1", tests=[Case(call="f()", output="1")])


def chosen(
    *topics: list[Question], difficulty: str = "beginner", seed: int = 0
) -> tuple[list[list[Question]], Selection]:
    selection = Selection(difficulty, seed)
    for topic in topics:
        selection.add_topic(list(topic), "")
    return selection.choose(), selection


def flat(topics: list[list[Question]]) -> list[Question]:
    return [question for topic in topics for question in topic]


def test_sound_candidates_are_kept_and_identified():
    (found,), selection = chosen([question(1), question(2)])
    assert [q.stem for q in found] == [question(1).stem, question(2).stem]
    assert all(q.id == q.content_id() for q in found)
    assert selection.dropped == {}


def test_unsound_candidates_are_dropped_by_the_rule_that_they_break():
    unproven = question(1).model_copy(update={"proof": None})
    alike = question(2)
    alike.options[1].text = alike.options[0].text
    (found,), selection = chosen([unproven, alike, question(3)])
    assert [q.stem for q in found] == [question(3).stem]
    assert selection.dropped["R1 key not reproduced"] == 1
    assert selection.dropped["R2 distractor equals the key"] == 1
    assert sum(selection.dropped.values()) == 2


def test_exercises_are_handed_back():
    selection = Selection("beginner", 0)
    assert selection.add_topic([question(1), exercise()], "") == [exercise()]


@pytest.mark.parametrize("difficulty", ["beginner", "intermediate", "advanced"])
def test_no_more_are_kept_than_the_lesson_needs(difficulty):
    found, selection = chosen(
        [question(n) for n in range(20)], [question(n) for n in range(20, 40)], difficulty=difficulty
    )
    assert len(flat(found)) == QUESTIONS[difficulty]
    assert selection.dropped == {"more than the lesson needs": 40 - QUESTIONS[difficulty]}


@pytest.mark.parametrize("difficulty", ["beginner", "advanced"])
def test_forms_come_in_the_shares_of_the_difficulty(difficulty):
    forms = ("predict", "call", "error", "single")
    found, _ = chosen([question(n, forms[n % 4]) for n in range(60)], difficulty=difficulty)
    counts = Counter(q.form for q in flat(found))
    weights = {form: MIX[difficulty][form] for form in forms}
    for form in forms:
        fair = QUESTIONS[difficulty] * weights[form] / sum(weights.values())
        assert abs(counts[form] - fair) <= 1


def test_topics_take_turns():
    found, _ = chosen(*([question(n) for n in range(start, start + 10)] for start in (0, 10, 20)))
    assert [len(topic) for topic in found] == [4, 4, 4]


def test_one_object_is_not_asked_about_again_and_again_in_the_same_form():
    found, _ = chosen([question(n, objective="m.one") for n in range(9)])
    assert len(flat(found)) == SAME_KIND


def test_one_answer_is_asked_for_once_in_a_topic():
    found, _ = chosen([question(1, key="same"), question(2, key="same")], [question(3, key="same")])
    assert [len(topic) for topic in found] == [1, 1]


def test_questions_that_are_almost_the_same_are_asked_once():
    again = question(1).model_copy(update={"objective": "m.other"})
    found, selection = chosen([question(1), question(2)], [again])
    assert [len(topic) for topic in found] == [2, 0]
    assert selection.dropped == {"stem like that of another question": 1}


def test_the_order_of_a_topic_stays():
    found, _ = chosen([question(n) for n in range(9)])
    assert [q.stem for q in flat(found)] == [question(n).stem for n in range(9)]


def test_keys_stand_evenly_and_the_seed_decides_where():
    candidates = [question(n) for n in range(12)]
    keys = [q.key for q in flat(chosen(candidates, seed=3)[0])]
    assert set(Counter(keys).values()) == {3}
    assert keys == [q.key for q in flat(chosen(candidates, seed=3)[0])]
    assert keys != [q.key for q in flat(chosen(candidates, seed=4)[0])]


def test_a_proof_moves_with_its_options():
    for found in flat(chosen([question(n) for n in range(12)])[0]):
        assert found.proof == found.proof.sealed()
        for run in found.proof.runs:
            assert run.output == found.options[run.option].text


def test_a_single_flaw_is_kept_and_named():
    flawed = question(1)
    flawed.stem = f"{'So many words before what is asked. ' * 9}What does `{WORDS[1]}_1` say?"
    (found,), selection = chosen([flawed])
    assert selection.flaws == {found[0].id: ["F17"]}


def test_the_report_counts_what_was_made_kept_and_dropped():
    found, selection = chosen([question(1), question(2).model_copy(update={"proof": None})])
    selection.drop("example raises", 2)
    selection.drop("nothing of this kind", 0)
    report = selection.report(flat(found), exercises=1)
    assert (report.made, report.kept) == (5, 2)
    assert report.dropped == {"R1 key not reproduced": 1, "example raises": 2}
    assert all(bar.passed for bar in report.bars)
    assert report.bars


def test_without_candidates_there_are_no_questions_and_no_bars():
    found, selection = chosen([], [])
    assert found == [[], []]
    assert selection.report([], 0).bars == []


def test_the_answer_to_a_call_is_its_output_and_to_a_number_the_number():
    assert answer_text(question(1)) == "'basalt_1'"
    assert answer_text(question(1, "call")) == "'basalt_1'"
    assert answer_text(question(1, "error")) == "basalt_1(0)  # ValueError"
    assert answer_text(Question(form="numeric", stem="How many?", answer=2.5)) == "2.5"
