"""The context window: how much text it is, what is left for the prompt, how it was stretched."""

from __future__ import annotations

import re

from alain_magics.lessons.document import Fact
from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, at, rounded
from alain_magics.lessons.teachers.card.model import Model

_ANSWER = (
    re.compile(r"generation ([\d,]{3,7}) tokens", re.IGNORECASE),
    re.compile(r"(?:output|generation|response) length (?:of|to|is set to) ([\d,]{3,7}) tokens", re.IGNORECASE),
)
_NEW_TOKENS = re.compile(r"\bmax_(?:new_)?tokens\s*=\s*(\d{2,6})\b")


def plan_window(model: Model) -> Plan | None:
    """The window of a decoder."""
    window = model.config.count("max_position_embeddings")
    if model.cache is None or not window:
        return None
    facts = model.config.facts("max_position_embeddings")
    answer = _answer(model, window)
    items = [
        _pages(model, window, facts),
        _room(model, window, facts, answer),
        _chunks(model, window, facts, answer),
        _stretched(model),
    ]
    return Plan(
        title="The context window",
        objective="Plan prompts and answers for a context window",
        prose=(
            f"{model.name} has positions for {window:,} tokens (`max_position_embeddings`): system prompt, "
            "conversation, prompt and answer share them. A token is a piece of a word; in English text a token is "
            "about three quarters of a word, in other languages and in code it is less. What does not fit must be "
            "cut, summarised or split over several calls."
        ),
        facts=facts,
        code='words = 750\nprint(words, "words are about", round(words / 0.75), "tokens")',
        items=tuple(item for item in items if item),
    )


def _answer(model: Model, window: int) -> tuple[int, str, Fact] | None:
    """Tokens that the card plans for an answer, how it says so, and where; at least a sixteenth of the window."""
    document = model.document
    planned = [
        (int(match[1].replace(",", "") or 0), "The card plans {:,} tokens for an answer", at(passage.span, "card"))
        for pattern in _ANSWER
        for passage in document.passages
        if (match := pattern.search(passage.text))
    ]
    allowed = [
        (int(match[1]), "An example of the card allows an answer of {:,} tokens", at(block.span, "card"))
        for block in document.code_blocks
        if (match := _NEW_TOKENS.search(block.code))
    ]
    for length, says, fact in planned + allowed:
        if window / 16 <= length < window:
            return length, says.format(length), fact
    return None


def _pages(model: Model, window: int, facts: tuple[Fact, ...]) -> Computed | None:
    if window < 4096:
        return None
    return Computed(
        form="numeric",
        stem=(
            f"How many pages of English text of 500 words each fill the {window:,} tokens of {model.name}, at 0.75 "
            "words a token?"
        ),
        code=f"tokens = {window}\n" + rounded("tokens * 0.75 / 500"),
        slips=(
            Slip(
                "divided for multiplied",
                "* 0.75",
                "/ 0.75",
                "That takes more words than tokens; a token is less than a word.",
            ),
            Slip("tokens for words", "* 0.75", "", "That takes every token for a word."),
        ),
        facts=facts,
        explanation="Three quarters of the tokens are words; 500 of them a page.",
        unit="pages",
    )


def _room(model: Model, window: int, facts: tuple[Fact, ...], answer: tuple[int, str, Fact] | None) -> Computed | None:
    if answer is None:
        return None
    length, says, fact = answer
    stated = _stated_window(model)
    slips = [
        Slip("answer forgotten", " - answer", "", "That leaves nothing for the answer, which shares the window."),
        Slip(
            "added", "window - answer", "window + answer", "Prompt and answer share the window; they do not add to it."
        ),
    ]
    if stated and length < stated != window:
        slips.append(
            Slip(
                "length on the card",
                f"{window}, {length}",
                f"{stated}, {length}",
                f"That starts from the {stated:,} tokens that the card names; config.json has {window:,} positions.",
            )
        )
    return Computed(
        form="numeric",
        stem=f"{model.name} has {window:,} positions. {says}. How many tokens are left for everything else?",
        code=f"window, answer = {window}, {length}\nprint(window - answer)",
        slips=tuple(slips),
        facts=(*facts, fact),
        explanation="Whatever the answer may take is lost to the prompt.",
        unit="tokens",
        exact=True,
    )


