"""Headers of GGUF files: what a model is, without loading it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics.errors import BadProtocol
from alain_magics.runtimes.local.gguf import _FILE_TYPES, read_header
from tests.conftest import require
from tests.runtimes.local.gguf_files import encode, write_gguf

SCALARS = st.one_of(st.text(max_size=20), st.booleans(), st.integers(0, 2**64 - 1), st.floats(allow_nan=False))
LISTS = st.one_of(st.lists(st.text(max_size=5), min_size=1), st.lists(st.integers(0, 9)))
METADATA = st.dictionaries(st.text(max_size=30), st.one_of(SCALARS, LISTS), max_size=8)
QUIETLY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def read(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    return read_header(path)


@given(metadata=METADATA, shapes=st.lists(st.lists(st.integers(1, 9), max_size=4), max_size=4))
@QUIETLY
def test_all_metadata_but_lists_and_the_number_of_weights_are_read(
    tmp_path: Path, metadata: dict[str, Any], shapes: list[list[int]]
) -> None:
    tensors = {f"blk.{number}.weight": shape for number, shape in enumerate(shapes)}
    header = read(tmp_path / "model.gguf", encode(metadata, tensors))
    assert header.metadata == {key: value for key, value in metadata.items() if not isinstance(value, list)}
    sizes = [1] * len(shapes)
    for number, shape in enumerate(shapes):
        for size in shape:
            sizes[number] *= size
    assert header.parameters == sum(sizes)


@given(cut=st.integers(0, 300), flips=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=8))
@QUIETLY
def test_a_damaged_file_is_a_typed_error_or_another_header(
    tmp_path: Path, cut: int, flips: list[tuple[int, int]]
) -> None:
    content = bytearray(encode({"general.name": "x", "tokenizer.ggml.tokens": ["a", "bc"]}, {"w": (2, 2)}))
    for place, byte in flips:
        content[place % len(content)] = byte
    caught = None
    try:
        read(tmp_path / "model.gguf", bytes(content[: max(len(content) - cut, 0)]))
    except BadProtocol as error:
        caught = error
    assert caught is None or ("model.gguf" in caught.what and caught.advice)


def test_facts_have_names(tmp_path: Path) -> None:
    template = "{% for tool in tools %}{% endfor %}"
    path = write_gguf(
        tmp_path / "model.gguf",
        general__name="Tiny",
        tokenizer__chat_template="{{ messages }}",
        tokenizer__chat_template__tool_use=template,
    )
    header = read_header(path)
    assert (header.name, header.architecture, header.context, header.quantisation) == ("Tiny", "llama", 2048, "Q4_K_M")
    assert header.parameters == 14
    assert header.generates
    assert header.chat_template() == "{{ messages }}"
    assert header.chat_template("tool_use") == template


@pytest.mark.parametrize(
    ("metadata", "generates", "embeds"),
    [
        ({}, True, False),
        ({"general__type": "model"}, True, False),
        ({"general__type": "adapter"}, False, False),
        ({"general__architecture": "clip"}, False, False),
        ({"llama__pooling_type": 1}, False, True),
    ],
)
def test_only_models_that_write_text_count_as_such(
    tmp_path: Path, metadata: dict[str, Any], generates: bool, embeds: bool
) -> None:
    header = read_header(write_gguf(tmp_path / "model.gguf", **metadata))
    assert (header.generates, header.embeds) == (generates, embeds)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGML" + bytes(40), encode({}, version=1), encode({}, version=9)])
def test_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadProtocol):
        read(tmp_path / "model.gguf", content)


def test_a_missing_file_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(BadProtocol, match="No such file"):
        read_header(tmp_path / "none.gguf")


def test_quantisations_are_those_of_llama_cpp() -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    from llama_cpp import llama_cpp

    known = {
        name: value for name, value in vars(llama_cpp).items() if name.startswith(("LLAMA_FTYPE_M", "LLAMA_FTYPE_A"))
    }
    assert len(known) > 30
    for name, value in known.items():
        assert _FILE_TYPES[value] == name.partition("_FTYPE_")[2].split("_", 1)[1]
