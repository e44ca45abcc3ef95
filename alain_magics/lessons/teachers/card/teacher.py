"""The teacher of model cards: everything is planned, run and proven in the outline, then handed out topic by topic."""

from __future__ import annotations

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.document import Document
from alain_magics.lessons.proving import Prover
from alain_magics.lessons.schema import Difficulty, Exercise, Question, Section
from alain_magics.lessons.sources.card import CardDocument
from alain_magics.lessons.teachers.base import Brief, Outline, Topic
from alain_magics.lessons.teachers.card.attention import plan_cache
from alain_magics.lessons.teachers.card.contradictions import with_remarks
from alain_magics.lessons.teachers.card.encoder_decoder import plan_two_caches
from alain_magics.lessons.teachers.card.experts import plan_experts
from alain_magics.lessons.teachers.card.items import Made, Maker, Plan
from alain_magics.lessons.teachers.card.model import Model, read_model
from alain_magics.lessons.teachers.card.reading import plan_loading, plan_prompting, plan_sampling, plan_use
from alain_magics.lessons.teachers.card.results import plan_results
from alain_magics.lessons.teachers.card.serving import plan_fit, plan_speed
from alain_magics.lessons.teachers.card.shape import plan_shape
from alain_magics.lessons.teachers.card.weights import plan_weights
from alain_magics.lessons.teachers.card.window import plan_window

QUESTIONS_FOR_LESSON = 8
FORMS_FOR_LESSON = 3
_LEVELS: dict[Difficulty, tuple[str, ...]] = {
    "beginner": ("beginner", "intermediate"),
    "intermediate": ("intermediate", "beginner", "advanced"),
    "advanced": ("advanced", "intermediate", "beginner"),
}


class CardTeacher:
    """Teaches a model from its card, its configuration and its Hub record, without a model."""

    name = "offline"
    recall_last = False

    def __init__(self, document: CardDocument, prover: Prover) -> None:
        self._model = read_model(document)
        self._maker = Maker(document, prover)
        self.dropped = self._maker.dropped

    async def outline(self, document: Document, brief: Brief) -> Outline:
        """Make everything that holds; a lesson if there are enough questions of enough forms, else a short tour."""
        model = self._model
        plans = plan_sections(model)
        made = await self._maker.make(plans)
        suited = [Made(one.section, for_level(one.questions, brief.difficulty)) for one in made]
        kept = [(plan, one) for plan, one in zip(plans, suited, strict=True) if one.questions]
        questions = [question for _, one in kept for question in one.questions]
        if not questions:
            raise NothingToTeach(
                f"{document.title} states nothing that could be computed or asked: no configuration, table or known "
                "fact.",
                "Put its config.json beside it, or write the lesson with a model once one is connected: --teacher "
                "MODEL.",
            )
        full = len(questions) >= QUESTIONS_FOR_LESSON and len({q.form for q in questions}) >= FORMS_FOR_LESSON
        title = f"{model.name}: choose, run and serve it" if full else f"{model.name}: a short tour"
        return Outline(
            kind="lesson" if full else "tour",
            title=title,
            description=(
                f"What the card and the configuration of {model.name} let one compute and know before running it."
            ),
            objectives=[plan.objective for plan, _ in kept],
            topics=[Topic(plan.title, one) for plan, one in kept],
            prerequisites=["Arithmetic with powers of ten", "Python: variables and printing"],
            references=references(model.document),
            next_steps=next_steps(model),
        )

    async def section(self, document: Document, brief: Brief, topic: Topic) -> Section:
        """The prose and the program of a topic, which ran in the outline."""
        made: Made = topic.material
        return made.section.model_copy(update={"steps": list(made.section.steps)})

    async def questions(self, document: Document, brief: Brief, topic: Topic) -> list[Question | Exercise]:
        """The questions of a topic, proven in the outline."""
        made: Made = topic.material
        return list(made.questions)


def plan_sections(model: Model) -> list[Plan]:
    """Every section that the card has evidence for: what it is for, what it costs, how it is used, what it achieved."""
    planners = (
        plan_use,
        plan_weights,
        plan_cache,
        plan_two_caches,
        plan_fit,
        plan_speed,
        plan_experts,
        plan_shape,
        plan_window,
        plan_loading,
        plan_prompting,
        plan_sampling,
        plan_results,
    )
    return with_remarks(model, [plan for planner in planners if (plan := planner(model)) and plan.items])


def for_level(questions: list[Question], difficulty: Difficulty) -> list[Question]:
    """The questions that suit a difficulty, the most fitting first."""
    levels = _LEVELS[difficulty]
    return sorted(
        (q for q in questions if q.difficulty in levels), key=lambda question: levels.index(question.difficulty)
    )


def references(document: CardDocument) -> list[str]:
    """The card, and the files beside it that were read."""
    refs = dict.fromkeys(fact.ref for fact in document.facts if fact.ref not in ("card", "front matter"))
    revision = f" (revision {document.provenance.revision[:12]})" if document.provenance.revision else ""
    return [f"Model card of {document.provenance.ref}{revision}", *(f"Its {ref}" for ref in refs)]


def next_steps(model: Model) -> list[str]:
    """What the lesson could not do."""
    steps = ["Measure memory and tokens per second on your own device, and compare them with the bounds."]
    if model.document.code_blocks:
        steps.append("Run the card's example yourself: this lesson shows the card's code and runs none of it.")
    return steps
