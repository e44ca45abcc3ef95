"""Lists of models in the shapes of many servers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.openai.models import models_of

FIELDS = st.sampled_from(
    "id name meta status value state config context_length loaded_instances type capabilities quantization n_ctx size"
    " deprecation".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("entry", "info"),
    [
        ({"id": "models/gemini-2.5-flash"}, ModelInfo("gemini-2.5-flash", "x")),
        ({"id": "/home/models/qwen3-8b.gguf", "owned_by": "llamacpp"}, ModelInfo("qwen3-8b.gguf", "x")),
        ({"id": "C:\\models\\qwen3-8b.gguf", "owned_by": "llamacpp"}, ModelInfo("qwen3-8b.gguf", "x")),
        ({"id": "/models/qwen3-8b.gguf", "owned_by": "vllm"}, ModelInfo("/models/qwen3-8b.gguf", "x")),
        (
            {"id": "qwen3-8b", "type": "llm", "publisher": "qwen", "arch": "qwen3", "quantization": "Q4_K_M",
             "state": "not-loaded", "max_context_length": 4096},
            ModelInfo("qwen3-8b", "x", family="qwen3", maker="qwen", context=4096, quantisation="Q4_K_M", loaded=False),
        ),
        (
            {"id": "mistral-large", "max_context_length": 131072, "deprecation": "2026-11-30T12:00:00Z",
             "capabilities": {"function_calling": True}, "type": "base"},
            ModelInfo("mistral-large", "x", context=131072, tools=True, shutdown="2026-11-30"),
        ),
        (
            {"id": "z-ai/glm", "context_length": 200000, "description": "Long\nand \x1b[31mred",
             "supported_parameters": ["tools", "seed"]},
            ModelInfo("z-ai/glm", "x", context=200000, tools=True, description="Long and �[31mred"),
        ),
        (
            {"key": "m", "max_context_length": 131072,
             "loaded_instances": [{"config": {"context_length": 8192}}, {"config": {"context_length": 4096}}]},
            ModelInfo("m", "x", context=4096, loaded=True),
        ),
        ({"id": "m", "max_context_length": 9, "loaded_context_length": 4}, ModelInfo("m", "x", context=4)),
        ({"key": "m", "max_context_length": 9, "loaded_instances": []}, ModelInfo("m", "x", context=9, loaded=False)),
        ({"id": "m", "status": {"value": "loading"}}, ModelInfo("m", "x")),
        ({"id": "m", "status": {"value": "unloaded"}}, ModelInfo("m", "x", loaded=False)),
        ({"id": "e", "type": "embeddings"}, ModelInfo("e", "x", kind="embedding")),
        ({"id": "i", "type": "image"}, ModelInfo("i", "x", kind="other")),
    ],
)  # fmt: skip
def test_the_details_of_a_model_are_read(entry: dict[str, Any], info: ModelInfo) -> None:
    assert models_of("x", [entry]) == [info]


@pytest.mark.parametrize("shape", [lambda e: e, lambda e: {"data": e}, lambda e: {"models": e, "object": "list"}])
def test_lists_come_in_three_shapes(shape: Any) -> None:
    assert [info.id for info in models_of("x", shape([{"id": "a"}, {"id": "b"}, {"id": "a"}]))] == ["a", "b"]


@given(JSON)
def test_a_list_of_any_shape_does_no_harm(answer: Any) -> None:
    for shape in (answer, {"data": answer}, {"data": [answer]}, [{"id": "a", "meta": answer, "type": answer}]):
        assert all(info.id and info.runtime == "x" for info in models_of("x", shape))
