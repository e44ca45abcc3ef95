"""Rules 1 to 6: a question that breaks one of them is never shown."""

from __future__ import annotations

import math
import re
from itertools import combinations

from alain_magics.lessons.quality.rule import ALL_FORMS, Rule, key_and_distractors, quoted
from alain_magics.lessons.schema import Question
from alain_magics.lessons.values import same_value

_NUMBER = re.compile(r"[-+]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.IGNORECASE)
_ABOVE = re.compile(
    r"\b(?:all|any|both|either|neither|none|some|two)\s+(?:of\s+)?the\s+above\b"
    r"|^\W*(?:all|any|both|neither|none)\s+of\s+(?:these|them|the\s+(?:others|options|answers))\W*$",
    re.IGNORECASE,
)
_LETTERS = r"(?:\(?[A-E]\)?(?:\s*,\s*|\s+(?:and|or|nor|&)\s+|\s*,\s*(?:and|or)\s+))+\(?[A-E]\)?"
_NUMBERS = r"(?i:options?|answers?|choices?|statements?)\s+[1-5](?:\s*,\s*[1-5])*\s+(?:and|or|nor|&)\s+[1-5]"
_COMBINED = re.compile(
    rf"^\W*(?:(?i:both|either|neither|only)\s+)?(?:(?i:options?|answers?|choices?|statements?)\s+)?"
    rf"(?:{_LETTERS}|{_NUMBERS})(?:\s+(?i:only|are\s+\w+|is\s+\w+|together))?\W*$"
)
_YES_NO = ({"true", "false"}, {"yes", "no"})
_FILLERS = {
    "maybe",
    "both",
    "neither",
    "unknown",
    "not sure",
    "it depends",
    "depends",
    "cannot say",
    "cannot be determined",
}


class KeyNotReproduced(Rule):
    """Reads the proof; the programs themselves are run where the proof is made."""

    code = "R1"
    name = "key not reproduced"
    says = "The key of an executed question came out in two fresh runs with different hash seeds."
    forms = ALL_FORMS - {"single"}

    def _wrong(self, question: Question, above: str) -> str | None:
        proof, key = question.proof, question.key
        if proof is None:
            return None if question.form == "numeric" and question.citations else "nothing was run to prove the key"
        if len(set(proof.seeds)) < 2:
            return f"the key ran under {len(set(proof.seeds))} hash seed, not two"
        run = next((run for run in proof.runs if run.how == "key"), None)
        if run is None:
            return "the proof has no run of the key"
        if run.option not in {None, key}:
            return f"the run of the key belongs to option {run.option}"
        if question.form == "predict" and key is not None:
            text = question.options[key].text
            if run.error not in text if run.error else run.output.strip() != text.strip():
                return f"the key says {quoted([text])}, but the run gave {quoted([run.error or run.output])}"
        return None


class DistractorEqualsKey(Rule):
    """Equal as text but for case and space, or as the value that the text stands for."""

    code = "R2"
    name = "distractor equals the key"
    says = "No wrong option is right after all: as text, as a value, or within the tolerance of a typed answer."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        if question.form == "numeric":
            right = [option for option in question.options if _within(option.text, question)]
            return f"the slip {quoted(right)} is within the tolerance of the answer" if right else None
        split = key_and_distractors(question)
        if split is None:
            return None
        key, distractors = split
        equal = [distractor for distractor in distractors if _same(distractor, key)]
        return f"{quoted(equal)} equals the key {quoted([key])}" if equal else None


class WrongCount(Rule):
    """Three to five different options that say something and one key; a typed answer has a number instead.

    A literal option may be empty: a program may print nothing.
    """

    code = "R3"
    name = "wrong number of options or keys"
    says = "There are three to five different options and one key; a typed answer has a number and no key."
    forms = ALL_FORMS

    def _wrong(self, question: Question, above: str) -> str | None:
        texts = [option.text for option in question.options]
        keys = sum(option.correct for option in question.options)
        if question.form == "numeric":
            if question.answer is None:
                return "a typed answer needs a number"
            if keys:
                return "the options of a typed answer are slips: none of them is right"
        elif not 3 <= len(texts) <= 5:
            return f"{len(texts)} options instead of three to five"
        elif keys != 1:
            return f"{keys} keys instead of one"
        if not question.literal and not all(text.strip() for text in texts):
            return "an option is empty"
        if texts and not question.literal and [text.strip(" .()") for text in texts] == list("ABCDE")[: len(texts)]:
            return "the options are only labels"
        distractors = [option.text for option in question.options if not option.correct]
        twice = [one for one, two in combinations(distractors, 2) if _same(one, two)]
        return f"{quoted(twice)} stands there twice" if twice else None


class AllOrNoneOfTheAbove(Rule):
    """They test for reading the list, and break when the options are shuffled."""

    code = "R4"
    name = "all or none of the above"
    says = "No option speaks of all or none of the others."

    def _wrong(self, question: Question, above: str) -> str | None:
        bad = [option for option in question.options if _ABOVE.search(option.text)]
        return f"{quoted(bad)} speaks of the other options" if bad else None


class CombinedOptions(Rule):
    """Options such as "A and C"."""

    code = "R5"
    name = "combined options"
    says = "No option is made of other options."
    options = "prose"

    def _wrong(self, question: Question, above: str) -> str | None:
        bad = [option for option in question.options if _COMBINED.match(option.text)]
        return f"{quoted(bad)} combines other options" if bad else None


class YesOrNo(Rule):
    """True and False (or Yes and No), with or without a filler beside them."""

    code = "R6"
    name = "only true or false"
    says = "The options are more than True and False or Yes and No."

    def _wrong(self, question: Question, above: str) -> str | None:
        texts = {option.text.strip(" .!").casefold() for option in question.options}
        if any(pair <= texts and texts - pair <= _FILLERS for pair in _YES_NO):
            return f"the options are {quoted(question.options)}: this is a true/false question"
        return None


def _same(one: str, two: str) -> bool:
    """Whether two options say the same, a full stop at the end aside."""
    return same_value(one.strip().rstrip("."), two.strip().rstrip("."))


def _within(text: str, question: Question) -> bool:
    """Whether a slip would be accepted as the typed answer."""
    number = _NUMBER.search(text)
    if number is None or question.answer is None:
        return False
    slip = float(number[0].replace(",", "").replace("_", ""))
    return math.isclose(slip, question.answer, rel_tol=1e-9, abs_tol=question.tolerance)


REJECTING: tuple[Rule, ...] = (
    KeyNotReproduced(),
    DistractorEqualsKey(),
    WrongCount(),
    AllOrNoneOfTheAbove(),
    CombinedOptions(),
    YesOrNo(),
)
