"""The teacher of modules: admits by evidence, plans topics, writes sections in fixed slots, makes items."""

from __future__ import annotations

import re

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.document import ApiObject, Document, Span
from alain_magics.lessons.proving import Prover, run_of
from alain_magics.lessons.quality import lint
from alain_magics.lessons.schema import CodeStep, Exercise, Question, Section, TextStep, content_hash
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.base import Brief, Outline, Topic
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.exercise import ExerciseMaker
from alain_magics.lessons.teachers.module.faults import find_faults
from alain_magics.lessons.teachers.module.inputs import derived_examples
from alain_magics.lessons.teachers.module.items import DULL, ItemMaker
from alain_magics.lessons.teachers.module.mutants import Mutant, Mutator
from alain_magics.lessons.teachers.module.notices import NoticeMaker
from alain_magics.lessons.teachers.module.siblings import Siblings
from alain_magics.lessons.teachers.module.topics import Group, group_topics
from alain_magics.text import as_markdown

EXAMPLES_FOR_LESSON = 6
OBJECTS_FOR_LESSON = 3
MOST_EXAMPLES = 250
TRIES = 30
TOPICS = {"beginner": 4, "intermediate": 5, "advanced": 5}


class ModuleTeacher:
    """Teaches one module; every program runs through the prover."""

    name = "offline"
    recall_last = True

    def __init__(self, document: ModuleDocument, prover: Prover) -> None:
        self._document = document
        self._prover = prover
        self._siblings = Siblings(document)
        self._mutator = Mutator(document, self._siblings)
        self._outputs: dict[str, str] = {}
        self._examples: list[Example] = []
        self._tries = 3
        self.dropped: dict[str, int] = {}

    async def outline(self, document: Document, brief: Brief) -> Outline:
        """Run every documented example; admit a lesson, a short tour or nothing by what held."""
        self._examples = await self._proven(find_examples(self._document)[:MOST_EXAMPLES])
        objects = {example.calls[0] for example in self._examples if example.calls}
        if not objects:
            raise NothingToTeach(
                f"No documented example of {self._document.name} runs and gives what its documentation says, "
                "so there is nothing to build a lesson on.",
                "Such modules need a model as teacher (--teacher MODEL, in a later version). Modules with many "
                "examples: statistics, difflib, collections.",
            )
        full = len(self._examples) >= EXAMPLES_FOR_LESSON and len(objects) >= OBJECTS_FOR_LESSON
        if full:
            shown = {path for example in self._examples for path in example.calls}
            silent = [item for item in self._document.objects if item.path not in shown and item.summary]
            for example in await derived_examples(self._document, self._prover, silent):
                self._outputs[example.program] = example.want
                self._examples.append(example)
        groups = group_topics(self._document, self._examples, self._siblings, TOPICS[brief.difficulty] if full else 2)
        self._tries = max(3, TRIES // max(1, sum(len(group.objects) for group in groups)))
        summary = _first_sentence(self._document)
        return Outline(
            kind="lesson" if full else "tour",
            title=f"Learn {self._document.name}" if full else f"{self._document.name}: a short tour",
            description=summary,
            objectives=[_objective(group) for group in groups],
            topics=[Topic(group.title, group) for group in groups],
            prerequisites=["Python: calling functions, lists, strings"],
            references=[_reference(self._document)],
            next_steps=_not_covered(self._document, groups),
        )

    async def _proven(self, found: list[Example]) -> list[Example]:
        """The examples that run alike under both seeds and give what is documented; of several forms the first."""
        kept: dict[Span, Example] = {}
        failed: dict[Span, str] = {}
        outcomes = await self._prover.reproduce([example.program for example in found])
        for example, outcome in zip(found, outcomes, strict=True):
            if outcome is None:
                failed[example.span] = "example not reproducible"
            elif not example.documented(outcome.output, outcome.error):
                failed[example.span] = "example differs from its documentation" if outcome.ok else "example raises"
            elif example.span not in kept:
                kept[example.span] = example
                self._outputs[example.program] = outcome.output
        for span, reason in failed.items():
            if span not in kept:
                self._drop(reason)
        return list(kept.values())

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    async def section(self, document: Document, brief: Brief, topic: Topic) -> Section:
        """For each object: its cited summary, one remark that was checked, and an example that ran."""
        group: Group = topic.material
        notices = NoticeMaker(self._document, self._prover, self._siblings)
        section = Section(title=topic.title)
        for item in group.objects:
            example = shown_example(group.examples[item.path])
            notice = await notices.notice(example) if not example.raises else None
            markdown = f"**`{signature(self._document, item)}`**"
            if item.summary and not lint(item.summary):
                markdown += f" — {as_markdown(item.summary)}"
            if notice:
                markdown += f"\n\nNotice: {notice.sentence}"
            citations = [self._document.cite(item.summary_span, item.path)] if item.summary else []
            section.steps.append(
                TextStep(
                    id=_id("t", item.path),
                    markdown=markdown,
                    citations=citations,
                    proof=self._prover.proof(notice.runs) if notice else None,
                )
            )
            if example.raises:
                continue
            (outcome,) = await self._prover.run([example.program])
            section.steps.append(
                CodeStep(
                    id=_id("c", example.program),
                    source=example.program,
                    output=outcome.output,
                    proof=self._prover.proof([run_of(example.program, outcome)]),
                    citations=[self._document.cite(example.span, example.ref)],
                )
            )
        return section

    async def questions(self, document: Document, brief: Brief, topic: Topic) -> list[Question | Exercise]:
        """Candidates of every kind about the objects of a topic."""
        group: Group = topic.material
        maker = ItemMaker(self._document, self._prover, self._siblings, brief.difficulty)
        found: list[Question | Exercise | None] = []
        pool: list[Example] = []
        raising: list[Example] = []
        for item in group.objects:
            own = group.examples[item.path]
            shown = shown_example(own)
            others = [example for example in own if example is not shown and not example.raises]
            others += await self._transferred(item, group, taken={example.source for example in own})
            pool += [shown, *others]
            raising += [example for example in own if example.raises]
            for example in others[: self._tries]:
                found.append(await maker.predict(example))
            for example in (shown, *others)[: self._tries]:
                found.append(await maker.call(example, others, avoid=[self._outputs[example.program]]))
            found.append(maker.single(item))
        for fault in (await find_faults(self._document, self._prover, [*raising, *pool]))[:4]:
            found.append(await maker.error(fault.example, fault.imports, fault.lines))
        exercises = ExerciseMaker(self._document, self._prover, self._siblings, brief.difficulty)
        composite = [example for example in pool if len(example.setup) > 1]
        for example in (composite + [example for example in pool if len(example.setup) <= 1])[:8]:
            exercise = await exercises.exercise(example)
            if exercise:
                found.append(exercise)
                break
        for reason, count in maker.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        return [item for item in found if item is not None]

    async def _transferred(self, item: ApiObject, group: Group, taken: set[str]) -> list[Example]:
        """Documented examples of siblings, with this object called instead on the same data."""
        candidates: list[tuple[Example, Mutant]] = []
        for sibling in self._siblings.of(item.path)[:4]:
            for example in group.examples.get(sibling.path, ())[:3]:
                candidates += [
                    (example, mutant)
                    for mutant in self._mutator.mutants(example)
                    if mutant.how == "sibling" and re.search(rf"\b{item.name}\(", mutant.source)
                ]
        outcomes = await self._prover.reproduce([mutant.program for _, mutant in candidates])
        found = []
        for (example, mutant), outcome in zip(candidates, outcomes, strict=True):
            if outcome is None or not outcome.ok or outcome.output in DULL or mutant.source in taken:
                continue
            if len(outcome.output) > 60 or outcome.output == self._outputs[example.program]:
                continue
            taken.add(mutant.source)
            moved = Example(
                example.ref,
                example.span,
                mutant.imports,
                mutant.setup,
                mutant.source,
                outcome.output,
                "",
                (item.path, *example.calls),
            )
            self._outputs[moved.program] = outcome.output
            found.append(moved)
        return found


def shown_example(examples: list[Example]) -> Example:
    """The example that a section shows: the first of the shortest that gives a result."""
    calm = [example for example in examples if not example.raises] or examples
    return min(calm, key=lambda example: (len(example.setup) > 3, len(example.shown) > 120, calm.index(example)))


def signature(document: ModuleDocument, item: ApiObject) -> str:
    """Name and parameters as a learner calls it."""
    name = item.path.removeprefix(document.name + ".")
    if item.parameters is None or item.kind == "property":
        return name
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    names = [
        stars.get(p.kind, "") + p.name + (f"={p.default}" if p.default else "")
        for p in item.parameters
        if p.name not in ("self", "cls") and not p.name.startswith("_")
    ]
    text = f"{name}({', '.join(names)})"
    return text if len(text) < 80 else f"{name}(…)"


def _id(prefix: str, text: str) -> str:
    return f"{prefix}-{content_hash(text)[:12]}"


def _objective(group: Group) -> str:
    names = ", ".join(f"`{item.name}`" for item in group.objects)
    return f"Say what {names} give, and tell them apart" if len(group.objects) > 1 else f"Say what {names} gives"


def _first_sentence(document: ModuleDocument) -> str:
    from alain_magics.lessons.sources.module import summary_bounds

    body = document.headings[0].span if document.headings and document.headings[0].level == 1 else None
    if body is None:
        return ""
    doc = document.text[body.start : body.end]
    start, end = summary_bounds(doc)
    return " ".join(doc[start:end].split())


def _reference(document: ModuleDocument) -> str:
    version = document.provenance.revision
    return f"Documentation of {document.name} as installed" + (f" (version {version})" if version else "")


def _not_covered(document: ModuleDocument, groups: list[Group]) -> list[str]:
    taught = {item.path for group in groups for item in group.objects}
    rest = [item for item in document.objects if not item.owner and item.path not in taught and item.summary]
    return [f"`{item.name}`: {as_markdown(item.summary)}" for item in rest[:4]]