def _stated_window(model: Model) -> int:
    fact = model.document.fact("Context Length")
    match = re.fullmatch(r"([\d,]{3,9})", str(fact.value)) if fact else None
    return int(match[1].replace(",", "") or 0) if match else 0


def _chunks(
    model: Model, window: int, facts: tuple[Fact, ...], answer: tuple[int, str, Fact] | None
) -> Computed | None:
    if window >= 4096:
        return None
    length = answer[0] if answer else 200
    return Computed(
        form="numeric",
        stem=(
            f"A report of 12,000 words, 0.75 words a token, is summarised in parts with {model.name}. Each call has "
            f"{window:,} positions, of which {length:,} are for the answer and 100 for the instruction. How many "
            "calls does it take?"
        ),
        code=(f"tokens = 12_000 / 0.75\nroom = {window} - {length} - 100\nprint(int(-(-tokens // room)))"),
        slips=(
            Slip("words for tokens", "12_000 / 0.75", "12_000", "That counts words; they are more tokens than words."),
            Slip(
                "multiplied for divided",
                "/ 0.75",
                "* 0.75",
                "That takes fewer tokens than words; a token is less than a word.",
            ),
            Slip(
                "answer and instruction forgotten",
                f" - {length} - 100",
                "",
                "That fills the whole window with the report.",
            ),
            Slip("rounded down", "-(-tokens // room)", "tokens // room", "That leaves the last part out: round up."),
        ),
        facts=facts,
        explanation=f"16,000 tokens in parts of {window - length - 100:,}, rounded up.",
        unit="calls",
        exact=True,
        hint="First the tokens of the report, then the room for it in one call.",
        difficulty="intermediate",
    )


def _stretched(model: Model) -> Computed | None:
    """YaRN: the positions that a configuration or the card's example reaches from the original ones."""
    config = model.config
    original, factor = config.count("rope_scaling.original_max_position_embeddings"), config.get("rope_scaling.factor")
    facts = config.facts("rope_scaling.factor", "rope_scaling.original_max_position_embeddings")
    for block in model.document.code_blocks:
        if original:
            break
        found = [
            re.search(rf'"{key}":\s*([\d.]{{1,9}})', block.code)
            for key in ("factor", "original_max_position_embeddings")
        ]
        if found[0] and found[1] and "yarn" in block.code.lower():
            factor, original = float(found[0][1]), int(float(found[1][1]))
            facts = (at(block.span, "card"),)
    if not original or not isinstance(factor, int | float) or not 1 < factor <= 64 or factor != int(factor):
        return None
    return Computed(
        form="numeric",
        stem=(
            f"YaRN stretches the positions that a model was trained for by a factor. For {model.name} the factor is "
            f"{factor:g} and the original length {original:,}. How many positions can be reached?"
        ),
        code=f"original, factor = {original}, {int(factor)}\nprint(original * factor)",
        slips=(
            Slip(
                "divided",
                "original * factor",
                "original // factor",
                "That shortens the window; the factor stretches it.",
            ),
            Slip(
                "added",
                "original * factor",
                "original + factor",
                "The factor multiplies; it is no number of positions.",
            ),
            *(
                [
                    Slip(
                        "stretched twice",
                        f"= {original},",
                        f"= {config.count('max_position_embeddings')},",
                        "That stretches the length that is stretched already.",
                    )
                ]
                if config.count("max_position_embeddings") not in (0, original)
                else []
            ),
        ),
        facts=facts,
        explanation=f"{original:,} times {factor:g}.",
        unit="positions",
        exact=True,
    )
