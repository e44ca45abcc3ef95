"""Sections about what the card says in words: they quote it, marked as quotation, and ask about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from alain_magics.lessons.document import CodeBlock, Fact
from alain_magics.lessons.teachers.card.claims import claim_items, plain
from alain_magics.lessons.teachers.card.items import Cited, Plan, at
from alain_magics.lessons.teachers.card.loading import loading_items, setting_items
from alain_magics.lessons.teachers.card.model import Model
from alain_magics.lessons.teachers.card.statements import statement_items

QUOTED_WORDS = 90
LONGEST_EXAMPLE = 30
_MARKS = re.compile(r"([\\`*_\[\]{}<>#|!&~$^])")


def plan_use(model: Model) -> Plan | None:
    """What the model is for, and where its limits are."""
    entries = {
        fact.name: fact
        for fact in model.document.facts
        if fact.ref == "front matter" and isinstance(fact.value, str) and fact.name in ("pipeline_tag", "license", "base_model")
    }
    says = {
        "pipeline_tag": "files {name} under the task `{value}`",
        "base_model": "names `{value}` as the model it was made from",
        "license": "states the licence `{value}`",
    }
    parts = [
        text.format(name=model.name, value=plain(str(entries[name].value), 60)) for name, text in says.items() if name in entries
    ]
    prose = "Before a model is run, its card is read for what it was made for, what its makers advise against, and what it needs."
    if parts:
        prose += f" This card {_listed(parts)}."
    return _plan(
        model,
        "What it is for",
        "Tell which uses a model is made for and where its limits are",
        prose,
        tuple(entries.values()),
        [*statement_items(model, "use"), *claim_items(model)],
    )


def plan_loading(model: Model) -> Plan | None:
    """How the model is loaded; the card's example is shown, never run."""
    example = next((block for block in model.document.code_blocks if _is_example(block)), None)
    return _plan(
        model,
        "Loading it",
        "Load a model with the right class and release, and stop at the right token",
        "The library transformers loads decoders, which continue a text, with one class and encoder-decoders, which read an "
        "input and write an output, with another: `AutoModelForCausalLM` and `AutoModelForSeq2SeqLM`. An old release does "
        "not know new architectures. A tokenizer has special tokens for the beginning and the end of a sequence, for "
        "padding and for unknown pieces (`bos_token`, `eos_token`, `pad_token`, `unk_token`).",
        (),
        [*loading_items(model), *statement_items(model, "load")],
        example,
    )


def plan_prompting(model: Model) -> Plan | None:
    """How the model is talked to."""
    return _plan(
        model,
        "Talking to it",
        "Prompt and sample as the makers of a model ask",
        "A chat model is trained on one way of writing conversations down, and its makers measured it with certain settings. "
        "Temperature below 1 sharpens the probabilities of the next token; top-p keeps the likeliest tokens up to a total "
        "probability, top-k a fixed number of them; greedy decoding takes the likeliest one.",
        (),
        [*setting_items(model), *statement_items(model, "prompt")],
    )


def _plan(
    model: Model, title: str, objective: str, prose: str, facts: tuple[Fact, ...], items: Iterable[Cited],
    example: CodeBlock | None = None,
) -> Plan | None:
    """A section with as many items as the quotations they rest on leave room for."""
    kept: list[Cited] = []
    quotes: dict[str, tuple[Fact, ...]] = {}
    for item in items:
        quote = plain(item.quote, 300)
        words = sum(len(text.split()) for text in {*quotes, quote})
        if words <= QUOTED_WORDS:
            kept.append(item)
            if quote:
                quotes.setdefault(quote, item.facts)
    if not kept:
        return None
    shown = "\n\n".join(f"> {as_text(quote)}" for quote in quotes)
    if quotes:
        shown = f"From the card and the files beside it:\n\n{shown}"
    shown_facts = [fact for facts in quotes.values() for fact in facts]
    if example:
        shown += f"\n\nThe card's own example, shown and not run:\n\n{fenced(example)}"
        shown_facts.append(at(example.span, "card"))
    return Plan(title, objective, prose, facts, shown=shown.strip(), shown_facts=tuple(shown_facts), items=tuple(kept))


def _is_example(block: CodeBlock) -> bool:
    return block.language in ("python", "py") and "from_pretrained" in block.code and block.code.count("\n") <= LONGEST_EXAMPLE


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def as_text(text: str) -> str:
    """Text of a card as Markdown that shows just these characters."""
    return _MARKS.sub(r"\\\1", text)


def fenced(block: CodeBlock) -> str:
    """Code of a card as a fenced block that its content cannot close."""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", block.code)), default=2) + 1)
    fence = max(fence, "```", key=len)
    return f"{fence}python\n{block.code.rstrip()}\n{fence}"
