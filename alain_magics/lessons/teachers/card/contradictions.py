"""Where a card and the files beside it state different numbers: the lesson says so and names the one it follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from alain_magics.lessons.document import Fact
from alain_magics.lessons.teachers.card.items import Plan, at
from alain_magics.lessons.teachers.card.model import Model, close, counts_in_name, stated_counts

_LENGTH = r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,7})\s?(?P<thousand>k\b)?"
_CONTEXTS = (
    re.compile(rf"context[ -](?:length|window|size)[^.\d]{{0,30}}{_LENGTH}", re.IGNORECASE),
    re.compile(rf"(?<![\w.,]){_LENGTH}(?:[ -]tokens?)?[ -](?:long )?context\b", re.IGNORECASE),
)
# A length reached by stretching the positions contradicts no number of positions.
_STRETCHED = re.compile(r"\byarn\b|extrapolat|rope[ _]scal", re.IGNORECASE)
_SHORTEST_CONTEXT = 128


@dataclass(frozen=True)
class Remark:
    """A contradiction in words, what it cites, and the facts that a section rests on which must show it."""

    text: str
    cites: tuple[Fact, ...]
    concerns: tuple[Fact, ...]


def with_remarks(model: Model, plans: list[Plan]) -> list[Plan]:
    """The plans, each remark shown in the first one that rests on a number it concerns."""
    plans = list(plans)
    for remark in remarks(model):
        for index, plan in enumerate(plans):
            if any(fact in remark.concerns for fact in plan.facts):
                shown = f"{plan.shown}\n\n{remark.text}".strip()
                plans[index] = replace(plan, shown=shown, shown_facts=(*plan.shown_facts, *remark.cites))
                break
    return plans


def remarks(model: Model) -> Iterator[Remark]:
    """The contradictions of a card: parameters, then context."""
    for make in (_parameters, _context):
        remark = make(model)
        if remark:
            yield remark


def _parameters(model: Model) -> Remark | None:
    """No number of parameters on the card, nor in the model's name, is near the one that is taught."""
    counted = model.count.value if model.count else model.parts.total if model.parts else 0
    facts = model.count.facts if model.count else model.parts.facts if model.parts else ()
    stated = [(value, fact) for value, active, fact in stated_counts(model.document) if not active]
    named = counts_in_name(model.document)
    if not counted or not (stated or named) or any(close(value, counted) for value in [v for v, _ in stated] + named):
        return None
    cites = tuple(fact for _, fact in stated)
    says = " and ".join(dict.fromkeys(f"{value / 1e9:.12g} billion" for value in [v for v, _ in stated] or named))
    where = "card" if stated else "name"
    source = "`config.json` gives" if facts and any(fact.ref == "config.json" for fact in facts) else "its files give"
    text = (
        f"The {where} says {says} parameters, but {source} {counted:,}. The two contradict each other; the numbers "
        "here follow the files."
    )
    concerns = (*facts, *(model.cache.facts if model.cache else ()))
    return Remark(text, (*cites, *facts[:1]) if cites else facts[:1], concerns)


def _context(model: Model) -> Remark | None:
    """No length of context on the card is near the positions of ``config.json``."""
    window = model.config.count("max_position_embeddings")
    facts = model.config.facts("max_position_embeddings")
    found = [
        (int(match["number"].replace(",", "")), bool(match["thousand"]), at(passage.span, "card"))
        for passage in model.document.passages
        if not _STRETCHED.search(passage.text)
        for pattern in _CONTEXTS
        for match in pattern.finditer(passage.text)
    ]
    sizes = [
        ((number * 1000, number * 1024) if thousand else (number,), f"{number:,}{'k' * thousand}", fact)
        for number, thousand, fact in found
        if (thousand and number) or number >= _SHORTEST_CONTEXT
    ]
    if not window or not sizes or any(close(size, window) for reading, _, _ in sizes for size in reading):
        return None
    says = " and ".join(dict.fromkeys(text for _, text, _ in sizes))
    text = (
        f"The card says {says} tokens of context, but `max_position_embeddings` in `config.json` is {window:,}. The "
        "numbers here follow `config.json`."
    )
    return Remark(text, (*(fact for _, _, fact in sizes), *facts), facts)
