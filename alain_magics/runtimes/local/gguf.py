"""The header of a GGUF file: what a model is, read in milliseconds and without loading it.

Source: the GGUF specification of the ggml project, versions 2 and 3 in little-endian order.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from alain_magics.errors import BadProtocol

Scalar = int | float | bool | str

_STRING, _ARRAY = 8, 9
_CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_SCALARS = {kind: struct.Struct("<" + code) for kind, code in _CODES.items()}
_U32 = _SCALARS[4]
_U64 = _SCALARS[10]

_LONGEST = 2**28  # bytes of a header: vocabularies take some ten million
_MOST = 2**24  # entries of a list: names nobody has

_FILE_TYPES = dict(
    enumerate(
        "F32 F16 Q4_0 Q4_1 - - - Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K IQ2_XXS "
        "IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16 - - - TQ1_0 TQ2_0 "
        "MXFP4_MOE NVFP4 Q1_0 Q2_0".split()
    )
)


@dataclass(frozen=True)
class GgufHeader:
    """What stands before the weights: the metadata without its lists, and how many numbers the weights are."""

    metadata: Mapping[str, Scalar]
    parameters: int

    @property
    def name(self) -> str:
        """The model's name; empty where the file has none."""
        return self._text("general.name")

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the kind of network, such as ``llama``."""
        return self._text("general.architecture")

    @property
    def context(self) -> int | None:
        """The window in tokens that the model was trained with."""
        value = self.metadata.get(f"{self.architecture}.context_length")
        return value if type(value) is int else None

    @property
    def quantisation(self) -> str:
        """How the weights are stored, such as ``Q4_K_M``; empty where unknown."""
        kind = self.metadata.get("general.file_type")
        return _FILE_TYPES.get(kind, "").strip("-") if type(kind) is int else ""

    @property
    def generates(self) -> bool:
        """Whether it is a model that writes text: no adapter, no part for images, no embedding."""
        whole = self.metadata.get("general.type", "model") == "model" and self.architecture not in ("", "clip")
        return whole and not self.embeds

    @property
    def embeds(self) -> bool:
        """Whether it turns text into vectors."""
        return f"{self.architecture}.pooling_type" in self.metadata

    def chat_template(self, name: str = "") -> str:
        """Return the template that makes a prompt of messages, or a named variant; empty where there is none."""
        return self._text(f"tokenizer.chat_template.{name}".rstrip("."))

    def _text(self, key: str) -> str:
        value = self.metadata.get(key, "")
        return value if type(value) is str else ""


def read_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file; :class:`~alain_magics.errors.BadProtocol` where it is none or damaged."""
    try:
        with path.open("rb") as file:
            length = min(path.stat().st_size, _LONGEST)
            with mmap.mmap(file.fileno(), length, access=mmap.ACCESS_READ) as memory:
                return _Reader(memory).header()
    except (OverflowError, struct.error):
        raise BadProtocol(f"{path.name} is damaged: it ends early.", "Download it again.") from None
    except ValueError as error:
        raise BadProtocol(f"{path.name} is no GGUF file, or is damaged: {error}.", "Download it again.") from None
    except OSError as error:
        raise BadProtocol(f"{path.name} cannot be read: {error.strerror}.", "Check its permissions.") from None


class _Reader:
    """Walks through a header; any read beyond its end fails."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._at = 4

    def header(self) -> GgufHeader:
        """Read everything before the weights."""
        if self._memory[:4] != b"GGUF":
            raise ValueError("another format")
        if (version := self._number(_U32)) not in (2, 3):
            raise ValueError(f"version {version}")
        tensors, entries = self._count(), self._count()
        metadata = {}
        for _ in range(entries):
            key, value = self._string(), self._value(self._number(_U32))
            if value is not None:
                metadata[key] = value
        return GgufHeader(metadata, sum(self._tensor() for _ in range(tensors)))

    def _tensor(self) -> int:
        """Pass over the description of a tensor, and return how many numbers it holds."""
        self._string()
        shape = [self._number(_U64) for _ in range(self._number(_U32))]
        self._at += 4 + 8  # its type, and where it lies
        return prod(shape)

    def _value(self, kind: int) -> Scalar | None:
        """Read a value; a list is passed over."""
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_scalar(kind))
        kind, count = self._number(_U32), self._count()
        if kind == _STRING:
            self._skip_strings(count)
        else:
            self._at += count * _scalar(kind).size
        return None

    def _skip_strings(self, count: int) -> None:
        """Pass over a vocabulary: this loop is where the time goes."""
        length, memory, at = _U64.unpack_from, self._memory, self._at
        for _ in range(count):
            at += 8 + length(memory, at)[0]
        self._at = at

    def _string(self) -> str:
        start = self._at + _U64.size
        end = start + self._number(_U64)
        if end > len(self._memory):
            raise ValueError("it ends early")
        self._at = end
        return self._memory[start:end].decode("utf-8", "replace")

    def _count(self) -> int:
        count: int = self._number(_U64)
        if count > _MOST:
            raise ValueError("impossible sizes")
        return count

    def _number(self, kind: struct.Struct) -> int:
        (number,) = kind.unpack_from(self._memory, self._at)
        self._at += kind.size
        return number  # type: ignore[no-any-return]  # the metadata holds floats and truth values too


def _scalar(kind: int) -> struct.Struct:
    if kind not in _SCALARS:
        raise ValueError(f"values of kind {kind}")
    return _SCALARS[kind]
