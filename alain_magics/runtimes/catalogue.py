"""What a model's name says about it: family, maker, number of parameters, quantisation, what it is for.

Nothing is guessed: figures come from the name itself, from its family where they hold for all of it, or from the
runtime, whose word outranks both. ``8x7B`` names experts and ``E4B`` an effective size, so neither is the number of
parameters; the description tells them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.families import EMBEDDING, FAMILIES, OTHER, Family

Kind = Literal["chat", "embedding", "other"]

_LONGEST = 200  # characters of a name that are looked at

_SCALES = {"m": 10**6, "b": 10**9, "t": 10**12}
_COUNT = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bmt])(?![a-z0-9])(?!-\d+e\b)")
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d+(?:\.\d+)?)([bm])(?![a-z0-9])|(?<![a-z0-9.])(\d+)(b)-\d+e(?![a-z0-9])")
_EFFECTIVE = re.compile(r"(?<![a-z0-9])e(\d+(?:\.\d+)?)b(?![a-z0-9])")
_EXPERTS = re.compile(r"(?<![a-z0-9])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])")
_WINDOW = re.compile(r"(?<![a-z0-9.])(\d+)k(?![a-z0-9])")
_QUANTISATION = re.compile(
    r"(?<![a-z0-9])(i?q\d(?:_k)?(?:_(?:xxs|xxl|nl|xs|xl|s|m|l|\d))*|tq\d_\d|mxfp\d|nvfp4|fp\d+|bf16|f16|f32"
    r"|int\d|nf4|awq|gptq|[2-8]-?bit)(?![a-z0-9])"
)
_VISION = re.compile(r"\b(?:vl|vision)\b")
_BASE = re.compile(r"\bbase\b|:text\b")


def describe(info: ModelInfo) -> ModelInfo:
    """Fill in what is unknown about a model from its name; what the runtime reported stays.

    Only a family and maker of the table outrank what a runtime calls so: an architecture such as ``qwen2``, and often
    whoever has converted the weights.
    """
    name = _name(info.id)
    row, family = _family(name, info.family)
    return replace(
        info,
        family=family,
        maker=row.maker if row else info.maker,
        parameters=info.parameters if info.parameters is not None else parameters(name),
        context=info.context if info.context is not None else _window(name, row),
        quantisation=info.quantisation or quantisation(name),
        tools=info.tools if info.tools is not None or row is None else row.tools,
        kind=(kind := _kind(name, info)),
        description=info.description or _description(name, row, kind),
    )


def parameters(name: str) -> int | None:
    """Return the number of parameters that a model's name gives; the largest where it gives several."""
    found = [round(float(number) * _SCALES[scale]) for number, scale in _COUNT.findall(name.lower())]
    return max(found, default=None)


def quantisation(name: str) -> str:
    """Return how a model's name says that its weights are stored, such as ``Q4_K_M``; empty where it says nothing."""
    found = _QUANTISATION.findall(name.lower())
    if not found:
        return ""
    last = str(found[-1])
    return f"{last[0]}-bit" if last.endswith("bit") else last.upper()


def amount(number: int | None) -> str:
    """Return a number of parameters as people write it, such as ``20B``; empty for an unknown one."""
    for scale, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number is not None and number >= scale:
            return f"{number / scale:.3g}{unit}"
    return "" if number is None else str(number)


def _name(identifier: str) -> str:
    """Return a model's own name in lower case: without its publisher, its folder and the suffix of its file."""
    return identifier.rpartition("/")[2][:_LONGEST].lower().removesuffix(".gguf")


def _family(name: str, hint: str) -> tuple[Family | None, str]:
    """Return the row of a model and its family's name; ``hint`` is its architecture, which tells a parent."""
    architecture = hint.lower()
    for text in (f"{name} {architecture}" if name.startswith("deepseek-r1") else name, architecture):
        for row in FAMILIES:
            if text and (family := row.found(text)):
                return row, family
    return None, hint


def _window(name: str, row: Family | None) -> int | None:
    stated = _WINDOW.search(name)
    if stated:
        return int(stated[1]) * 1024
    return row.context if row else None


def _kind(name: str, info: ModelInfo) -> Kind:
    if info.kind == "chat":
        if OTHER.search(name):
            return "other"
        if EMBEDDING.search(name):
            return "embedding"
    return info.kind


def _description(name: str, row: Family | None, kind: Kind) -> str:
    """Return one line: what the family is for, and what the name says beyond it."""
    parts = ["turns text into vectors; not for chat" if kind == "embedding" else row.about if row else ""]
    if match := _EXPERTS.search(name):
        parts.append(f"{match[1]} experts of {match[2]}B parameters")
    if match := _ACTIVE.search(name):
        number, scale = (match[1], match[2]) if match[1] else (match[3], match[4])
        parts.append(f"{number}{scale.upper()} parameters at work for each token")
    if match := _EFFECTIVE.search(name):
        parts.append(f"takes the memory of {match[1]}B parameters")
    if _VISION.search(name) and "images" not in "".join(parts):
        parts.append("reads images too")
    if _BASE.search(name):
        parts.append("continues text and is not tuned for chat")
    line = "; ".join(filter(None, parts))
    return line[:1].upper() + line[1:]
