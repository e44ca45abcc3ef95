"""Mend what can be mended without changing what is asked or what is right."""

from __future__ import annotations

import re

from alain_magics.lessons.quality.flagging import NEGATIVE
from alain_magics.lessons.quality.language import sub_own_words
from alain_magics.lessons.quality.ordering import numbers, reorder
from alain_magics.lessons.schema import Question

_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r" +(?=[?!,;:]+(?:\s|$))")
_REPEATED = re.compile(r"([?!,;])\1+")
_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_LABEL = re.compile(r"^(?:\(?([A-Ea-e])[.):]\s+)+(?=\S)")


def mend(question: Question) -> Question:
    """The question in good order; mending twice changes nothing more.

    Spaces and repeated punctuation are tidied and negations of the stem put in capitals, except in code and
    quotations. Labels such as "A)" are taken off prose options, since they would stay behind when options move.
    Options that are numbers are sorted. Literal options keep every character. The identifier fits the mended content.
    """
    stem = sub_own_words(NEGATIVE, lambda match: match[0].upper(), _tidy(question.stem))
    options = question.options
    if not question.literal:
        texts = _without_labels([_tidy(option.text) for option in options])
        options = [option.model_copy(update={"text": text}) for option, text in zip(options, texts, strict=True)]
    mended = question.model_copy(update={"stem": stem, "options": options})
    values = numbers(mended)
    if values and values != sorted(values) and question.form != "numeric":
        return reorder(mended, sorted(range(len(values)), key=values.__getitem__))
    return mended.model_copy(update={"id": mended.content_id()})


def _tidy(text: str) -> str:
    """One space between words, none before a punctuation mark, none of which is repeated; code and quotations stay."""
    for pattern, replacement in ((_SPACES, " "), (_SPACE_BEFORE, ""), (_REPEATED, r"\1"), (_TWO_STOPS, ".")):
        text = sub_own_words(pattern, replacement, text)
    return text.strip()


def _without_labels(texts: list[str]) -> list[str]:
    """The texts without their labels, if each is labelled with its own letter."""
    labels = [_LABEL.match(text) for text in texts]
    if [label and label[1].upper() for label in labels] != list("ABCDE")[: len(texts)]:
        return texts
    return [_LABEL.sub("", text) for text in texts]
