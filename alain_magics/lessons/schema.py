"""The lesson: sections of steps, each with the evidence for what it says.

Every part keeps fields it does not know, so that a newer lesson survives an older reader.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

Difficulty = Literal["beginner", "intermediate", "advanced"]
QuestionForm = Literal["predict", "call", "error", "numeric", "single"]


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces, Unicode as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_hash(value: Any) -> str:
    """SHA-256 (hexadecimal) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


class Part(BaseModel):
    """Base of everything in a lesson: unknown fields are kept, and numbers are those that JSON has."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class Citation(Part):
    """A span of the source's text that supports a statement.

    ``start`` and ``end`` count characters of the document's text; ``quote`` is what stands there.
    """

    ref: str
    start: int
    end: int
    quote: str


class Run(Part):
    """One program that was executed, and what came out.

    ``output`` is what was printed, followed by the repr of the last expression, as a notebook shows it;
    ``error`` is the type of the exception that ended it (empty when none), ``line`` where it was raised.
    ``option`` is the option of the question that this run proves right or wrong, if any;
    ``how`` says where the program comes from: ``key``, ``sibling``, ``swapped arguments``, ...
    """

    code: str
    output: str = ""
    error: str = ""
    line: int | None = None
    option: int | None = None
    how: str = "key"


class Proof(Part):
    """What was run to be sure, where, and with which versions.

    ``digest`` covers every other field, so that no field can drift unnoticed.
    """

    runs: list[Run]
    versions: dict[str, str]
    isolation: str
    seeds: list[int]
    code_sha: str = ""
    digest: str = ""

    def sealed(self) -> Proof:
        """A copy whose ``code_sha`` and ``digest`` fit its content."""
        code_sha = content_hash([run.code for run in self.runs])
        copy = self.model_copy(update={"code_sha": code_sha, "digest": ""})
        return copy.model_copy(update={"digest": content_hash(copy.model_dump(mode="json"))})


class Option(Part):
    """A choice: its text, whether it is right, and what to say to who picks it.

    ``call`` is a whole program, for the learner to run, whose result is what this option shows.
    """

    text: str
    correct: bool = False
    feedback: str = ""
    call: str = ""


class TextStep(Part):
    """Prose in Markdown with the spans that support it, and the proof of what it says about behaviour."""

    kind: Literal["text"] = "text"
    id: str
    markdown: str
    citations: list[Citation] = []
    proof: Proof | None = None


class CodeStep(Part):
    """Code with the output it must print; ``proof`` is there only if it ran."""

    kind: Literal["code"] = "code"
    id: str
    source: str
    output: str = ""
    proof: Proof | None = None
    citations: list[Citation] = []


class Question(Part):
    """A question with one right answer.

    ``stem`` is plain text in which only `backticks` mark code; ``code`` is shown below it.
    ``literal`` says that the options are program text or output, to be shown as it is. Forms:
    ``predict`` the output, which ``call`` gives it, the first ``error``, ``numeric`` (typed; ``answer``,
    ``tolerance`` and ``unit`` instead of a correct option, while the options are foreseen slips) and a cited
    ``single`` choice. Options stand in the order in which they are shown. ``about`` marks questions about mere
    ``signature``s, of which a lesson may hold few.
    """

    kind: Literal["question"] = "question"
    id: str = ""
    form: QuestionForm
    stem: str
    code: str = ""
    options: list[Option] = []
    literal: bool = False
    answer: float | None = None
    tolerance: float = 0.0
    unit: str = ""
    explanation: str = ""
    hint: str = ""
    difficulty: Difficulty = "beginner"
    objective: str = ""
    about: str = ""
    citations: list[Citation] = []
    proof: Proof | None = None

    @property
    def key(self) -> int | None:
        """Index of the right option; ``None`` for a typed answer or where the key is kept apart."""
        return next((i for i, option in enumerate(self.options) if option.correct), None)

    def content_id(self) -> str:
        """An identifier that depends only on what is asked and what is right."""
        content = {
            "form": self.form,
            "stem": self.stem,
            "code": self.code,
            "options": [[option.text, option.correct] for option in self.options],
            "answer": [self.answer, self.tolerance, self.unit],
        }
        return "q-" + content_hash(content)[:12]


class Test(Part):
    """A call of the learner's function, and the output it must give."""

    __test__ = False  # not a pytest class

    call: str
    output: str


class Exercise(Part):
    """A task in code: ``starter`` holds ``...`` where the learner writes; ``solution`` passes every test."""

    kind: Literal["exercise"] = "exercise"
    id: str
    task: str
    starter: str
    solution: str
    tests: list[Test]
    hint: str = ""
    difficulty: Difficulty = "intermediate"
    objective: str = ""
    citations: list[Citation] = []
    proof: Proof | None = None


Step = Annotated[TextStep | CodeStep | Question | Exercise, Field(discriminator="kind")]


class Section(Part):
    """A topic: its title and its steps in order."""

    title: str
    steps: list[Step] = []


class Provenance(Part):
    """Where a source comes from. ``file``: the name of a file that was read; ``sha256``: of the document's text."""

    kind: str
    ref: str
    file: str = ""
    revision: str = ""
    sha256: str = ""
    licence: str = ""
    language: str = "en"


class Bar(Part):
    """One measure over all items of a lesson, its limit, and whether it holds."""

    name: str
    value: float
    limit: float
    passed: bool
    note: str = ""


class QualityReport(Part):
    """What was made, kept and dropped, and the bar that the set of items must pass."""

    made: int = 0
    kept: int = 0
    dropped: dict[str, int] = {}
    flaws: dict[str, list[str]] = {}
    bars: list[Bar] = []


class Lesson(Part):
    """A lesson, or a short ``tour`` where the source has few executable examples."""

    version: int = SCHEMA_VERSION
    kind: Literal["lesson", "tour"] = "lesson"
    title: str
    description: str = ""
    audience: str = ""
    difficulty: Difficulty = "beginner"
    language: str = "en"
    objectives: list[str] = []
    prerequisites: list[str] = []
    minutes: int = 0
    source: Provenance
    teacher: str = "offline"
    seed: int = 0
    sections: list[Section] = []
    references: list[str] = []
    summary: str = ""
    next_steps: list[str] = []
    quality: QualityReport = QualityReport()

    def steps(self) -> list[TextStep | CodeStep | Question | Exercise]:
        """All steps in order."""
        return [step for section in self.sections for step in section.steps]

    def questions(self) -> list[Question]:
        """All questions in order."""
        return [step for step in self.steps() if isinstance(step, Question)]
