"""Small GGUF files without weights, written as the format's specification says."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_KINDS = {"u32": (4, "I"), "i32": (5, "i"), "f32": (6, "f"), "bool": (7, "?"), "u64": (10, "Q"), "f64": (12, "d")}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(kind: str, value: Any) -> bytes:
    number, code = _KINDS[kind]
    return struct.pack("<I", number) + struct.pack("<" + code, value)


def value_of(value: Any) -> bytes:
    """Encode a value: text, truth, whole number or float by its Python type, else a list of texts or numbers."""
    if isinstance(value, bool):
        return typed("bool", value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, int):
        return typed("u32" if 0 <= value < 2**32 else "u64", value)
    if isinstance(value, float):
        return typed("f64", value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return struct.pack("<IIQ", 9, 4, len(value)) + b"".join(struct.pack("<I", each) for each in value)


def encode(metadata: Mapping[str, Any], tensors: Mapping[str, Sequence[int]] = {}, version: int = 3) -> bytes:
    """Return a file of this metadata, with tensors of these shapes and without their data."""
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [text(key) + value_of(value) for key, value in metadata.items()]
    for name, shape in tensors.items():
        parts += [text(name), struct.pack("<I", len(shape)), *(struct.pack("<Q", size) for size in shape)]
        parts.append(struct.pack("<IQ", 0, 0))
    return b"".join(parts)


def write_gguf(path: Path, **metadata: Any) -> Path:
    """Write a file of a small llama; double underscores of names stand for dots."""
    known = {"general.architecture": "llama", "llama.context_length": 2048, "general.file_type": 15}
    changed = {key.replace("__", "."): value for key, value in metadata.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode({**known, **changed}, {"token_embd.weight": (4, 3), "output.weight": (2,)}))
    return path
