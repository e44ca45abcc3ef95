"""Rules 7 to 19: one of them makes a question worse, two make it unfit.

Texts in backticks are code and not looked at, except where a rule says so.
"""

from __future__ import annotations

import re

from alain_magics.lessons.quality.language import (
    content_lemmas,
    edit_distance,
    jaccard,
    outside_code,
    own_words,
    words,
)
from alain_magics.lessons.quality.ordering import numbers
from alain_magics.lessons.quality.rule import ALL_FORMS, Rule, key_and_distractors, quoted
from alain_magics.lessons.schema import Question
from alain_magics.lessons.values import shape

# Python's None, True and False are values, not judgements: these two are matched in the case given here.
_ABSOLUTE = re.compile(
    r"\b(?:none|(?i:always|never|all|completely|absolutely|totally|definitely|incapable|inevitabl[ey]))\b"
)
NEGATIVE = re.compile(r"\b(?:[Nn]ot|[Ee]xcept|[Nn]ever|[Ww]ithout|[Ii]ncorrect|false)\b")
_VAGUE = re.compile(r"\b(?:frequently|rarely|seldom|sometimes|usually|generally|somewhat|nearly)\b", re.IGNORECASE)
_DETERMINERS = frozenset(words("a an any each every its no one some that the their these this those"))
_NOT_INFLECTED = frozenset(words("anything bring during everything king nothing ring something spring string thing"))
_INSTRUCTION = re.compile(
    r"^\W*(?:calculate|choose|complete|compute|enter|estimate|fill|find|give|name|order|pick|predict|select|type)\b",
    re.IGNORECASE,
)
_EMPTY_STEM = re.compile(
    r"^\W*(?:which|what)\s+(?:(?:one\s+)?of\s+(?:the\s+following|these|those)\s+)?"
    r"(?:answers?\s+|options?\s+|sentences?\s+|statements?\s+)?(?:is|are|holds?)\s*"
    r"(?:(?:not\s+)?(?:correct|false|incorrect|right|true|valid|wrong))?\W*$",
    re.IGNORECASE,
)
_BLANK_INSIDE = re.compile(r"(?:_{2,}+|\.{3}|…)(?=.*[^\W_])", re.DOTALL)
_MARKED_CLOZE = re.compile(r"\b(?:blank|complete|fill|gap|missing)\b", re.IGNORECASE)


class LongestKey(Rule):
    """A key of four words or more, with no distractor of three quarters of its characters."""

    code = "F7"
    name = "longest key"
    says = "The key is not much longer than every other option."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        split = key_and_distractors(question)
        if split is None or len(split[0].split()) < 4:
            return None
        key, distractors = split
        longest = max(map(len, distractors), default=0)
        return f"the key has {len(key)} characters, the others at most {longest}" if longest < 0.75 * len(key) else None


class Absolutes(Rule):
    """Words that are rarely true, so that who knows tests crosses the option out."""

    code = "F8"
    name = "absolute words"
    says = "No option says always, never, all and the like."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        return _words_in_options(_ABSOLUTE, question)


class VagueWords(Rule):
    """Words that make an option hard to prove wrong."""

    code = "F9"
    name = "vague words"
    says = "No option says usually, sometimes, nearly and the like."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        return _words_in_options(_VAGUE, question)


class NegativeStem(Rule):
    """A negation that is easy to overlook; in capitals it is allowed, as it is in a quotation. ``False`` is a value."""

    code = "F10"
    name = "negative stem"
    says = "The stem asks for what holds; a negation stands in capitals."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        found = NEGATIVE.findall(own_words(question.stem))
        return f"the stem says {quoted(found)}" if found else None


class Clang(Rule):
    """A word shared by stem and key alone gives the key away.

    Names in code count, taken apart at their underscores, since a name can give its summary away and the other way
    round. Programs and outputs share their words with the stem by nature: only ``single`` is looked at.
    """

    code = "F11"
    name = "clang"
    says = "No word of the stem occurs in the key and in no other option."
    forms = frozenset({"single"})

    def _wrong(self, question: Question, above: str) -> str | None:
        split = key_and_distractors(question)
        if split is None:
            return None
        key, distractors = split
        shared = content_lemmas(question.stem) & content_lemmas(key)
        shared = shared.difference(*map(content_lemmas, distractors))
        found = [word for word in dict.fromkeys(words(key)) if content_lemmas(word) & shared]
        return f"only the key shares {quoted(found)} with the stem" if found else None


class GrammarCue(Rule):
    """The stem's article, or the ending of the first word (number, tense), fits the key alone."""

    code = "F12"
    name = "grammar cue"
    says = "Grammar does not tell the key from the other options."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        split = key_and_distractors(question)
        if split is None:
            return None
        firsts = [words(outside_code(text))[:1] for text in (split[0], *split[1])]
        if not all(firsts):
            return None
        key, *others = [first[0] for first in firsts]
        article = words(question.stem)[-1:]
        if article in {("a",), ("an",)}:
            misfits = [other for other in others if (other[0] in "aeiou") != (article == ("an",))]
            if misfits and (key[0] in "aeiou") == (article == ("an",)):
                return f'the stem ends in "{article[0]}", which does not fit {quoted(misfits)}'
        own, endings = _ending(key), {_ending(other) for other in others}
        adjective = {own, *endings} == {"ed", "plain"}  # "simplified" may be one, beside "automatic"
        if len(others) > 1 and len(endings) == 1 and own not in endings | {""} and "" not in endings and not adjective:
            return f'"{key}" differs in number or tense from {quoted(others)}'
        return None


