"""What a card says in words that one must know to choose or run a model: each item cites its passage."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alain_magics.lessons.document import Fact
from alain_magics.lessons.sources.markdown import Passage
from alain_magics.lessons.teachers.card.items import Cited, at
from alain_magics.lessons.teachers.card.model import Model

LANGUAGES = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fa": "Farsi", "fi": "Finnish", "fr": "French", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}
PROGRAMMING = ("Java", "Ruby", "Go", "PHP", "Rust", "Swift", "Kotlin", "Scala", "Haskell", "Julia", "Perl", "Lua")
_NO_SUPPORT = re.compile(
    r"(?:do not|don.t|does not) support (?P<use>use.cases that [^.;]{20,90})|(?:should|must) not be used (?:for|to) (?P<other>[^.;]{20,90})",
    re.IGNORECASE,
)
_PRAISE = re.compile(
    r"groundbreaking|excel|superior|leading|sota|state.of.the.art|powerful|outstanding|significant|impressive|best",
    re.IGNORECASE,
)


def plain(text: str, most: int = 160) -> str:
    """Text of a card for a stem or an option: one line, no backticks, cut between words."""
    text = " ".join(text.replace("`", "").split())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def cited(passage: Passage) -> tuple[Fact, ...]:
    """The passage as something to cite."""
    return (at(passage.span, "card"),)


def use_items(model: Model) -> Iterator[Cited]:
    """What it is meant for, what not, which languages, and what its makers recommend or warn of."""
    for make in (_task, _advised_against, _languages, _programming, _fine_tune_first, _dropout, _research, _degrades):
        item = make(model)
        if item:
            yield item
    yield from _labelled(model)


def _find(model: Model, pattern: str) -> tuple[Passage, re.Match[str]] | None:
    """The first passage that a pattern finds, with the match."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return next(((p, match) for p in model.document.passages if (match := compiled.search(p.text))), None)


def _task(model: Model) -> Cited | None:
    """The direction of a translation model: the one thing that it does."""
    source, target = (model.document.fact(f"{side} languages") for side in ("source", "target"))
    if not source or not target:
        return None
    one, two = LANGUAGES.get(str(source.value)), LANGUAGES.get(str(target.value))
    if not one or not two or one == two:
        return None
    third = "Spanish" if "Spanish" not in (one, two) else "German"
    return Cited(
        stem=f"A web shop has product texts to be translated. Which of these jobs is {model.name} made for?",
        key=f"{one} texts into {two}",
        wrong=(
            (f"{two} texts into {one}", f"The other way round: {one} is its source, {two} its target."),
            (f"{one} texts into {third}", f"The only target language that the card names is {two}."),
            (f"{third} texts into {two}", f"The only source language that the card names is {one}."),
        ),
        facts=(source, target),
        explanation=f"The card names one source language, {one}, and one target language, {two}; each direction is a model of its own.",
    )


def _advised_against(model: Model) -> Cited | None:
    for passage in model.document.passages:
        match = _NO_SUPPORT.search(passage.text)
        if not match:
            continue
        uses = [
            plain(fact.text.partition(": ")[2] or fact.text, 100).rstrip(".")
            for fact in model.document.passages
            if fact.group and any(re.search(r"\buses?\b", title, re.IGNORECASE) for title in fact.headings)
            and fact.span != passage.span and not _NO_SUPPORT.search(fact.text)
        ]
        uses = [use.split(";")[0] for use in uses if 15 <= len(use) <= 100]
        if len(uses) >= 2:
            key = plain(match["use"] or match["other"], 100).rstrip(".")
            return Cited(
                stem=f"Which use of {model.name} does the card decline to support?",
                key=key,
                wrong=tuple((use, "The card names this among possible uses.") for use in uses[:3]),
                facts=cited(passage),
                explanation=f"The card says: “{plain(passage.text, 220)}”",
            )
    return None


def _languages(model: Model) -> Cited | None:
    fact = next((fact for fact in model.document.facts if fact.name == "language" and fact.ref == "front matter"), None)
    if fact is None or not isinstance(fact.value, list):
        return None
    named = [LANGUAGES[code] for code in fact.value if code in LANGUAGES and code != "en"]
    text = model.document.text
    absent = [name for code, name in LANGUAGES.items() if code not in fact.value and name not in text]
    if len(named) < 2 or len(absent) < 3:
        return None
    key = named[len(model.name) % len(named)]
    return Cited(
        stem=f"Your readers write in four languages. Which of them does the card of {model.name} list?",
        key=key,
        wrong=tuple((name, f"The card does NOT list {name}.") for name in absent[len(model.name) % (len(absent) - 2) :][:3]),
        facts=(fact,),
        explanation="The card lists: " + ", ".join(LANGUAGES[code] for code in fact.value if code in LANGUAGES) + ".",
    )


def _programming(model: Model) -> Cited | None:
    found = _find(model, r"(?:supported|programming) languages[^:]{0,40}: ")
    if not found:
        return None
    passage, match = found
    listed = {word.strip(" .`").casefold() for word in passage.text[match.end() :].split(",")}
    named = [name for name in PROGRAMMING if name.casefold() in listed]
    absent = [name for name in PROGRAMMING if not re.search(rf"\b{name}\b", model.document.text, re.IGNORECASE)]
    if not named or len(absent) < 3:
        return None
    return Cited(
        stem=f"Four teams want help with their code. The language of which team does the card of {model.name} list as supported?",
        key=named[0],
        wrong=tuple((name, f"{name} is NOT on the card's list.") for name in absent[:3]),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text[match.start() :], 200)}”",
    )


