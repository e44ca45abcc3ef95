"""The key-value cache: what one more token of context costs."""

from __future__ import annotations

from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Cache, Model
from alain_magics.lessons.teachers.card.units import unit_of

CONVERSATIONS = 8


def plan_cache(model: Model) -> Plan | None:
    """The cache of a decoder."""
    cache = model.cache
    if cache is None:
        return None
    shared = cache.kv_heads < cache.heads
    sharing = (
        f"{cache.heads} query heads share {cache.kv_heads} key-value head{'s' * (cache.kv_heads > 1)}: grouped-query "
        "attention."
        if shared
        else f"Each of the {cache.heads} heads has keys and values of its own."
    )
    window = (
        f" In {cache.windowed} of the layers a token sees the last {cache.window} tokens only, so no more are kept "
        "there."
        if cache.windowed
        else ""
    )
    items = [_per_thousand(model, cache)] if not cache.windowed else []
    items += [_windowed(model, cache), _kept(cache)] if cache.windowed else [_conversations(model, cache)]
    if shared:
        items += [_unshared(model, cache)]
        if cache.kv_heads > 1:
            items += [_groups(model, cache)]
    return Plan(
        title="The key-value cache",
        objective="Compute the memory that the context takes",
        prose=(
            f"While {model.name} writes, it keeps a key and a value of every token so far, in each of its "
            f"{cache.layers} layers and for each key-value head: {cache.head_dim} numbers for the key, as many for "
            f"the value (`config.json`). {sharing}{window} With 2 bytes a number (bf16) this is the cache that grows "
            "with the context."
        ),
        facts=cache.facts,
        code=(
            f"kv_heads, head_dim = {cache.kv_heads}, {cache.head_dim}\n"
            "numbers = kv_heads * head_dim  # in one key; as many in the value\n"
            'print("one key of one layer:", numbers * 2, "bytes")'
        ),
        items=tuple(items),
    )


def _per_thousand(model: Model, cache: Cache) -> Computed:
    slips = [
        Slip("values forgotten", "2 * layers", "layers", "That counts the keys and forgets the values."),
        Slip("one layer", "2 * layers", "2", f"That is one layer; all {cache.layers} keep keys and values."),
        Slip("bits for bytes", "* 2 * 1000", "* 16 * 1000", "That counts bits; bf16 has 2 bytes a number."),
    ]
    if cache.kv_heads < cache.heads:
        slips.insert(1, _all_heads(cache))
    if cache.head_dim * cache.heads != cache.hidden:
        slips.insert(2, _wrong_width(cache))
    return Computed(
        form="numeric",
        stem=(
            f"How many MB of key-value cache do 1,000 tokens of context take in {model.name}, with 2 bytes a number? "
            "1 MB is 10^6 bytes."
        ),
        code=(
            f"layers, kv_heads, head_dim = {cache.layers}, {cache.kv_heads}, {cache.head_dim}\n"
            + rounded("2 * layers * kv_heads * head_dim * 2 * 1000 / 1e6")
        ),
        slips=tuple(slips),
        facts=cache.facts,
        explanation=(
            f"A key and a value (2) in {cache.layers} layers, {cache.kv_heads} heads of {cache.head_dim} numbers, 2 "
            "bytes each: that is one token, a thousand times."
        ),
        unit="MB",
        hint="Begin with one token in one layer: one key and one value.",
    )


def _all_heads(cache: Cache) -> Slip:
    return Slip(
        "query heads for key-value heads",
        "kv_heads *",
        f"{cache.heads} *",
        f"That counts the {cache.heads} query heads; only {cache.kv_heads} key-value heads are kept.",
    )


def _wrong_width(cache: Cache) -> Slip:
    return Slip(
        "width by division",
        "* head_dim",
        f"* ({cache.hidden} / {cache.heads})",
        f"That takes hidden_size / heads for the size of a head; config.json sets head_dim to {cache.head_dim}.",
    )


def _conversations(model: Model, cache: Cache) -> Computed:
    window = model.config.count("max_position_embeddings")
    tokens = 4096 if window >= 4096 else window or 1000
    size = CONVERSATIONS * cache.bytes_at(tokens)
    unit, scale = unit_of(size)
    return Computed(
        form="numeric",
        stem=(
            f"A server holds {CONVERSATIONS} conversations of {tokens:,} tokens each with {model.name}. How many "
            f"{unit} does the key-value cache take in all, with 2 bytes a number? 1 {unit} is 10^{scale[2]} bytes."
        ),
        code=(
            f"layers, kv_heads, head_dim = {cache.layers}, {cache.kv_heads}, {cache.head_dim}\n"
            "per_token = 2 * layers * kv_heads * head_dim * 2\n"
            + rounded(f"{CONVERSATIONS} * {tokens} * per_token / {scale}")
        ),
        slips=(
            Slip(
                "one conversation",
                f"{CONVERSATIONS} * {tokens}",
                f"{tokens}",
                f"That is one conversation; there are {CONVERSATIONS}.",
            ),
            Slip("values forgotten", "= 2 * layers", "= layers", "That counts the keys and forgets the values."),
            *([_all_heads(cache)] if cache.kv_heads < cache.heads else []),
            Slip("one layer", "2 * layers", "2", f"That is one layer; all {cache.layers} keep keys and values."),
        ),
        facts=cache.facts,
        explanation=(
            "Each conversation has a cache of its own: tokens of all conversations, times the bytes of one token."
        ),
        unit=unit,
        hint="First the bytes of one token, over all layers.",
        difficulty="intermediate",
    )


