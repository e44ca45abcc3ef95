"""Where the parameters of a dense model are: embeddings, attention, feed-forward."""

from __future__ import annotations

from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Config, Model, Parts


def plan_shape(model: Model) -> Plan | None:
    """The parts of a model whose architecture is known exactly."""
    parts = model.parts
    if parts is None:
        return None
    tied = parts.matrices == 1
    use = (
        "one matrix serves as input embedding and, transposed, as output layer"
        if tied
        else "input embedding and output layer are two matrices of that size"
    )
    items = [
        _embedding(model, parts),
        _attention(model, parts),
        _feed_forward(model),
        _share(model, parts),
        _stored(model, parts),
    ]
    return Plan(
        title="Where the parameters are",
        objective="Count the parameters of a model's parts from its configuration",
        prose=(
            f"A matrix of the size of the vocabulary turns tokens into vectors: {parts.vocabulary:,} rows of "
            f"{parts.hidden:,} numbers. In {model.name}, {use}. The other parameters are in the layers: attention "
            "projections, which map a vector to queries, keys and values and back, and the feed-forward block, which "
            "widens a vector and narrows it again."
        ),
        facts=model.config.facts("vocab_size", "hidden_size", "tie_word_embeddings"),
        code=(
            f"vocabulary, hidden = {parts.vocabulary}, {parts.hidden}\n"
            'print("one matrix of the size of the vocabulary:", vocabulary * hidden)'
        ),
        items=tuple(item for item in items if item),
    )


def _embedding(model: Model, parts: Parts) -> Computed | None:
    if model.count:
        return None
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has {parts.vocabulary:,} tokens and vectors of {parts.hidden} numbers. "
            + ("Input and output share one matrix" if parts.matrices == 1 else "Input and output have a matrix each")
            + ". How many million parameters is that?"
        ),
        code=(
            f"vocabulary, hidden, matrices = {parts.vocabulary}, {parts.hidden}, {parts.matrices}\n"
            + rounded("vocabulary * hidden * matrices / 1e6")
        ),
        slips=(
            Slip(
                "number of matrices",
                f"{parts.hidden}, {parts.matrices}",
                f"{parts.hidden}, {3 - parts.matrices}",
                f"That counts {3 - parts.matrices}; the configuration means {parts.matrices} (tie_word_embeddings).",
            ),
            Slip("bytes", "* matrices", "* matrices * 2", "That counts bytes in bf16, not parameters.")
            if parts.matrices == 1
            else Slip("bytes", "* matrices", "* matrices * 4", "That counts bytes in fp32, not parameters."),
        ),
        facts=model.config.facts("vocab_size", "hidden_size", "tie_word_embeddings"),
        explanation=f"{parts.matrices} of {parts.vocabulary:,} by {parts.hidden}.",
        unit="million parameters",
        hint="Rows times columns is one matrix.",
    )


def _attention(model: Model, parts: Parts) -> Computed | None:
    cache = model.cache
    if cache is None or cache.kv_heads == cache.heads:
        return None
    slips = [
        Slip(
            "keys as wide as queries",
            "2 * hidden * keys",
            "2 * hidden * queries",
            f"That gives keys and values {cache.heads} heads; they have {cache.kv_heads}.",
        ),
        Slip(
            "output forgotten",
            "2 * hidden * queries",
            "hidden * queries",
            "That forgets the matrix that leads back from the heads.",
        ),
        Slip("values forgotten", "2 * hidden * keys", "hidden * keys", "That counts the keys and forgets the values."),
    ]
    if cache.head_dim * cache.heads != cache.hidden:
        slips.insert(
            1,
            Slip(
                "queries as wide as the model",
                f"queries = {cache.heads} * {cache.head_dim}",
                f"queries = {cache.hidden}",
                f"That takes hidden_size for the queries; they are {cache.heads} heads of {cache.head_dim} numbers.",
            ),
        )
    return Computed(
        form="numeric",
        stem=(
            f"An attention layer of {model.name} has {cache.heads} query heads and {cache.kv_heads} key-value heads "
            f"of {cache.head_dim} numbers; its vectors have {cache.hidden:,}. How many million weights have its four "
            "matrices (queries, keys, values, and back) together?"
        ),
        code=(
            f"hidden = {cache.hidden}\n"
            f"queries = {cache.heads} * {cache.head_dim}\n"
            f"keys = {cache.kv_heads} * {cache.head_dim}\n"
            + rounded("(2 * hidden * queries + 2 * hidden * keys) / 1e6")
        ),
        slips=tuple(slips),
        facts=cache.facts,
        explanation=(
            "Queries and the way back are hidden by query heads; keys and values are hidden by key-value heads."
        ),
        unit="million weights",
        hint="Two matrices have the width of the query heads, two that of the key-value heads.",
        difficulty="advanced",
    )


