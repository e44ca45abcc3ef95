"""What a device can hold and how fast it can write: weights, context and bandwidth together."""

from __future__ import annotations

from alain_magics.lessons.teachers.card.experts import packed_weights
from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Cache, Model
from alain_magics.lessons.teachers.card.units import figure, unit_of
from alain_magics.lessons.teachers.card.weights import TYPES

RESERVE = 1
DEVICES = (16, 24, 48, 80, 160, 320, 640)


def plan_fit(model: Model) -> Plan | None:
    """How much context fits beside the weights."""
    cache, window = model.cache, model.config.count("max_position_embeddings")
    if model.count is None or cache is None or not window:
        return None
    packed = packed_weights(model)
    choices = [("mxfp4", packed)] if packed else [(name, model.count.value * bits // 8) for name, bits in TYPES[1:]]
    device, (name, weights) = next(
        (
            (device, choice)
            for device in DEVICES
            for choice in choices
            if device * 1e9 - RESERVE * 1e9 - choice[1] > cache.bytes_at(1000)
        ),
        (0, ("", 0)),
    )
    if not device:
        return None
    left = device * 1e9 - RESERVE * 1e9 - weights
    item = (
        _tokens(model, cache, device, name, weights)
        if left < cache.bytes_at(window)
        else _conversations(model, cache, device, name, weights, window)
    )
    facts = (*model.count.facts, *cache.facts, *model.config.facts("max_position_embeddings"))
    unit, scale = unit_of(cache.bytes_at(window))
    return Plan(
        title="Weights and context on one device",
        objective="Compute how much context fits beside the weights",
        prose=(
            "A device must hold the weights, the key-value cache of every token of every conversation, and working "
            f"memory, here taken as {RESERVE} GB. What is left after the weights bounds the context. The window of "
            f"{model.name} is {window:,} tokens (`config.json`); a longer context is of no use even where memory is "
            "left."
        ),
        facts=facts,
        code=(
            f"window = {window:_}\n"
            f"cache = {cache.bytes_at(window):_}  # bytes of key-value cache for that many tokens\n"
            f'print("one full window:", round(cache / {scale}, 2), "{unit}")'
        ),
        items=(item, _full_load(model, cache, name, weights, window)),
    )


def _tokens(model: Model, cache: Cache, device: int, name: str, weights: int) -> Computed:
    per_token = cache.bytes_at(cache.window + 1) - cache.bytes_at(cache.window)
    where = f" (its {cache.windowed} windowed layers take little and are left out)" if cache.windowed else ""
    left = device * 1e9 - RESERVE * 1e9 - weights
    # the closer the weights come to the room, the more digits they need
    figures = [figure(weights, digits) for digits in (4, 6, 8, 12)]
    held = next((one for one in figures if abs(float(one.code) - weights) < left / 200), figures[-1])
    return Computed(
        form="numeric",
        stem=(
            f"A device has {device} GB. The weights of {model.name} take {held.text} in {name}, {RESERVE} "
            f"GB is set aside, and a token takes {per_token:,} bytes of cache{where}. For how many thousand tokens is "
            "there room? 1 GB is 10^9 bytes."
        ),
        code=(
            f"device, weights, reserve = {device}e9, {weights:_}, {RESERVE}e9\n"
            f"per_token = {per_token:_}\n" + rounded("(device - weights - reserve) / per_token / 1000")
        ),
        slips=(
            Slip("reserve forgotten", " - reserve", "", f"That forgets the {RESERVE} GB set aside."),
            Slip("weights forgotten", " - weights", "", "That leaves out the weights; they must be in memory too."),
            Slip(
                "binary unit",
                f"{device}e9",
                f"{device} * 2**30",
                "That takes 2^30 bytes for a GB; 1 GB is 10^9 bytes here.",
            ),
        ),
        figures=((f" {weights:_},", f" {held.code},"),),
        facts=(*model.count.facts, *cache.facts) if model.count else cache.facts,
        explanation=f"What is left of {device} GB after {held.text} and {RESERVE} GB, divided by the bytes of a token.",
        unit="thousand tokens",
        hint="First the bytes that are left for the cache.",
        difficulty="intermediate",
    )


def _conversations(model: Model, cache: Cache, device: int, name: str, weights: int, window: int) -> Computed:
    size = cache.bytes_at(window)
    room = (device - RESERVE) * 1e9
    # as many digits as the whole number of conversations needs
    figures = [(figure(weights, digits), figure(size, digits)) for digits in (4, 5, 6, 8, 12)]
    same = [pair for pair in figures if (room - float(pair[0].code)) // float(pair[1].code) == (room - weights) // size]
    held, each = (same or figures)[0]
    return Computed(
        form="numeric",
        stem=(
            f"A device has {device} GB. The weights of {model.name} take {held.text} in {name}, {RESERVE} GB is set "
            f"aside, and the cache of one full window of {window:,} tokens takes {each.text}. How many conversations, "
            "each with a full window, fit at once? 1 GB is 10^9 bytes, 1 MB is 10^6 bytes."
        ),
        code=(
            f"device, weights, reserve = {device}e9, {weights:_}, {RESERVE}e9\n"
            f"window = {size:_}\n"
            "print(int((device - weights - reserve) // window))"
        ),
        slips=(
            Slip("reserve forgotten", " - reserve", "", f"That forgets the {RESERVE} GB set aside."),
            Slip(
                "weights per conversation",
                "(device - weights - reserve) // window",
                "(device - reserve) // (weights + window)",
                "That loads the weights for each conversation; all of them share one copy.",
            ),
            Slip("weights forgotten", " - weights", "", "That leaves out the weights; they must be in memory too."),
            Slip(
                "rounded up",
                "(device - weights - reserve) // window",
                "(device - weights - reserve) // window + 1",
                "The last one does not fit completely: round down.",
            ),
        ),
        figures=((f" {weights:_},", f" {held.code},"), (f"window = {size:_}", f"window = {each.code}")),
        facts=(*model.count.facts, *cache.facts) if model.count else cache.facts,
        explanation="What is left after weights and reserve, divided by the cache of one window, rounded down.",
        unit="conversations",
        exact=True,
        hint="All conversations share one copy of the weights.",
        difficulty="intermediate",
    )


def _full_load(model: Model, cache: Cache, name: str, weights: int, window: int) -> Computed:
    size = cache.bytes_at(window)
    unit = unit_of(min(weights, size))
    held, kept = figure(weights, unit=unit), figure(size, unit=unit)
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} runs with a full window of {window:,} tokens: {held.text} of weights "
            f"({name}) and {kept.text} of key-value cache. What share of the two "
            "together is the cache, in per cent?"
        ),
        code=(f"weights = {weights:_}\ncache = {size:_}\n" + rounded("100 * cache / (weights + cache)")),
        slips=(
            Slip(
                "share of the weights",
                "(weights + cache)",
                "weights",
                "That compares the cache with the weights, not with both together.",
            ),
            Slip("share of the other", "100 * cache", "100 * weights", "That is the share of the weights."),
        ),
        figures=(
            (f"weights = {weights:_}\n", f"weights = {held.code}\n"),
            (f"cache = {size:_}\n", f"cache = {kept.code}\n"),
        ),
        facts=(*cache.facts, *model.config.facts("max_position_embeddings")),
        explanation="The cache divided by the sum of cache and weights.",
        unit="%",
    )


