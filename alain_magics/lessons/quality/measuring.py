"""What a set of questions must reach as a whole, beyond what each must reach alone.

Every bar but one holds when its value is at most its limit; the exception (a p-value) says so in its name. A ``note``
tells where a set is too small for the plain limit, and what was done instead.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

from alain_magics.lessons.quality.chance import binomial_tail, chi_squared_tail
from alain_magics.lessons.quality.judging import judge
from alain_magics.lessons.quality.language import jaccard, own_words, words
from alain_magics.lessons.quality.rejecting import KeyNotReproduced
from alain_magics.lessons.schema import Bar, Question

SIMILAR = 0.8
SIGNIFICANT = 0.05
MIN_FOR_POSITIONS = 10
MIN_FOR_STRATEGIES = 100

_CAPITAL_NEGATIVE = re.compile(r"\b(?:NOT|EXCEPT|NEVER|WITHOUT|INCORRECT|FALSE)\b")
_CODE_TOKEN = re.compile(r"[\w.]+|[^\w\s()\[\]{},:'\"]+")
_PIECE = re.compile(r"\w+|[^\w\s]")


def bars(questions: Sequence[Question]) -> list[Bar]:
    """Measure a set of questions; an empty set has no bars."""
    if not questions:
        return []
    choices = [question for question in questions if question.form != "numeric" and question.key is not None]
    verdicts = [judge(question) for question in questions]
    similarity = max((similar for _, _, similar in _similarities(questions)), default=0.0)
    return [
        _share("executed keys not reproduced", [KeyNotReproduced().check(question) for question in questions], 0),
        _share("distractors not proven wrong", [not proven for question in choices for proven in _proven(question)], 0),
        *_position_bars(choices),
        _bar("flaws per item", sum(len(verdict.flagged) for verdict in verdicts) / len(verdicts), 0.3),
        _share("items rejected or with two flaws", [not verdict.kept for verdict in verdicts], 0),
        *_strategy_bars(choices),
        _bar("highest similarity of two stems", similarity, SIMILAR),
        _share("keys that are True, False or None", [_key_text(q) in {"True", "False", "None"} for q in choices], 0.15),
        _share("items about signatures", [getattr(q, "about", "") == "signature" for q in questions], 0.3),
        _share("negations in capitals", [_CAPITAL_NEGATIVE.search(own_words(q.stem)) for q in questions], 0.1),
        _share("prose items without a citation", [_uncited(question) for question in questions], 0),
    ]


def similar_stems(questions: Sequence[Question]) -> list[tuple[int, int, float]]:
    """Pairs of questions that ask almost the same: first index, second index, similarity above 0.8.

    The similarity is the Jaccard index over the words of the stem, the tokens of the code and the pairs of
    neighbouring tokens. Pairs weigh where a token stands, since questions about siblings share their set-up and
    most of their words, and still ask for something else.
    """
    return [found for found in _similarities(questions) if found[2] > SIMILAR]


def _similarities(questions: Sequence[Question]) -> list[tuple[int, int, float]]:
    features: list[frozenset[object]] = []
    for question in questions:
        tokens = _CODE_TOKEN.findall(question.code)
        features.append(frozenset([*words(question.stem), *tokens, *pairwise(tokens)]))
    return [(i, j, jaccard(features[i], features[j])) for i, j in combinations(range(len(features)), 2)]


def _bar(name: str, value: float, limit: float, note: str = "") -> Bar:
    return Bar(name=name, value=value, limit=limit, passed=value <= limit + 1e-9, note=note)


def _share(name: str, flags: Sequence[object], limit: float) -> Bar:
    """The share of true flags; where a share is allowed at all, so is a single item."""
    count = sum(map(bool, flags))
    bar = _bar(name, count / len(flags) if flags else 0.0, limit)
    if not bar.passed and limit and count == 1:
        return bar.model_copy(update={"passed": True, "note": "a single item is always allowed"})
    return bar


def _key_text(question: Question) -> str:
    """The text of the right option of a choice."""
    return next(option.text for option in question.options if option.correct)


def _uncited(question: Question) -> bool:
    """Whether neither a run nor a span of the source supports the question."""
    return question.form in {"single", "numeric"} and question.proof is None and not question.citations


def _proven(question: Question) -> list[bool]:
    """For each distractor, whether it is proven wrong.

    A call must have run, and ended differently from the key. An output is wrong when the key was reproduced and the
    texts differ, which the rules see to; if a program stands behind it, that must have ended differently too. A line
    is wrong when the key was reproduced: only one line can be the first to raise. A cited choice has nothing to run.
    """
    if question.form == "single":
        return []
    runs = question.proof.runs if question.proof else []
    outcomes = {
        run.option: (run.output, run.error, run.line if run.error else None) for run in runs if run.how != "key"
    }
    key = next(((run.output, run.error, run.line if run.error else None) for run in runs if run.how == "key"), None)
    others = [i for i, option in enumerate(question.options) if not option.correct]
    if key is None or question.form == "error":
        return [key is not None for _ in others]
    return [outcomes[i] != key if i in outcomes else question.form == "predict" for i in others]


def _position_bars(choices: Sequence[Question]) -> list[Bar]:
    """How evenly keys are spread over the places, where each question has as many places as options."""
    expected: defaultdict[int, float] = defaultdict(float)
    found: defaultdict[int, int] = defaultdict(int)
    for question in choices:
        found[question.key or 0] += 1
        for place in range(len(question.options)):
            expected[place] += 1 / len(question.options)
    if len(expected) < 2:
        return []
    statistic = sum((found[place] - even) ** 2 / even for place, even in expected.items())
    p = chi_squared_tail(statistic, len(expected) - 1)
    commonest = max(found.values()) / len(choices)
    small = len(choices) < MIN_FOR_POSITIONS
    note = f"fewer than {MIN_FOR_POSITIONS} items: not judged" if small else ""
    return [
        Bar(
            name="p-value of evenly spread key positions (above the limit)",
            value=p,
            limit=SIGNIFICANT,
            passed=small or p > SIGNIFICANT,
            note=note,
        ),
        Bar(name="commonest key position", value=commonest, limit=0.4, passed=small or commonest <= 0.4, note=note),
    ]


def _lengths(question: Question) -> list[float]:
    return [len(option.text) for option in question.options]


def _overlaps(question: Question) -> list[float]:
    stem = set(words(question.stem))
    return [len(stem.intersection(words(option.text))) for option in question.options]


def _oddness(question: Question) -> list[float]:
    """How little each option has in common with the others."""
    pieces = [set(_PIECE.findall(option.text)) for option in question.options]
    return [-sum(jaccard(own, other) for other in pieces) for own in pieces]


def _standing_at(place: int) -> Callable[[Question], list[float]]:
    return lambda question: [i == place for i in range(len(question.options))]


def _strategy_bars(choices: Sequence[Question]) -> list[Bar]:
    """How far each way of guessing without knowledge gets above chance.

    Where a strategy cannot decide between options it takes any of them. Below 100 items an excess of more than ten
    points passes unless it is significant: the one-sided binomial tail, its level divided by the number of strategies.
    """
    if not choices:
        return []
    strategies: dict[str, Callable[[Question], list[float]]] = {
        "the longest option": _lengths,
        "most words of the stem": _overlaps,
        "the odd one out": _oddness,
    }
    places = max(len(question.options) for question in choices)
    strategies |= {f"option {place + 1}": _standing_at(place) for place in range(places)}
    chance = sum(1 / len(question.options) for question in choices) / len(choices)
    found = []
    for name, strategy in strategies.items():
        hits = sum(_hit(strategy(question), question.key) for question in choices)
        bar = _bar(f"guessing {name}, above chance", hits / len(choices) - chance, 0.1)
        if not bar.passed and len(choices) < MIN_FOR_STRATEGIES:
            p = binomial_tail(round(hits), len(choices), chance)
            note = f"fewer than {MIN_FOR_STRATEGIES} items: p = {p:.2g}"
            bar = bar.model_copy(update={"passed": p > SIGNIFICANT / len(strategies), "note": note})
        found.append(bar)
    return found


def _hit(scores: list[float], key: int | None) -> float:
    """The probability of choosing the key by the highest score."""
    best = [i for i, score in enumerate(scores) if score > max(scores) - 1e-9]
    return (key in best) / len(best)