class UnsortedNumbers(Rule):
    """Numbers, with the same unit or none, out of order."""

    code = "F13"
    name = "unsorted numbers"
    says = "Options that are numbers stand in ascending order."

    def _wrong(self, question: Question, above: str) -> str | None:
        values = numbers(question)
        return f"{quoted(question.options)} are not in order" if values and values != sorted(values) else None


class Convergence(Rule):
    """The key is what every distractor was derived from.

    Each distractor shares two words or more with the key, and more with it than with any other distractor. Literal
    options are left alone: they are one step from the key on purpose, and each step was run.
    """

    code = "F14"
    name = "convergence"
    says = "The key does not share most words with every other option."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        split = key_and_distractors(question)
        if split is None or len(split[1]) < 2:
            return None
        key, *others = [content_lemmas(text) for text in (split[0], *split[1])]
        for i, other in enumerate(others):
            shared = len(other & key)
            if shared < 2 or any(len(other & third) >= shared for third in others[:i] + others[i + 1 :]):
                return None
        return "every other option shares its words with the key rather than with the others"


class ImplausibleDistractor(Rule):
    """An option that nobody would choose.

    Prose: a distractor that has next to nothing in common with a key of four words or more. Literal options: no
    distractor is of the key's kind while they are of one kind among themselves, so that the key is the odd one out.
    A single distractor of another kind is wanted (the ``None`` of an in-place call, a repr beside its text), and so
    are kinds that all differ: then the kind is the point. Calls and lines of programs are of one kind.
    """

    code = "F15"
    name = "implausible distractor"
    says = "Distractors are of the key's kind."
    forms = frozenset({"predict", "single"})

    def _wrong(self, question: Question, above: str) -> str | None:
        split = key_and_distractors(question)
        if split is None:
            return None
        key, distractors = split
        if question.literal:
            kinds = {shape(distractor) for distractor in distractors}
            if len(distractors) > 1 and len(kinds) == 1 and shape(key) not in kinds:
                return f"the key is of the kind {shape(key)}, every other option of the kind {kinds.pop()}"
            return None
        if len(key.split()) < 4:
            return None
        own = set(words(key))
        far = [
            text
            for text in distractors
            if jaccard(own, set(words(text))) < 0.15 and edit_distance(key, text) > 0.7 * len(key)
        ]
        return f"{quoted(far)} has nothing in common with the key" if far else None


class UnfocusedStem(Rule):
    """Neither a question nor an instruction, or one that says nothing before the options are read."""

    code = "F16"
    name = "unfocused stem"
    says = "The stem can be answered with the options hidden."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        if _EMPTY_STEM.match(question.stem):
            return f"{quoted([question.stem])} cannot be answered with the options hidden"
        if "?" not in outside_code(question.stem) and not _INSTRUCTION.match(question.stem):
            return f"{quoted([question.stem])} asks nothing"
        return None


class LongStem(Rule):
    """More than 60 words of prose before the options."""

    code = "F17"
    name = "long stem"
    says = "The stem has at most 60 words outside code."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        count = len(outside_code(question.stem).split())
        return f"the stem has {count} words" if count > 60 else None


class BlankInside(Rule):
    """A blank with words after it, unless the stem says that something is to be filled in."""

    code = "F18"
    name = "blank in the middle"
    says = "A blank stands at the end of the stem, or the stem says that it is to be filled."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        stem = outside_code(question.stem)
        return "words follow the blank" if _BLANK_INSIDE.search(stem) and not _MARKED_CLOZE.search(stem) else None


class CopiedOption(Rule):
    """Four words or more that stand in the text above, in the same order: found by looking, not by knowing."""

    code = "F19"
    name = "copied option"
    says = "No option stands word for word in the text just above."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        text = f" {' '.join(words(above))} "
        copied = [
            option
            for option in question.options
            if len(words(option.text)) >= 4 and f" {' '.join(words(option.text))} " in text
        ]
        return f"{quoted(copied)} stands in the text above" if copied else None


def _words_in_options(pattern: re.Pattern[str], question: Question) -> str | None:
    found = [word for option in question.options for word in pattern.findall(outside_code(option.text))]
    return f"an option says {quoted(list(dict.fromkeys(found)))}" if found else None


def _ending(word: str) -> str:
    """The inflection a word shows: ``ing``, ``ed``, ``s`` or ``plain``; ``""`` for an article and the like."""
    if word in _DETERMINERS or not word.isalpha():
        return ""
    if word in _NOT_INFLECTED:
        return "plain"
    if word.endswith("s"):
        return "plain" if word.endswith(("ss", "us", "is")) else "s"
    return next((ending for ending in ("ing", "ed") if len(word) > 4 and word.endswith(ending)), "plain")


FLAGGING: tuple[Rule, ...] = (
    LongestKey(),
    Absolutes(),
    VagueWords(),
    NegativeStem(),
    Clang(),
    GrammarCue(),
    UnsortedNumbers(),
    Convergence(),
    ImplausibleDistractor(),
    UnfocusedStem(),
    LongStem(),
    BlankInside(),
    CopiedOption(),
)
