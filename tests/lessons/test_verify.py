"""Verifying a lesson: a good one holds, and whatever is changed in it or around it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alain_magics.lessons.document import Document, text_hash
from alain_magics.lessons.proving import Prover, run_of
from alain_magics.lessons.schema import (
    Citation,
    CodeStep,
    Exercise,
    Lesson,
    Option,
    Proof,
    Provenance,
    Question,
    Section,
    TextStep,
)
from alain_magics.lessons.schema import Test as Case
from alain_magics.lessons.sources.resolve import resolve
from alain_magics.lessons.teachers.offline import open_prover
from alain_magics.lessons.verify import Check, verify_lesson, without_imports
from alain_magics.sandbox import Sandbox
from tests.lessons.modules import KIT

Step = TextStep | CodeStep | Question | Exercise
Verify = Callable[..., list[Check]]


@pytest.fixture(scope="module")
def made(taught) -> tuple[Document, Lesson]:
    """A good lesson and the document that it was made from."""
    return taught("kit")


@pytest.fixture(scope="module")
def checker(made, folder, finish) -> Iterator[Prover]:
    """A prover that knows nothing yet of what the lesson says."""
    prover = open_prover(made[0], resolve("kit", folder), Sandbox())
    finish(prover.__aenter__())
    yield prover
    finish(prover.__aexit__(None, None, None))


@pytest.fixture
def verify(made, checker, finish) -> Verify:
    """Verifies a lesson, or steps as if they were one."""

    async def run(lesson: Lesson, document: Document | None) -> list[Check]:
        return [check async for check in verify_lesson(lesson, checker, document)]

    def verify(*what: Any, document: Document | None = made[0]) -> list[Check]:
        return finish(run(what[0] if isinstance(what[0], Lesson) else lesson_of(*what), document))

    return verify


def lesson_of(*steps: Step) -> Lesson:
    source = Provenance(kind="module", ref="kit")
    return Lesson(title="Some steps", source=source, sections=[Section(title="One", steps=list(steps))])


def steps_of(lesson: Lesson, kind: type[Step] = Step, form: str = "") -> list[Any]:  # type: ignore[assignment]
    return [s for s in lesson.steps() if isinstance(s, kind) and (not form or getattr(s, "form", "") == form)]


def complaints(checks: list[Check]) -> list[str]:
    return [text for check in checks for text in (*check.problems, *check.stale)]


def changed(step: Any, **fields: Any) -> Any:
    """The step with other content, its identifier made to fit."""
    copy = step.model_copy(update=fields)
    return copy.model_copy(update={"id": copy.content_id()}) if isinstance(copy, Question) else copy


def test_a_good_lesson_holds_in_every_step(made, verify):
    checks = verify(made[1])
    assert complaints(checks) == []
    assert [check.step for check in checks] == [step.id for step in made[1].steps()]


def test_so_does_a_lesson_about_a_standard_module(taught, finish, folder):
    document, lesson = taught("collections")

    async def run() -> list[Check]:
        async with open_prover(document, resolve("collections", folder), Sandbox()) as prover:
            return [check async for check in verify_lesson(lesson, prover, document)]

    assert complaints(finish(run())) == []


def test_executed_is_what_a_program_decides(made, verify):
    executed = {check.step: check.executed for check in verify(made[1])}
    for step in made[1].steps():
        assert executed[step.id] == (step.proof is not None)
    assert {check.kind for check in verify(made[1])} == {"text", "code", "question", "exercise"}


def corruptions(value: Any) -> Iterator[Any]:
    """Values of plain data that differ from this one in a single place."""
    if isinstance(value, dict):
        for key, part in value.items():
            for other in corruptions(part):
                yield {**value, key: other}
        yield {**value, "added": "more"}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield value[:place] + value[place + 1 :]
            for other in corruptions(part):
                yield [*value[:place], other, *value[place + 1 :]]
        yield [*value, value[0]]
    elif isinstance(value, str):
        yield f"{value}x"
        yield f"{value} "
        if value:
            yield ""
    else:
        yield (value or 0) + 1
        yield (value or 0) - 1


def unnoticed(steps: list[Any], checker: Prover, document: Document | None) -> Any:
    """Those of the steps, each a lesson of its own, that verification finds nothing wrong with."""

    async def run() -> list[Any]:
        return [
            step
            for step in steps
            async for check in verify_lesson(lesson_of(step), checker, document)
            if not check.problems and not check.stale
        ]

    return run()


def test_every_field_of_every_proof_matters(made, checker, finish):
    document, lesson = made
    broken = [
        step.model_copy(update={"proof": Proof.model_validate(data)})
        for step in lesson.steps()
        if step.proof
        for data in corruptions(step.proof.model_dump())
    ]
    assert {step.kind for step in broken} == {"text", "code", "question", "exercise"}
    assert len(broken) > 1000
    assert finish(unnoticed(broken, checker, document)) == []


def resealed(proof: Proof, place: int, field: str, value: Any) -> Proof:
    runs = [run.model_copy(update={field: value}) if n == place else run for n, run in enumerate(proof.runs)]
    return proof.model_copy(update={"runs": runs}).sealed()


@pytest.mark.parametrize("field", ["code", "output", "error", "line", "option"])
def test_a_proof_that_was_changed_and_sealed_again_is_found_out_by_running_it(made, checker, finish, field):
    broken = [
        question.model_copy(update={"proof": resealed(question.proof, place, field, value)})
        for question in made[1].questions()
        if question.proof
        for place, run in enumerate(question.proof.runs)
        for value in corruptions(getattr(run, field))
        if not (field == "code" and value == run.code + " ")
    ]
    assert len(broken) > 50
    assert finish(unnoticed(broken, checker, made[0])) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("isolation", "nowhere"), ("seeds", [0]), ("seeds", [0, 0]), ("runs", []), ("versions", {"python": "2.7"})],
)
def test_a_sealed_proof_must_say_how_it_was_made(made, verify, field, value):
    for step in (step for step in made[1].steps() if step.proof):
        proof = step.proof.model_copy(update={field: value}).sealed()
        assert complaints(verify(step.model_copy(update={"proof": proof})))


@pytest.mark.parametrize(
    "field", ["id", "stem", "code", "form", "answer", "tolerance", "unit", "options.text", "options.correct"]
)
def test_every_field_of_a_question_that_is_asked_or_right_matters(made, checker, finish, field):
    broken = []
    for question in made[1].questions():
        name, _, part = field.partition(".")
        values: list[Any] = ["predict", "call", "error", "single", "numeric"] if name == "form" else []
        if part:
            for place, option in enumerate(question.options):
                new = not option.correct if part == "correct" else f"{option.text}0"
                options = list(question.options)
                options[place] = option.model_copy(update={part: new})
                values.append(options)
        elif name in ("answer", "tolerance"):
            values = [5.0]
        elif not values:
            values = [f"{getattr(question, name)}0"]
        broken += [question.model_copy(update={name: value}) for value in values if value != getattr(question, name)]
    assert len(broken) >= len(made[1].questions())
    assert finish(unnoticed(broken, checker, made[0])) == []


@pytest.mark.parametrize("form", ["predict", "call", "error"])
def test_another_key_is_found_even_if_the_identifier_fits(made, verify, form):
    for question in steps_of(made[1], Question, form):
        for place in range(len(question.options)):
            options = [o.model_copy(update={"correct": n == place}) for n, o in enumerate(question.options)]
            if place != question.key:
                assert complaints(verify(changed(question, options=options)))


@pytest.mark.parametrize("form", ["predict", "call", "error"])
def test_other_options_are_found_even_if_the_identifier_fits(made, verify, form):
    for question in steps_of(made[1], Question, form):
        swapped = [question.options[1], question.options[0], *question.options[2:]]
        assert complaints(verify(changed(question, options=swapped)))
        for place, option in enumerate(question.options):
            options = list(question.options)
            options[place] = option.model_copy(update={"text": f"{option.text}0"})
            assert complaints(verify(changed(question, options=options)))
            options[place] = option.model_copy(update={"call": "print('something else')"})
            assert complaints(verify(changed(question, options=options)))


@pytest.mark.parametrize("form", ["predict", "call", "error"])
def test_a_question_that_shows_other_code_than_was_run_is_found_even_if_the_identifier_fits(made, verify, form):
    for question in steps_of(made[1], Question, form):
        lines = question.code.splitlines()
        for code in {"\n".join(lines[1:]), "\n".join(reversed(lines)), f"{question.code}\n1"} - {question.code}:
            if without_imports(code) != without_imports(question.code):
                assert complaints(verify(changed(question, code=code)))


def test_a_stem_that_asks_for_another_output_is_found_even_if_the_identifier_fits(made, verify):
    for question in steps_of(made[1], Question, "call"):
        assert complaints(verify(changed(question, stem="Which call gives `42` here?")))


def test_a_question_without_support_is_found(made, verify):
    for question in made[1].questions():
        bare = question.model_copy(update={"proof": None, "citations": []})
        assert complaints(verify(bare))


@pytest.mark.parametrize(
    ("source", "output"),
    [("1 + 1", "3"), ("1 / 0", ""), ("import time; time.time_ns()", "1"), ("1 +", ""), ("unheard_of", "1")],
)
def test_a_code_step_that_does_not_give_what_it_says_is_found(verify, source, output):
    (check,) = verify(CodeStep(id="c", source=source, output=output))
    assert check.problems


def test_code_and_output_of_a_lesson_cannot_be_changed(made, verify):
    for step in steps_of(made[1], CodeStep):
        assert complaints(verify(step.model_copy(update={"output": f"{step.output} "})))
        assert complaints(verify(step.model_copy(update={"source": f"{step.source}\n5"})))
        assert complaints(verify(step.model_copy(update={"source": f"{step.source}  # the same"})))


def test_a_code_step_may_need_the_steps_before_it(verify):
    steps = [CodeStep(id="c-1", source="x = 20\nprint('silent here')", output="silent here")]
    steps.append(CodeStep(id="c-2", source="x + 1", output="21"))
    assert complaints(verify(*steps)) == []
    assert complaints(verify(steps[1]))


@pytest.fixture
def exercise(made) -> Exercise:
    """The exercise of the lesson."""
    return steps_of(made[1], Exercise)[0]


@pytest.mark.parametrize("proven", [True, False])
def test_an_exercise_that_cannot_be_solved_or_is_solved_already_is_found(exercise, verify, proven):
    exercise = exercise if proven else exercise.model_copy(update={"proof": None})
    assert complaints(verify(exercise)) == []
    wrong = exercise.tests[0].model_copy(update={"output": "'something else'"})
    for fields in (
        {"solution": exercise.starter},
        {"solution": exercise.starter.replace("...", "7")},
        {"starter": exercise.solution},
        {"tests": []},
        {"tests": [wrong, *exercise.tests[1:]]},
    ):
        assert complaints(verify(exercise.model_copy(update=fields)))


def test_a_proof_of_another_exercise_is_found(exercise, verify):
    for fields in (
        {"solution": f"{exercise.solution}  # the same"},
        {"starter": f"{exercise.starter}  # the same"},
        {"tests": exercise.tests[:-1]},
    ):
        assert "its proof is about another exercise" in complaints(verify(exercise.model_copy(update=fields)))


def test_every_citation_is_looked_up_in_the_document(made, verify):
    lesson = made[1]
    cited = [step for step in lesson.steps() if step.citations]
    assert {step.kind for step in cited} == {"text", "code", "question", "exercise"}
    for step in cited:
        (citation, *_) = step.citations
        for fields in (
            {"quote": citation.quote.upper()},
            {"start": citation.start + 1},
            {"end": citation.end - 1},
            {"start": 10**9, "end": 10**9 + 5},
            {"start": 0, "end": 0, "quote": ""},
        ):
            broken = step.model_copy(update={"citations": [citation.model_copy(update=fields)]})
            (check,) = verify(broken)
            assert check.stale
            assert citation.ref in check.stale[0]


def test_what_the_source_no_longer_says_is_stale_and_no_failure(made, verify):
    document, lesson = made
    text = document.text.replace("Return", "Give back")
    newer = Document(document.title, text, document.provenance.model_copy(update={"sha256": text_hash(text)}))
    checks = verify(lesson, document=newer)
    assert not any(check.problems for check in checks)
    assert sum(bool(check.stale) for check in checks) > 10


def test_without_a_document_citations_are_not_looked_up(made, verify):
    step = steps_of(made[1], TextStep)[0]
    broken = step.model_copy(update={"citations": [Citation(ref="kit", start=0, end=3, quote="something else")]})
    assert complaints(verify(broken, document=None)) == []
    assert complaints(verify(broken)) != []


def test_another_version_makes_what_was_executed_stale(made, folder, finish):
    document, lesson = made

    async def run() -> list[Check]:
        async with Prover(Sandbox(), ("kit",), paths=(folder,), versions={"kit": "2.0"}) as prover:
            return [check async for check in verify_lesson(lesson, prover, document)]

    for check in finish(run()):
        assert check.problems == ()
        assert check.stale == (("kit was , is 2.0",) if check.executed else ())


def test_a_library_that_changed_fails_what_it_broke(made, tmp_path, finish):
    document, lesson = made
    (tmp_path / "kit.py").write_text(KIT.replace("sorted(data)[(len(data) - 1) // 2]", "max(data)"), encoding="utf-8")

    async def run() -> list[Check]:
        async with Prover(Sandbox(), ("kit",), paths=(tmp_path,), versions={"kit": ""}) as prover:
            return [check async for check in verify_lesson(lesson, prover, document)]

    failed = [check for check in finish(run()) if check.problems]
    assert len(failed) > 3
    assert any("gave '3', now '7'" in text for check in failed for text in check.problems)


def numeric(checker: Prover, finish: Any, code: str, **fields: Any) -> Question:
    """A question whose number a program computes."""
    (outcome,) = finish(checker.run([code]))
    proof = checker.proof([run_of(code, outcome)])
    question = Question(form="numeric", stem="How many bytes are needed?", proof=proof, **fields)
    return question.model_copy(update={"id": question.content_id()})


@pytest.mark.parametrize(
    ("code", "answer", "tolerance", "holds"),
    [
        ("2 * 3", 6.0, 0.0, True),
        ("2 * 3", 6.4, 0.5, True),
        ("2 * 3", 7.0, 0.5, False),
        ("10 ** 400", 7.0, 0.5, False),
        ("'six'", 6.0, 0.5, False),
        ("2 * 3", None, 0.5, False),
    ],
)
def test_a_typed_answer_is_what_its_program_gives(checker, finish, verify, code, answer, tolerance, holds):
    question = numeric(checker, finish, code, answer=answer, tolerance=tolerance)
    assert (complaints(verify(question)) == []) is holds


@pytest.mark.parametrize(
    ("code", "rest"),
    [
        ("import a\nfrom b import c\n\nx\n\ny", "x\n\ny"),
        ("x\nimport a", "x\nimport a"),
        ("importance = 1", "importance = 1"),
        ("import a", ""),
        ("", ""),
    ],
)
def test_what_a_question_shows_is_a_program_without_its_imports(code, rest):
    assert without_imports(code) == rest


def test_an_option_may_not_be_left_unrun(made, verify):
    for question in steps_of(made[1], Question, "predict"):
        proof = question.proof.model_copy(update={"runs": question.proof.runs[:-1]}).sealed()
        options = [*question.options]
        assert complaints(verify(changed(question, proof=proof, options=options)))


def test_a_question_that_breaks_a_rule_is_found(made, verify):
    question = steps_of(made[1], Question, "single")[0]
    two = [Option(text="one", correct=True), Option(text="two")]
    assert complaints(verify(changed(question, options=two)))


def test_an_exercise_or_code_step_without_a_proof_is_run_all_the_same(verify):
    tests = [Case(call="answer(2)", output="4")]
    starter, solution = "def answer(x):\n    return ...", "def answer(x):\n    return 2 * x"
    good = Exercise(id="e", task="Double it.", starter=starter, solution=solution, tests=tests)
    assert [(check.executed, check.problems) for check in verify(good)] == [(True, ())]
