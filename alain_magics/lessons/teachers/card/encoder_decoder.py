"""The two key-value caches of an encoder-decoder: what was written, and what was read."""

from __future__ import annotations

from alain_magics.lessons.document import Fact
from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Model


def plan_two_caches(model: Model) -> Plan | None:
    """The caches of T5 and the models built like it."""
    config = model.config
    if config.type != "t5":
        return None
    layers = config.count("num_decoder_layers") or config.count("num_layers")
    heads, head_dim = config.count("num_heads"), config.count("d_kv")
    if not (layers and heads and head_dim):
        return None
    facts = config.facts(
        "num_decoder_layers" if config.fact("num_decoder_layers") else "num_layers", "num_heads", "d_kv"
    )
    return Plan(
        title="Two key-value caches",
        objective="Compute the memory that input and output take in an encoder-decoder",
        prose=(
            f"{model.name} has an encoder, which reads the input once, and a decoder, which writes token by token. "
            f"Each of the {layers} decoder layers keeps two caches: keys and values of the tokens written so far, "
            f"and, for cross-attention, those of the input, computed once. A key has {heads} heads of {head_dim} "
            "numbers (`config.json`), and so has a value."
        ),
        facts=facts,
        code=(
            f"heads, head_dim = {heads}, {head_dim}\n"
            'print("one key of one layer:", heads * head_dim * 2, "bytes in bf16")'
        ),
        items=(_both_caches(model, facts, layers, heads, head_dim), _growth(facts)),
    )


def _both_caches(model: Model, facts: tuple[Fact, ...], layers: int, heads: int, head_dim: int) -> Computed:
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has read 400 tokens and written 100. How many MB do the two caches of the decoder take "
            "together, with 2 bytes a number? 1 MB is 10^6 bytes."
        ),
        code=(
            f"layers, heads, head_dim = {layers}, {heads}, {head_dim}\n"
            "read, written = 400, 100\n"
            "per_token = 2 * layers * heads * head_dim * 2\n" + rounded("(read + written) * per_token / 1e6")
        ),
        slips=(
            Slip(
                "cross-attention forgotten",
                "(read + written)",
                "written",
                "That leaves out cross-attention, which keeps the input too.",
            ),
            Slip(
                "own tokens forgotten",
                "(read + written)",
                "read",
                "That leaves out what the decoder has written itself.",
            ),
            Slip("values forgotten", "= 2 * layers", "= layers", "That counts the keys and forgets the values."),
            Slip("one layer", "2 * layers", "2", f"That is one layer; all {layers} keep both caches."),
        ),
        facts=facts,
        explanation=(
            f"500 tokens, each with a key and a value of {heads} x {head_dim} numbers in {layers} layers, 2 bytes a "
            "number."
        ),
        unit="MB",
        hint="Both caches have the same size per token.",
        difficulty="intermediate",
    )


def _growth(facts: tuple[Fact, ...]) -> Computed:
    return Computed(
        form="predict",
        stem=(
            "An input of 20 tokens was read. The program lists, after each written token, how many tokens the "
            "decoder's own cache and the cross-attention cache hold. What does it print?"
        ),
        code="read = 20\nprint([(written, read) for written in (1, 2, 3)])",
        slips=(
            Slip(
                "both grow",
                "(written, read)",
                "(written, read + written)",
                "The input does not grow: its keys and values are computed once.",
            ),
            Slip(
                "own cache holds the input",
                "(written, read)",
                "(read + written, read)",
                "The decoder's own cache holds what it wrote; the input is in the other.",
            ),
            Slip(
                "swapped",
                "(written, read)",
                "(read, written)",
                "Swapped: the first is what was written, the second what was read.",
            ),
        ),
        facts=facts,
        explanation=(
            "The decoder's own cache grows by one a step; the cross-attention cache keeps the size of the input."
        ),
    )