def plan_speed(model: Model) -> Plan | None:
    """The bound that memory bandwidth sets on the speed of writing."""
    if model.count is None or model.cache is None or model.config.has_vision:
        return None
    parts = model.parts
    untied = parts.embedding if parts and parts.matrices == 2 else 0
    read = model.active or model.count.value - untied
    bandwidth = 100 if read < 5e9 else 1000
    unit, scale = unit_of(read * 4)
    active = ""
    if model.active:
        active = (
            f" A token uses about {model.active / 1e9:g} billion parameters: only the experts that are chosen are read."
        )
    elif untied:
        active = f" These are {read:,}: of the input embedding only the row of the last token is read."
    facts = (*model.count.facts, *model.active_facts)
    return Plan(
        title="A bound on the speed",
        objective="Compute how many tokens a second memory bandwidth allows",
        prose=(
            f"To write one token of one conversation, {model.name} reads each weight that it uses once.{active} "
            "Memory delivers a fixed number of bytes a second, its bandwidth. Bandwidth divided by the bytes read "
            "per token bounds the tokens per second from above; real speeds are lower. Reading a prompt, or many "
            "conversations at once, is bounded by arithmetic instead."
        ),
        facts=facts,
        code=(
            f"parameters_read = {read:_}\n"
            f'print("bytes read per token in fp32:", round(parameters_read * 4 / {scale}, 2), "{unit}")'
        ),
        items=(_bound(model, read, bandwidth), _needed(model, read)),
    )


