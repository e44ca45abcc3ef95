"""The order of options: numbers ascend, everything else is shuffled so that the key's place says nothing."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from alain_magics.lessons.schema import Question

_QUANTITY = re.compile(
    r"^\s*([-+]?(?:\d[\d_]*|\d{1,3}(?:,\d{3})+)(?:\.\d*)?(?:e[-+]?\d+)?)\s*(\D{0,12})$", re.IGNORECASE
)


def numbers(question: Question) -> list[float] | None:
    """The values of options that are all numbers with one unit or none; ``None`` otherwise."""
    found = [_QUANTITY.match(option.text) for option in question.options]
    if not found or len({match and match[2].strip() for match in found}) > 1:
        return None
    return [float(re.sub("[_,]", "", match[1])) for match in found if match] or None


def reorder(question: Question, order: Sequence[int]) -> Question:
    """The question with option ``order[0]`` first, and so on; proof and identifier are made to fit."""
    places: dict[int | None, int] = {old: new for new, old in enumerate(order)}
    proof = question.proof
    if proof is not None:
        runs = [run.model_copy(update={"option": places.get(run.option, run.option)}) for run in proof.runs]
        proof = proof.model_copy(update={"runs": runs}).sealed()
    copy = question.model_copy(update={"options": [question.options[old] for old in order], "proof": proof})
    return copy.model_copy(update={"id": copy.content_id()})


def balance_positions(questions: Sequence[Question], seed: int) -> list[Question]:
    """Shuffle the options of each question so that keys stand equally often at each place.

    Options that are numbers stay as they are, and count. Every other key goes where keys are missing most so far,
    ties broken by ``seed``. The result does not depend on the order in which options come.
    """
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    missing: defaultdict[int, float] = defaultdict(float)
    free = [question.key is not None and numbers(question) is None for question in questions]
    for question, movable in zip(questions, free, strict=True):
        if question.key is not None and not movable:
            _expect(missing, len(question.options))
            missing[question.key] -= 1
    balanced = []
    for question, movable in zip(questions, free, strict=True):
        key = question.key
        if key is None or not movable:
            balanced.append(question)
            continue
        places = range(len(question.options))
        order = sorted((old for old in places if old != key), key=lambda old: question.options[old].text)
        generator.shuffle(order)
        _expect(missing, len(places))
        most = max(missing[place] for place in places)
        place = generator.choice([place for place in places if missing[place] > most - 1e-9])
        missing[place] -= 1
        order.insert(place, key)
        balanced.append(reorder(question, order))
    return balanced


def _expect(missing: defaultdict[int, float], options: int) -> None:
    """Add one key, spread evenly over the places."""
    for place in range(options):
        missing[place] += 1 / options
