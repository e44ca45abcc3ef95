"""Checking a lesson again, whatever it says of itself: every program runs anew, every citation is looked up.

Nothing stored is believed: a proof is compared with what its programs do now, and its digest with its fields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from alain_magics.lessons.document import Document
from alain_magics.lessons.proving import SEEDS, Prover
from alain_magics.lessons.quality import judge
from alain_magics.lessons.schema import Citation, CodeStep, Exercise, Lesson, Proof, Question, TextStep
from alain_magics.lessons.values import parsed, same_value

LEVELS = ("isolated", "limited")


@dataclass(frozen=True)
class Check:
    """What became of one step: ``executed`` if a program decided it; ``problems`` is empty when all holds.

    ``stale`` lists what changed outside the lesson: versions, or text that it cites.
    """

    step: str
    kind: str
    executed: bool
    problems: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


async def verify_lesson(lesson: Lesson, prover: Prover, document: Document | None) -> AsyncIterator[Check]:
    """Check every step in order; without the ``document`` citations are not looked up."""
    before: list[str] = []
    for step in lesson.steps():
        if isinstance(step, CodeStep):
            yield await _check_code(step, before, prover, document)
            before.append(step.source)
        elif isinstance(step, Question):
            yield await _check_question(step, prover, document)
        elif isinstance(step, Exercise):
            yield await _check_exercise(step, prover, document)
        elif isinstance(step, TextStep):
            stale = _citations(step.citations, document)
            problems, versions = await _check_proof(step.proof, prover) if step.proof else ([], [])
            yield Check(step.id, "text", step.proof is not None, tuple(problems), (*stale, *versions))


async def _check_proof(proof: Proof, prover: Prover) -> tuple[list[str], list[str]]:
    """Problems of a proof, and what is stale about it."""
    problems = []
    sealed = proof.sealed()
    if proof.digest != sealed.digest or proof.code_sha != sealed.code_sha:
        problems.append("the proof was changed after it was sealed")
    if proof.isolation not in LEVELS or proof.seeds != list(SEEDS) or not proof.runs:
        problems.append("the proof does not say how it was made")
    outcomes = await prover.reproduce([run.code for run in proof.runs])
    for run, outcome in zip(proof.runs, outcomes, strict=True):
        if outcome is None:
            problems.append(f"{_short(prover.why_not(run.code))}: {_first_line(run.code)}")
        elif (outcome.output, outcome.error, outcome.line) != (run.output, run.error, run.line):
            now = outcome.error or outcome.output
            problems.append(f"gave {_short(run.error or run.output)}, now {_short(now)}: {_first_line(run.code)}")
    stale = [
        f"{name} was {then}, is {prover.versions.get(name, 'missing')}"
        for name, then in proof.versions.items()
        if prover.versions.get(name) != then
    ]
    return problems, stale


async def _check_code(step: CodeStep, before: list[str], prover: Prover, document: Document | None) -> Check:
    """Run a code step alone, and after the steps before it where it needs them."""
    problems: list[str] = []
    stale = _citations(step.citations, document)
    program = step.source
    (outcome,) = await prover.reproduce([program])
    if before and (outcome is None or outcome.error == "NameError"):
        program = _after(before, step.source)
        (outcome,) = await prover.reproduce([program])
    if outcome is None:
        problems.append(_short(prover.why_not(program)))
    elif outcome.error:
        problems.append(f"it raises {outcome.error}: {_short(outcome.message)}")
    elif outcome.output != step.output:
        problems.append(f"its output is {_short(outcome.output)}, the lesson says {_short(step.output)}")
    if step.proof:
        if not any(run.code == step.source and run.output == step.output for run in step.proof.runs):
            problems.append("its proof is about other code")
        found, versions = await _check_proof(step.proof, prover)
        problems += found
        stale = (*stale, *versions)
    return Check(step.id, "code", True, tuple(problems), stale)


def _after(before: list[str], source: str) -> str:
    """A program that runs earlier cells silently, then this one."""
    earlier = "\n\n".join(before)
    return (
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    exec({earlier!r}, globals())\n{source}"
    )


async def _check_question(question: Question, prover: Prover, document: Document | None) -> Check:
    problems = [finding.what for finding in judge(question).rejected]
    stale = _citations(question.citations, document)
    if question.id != question.content_id():
        problems.append("it was changed after it was checked")
    if question.proof is None:
        if question.form != "single":
            problems.append("no program proves it")
        elif not question.citations:
            problems.append("it has neither a proof nor a citation")
        return Check(question.id, "question", False, tuple(problems), stale)
    found, versions = await _check_proof(question.proof, prover)
    problems += found
    if not found:
        problems += question_problems(question, question.proof)
    return Check(question.id, "question", True, tuple(problems), (*stale, *versions))


def question_problems(question: Question, proof: Proof) -> list[str]:
    """Where the runs of a proof do not show that the key is right and every other option wrong."""
    by_option = {run.option: run for run in proof.runs if run.option is not None}
    if question.form == "numeric":
        return _numeric_problems(question, proof)
    key = question.key
    if key is None:
        return ["it has no key"]
    problems = [f"option {n + 1} was never run" for n in range(len(question.options)) if n not in by_option]
    if problems:
        return problems
    right = by_option[key]
    asked = f"{question.code}\n{question.options[key].text}" if question.form == "call" else question.code
    if question.form != "single" and without_imports(asked) != without_imports(right.code):
        problems.append("the proof is about other code than the question shows")
    for number, option in enumerate(question.options):
        run = by_option[number]
        if option.call and option.call != run.code:
            problems.append(f"the program of option {number + 1} is not the one that was run")
        if question.form == "predict" and run.output != option.text:
            problems.append(f"option {number + 1} is not what its program prints")
        if question.form == "call" and without_imports(run.code) != without_imports(f"{question.code}\n{option.text}"):
            problems.append(f"option {number + 1} is not the call that was run")
        if question.form in ("predict", "call") and number != key and same_value(run.output, right.output):
            problems.append(f"option {number + 1} gives the same as the key")
    if question.form == "call" and f"`{right.output}`" not in question.stem:
        problems.append("the key does not give what the stem asks for")
    if question.form == "error":
        for number, option in enumerate(question.options):
            lines = by_option[number].code.splitlines() or [""]
            line = lines[(right.line or 1) - 1] if number == key else lines[-1]
            if not right.error or option.text != line:
                problems.append(f"option {number + 1} is not the line that was run")
    return problems


def without_imports(code: str) -> str:
    """The code without the import lines and empty lines that it begins with: what a question shows of a program."""
    lines = code.splitlines()
    while lines and (not lines[0].strip() or lines[0].startswith(("import ", "from "))):
        del lines[0]
    return "\n".join(lines)


def _numeric_problems(question: Question, proof: Proof) -> list[str]:
    runs = [run for run in proof.runs if run.how == "key"]
    value = parsed(runs[0].output) if runs else None
    if question.answer is None or not isinstance(value, int | float):
        return ["no program gives the answer"]
    if not question.answer - question.tolerance <= value <= question.answer + question.tolerance:
        return [f"its program gives {value}, the key says {question.answer}"]
    slips = {run.option: run.output for run in proof.runs if run.option is not None}
    return [
        f"no program gives the slip {option.text}"
        for number, option in enumerate(question.options)
        if not same_value(slips.get(number, ""), option.text)
    ]


async def _check_exercise(exercise: Exercise, prover: Prover, document: Document | None) -> Check:
    """The solution passes every test; the starter fails the first."""
    problems = []
    stale = _citations(exercise.citations, document)
    programs = [f"{exercise.solution}\n\n{test.call}" for test in exercise.tests]
    outcomes = await prover.reproduce(programs)
    for test, outcome in zip(exercise.tests, outcomes, strict=True):
        if outcome is None or outcome.error or outcome.output != test.output:
            problems.append(f"the solution does not give {_short(test.output)} for {_short(test.call)}")
    if not exercise.tests:
        return Check(exercise.id, "exercise", True, ("it has no tests",), stale)
    begun = f"{exercise.starter}\n\n{exercise.tests[0].call}"
    (stub,) = await prover.reproduce([begun])
    if stub is not None and stub.ok and stub.output == exercise.tests[0].output:
        problems.append("the starter passes already")
    if exercise.proof:
        found, versions = await _check_proof(exercise.proof, prover)
        problems += found
        stale = (*stale, *versions)
        if {run.code for run in exercise.proof.runs} != {begun, *programs}:
            problems.append("its proof is about another exercise")
    return Check(exercise.id, "exercise", True, tuple(problems), stale)


def _citations(citations: list[Citation], document: Document | None) -> tuple[str, ...]:
    """Citations that the source, as it is now, does not bear out."""
    if document is None:
        return ()
    return tuple(
        f"{citation.ref} no longer says {_short(citation.quote)}"
        for citation in citations
        if not citation.quote or document.text[citation.start : citation.end] != citation.quote
    )


def _first_line(code: str) -> str:
    return _short(code.strip().splitlines()[-1] if code.strip() else "")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= 60 else text[:59] + "…")
