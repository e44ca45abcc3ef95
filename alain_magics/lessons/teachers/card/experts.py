"""Mixtures of experts: what is stored, what a token uses, what a packed format takes."""

from __future__ import annotations

from alain_magics.lessons.document import Fact
from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Model
from alain_magics.lessons.teachers.card.units import figure

# OCP Microscaling Formats specification, version 1.0: 4-bit elements, one 8-bit scale per block of 32.
MXFP4_BITS = 4 + 8 / 32


def expert_weights(model: Model) -> tuple[int, int, int, int] | None:
    """Layers, experts a layer, width and inner width of gpt-oss, whose experts are three matrices each."""
    config = model.config
    names = ("num_hidden_layers", "num_local_experts", "hidden_size", "intermediate_size")
    layers, experts, hidden, inner = (config.count(name) for name in names)
    known = config.type == "gpt_oss" and config.get("quantization_config.quant_method") == "mxfp4"
    return (layers, experts, hidden, inner) if known and layers and experts and hidden and inner else None


def plain_weights(model: Model) -> Fact | None:
    """The number of weights that the checkpoint keeps in bf16."""
    fact = next((fact for fact in model.document.facts if fact.name == "safetensors.parameters.BF16"), None)
    return fact if fact and type(fact.value) is int and fact.value > 0 else None


def packed_weights(model: Model) -> int:
    """Bytes of all weights of a model whose experts are packed in MXFP4; 0 where that is not known."""
    shape, plain = expert_weights(model), plain_weights(model)
    if shape is None or plain is None or not isinstance(plain.value, int):
        return 0
    layers, experts, hidden, inner = shape
    return int(layers * experts * 3 * hidden * inner * MXFP4_BITS / 8) + plain.value * 2


def plan_experts(model: Model) -> Plan | None:
    """Experts: their share in a token, and their packing."""
    config = model.config
    names = ("num_local_experts", "num_experts", "num_experts_per_tok")
    experts = config.count("num_local_experts") or config.count("num_experts")
    chosen = config.count("num_experts_per_tok")
    if not 0 < chosen < experts:
        return None
    facts = (*config.facts(*names), *model.active_facts)
    packing = (
        " The experts are stored in MXFP4: 4 bits a weight and one 8-bit scale for every 32 weights; the rest stays "
        "in bf16."
        if packed_weights(model)
        else ""
    )
    items = [_experts_used(model, experts, chosen)]
    if model.active:
        items.append(_active_share(model))
    if packed_weights(model):
        items += [_packed(model), _left(model)]
    return Plan(
        title="A mixture of experts",
        objective="Tell what a mixture of experts stores from what a token uses",
        prose=(
            f"{model.name} is a mixture of experts: a layer has {experts} expert networks, and a router picks "
            f"{chosen} of them for each token (`config.json`). All experts must be in memory, since the next token "
            f"may need any of them; only the chosen ones are read and computed.{packing}"
        ),
        facts=facts,
        code=(
            f"experts, chosen = {experts}, {chosen}\n"
            'print("experts a token leaves unused in a layer:", experts - chosen)'
        ),
        items=tuple(items),
    )


def _experts_used(model: Model, experts: int, chosen: int) -> Computed:
    return Computed(
        form="numeric",
        stem=(
            f"A layer of {model.name} has {experts} routed experts of equal size, and each token is sent to {chosen} "
            "of them. What share of the weights of these experts does a token use, in per cent?"
        ),
        code=f"experts, chosen = {experts}, {chosen}\n" + rounded("100 * chosen / experts"),
        slips=(
            Slip("fraction for per cent", "100 * ", "", "That is the fraction; per cent is a hundred times as much."),
            Slip(
                "unused share",
                "chosen / experts",
                "(experts - chosen) / experts",
                "That is the share that a token leaves unused.",
            ),
            Slip("one expert", "100 * chosen", "100", f"That is one expert; {chosen} are chosen."),
        ),
        facts=model.config.facts("num_local_experts", "num_experts", "num_experts_per_tok"),
        explanation=f"{chosen} of {experts} experts of equal size.",
        unit="%",
    )


