"""Any lesson: every field of the schema, unknown fields, any text that a file in UTF-8 can hold."""

from __future__ import annotations

from hypothesis import strategies as st

from alain_magics.lessons.schema import (
    Bar,
    Citation,
    CodeStep,
    Exercise,
    Lesson,
    Option,
    Proof,
    Provenance,
    QualityReport,
    Question,
    Run,
    Section,
    Test,
    TextStep,
)

TRICKY = [
    "",
    " ",
    "\n",
    "\r\n",
    "\u2028x",
    "a\nb",
    "`x`",
    "# a",
    "<b>&amp;</b>",
    "$x$",
    "- a\n- b",
    "é\u0301🦉",
    "\x00\x1b[31m",
]
texts = st.one_of(st.sampled_from(TRICKY), st.text(max_size=30))
numbers = st.floats(allow_nan=False, allow_infinity=False)
levels = st.sampled_from(["beginner", "intermediate", "advanced"])
plain_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(texts, inner, max_size=2)),
    max_leaves=4,
)
unknown = st.dictionaries(st.text("xyz_", min_size=1, max_size=4).map("future_".__add__), plain_json, max_size=2)


def part(model: type, **fields: st.SearchStrategy) -> st.SearchStrategy:
    """A part of a lesson with these fields and some that are unknown."""
    return st.builds(lambda known, extra: model(**known, **extra), st.fixed_dictionaries(fields), unknown)


def some(strategy: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(strategy, max_size=2)


citations = some(part(Citation, ref=texts, start=st.integers(), end=st.integers(), quote=texts))
runs = part(
    Run,
    code=texts,
    output=texts,
    error=texts,
    line=st.none() | st.integers(),
    option=st.none() | st.integers(),
    how=texts,
)
proofs = st.none() | part(
    Proof,
    runs=some(runs),
    versions=st.dictionaries(texts, texts, max_size=2),
    isolation=texts,
    seeds=some(st.integers()),
    code_sha=texts,
    digest=texts,
)
text_steps = part(TextStep, id=texts, markdown=texts, citations=citations, proof=proofs)
code_steps = part(CodeStep, id=texts, source=texts, output=texts, proof=proofs, citations=citations)
questions = part(
    Question,
    id=texts,
    form=st.sampled_from(["predict", "call", "error", "numeric", "single"]),
    stem=texts,
    code=texts,
    options=st.lists(part(Option, text=texts, correct=st.booleans(), feedback=texts, call=texts), max_size=4),
    literal=st.booleans(),
    answer=st.none() | numbers,
    tolerance=numbers,
    unit=texts,
    explanation=texts,
    hint=texts,
    difficulty=levels,
    objective=texts,
    citations=citations,
    proof=proofs,
)
exercises = part(
    Exercise,
    id=texts,
    task=texts,
    starter=texts,
    solution=texts,
    tests=some(part(Test, call=texts, output=texts)),
    hint=texts,
    difficulty=levels,
    objective=texts,
    citations=citations,
    proof=proofs,
)
steps = st.one_of(text_steps, code_steps, questions, exercises)
quality = part(
    QualityReport,
    made=st.integers(),
    kept=st.integers(),
    dropped=st.dictionaries(texts, st.integers(), max_size=2),
    flaws=st.dictionaries(texts, some(texts), max_size=2),
    bars=some(part(Bar, name=texts, value=numbers, limit=numbers, passed=st.booleans())),
)


def numbered(lesson: Lesson) -> Lesson:
    """The same lesson with identifiers that differ from each other, as those of all lessons do."""
    for number, step in enumerate(lesson.steps()):
        step.id = f"{step.id}{number}"
    return lesson


lessons = part(
    Lesson,
    version=st.integers(1, 3),
    kind=st.sampled_from(["lesson", "tour"]),
    title=texts,
    description=texts,
    audience=texts,
    difficulty=levels,
    language=texts,
    objectives=some(texts),
    prerequisites=some(texts),
    minutes=st.integers(0, 10**6),
    source=part(Provenance, kind=texts, ref=texts, revision=texts, sha256=texts, licence=texts, language=texts),
    teacher=texts,
    seed=st.integers(),
    sections=st.lists(part(Section, title=texts, steps=st.lists(steps, max_size=3)), max_size=3),
    references=some(texts),
    summary=texts,
    next_steps=some(texts),
    quality=quality,
).map(numbered)