def _fine_tune_first(model: Model) -> Cited | None:
    found = _find(model, r"(?:has|have|needs?) to be fine.?tuned before|must be fine.?tuned before")
    if not found:
        return None
    return Cited(
        stem=f"You want {model.name} to sort support tickets into classes. What must happen first, by its card?",
        key="Its weights are trained further on tickets with their classes",
        wrong=(
            ("A task name is put before each of the tickets", "The card says that it has had no supervised training, so it knows no task names."),
            ("The prompt shows a few of the tickets with their classes", "Examples in a prompt help models that were trained to follow them; the card asks for fine-tuning."),
            ("The temperature is lowered so that classes come out", "Sampling cannot bring out a task that it was NOT trained for."),
        ),
        facts=cited(found[0]),
        explanation=f"The card says: “{plain(found[0].text, 240)}”",
        difficulty="intermediate",
    )


def _dropout(model: Model) -> Cited | None:
    found = _find(model, r"dropout was turned off in pre-?training.*re-?enabled during fine-?tuning")
    if not found:
        return None
    return Cited(
        stem=f"In which phase does the card of {model.name} want dropout to be active?",
        key="While it is fine-tuned",
        wrong=(
            ("While it is pretrained", "It was turned off there."),
            ("While it answers requests", "Dropout makes answers random; it serves training."),
            ("While it is quantised", "Quantising only rounds weights."),
        ),
        facts=cited(found[0]),
        explanation=f"The card says: “{plain(found[0].text, 200)}”",
    )


def _research(model: Model) -> Cited | None:
    found = _find(model, r"for research purposes only")
    if not found:
        return None
    return Cited(
        stem=f"What does the card of {model.name} ask of somebody who wants to put it into a product?",
        key="To examine accuracy, safety and fairness for that use beforehand",
        wrong=(
            ("To report accuracy and revenue of the product to its makers", "The card says nothing of reports."),
            ("To retrain it on data of the product's own users beforehand", "The card does NOT ask for retraining."),
            ("To keep a person between the model and the users of the product", "That may be wise, but the card does NOT ask for it."),
        ),
        facts=cited(found[0]),
        explanation="The release is for research only; its card asks to evaluate accuracy, safety and fairness before it is deployed.",
    ) if "evaluate" in found[0].text and "fairness" in found[0].text else None


def _degrades(model: Model) -> Cited | None:
    found = _find(model, r"degrade (?:past|beyond|after|above) (\d{1,4})k\b")
    if not found:
        return None
    passage, match = found
    limit = int(match[1])
    others = sorted({int(number) for number in re.findall(r"\b(\d{1,4})k\b", passage.text)} - {limit})
    sizes = (*others, limit // 2, limit * 2)
    return Cited(
        stem=f"Beyond which length of context does the card of {model.name} expect that quality may fall?",
        key=f"{limit}k tokens",
        wrong=tuple(
            (f"{size}k tokens", f"{size}k is what the card names as window." if size in others else f"The card names {limit}k.")
            for size in dict.fromkeys(sizes)
        )[:3],
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 240)}”",
    )


def _labelled(model: Model) -> Iterator[Cited]:
    """Lists whose entries are labelled in bold: which label has this description? One for each of two lists."""
    groups: dict[int, list[Passage]] = {}
    for passage in model.document.passages:
        statement = _statement(passage)
        if passage.group and passage.label and len(passage.label) <= 40 and statement:
            groups.setdefault(passage.group, []).append(passage)
    made = 0
    for group in groups.values():
        item = _matching(model, group) if 3 <= len(group) <= 9 else None
        if item and made < 2:
            made += 1
            yield item


def _statement(passage: Passage) -> str:
    """What a labelled entry says: its first sentence."""
    rest = passage.text.removeprefix(passage.label).lstrip(": ")
    return plain(re.split(r"(?<=[.!?])\s", rest)[0], 200) if rest != passage.text else ""


def _matching(model: Model, group: list[Passage]) -> Cited | None:
    for passage in group:
        statement = _statement(passage)
        stems = {word[:5] for word in re.findall(r"\w{4,}", statement.casefold())}
        labels = [other.label for other in group]
        shares = [label for label in labels if stems & {word[:5] for word in re.findall(r"\w{4,}", label.casefold())}]
        if shares or _PRAISE.search(statement) or not 4 <= len(statement.split()) <= 30:
            continue
        heading = next((title for title in reversed(passage.headings) if title), "")
        return Cited(
            stem=f"Under “{plain(heading, 60)}” the card of {model.name} has an entry “{statement}” What is that entry about?",
            key=plain(passage.label, 40),
            wrong=tuple(
                (plain(other.label, 40), f"Of that the card says: “{_statement(other)}”") for other in group if other is not passage
            )[:3],
            facts=cited(passage),
            explanation=f"The card says: “{plain(passage.text, 240)}”",
        )
    return None
