"""What a card says in words that one must know to choose a model: each item cites and shows what it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alain_magics.lessons.document import Fact
from alain_magics.lessons.sources.markdown import Passage
from alain_magics.lessons.teachers.card.items import Cited, at
from alain_magics.lessons.teachers.card.model import Model

# The most widely used come first: they are the distractors that one would expect on a list.
LANGUAGES = {
    "en": "English", "es": "Spanish", "it": "Italian", "pt": "Portuguese", "nl": "Dutch", "fr": "French",
    "de": "German", "ru": "Russian", "zh": "Chinese", "ja": "Japanese", "pl": "Polish", "tr": "Turkish",
    "ar": "Arabic", "ko": "Korean", "sv": "Swedish", "cs": "Czech", "da": "Danish", "fi": "Finnish",
    "hu": "Hungarian", "no": "Norwegian", "th": "Thai", "el": "Greek", "hi": "Hindi", "id": "Indonesian",
    "uk": "Ukrainian", "vi": "Vietnamese", "fa": "Farsi", "ro": "Romanian",
}  # fmt: skip
_ALERT = re.compile(r"^\[![A-Z]+\]\s*")


def plain(text: str, most: int = 200) -> str:
    """Text of a card for a stem, an option or a quotation: one printable line, no backticks, cut between words."""
    text = " ".join(text.replace("`", "").split())
    text = _ALERT.sub("", "".join(character for character in text if character.isprintable()))
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def sentence(text: str, match: re.Match[str]) -> str:
    """The sentence of a text in which a match begins."""
    start = max(
        (end.end() for end in re.finditer(r"[.!?:]\s+(?=[A-Z*\"])", text) if end.end() <= match.start()), default=0
    )
    stop = re.search(r"[.!?](?=\s|$)", text[match.end() :])
    return text[start : match.end() + stop.end() if stop else len(text)]


def cited(passage: Passage) -> tuple[Fact, ...]:
    """The passage as something to cite."""
    return (at(passage.span, "card"),)


def find(model: Model, pattern: str) -> tuple[Passage, re.Match[str]] | None:
    """The first passage in which a pattern occurs, whatever its case."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return next(
        ((passage, match) for passage in model.document.passages if (match := compiled.search(passage.text))), None
    )


def claim_items(model: Model) -> Iterator[Cited]:
    """Languages and limits."""
    for make in (_direction, _languages, _degrades):
        item = make(model)
        if item:
            yield item


def _direction(model: Model) -> Cited | None:
    """The direction of a translation model: the one thing that it does."""
    source, target = (model.document.fact(f"{side} languages") for side in ("source", "target"))
    if not source or not target:
        return None
    one, two = LANGUAGES.get(str(source.value)), LANGUAGES.get(str(target.value))
    if not one or not two or one == two:
        return None
    third = next(name for name in ("Spanish", "German", "Italian") if name not in (one, two))
    return Cited(
        stem=f"A shop has texts to be translated. Which of these jobs is {model.name} made for?",
        key=f"{one} texts into {two}",
        wrong=(
            (f"{two} texts into {one}", f"The other way round: {one} is its source, {two} its target."),
            (f"{one} texts into {third}", f"The only target language that the card names is {two}."),
            (f"{third} texts into {two}", f"The only source language that the card names is {one}."),
        ),
        facts=(source, target),
        explanation=(
            f"The card names one source language, {one}, and one target language, {two}; another direction is another "
            "model."
        ),
        quotes=(f"source languages: {source.value}; target languages: {target.value}",),
    )


def _languages(model: Model) -> Cited | None:
    fact = next((fact for fact in model.document.facts if fact.name == "language" and fact.ref == "front matter"), None)
    if fact is None or not isinstance(fact.value, list):
        return None
    listed = [code for code in LANGUAGES if code in fact.value]
    absent = [name for code, name in LANGUAGES.items() if code not in listed and name not in model.document.text]
    if len(listed) < 3 or len(absent) < 3:
        return None
    return Cited(
        stem=f"Your readers write in four languages. Which of them does the card of {model.name} list?",
        key=LANGUAGES[listed[-1]],
        wrong=tuple((name, f"{name} is NOT on the card's list.") for name in absent[:3]),
        facts=(fact,),
        explanation="The card lists: " + ", ".join(LANGUAGES[code] for code in listed) + ".",
        quotes=("language: " + ", ".join(code for code in fact.value if code in LANGUAGES),),
    )


def _degrades(model: Model) -> Cited | None:
    """A length of context between the one up to which quality holds and the window."""
    found = find(model, r"degrade (?:past|beyond|after|above) (\d{1,4})k\b")
    if not found:
        return None
    passage, match = found
    limit = int(match[1])
    window = max((int(number) for number in re.findall(r"\b(\d{1,4})k\b", passage.text)), default=0)
    if limit < 4 or window < limit * 3 / 2:
        return None
    return Cited(
        stem=(
            f"Four prompts are meant for {model.name}. Which of them can it take, though its card warns that quality "
            "may suffer?"
        ),
        key=f"One of {(limit + window) // 2}k tokens",
        wrong=(
            (f"One of {limit // 2}k tokens", f"The card warns from {limit}k on; this is shorter."),
            (f"One of {limit * 3 // 4}k tokens", f"The card warns from {limit}k on; this is shorter."),
            (f"One of {window * 2}k tokens", f"That is longer than the window of {window}k, so it does NOT fit."),
        ),
        facts=cited(passage),
        explanation=f"The card says: “{plain(sentence(passage.text, match))}” The window is {window}k.",
        quotes=(passage.text,),
        difficulty="intermediate",
    )