def _feed_forward(model: Model) -> Computed | None:
    config: Config = model.config
    inner, hidden = config.count("intermediate_size") or config.count("d_ff"), config.count("hidden_size")
    gated = config.type in {"llama", "mistral", "qwen2", "qwen3"} or config.get("feed_forward_proj") == "gated-gelu"
    if not inner or not hidden:
        return None
    matrices, other = (3, 2) if gated else (2, 3)
    kind = (
        "is gated: two matrices widen a vector, one narrows it"
        if gated
        else "has one matrix that widens a vector and one that narrows it"
    )
    wrong = (
        "That counts one matrix each way; a gated block widens with two."
        if gated
        else "That is a gated block, which widens with two matrices; this one has one each way."
    )
    return Computed(
        form="numeric",
        stem=(
            f"The feed-forward block of {model.name} {kind}, from {hidden:,} numbers to {inner:,} and back. How many "
            "million weights has it in one layer?"
        ),
        code=(
            f"matrices, hidden, inner = {matrices}, {hidden}, {inner}\n" + rounded("matrices * hidden * inner / 1e6")
        ),
        slips=(
            Slip("number of matrices", f"= {matrices},", f"= {other},", wrong),
            Slip("one matrix", f"= {matrices},", "= 1,", f"That is one matrix of {matrices}."),
            Slip(
                "square matrices",
                "hidden * inner",
                "hidden * hidden",
                "That takes square matrices; the block widens the vector.",
            ),
        ),
        facts=config.facts("hidden_size", "intermediate_size", "d_ff", "feed_forward_proj", "hidden_act"),
        explanation=f"{matrices} matrices of {hidden:,} by {inner:,}.",
        unit="million weights",
        difficulty="intermediate",
    )


def _share(model: Model, parts: Parts) -> Computed | None:
    if model.count is None or parts.total != model.count.value:
        return None
    other = 3 - parts.matrices
    says = "one matrix" if parts.matrices == 1 else "two matrices"
    return Computed(
        form="numeric",
        stem=(
            f"Input and output of {model.name} use {says} of {parts.vocabulary:,} by {parts.hidden:,} numbers. What "
            f"share of its {parts.total:,} parameters is that, in per cent?"
        ),
        code=(
            f"matrices, vocabulary, hidden = {parts.matrices}, {parts.vocabulary}, {parts.hidden}\n"
            f"parameters = {parts.total:_}\n" + rounded("100 * matrices * vocabulary * hidden / parameters")
        ),
        slips=(
            Slip(
                "number of matrices",
                f"= {parts.matrices},",
                f"= {other},",
                f"That counts {other}; here it is {parts.matrices}.",
            ),
            Slip(
                "share of the rest",
                "/ parameters",
                "/ (parameters - matrices * vocabulary * hidden)",
                "That compares them with the other parameters, not with all.",
            ),
        ),
        facts=parts.facts,
        explanation=f"{parts.matrices * parts.embedding:,} of {parts.total:,} parameters.",
        unit="%",
        difficulty="intermediate",
    )


def _stored(model: Model, parts: Parts) -> Computed | None:
    stored = next((fact for fact in model.document.facts if fact.name == "safetensors.total"), None)
    if stored is None or not isinstance(stored.value, int) or parts.matrices != 1:
        return None
    if stored.value - parts.total != parts.embedding or not any(
        fact.name == "safetensors.parameters.BF16" and fact.value == stored.value for fact in model.document.facts
    ):
        return None
    return Computed(
        form="numeric",
        stem=(
            f"The checkpoint of {model.name} stores {stored.value:,} numbers in bf16. `tie_word_embeddings` says that "
            f"output layer and embedding are one matrix of {parts.vocabulary:,} by {parts.hidden:,}, but the file "
            "holds it twice. How many MB does the second copy take? 1 MB is 10^6 bytes."
        ),
        code=f"vocabulary, hidden = {parts.vocabulary}, {parts.hidden}\n" + rounded("vocabulary * hidden * 2 / 1e6"),
        slips=(
            Slip("both copies", "* 2 /", "* 2 * 2 /", "That is both copies; one of them is needed."),
            Slip("one byte a number", "* 2 /", "/", "That takes one byte a number; bf16 has two."),
            Slip("bits for bytes", "* 2 /", "* 16 /", "That counts bits; bf16 has 2 bytes."),
        ),
        facts=(stored, *model.config.facts("vocab_size", "hidden_size", "tie_word_embeddings")),
        explanation=(
            f"{parts.embedding:,} numbers of 2 bytes: the file is larger than the model's {parts.total:,} parameters "
            "need."
        ),
        unit="MB",
        difficulty="advanced",
    )