def _active_share(model: Model) -> Computed:
    return Computed(
        form="numeric",
        stem=(
            f"The card states {model.total / 1e9:.12g} billion parameters in all and {model.active / 1e9:.12g} billion "
            f"active ones for {model.name}. What share of its parameters does a token use, in per cent?"
        ),
        code=f"total, active = {model.total / 1e9:.12g}, {model.active / 1e9:.12g}\n" + rounded("100 * active / total"),
        slips=(
            Slip(
                "share of the rest",
                "active / total",
                "active / (total - active)",
                "That divides by the parameters that are NOT active.",
            ),
            Slip(
                "unused share",
                "active / total",
                "(total - active) / total",
                "That is the share that a token leaves unused.",
            ),
        ),
        facts=model.active_facts,
        explanation=(
            f"{model.active / 1e9:.12g} of {model.total / 1e9:.12g} billion. It is more than the experts' share alone, "
            "since attention and embeddings serve every token."
        ),
        unit="%",
    )


def _packed(model: Model) -> Computed:
    layers, experts, hidden, inner = expert_weights(model) or (0, 0, 0, 0)
    return Computed(
        form="numeric",
        stem=(
            f"The experts of {model.name} are packed in MXFP4: {layers} layers, {experts} experts each, three "
            f"matrices of {hidden:,} by {inner:,} an expert. How many GB do they take? 1 GB is 10^9 bytes."
        ),
        code=(
            f"weights = {layers} * {experts} * 3 * {hidden} * {inner}\n"
            "bits = 4 + 8 / 32\n" + rounded("weights * bits / 8 / 1e9")
        ),
        slips=(
            Slip(
                "scales forgotten",
                "4 + 8 / 32",
                "4",
                "That leaves out the scales: 8 bits for 32 weights are a quarter of a bit each.",
            ),
            Slip(
                "scale per weight", "8 / 32", "8", "That gives every weight a scale of its own; 32 weights share one."
            ),
            Slip("one matrix", " * 3 *", " *", "That counts one matrix an expert; there are three."),
            Slip("bf16", "4 + 8 / 32", "16", "That is bf16; MXFP4 takes a little over 4 bits a weight."),
        ),
        facts=model.config.facts(
            "num_hidden_layers",
            "num_local_experts",
            "hidden_size",
            "intermediate_size",
            "quantization_config.quant_method",
        ),
        explanation="A weight takes 4 + 8/32 = 4.25 bits on average.",
        unit="GB",
        hint="How many bits does a weight take with its share of the scale?",
        difficulty="intermediate",
    )


def _left(model: Model) -> Computed:
    plain = plain_weights(model)
    rest = plain.value if plain and isinstance(plain.value, int) else 0
    packed = packed_weights(model) - rest * 2
    taken = figure(packed)
    return Computed(
        form="numeric",
        stem=(
            f"The packed experts of {model.name} take {taken.text}; the other {rest:,} parameters stay in bf16. "
            "How many GB of a memory of 16 GB are left for everything else? 1 GB is 10^9 bytes."
        ),
        code=f"experts = {packed:_} / 1e9\nrest = {rest:_} * 2 / 1e9\n" + rounded("16 - experts - rest"),
        slips=(
            Slip(
                "rest forgotten", " - rest", "", "That leaves out attention, embeddings and router, which stay in bf16."
            ),
            Slip("one byte a parameter", " * 2 /", " /", "That takes one byte a parameter; bf16 has two."),
            Slip(
                "size for remainder",
                "16 - experts - rest",
                "experts + rest",
                "That is what the weights take; asked is what is left.",
            ),
        ),
        figures=((f"= {packed:_} /", f"= {taken.code} /"),),
        facts=(*([plain] if plain else []), *model.config.facts("quantization_config.quant_method")),
        explanation=f"{taken.text} of experts and {figure(rest * 2).text} in bf16 are taken.",
        unit="GB",
        difficulty="intermediate",
    )