def _bound(model: Model, read: int, bandwidth: int) -> Computed:
    slips = [
        Slip(
            "upside down",
            "bandwidth / per_token",
            "per_token / bandwidth",
            "That is seconds per token; asked are tokens per second.",
        ),
        Slip(
            "bits for bytes", "read * 2", "read * 16", "That counts bits; bandwidth is in bytes, and bf16 has 2 bytes."
        ),
        Slip("one byte a parameter", "read * 2", "read", "That reads one byte a parameter; bf16 has 2."),
    ]
    if model.active and model.count:
        slips.append(
            Slip(
                "all experts",
                f"read = {read:_}",
                f"read = {model.count.value:_}",
                "That reads all parameters for every token; a token uses the active ones only.",
            )
        )
    what = "active parameters" if model.active else "parameters"
    return Computed(
        form="numeric",
        stem=(
            f"A memory delivers {bandwidth:,} GB a second (1 GB is 10^9 bytes). For each token {model.name} reads "
            f"{read:,} {what}. If they are held in bf16, how many tokens per second can one conversation get at most?"
        ),
        code=(
            f"bandwidth = {bandwidth}e9  # bytes per second\n"
            f"read = {read:_}\n"
            "per_token = read * 2\n" + rounded("bandwidth / per_token")
        ),
        slips=tuple(slips),
        facts=(*(model.count.facts if model.count else ()), *model.active_facts),
        explanation=f"{bandwidth:,} GB a second divided by {figure(read * 2).text} per token.",
        unit="tokens/s",
        hint="First the bytes that one token makes the memory deliver.",
        difficulty="intermediate",
    )


def _needed(model: Model, read: int) -> Computed:
    return Computed(
        form="numeric",
        stem=(
            f"One conversation with {model.name} is to get 30 tokens per second from weights of 4 bits each, {read:,} "
            "of which are read per token. How many GB per second must the memory deliver at least? 1 GB is 10^9 "
            "bytes."
        ),
        code=f"read = {read:_}\nper_token = read * 4 / 8\n" + rounded("30 * per_token / 1e9"),
        slips=(
            Slip("bits for bytes", " / 8", "", "That counts bits; 4 bits are half a byte."),
            Slip(
                "bytes for bits",
                "* 4 / 8",
                "* 4",
                "That takes 4 bytes a weight; it has 4 bits.",
            ),
            Slip("one token per second", "30 * per_token", "per_token", "That is enough for one token a second."),
            Slip("divided", "30 * per_token", "per_token / 30", "More tokens a second need more bandwidth: multiply."),
            Slip("bf16", "* 4 / 8", "* 2", "That is bf16; here a weight has 4 bits."),
        ),
        facts=(*(model.count.facts if model.count else ()), *model.active_facts),
        explanation=f"Half a byte for each of {read:,} weights is one token; 30 of them a second.",
        unit="GB/s",
        difficulty="intermediate",
    )
