"""The memory of the weights, whether they fit, and what their number bounds."""

from __future__ import annotations

from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, rounded
from alain_magics.lessons.teachers.card.model import Count, Model
from alain_magics.lessons.teachers.card.units import unit_of

TYPES = (("fp32", 32), ("bf16", 16), ("int8", 8), ("int4", 4))
ROOMS = (16, 8, 24, 4, 48, 80, 2, 160, 1, 320, 640, 0.5, 0.25, 0.1)


def plan_weights(model: Model) -> Plan | None:
    """Memory of the weights by data type."""
    count = model.count
    if count is None:
        return None
    unit, scale = unit_of(count.value * 4)
    code = (
        f"parameters = {count.value:_}\n"
        "bytes_each = 4  # fp32: 32 bits\n"
        f'print(round(parameters * bytes_each / {scale}, 2), "{unit}")'
    )
    return Plan(
        title="The memory of the weights",
        objective="Compute the memory of the weights for a data type",
        prose=(
            f"{model.name} has {count.text} parameters ({count.says}). Its weights take that many times the size of "
            "one number: 32 bits in fp32, 16 in bf16 or fp16, 8 in int8, 4 in int4; 8 bits are a byte. Sizes here "
            "are decimal: 1 GB is 10^9 bytes, 1 MB is 10^6 bytes. The key-value cache and working memory come on top."
        ),
        facts=count.facts,
        code=code,
        items=tuple(
            item
            for item in (_stored(model, count), _grouped(model, count), _fitting(count), _bits(model, count))
            if item
        ),
    )


def _stored(model: Model, count: Count) -> Computed:
    unit, scale = unit_of(count.value * 2)
    binary = {"1e9": "2**30", "1e6": "2**20"}[scale]
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has {count.text} parameters. In bf16 each takes 16 bits. How many {unit} is that in all? 1 "
            f"{unit} is 10^{scale[2]} bytes."
        ),
        code=f"parameters = {count.value:_}\nbits = 16\n" + rounded(f"parameters * bits / 8 / {scale}"),
        slips=(
            Slip("bits for bytes", "bits / 8", "bits", "That takes bits for bytes: 8 bits are one byte."),
            Slip("fp32 for bf16", "bits = 16", "bits = 32", "That is fp32, with 32 bits a parameter; bf16 has 16."),
            Slip("int8 for bf16", "bits = 16", "bits = 8", "That is one byte a parameter; bf16 needs two."),
            Slip("binary unit", scale, binary, f"That divides by {binary}; 1 {unit} is 10^{scale[2]} bytes here."),
        ),
        facts=count.facts,
        explanation=f"{count.text} parameters of 2 bytes each, divided by 10^{scale[2]}.",
        unit=unit,
        hint="How many bytes are 16 bits?",
    )


def _grouped(model: Model, count: Count) -> Computed:
    unit, scale = unit_of(count.value / 2)
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has {count.text} weights. A file format stores 4 bits for each and one 16-bit scale for "
            f"every group of 32. How many {unit} is that? 1 {unit} is 10^{scale[2]} bytes."
        ),
        code=(f"weights = {count.value:_}\nbits = 4 + 16 / 32\n" + rounded(f"weights * bits / 8 / {scale}")),
        slips=(
            Slip(
                "scales forgotten",
                "4 + 16 / 32",
                "4",
                "That leaves out the scales: 16 bits for 32 weights are half a bit each.",
            ),
            Slip(
                "scale per weight", "16 / 32", "16", "That gives every weight a scale of its own; 32 weights share one."
            ),
            Slip("scale in bytes", "16 / 32", "16 * 8 / 32", "That takes the scale for 16 bytes; it has 16 bits."),
            Slip("bits for bytes", "bits / 8", "bits", "That takes bits for bytes: 8 bits are one byte."),
        ),
        facts=count.facts,
        explanation="A weight takes 4 + 16/32 = 4.5 bits on average, which is 4.5/8 bytes.",
        unit=unit,
        hint="How many bits does one weight take on average?",
        difficulty="intermediate",
    )


def _fitting(count: Count) -> Computed | None:
    sizes = [count.value * bits / 8 for _, bits in TYPES]
    room = next((room for room in ROOMS if _tells(sizes, room * 1e9)), None)
    if room is None:
        return None
    unit, scale = unit_of(room * 1e9)
    amount = f"{room * 1e9 / float(scale):g}"
    return Computed(
        form="predict",
        stem=f"The program compares the weights with a memory of {amount} {unit}. What does it print?",
        code=(
            f"parameters = {count.value:_}\n"
            f"room = {amount} * {scale}  # bytes\n"
            'bits = {"fp32": 32, "bf16": 16, "int8": 8, "int4": 4}\n'
            "print([name for name in bits if parameters * bits[name] / 8 < room])"
        ),
        slips=(
            Slip("the other way round", "< room", "> room", "These are the types whose weights do NOT fit."),
            Slip("bits for bytes", " / 8", "", "That compares bits with bytes: 8 bits are one byte."),
            Slip("half the bytes", " / 8", " / 4", "That takes 4 bits for a byte; a byte has 8."),
            Slip("twice the bytes", " / 8", " / 16", "That takes 16 bits for a byte; a byte has 8."),
        ),
        facts=count.facts,
        explanation=(
            "The weights take "
            + ", ".join(
                f"{size / float(scale):,.1f} {unit} in {name}" for size, (name, _) in zip(sizes, TYPES, strict=True)
            )
            + f"; the memory holds {amount} {unit}."
        ),
        hint="Which is the widest type that fits? All narrower ones fit too.",
    )


def _tells(sizes: list[float], room: float) -> bool:
    """Whether two or three of the sizes fit, and none fits narrowly or fails narrowly."""
    return sum(size < room for size in sizes) in (2, 3) and all(abs(size - room) > room / 10 for size in sizes)


def _bits(model: Model, count: Count) -> Computed | None:
    room = next((room for room in (16, 24, 48, 80) if 2 <= (room - 2) * 8e9 / count.value < 15), None)
    if room is None or count.value * 2 < 14e9:
        return None
    return Computed(
        form="numeric",
        stem=(
            f"{model.name} has {count.text} weights. A device has {room} GB (1 GB is 10^9 bytes), of which 2 GB stay "
            "free for cache and working memory. How many bits may a weight take at most, on average?"
        ),
        code=f"weights = {count.value:_}\nroom = ({room} - 2) * 1e9\n" + rounded("room * 8 / weights"),
        slips=(
            Slip("bytes for bits", "room * 8", "room", "That is in bytes; a byte has 8 bits."),
            Slip(
                "reserve forgotten",
                f"({room} - 2)",
                f"{room}",
                "That gives the weights all of the memory; 2 GB are to stay free.",
            ),
            Slip(
                "upside down",
                "room * 8 / weights",
                "weights / room",
                "That divides weights by bytes; bits per weight is bits by weights.",
            ),
        ),
        facts=count.facts,
        explanation=f"({room} - 2) * 10^9 bytes are eight times as many bits; divided by the number of weights.",
        unit="bits",
        hint="First the bits that there are, then the weights that share them.",
        difficulty="advanced",
    )