def _windowed(model: Model, cache: Cache) -> Computed:
    tokens = model.config.count("max_position_embeddings") or 8 * cache.window
    unit, scale = unit_of(cache.bytes_at(tokens))
    full = cache.layers - cache.windowed
    return Computed(
        form="numeric",
        stem=(
            f"{full} layers of {model.name} keep every token, {cache.windowed} keep at most {cache.window}. How many "
            f"{unit} does the key-value cache of {tokens:,} tokens take, with 2 bytes a number? 1 {unit} is "
            f"10^{scale[2]} bytes."
        ),
        code=(
            f"full, windowed, window = {full}, {cache.windowed}, {cache.window}\n"
            f"per_layer = 2 * {cache.kv_heads} * {cache.head_dim} * 2  # bytes for one token\n"
            f"tokens = {tokens}\n" + rounded(f"(full * tokens + windowed * window) * per_layer / {scale}")
        ),
        slips=(
            Slip(
                "window forgotten",
                "windowed * window",
                "windowed * tokens",
                "That keeps every token in every layer; the window is forgotten.",
            ),
            Slip(
                "window everywhere",
                "full * tokens",
                "full * window",
                "That gives every layer the window; some keep every token.",
            ),
            Slip("values forgotten", "= 2 * ", "= ", "That counts the keys and forgets the values."),
            Slip(
                "query heads for key-value heads",
                f"* {cache.kv_heads} *",
                f"* {cache.heads} *",
                f"That counts the {cache.heads} query heads; only {cache.kv_heads} key-value heads are kept.",
            ),
        ),
        facts=cache.facts,
        explanation=(
            f"{full} layers keep {tokens:,} tokens each, {cache.windowed} keep {cache.window}: almost all of the "
            "cache is in the first."
        ),
        unit=unit,
        hint="Count the tokens that each kind of layer keeps.",
        difficulty="intermediate",
    )


def _kept(cache: Cache) -> Computed:
    length = 1000 if cache.window < 1000 else 2 * cache.window
    return Computed(
        form="predict",
        stem=(
            f"A conversation has {length:,} tokens. The program lists how many of them four layers keep. What does it "
            "print?"
        ),
        code=(
            f"window, tokens = {cache.window}, {length}\n"
            'kinds = ["sliding", "full", "sliding", "full"]\n'
            'print([min(window, tokens) if kind == "sliding" else tokens for kind in kinds])'
        ),
        slips=(
            Slip("the other way round", "==", "!=", "That gives the window to the full layers."),
            Slip("window everywhere", 'if kind == "sliding" else tokens', "", "That gives every layer the window."),
            Slip(
                "window forgotten",
                "min(window, tokens)",
                "tokens",
                "That keeps every token in every layer; a sliding layer keeps the window.",
            ),
        ),
        facts=cache.facts,
        explanation=f"A sliding layer keeps the last {cache.window} tokens, a full one keeps them all.",
    )


def _unshared(model: Model, cache: Cache) -> Computed:
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has {cache.heads} query heads in a layer and {cache.kv_heads} key-value "
            f"head{'s' * (cache.kv_heads > 1)}. If each query head had keys and values of its own, by what factor "
            "would the cache grow?"
        ),
        code=f"heads, kv_heads = {cache.heads}, {cache.kv_heads}\nprint(heads / kv_heads)",
        slips=(
            Slip(
                "difference",
                "heads / kv_heads",
                "heads - kv_heads",
                "That is the difference; the factor is a quotient.",
            ),
            Slip(
                "upside down",
                "heads / kv_heads",
                "kv_heads / heads",
                "Upside down: the cache grows, so the factor is above 1.",
            ),
            Slip(
                "all heads",
                "heads / kv_heads",
                "heads",
                f"That would hold for one key-value head; there are {cache.kv_heads}.",
            ),
            Slip(
                "keys and values counted again",
                "heads / kv_heads",
                "2 * heads / kv_heads",
                "Keys and values are two in both cases; the 2 cancels.",
            ),
        ),
        facts=cache.facts,
        explanation=f"The cache is proportional to the key-value heads: {cache.heads} instead of {cache.kv_heads}.",
        unit="times",
        exact=True,
    )


def _groups(model: Model, cache: Cache) -> Computed:
    group = cache.heads // cache.kv_heads
    heads = [0, group - 1, group, cache.heads - 1] if group > 1 else [0, 1, 2, cache.heads - 1]
    return Computed(
        form="predict",
        stem=(
            f"Neighbouring query heads of {model.name} share a key-value head. The program lists the key-value heads "
            "of some query heads. What does it print?"
        ),
        code=(
            f"heads, kv_heads = {cache.heads}, {cache.kv_heads}\n"
            f"query_heads = {heads}\n"
            "print([head // (heads // kv_heads) for head in query_heads])"
        ),
        slips=(
            Slip(
                "taken in turn",
                "// (heads // kv_heads)",
                "% kv_heads",
                "That deals the heads out in turn (`%`); here neighbours share.",
            ),
            Slip(
                "divided by key-value heads",
                "// (heads // kv_heads)",
                "// kv_heads",
                f"That divides by {cache.kv_heads}; a group has {group} query heads.",
            ),
            Slip(
                "place in the group",
                "// (heads // kv_heads)",
                "% (heads // kv_heads)",
                "That is the place within the group, not the group.",
            ),
            Slip("counted from one", "head //", "1 + head //", "That counts from 1; heads are counted from 0."),
        ),
        facts=cache.facts,
        explanation=(
            f"{cache.heads} query heads on {cache.kv_heads} key-value heads make groups of {group}; `//` gives the "
            "group."
        ),
        hint=f"A group has {group} query heads.",
        difficulty="intermediate",
    )
