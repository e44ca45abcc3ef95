"""Sections about what the card says in words: they quote it, marked as quotation, and ask about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from alain_magics.lessons.document import CodeBlock, Fact
from alain_magics.lessons.teachers.card.claims import claim_items, plain
from alain_magics.lessons.teachers.card.items import Cited, Computed, Plan, at
from alain_magics.lessons.teachers.card.loading import loading_items, setting_items
from alain_magics.lessons.teachers.card.model import Model
from alain_magics.lessons.teachers.card.statements import statement_items
from alain_magics.text import as_markdown, fenced

QUOTED_WORDS = 90
LONGEST_EXAMPLE = 40
_IDENTIFIER = re.compile(r"[\w./-]{1,80}")


def plan_use(model: Model) -> Plan | None:
    """What the model is for, and where its limits are."""
    entries = {
        fact.name: fact
        for fact in model.document.facts
        if fact.ref == "front matter" and isinstance(fact.value, str) and _IDENTIFIER.fullmatch(fact.value)
    }
    says = {
        "pipeline_tag": "files {name} under the task `{value}`",
        "base_model": "names `{value}` as the model it was made from",
        "license": "states the licence `{value}`",
    }
    stated = {name: entries[name] for name in says if name in entries}
    parts = [says[name].format(name=model.name, value=fact.value) for name, fact in stated.items()]
    prose = (
        "Before a model is run, its card is read for what it was made for, what its makers advise against, and what "
        "it needs."
    )
    if parts:
        prose += f" This card {_listed(parts)}."
    return _plan(
        model,
        "What it is for",
        "Tell which uses a model is made for and where its limits are",
        prose,
        tuple(stated.values()),
        [*statement_items(model, "use"), *claim_items(model)],
    )


def plan_loading(model: Model) -> Plan | None:
    """How the model is loaded; the card's example is shown, never run."""
    example = next((block for block in model.document.code_blocks if _is_example(block)), None)
    return _plan(
        model,
        "Loading it",
        "Load a model with the right class and release, and stop at the right token",
        "The library transformers loads decoders, which continue a text, with one class and encoder-decoders, which "
        "read an input and write an output, with another: `AutoModelForCausalLM` and `AutoModelForSeq2SeqLM`. An old "
        "release does not know new architectures. A tokenizer has special tokens for the beginning and the end of a "
        "sequence, for padding and for unknown pieces (`bos_token`, `eos_token`, `pad_token`, `unk_token`). An "
        "architecture that the library lacks comes as Python files in the model's repository; "
        "`trust_remote_code=True` lets them run.",
        (),
        [*loading_items(model), *statement_items(model, "load")],
        example,
    )


def plan_prompting(model: Model) -> Plan | None:
    """How the model is talked to."""
    return _plan(
        model,
        "Talking to it",
        "Write prompts and keep histories as the makers of a model ask",
        "A chat model is trained on one way of writing conversations down: markers for whose turn it is, a place for "
        "instructions, a place for reasoning. Its chat template writes this form. What departs from it can still be "
        "sent, and the model will answer, but not as it was measured.",
        (),
        statement_items(model, "prompt"),
    )


def plan_sampling(model: Model) -> Plan | None:
    """How its tokens are chosen."""
    return _plan(
        model,
        "Choosing its tokens",
        "Sample with the settings that a card asks for",
        "A model gives every possible next token a probability; a program chooses one. Greedy decoding takes the "
        "likeliest. Sampling draws one: every token has a score, the scores are divided by the temperature, and a "
        "token whose scaled score is d above another's is e^d times as likely. A temperature below 1 so sharpens the "
        "probabilities; top-k keeps a fixed number "
        "of the likeliest tokens, top-p keeps the likeliest up to a total probability.",
        (),
        [*setting_items(model), *statement_items(model, "sample")],
    )


def _plan(
    model: Model,
    title: str,
    objective: str,
    prose: str,
    facts: tuple[Fact, ...],
    items: Iterable[Computed | Cited],
    example: CodeBlock | None = None,
) -> Plan | None:
    """A section with as many items as the quotations they rest on leave room for."""
    kept: list[Computed | Cited] = []
    quotes: dict[str, tuple[Fact, ...]] = {}
    for item in items:
        shown_by_it = [plain(quote, 300) for quote in item.quotes] if isinstance(item, Cited) else []
        words = sum(len(text.split()) for text in {*quotes, *shown_by_it})
        if words <= QUOTED_WORDS:
            kept.append(item)
            quotes |= dict.fromkeys(shown_by_it, item.facts)
    if not kept:
        return None
    shown = "\n\n".join(f"> {as_markdown(quote)}" for quote in quotes)
    if quotes:
        shown = f"From the card and the files beside it:\n\n{shown}"
    shown_facts = [fact for facts in quotes.values() for fact in facts]
    if example:
        shown += f"\n\nThe card's own example, shown and not run:\n\n{fenced(example.code.rstrip(), 'python')}"
        shown_facts.append(at(example.span, "card"))
    return Plan(title, objective, prose, facts, shown=shown.strip(), shown_facts=tuple(shown_facts), items=tuple(kept))


def _is_example(block: CodeBlock) -> bool:
    return (
        block.language in ("python", "py")
        and "from_pretrained" in block.code
        and block.code.count("\n") <= LONGEST_EXAMPLE
    )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
