"""What a card's numbers mean: parameters, caches and windows, and what is left alone because it is not understood."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.sources.card import CardDocument, read_card
from alain_magics.lessons.teachers.card.experts import packed_weights
from alain_magics.lessons.teachers.card.model import Cache, Config, close, plain_name, read_model, stated_counts

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 512,
}  # fmt: skip


def card(folder: Path, config: object, text: str = "# M", record: object = None) -> CardDocument:
    (folder / "README.md").write_text(text)
    (folder / "config.json").write_text(json.dumps(config))
    if record is not None:
        (folder / "model.json").write_text(json.dumps(record))
    return read_card(folder / "README.md")


# Counted from the configuration; the differences to the checkpoints are known: GPT-2 stores causal masks, Qwen3-0.6B
# the tied matrix twice, T5 an unused table of 32 x 8 numbers, and Magistral's vision part is not counted at all.
COUNTS = {
    "tinyllama-tinyllama-1-1b-chat-v1-0": (1_100_048_384, 0),
    "qwen-qwen2-5-1-5b-instruct": (1_543_714_304, 0),
    "deepseek-ai-deepseek-r1-distill-qwen-32b": (32_763_876_352, 0),
    "distilbert-distilgpt2": (81_912_576, 6 * 1024 * 1024),
    "qwen-qwen3-0-6b": (596_049_920, 151_936 * 1024),
    "t5-small": (60_506_624, 32 * 8),
    "mistralai-magistral-small-2509": (24_011_361_280, 0),
    "inclusionai-ling-flash-2-0": (102_889_705_216, 0),
    "openai-gpt-oss-20b": (21_000_000_000, 511_953_984),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_agree_with_the_checkpoint_but_for_a_known_difference(shared: Path, name: str) -> None:
    document = read_card(shared / "fixtures" / "model_cards" / f"{name}.md")
    model = read_model(document)
    stored = document.fact("safetensors.total")
    assert model.count is not None
    assert stored is not None
    expected, difference = COUNTS[name]
    assert model.count.value == expected
    assert stored.value == expected + difference


def test_a_count_that_nothing_confirms_is_left_out(tmp_path: Path) -> None:
    assert read_model(card(tmp_path, LLAMA)).count is None
    assert read_model(card(tmp_path, LLAMA, "# M\n\nIt has 900 million parameters.")).count is None
    parts = read_model(card(tmp_path, LLAMA)).parts
    assert parts is not None
    stored = {"safetensors": {"total": parts.total}}
    count = read_model(card(tmp_path, LLAMA, "# M", stored)).count
    assert count is not None
    assert count.value == parts.total


def test_the_parts_of_a_llama_add_up(tmp_path: Path) -> None:
    parts = read_model(card(tmp_path, LLAMA)).parts
    assert parts is not None
    assert parts.attention == 64 * 64 * 2 + 64 * 16 * 2
    assert parts.feed_forward == 3 * 64 * 128
    assert parts.total == 2 * 6400 + 4 * (parts.attention + parts.feed_forward + 128) + 64


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("It has 82 million parameters.", [(82_000_000, False)]),
        ("Number of Parameters: 0.6B", [(600_000_000, False)]),
        ("(21B parameters with 3.6B active parameters)", [(21 * 10**9, False), (3_600_000_000, True)]),
        ("100B total parameters and 6.1B activated parameters", [(100 * 10**9, False), (6_100_000_000, True)]),
        ("a 1.5 trillion parameter model", [(1_500_000_000_000, False)]),
        ("trained on 20T tokens; version 2.7B-3", []),
    ],
)
def test_stated_parameters_are_found(tmp_path: Path, text: str, counts: list[tuple[int, bool]]) -> None:
    document = card(tmp_path, LLAMA, text)
    assert [(value, active) for value, active, _ in stated_counts(document)] == counts


def test_numbers_of_another_model_on_the_card_are_not_taken_for_its_own(shared: Path) -> None:
    cards = shared / "fixtures" / "model_cards"
    distilled = read_model(read_card(cards / "deepseek-ai-deepseek-r1-distill-qwen-32b.md"))
    assert distilled.active == 0
    small = read_model(read_card(cards / "openai-gpt-oss-20b.md"))
    assert (small.total, small.active) == (21 * 10**9, 3_600_000_000)


def test_the_packed_weights_of_gpt_oss_are_as_large_as_its_checkpoint(shared: Path) -> None:
    model = read_model(read_card(shared / "fixtures" / "model_cards" / "openai-gpt-oss-20b.md"))
    assert packed_weights(model) == 24 * 32 * 3 * 2880 * 2880 * 17 // 32 + 2 * 1_804_459_584


def test_a_grouped_cache_counts_key_value_heads(tmp_path: Path) -> None:
    cache = read_model(card(tmp_path, LLAMA)).cache
    assert cache is not None
    assert cache.bytes_at(10) == 10 * 4 * 2 * 2 * 8 * 2
    wide = read_model(card(tmp_path, LLAMA | {"head_dim": 32})).cache
    assert wide is not None
    assert wide.bytes_at(10) == 4 * cache.bytes_at(10)


@pytest.mark.parametrize(
    ("change", "windowed"),
    [
        ({}, 0),
        ({"sliding_window": None}, 0),
        ({"model_type": "mistral", "sliding_window": 128}, 4),
        ({"model_type": "mistral", "sliding_window": 512}, 0),
        ({"model_type": "qwen2", "sliding_window": 128, "use_sliding_window": False}, 0),
        (
            {
                "model_type": "gpt_oss",
                "sliding_window": 128,
                "layer_types": ["sliding_attention", "full_attention"] * 2,
            },
            2,
        ),
        ({"layer_types": ["full_attention"] * 4}, 0),
    ],
)
def test_windows_are_understood(tmp_path: Path, change: dict[str, object], windowed: int) -> None:
    cache = read_model(card(tmp_path, LLAMA | change)).cache
    assert cache is not None
    assert cache.windowed == windowed


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "deepseek_v3", "kv_lora_rank": 512},
        {"kv_lora_rank": 512},
        {"model_type": "qwen2", "sliding_window": 128, "use_sliding_window": True},
        {"layer_types": ["linear_attention"] * 4},
        {"layer_types": ["full_attention"] * 3},
        {"layer_types": [{}] * 4},
        {"layer_types": ["sliding_attention"] * 4},
        {"num_key_value_heads": 3},
        {"num_attention_heads": 7, "num_key_value_heads": 7},
        {"num_hidden_layers": "4"},
    ],
)
def test_a_cache_that_is_not_understood_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    assert read_model(card(tmp_path, LLAMA | change)).cache is None


def test_the_language_part_of_a_model_with_vision_is_read(tmp_path: Path) -> None:
    config = Config(card(tmp_path, {"model_type": "x3", "text_config": LLAMA, "vision_config": {"hidden_size": 9}}))
    assert (config.type, config.count("hidden_size"), config.has_vision) == ("llama", 64, True)


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 5000), st.integers(0, 200_000))
def test_a_window_never_enlarges_a_cache(layers: int, windowed: int, window: int, tokens: int) -> None:
    windowed = min(windowed, layers)
    plain = Cache(layers, 8, 2, 64, 512, ())
    sliding = Cache(layers, 8, 2, 64, 512, (), windowed, window)
    assert sliding.bytes_at(tokens) <= plain.bytes_at(tokens)
    assert (sliding.bytes_at(tokens) == plain.bytes_at(tokens)) == (windowed == 0 or tokens <= window)


@given(st.text(max_size=200))
def test_a_name_is_safe_in_prose_and_stems(title: str) -> None:
    name = plain_name(title)
    assert 0 < len(name) <= 60
    assert name.isprintable()
    assert not set(name) & set("`*<>[]#|!&~$\\\"'{}")


def test_counts_within_five_per_cent_are_close() -> None:
    assert close(596_049_920, 600_000_000)
    assert not close(0, 0)
    assert not close(94, 100)
