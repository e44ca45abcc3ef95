"""Numeric answers: from exact values, and the same from the figures that the stem shows."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.proving import Prover
from alain_magics.lessons.schema import Question
from alain_magics.lessons.sources.card import CardDocument, read_card
from alain_magics.lessons.teachers.card.items import Computed, Maker, Plan, programs, stated_program
from alain_magics.lessons.teachers.card.model import read_model
from alain_magics.lessons.teachers.card.teacher import plan_sections
from alain_magics.lessons.teachers.card.units import figure
from alain_magics.sandbox import Sandbox

CARDS = (
    "deepseek-ai-deepseek-r1-distill-qwen-32b", "distilbert-distilgpt2", "google-t5-v1-1-base",
    "helsinki-nlp-opus-mt-en-fr", "inclusionai-ling-flash-2-0", "mistralai-magistral-small-2509", "openai-gpt-oss-20b",
    "qwen-qwen2-5-1-5b-instruct", "qwen-qwen3-0-6b", "salesforce-codet5p-220m", "t5-small",
    "tinyllama-tinyllama-1-1b-chat-v1-0",
)  # fmt: skip
Numbers = list[float]


def made(document: CardDocument, plans: list[Plan]) -> tuple[list[Question], dict[str, int]]:
    """The questions of plans, and what was dropped."""

    async def run() -> tuple[list[Question], dict[str, int]]:
        async with Prover(Sandbox("limited")) as prover:
            maker = Maker(document, prover)
            parts = await maker.make(plans)
            return [question for part in parts for question in part.questions], maker.dropped

    return asyncio.run(run())


def numbers_of(stem: str, name: str) -> Numbers:
    """The numbers of a stem in their order, the model's name left out; sizes in bytes, ``1 GB is 10^9`` left out."""
    if table := re.search(r"gives (\S+) for .* and (\S+) for", stem):
        return [float(table[1]), float(table[2])]
    stem = re.sub(r"\(?1 [GM]B is 10\^\d bytes[.,)]*", "", stem.replace(name, ""))
    scales = {" GB": 1e9, " MB": 1e6}
    return [
        float(match[1].replace(",", "")) * scales.get(match[2] or "", 1)
        for match in re.finditer(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)( GB| MB)?(?![\w])", stem)
    ]


def scale(question: Question) -> float:
    return {"GB": 1e9, "MB": 1e6, "GB/s": 1e9}[question.unit]


# A phrase of the stem, and the answer from the numbers that stand in it.
FROM_THE_STEM: dict[str, Callable[[Numbers, Question], float]] = {
    "In bf16 each takes 16 bits": lambda n, q: n[0] * n[1] / 8 / scale(q),
    "one 16-bit scale for every group": lambda n, q: n[0] * 4.5 / 8 / scale(q),
    "How many bits may a weight take": lambda n, q: (n[1] - n[2]) * 8 / n[0],
    "by what factor would the cache grow": lambda n, q: n[0] / n[1],
    "For how many thousand tokens": lambda n, q: (n[0] - n[1] - n[2]) / n[3] / 1000,
    "How many conversations, each": lambda n, q: (n[0] - n[1] - n[2]) // n[4],
    "What share of the two together": lambda n, q: 100 * n[2] / (n[1] + n[2]),
    "how many tokens per second can one": lambda n, q: n[0] / (n[1] * 2),
    "How many GB per second": lambda n, q: n[0] * n[1] / 8 * n[2] / 1e9,
    "routed experts": lambda n, q: 100 * n[1] / n[0],
    "What share of its parameters": lambda n, q: 100 * n[1] / n[0],
    "are packed in MXFP4": lambda n, q: n[0] * n[1] * 3 * n[2] * n[3] * 4.25 / 8 / 1e9,
    "left for everything else? 1 GB": lambda n, q: (n[2] - n[0] - n[1] * 2) / 1e9,
    "How many million weights have its four": lambda n, q: 2 * n[3] * n[2] * (n[0] + n[1]) / 1e6,
    "is gated": lambda n, q: 3 * n[0] * n[1] / 1e6,
    "has one matrix that widens": lambda n, q: 2 * n[0] * n[1] / 1e6,
    "use one matrix of": lambda n, q: 100 * n[0] * n[1] / n[2],
    "use two matrices of": lambda n, q: 200 * n[0] * n[1] / n[2],
    "have a matrix each": lambda n, q: 2 * n[0] * n[1] / 1e6,
    "share one matrix": lambda n, q: n[0] * n[1] / 1e6,
    "the second copy": lambda n, q: n[1] * n[2] * 2 / 1e6,
    "How many pages": lambda n, q: n[1] * n[2] / n[0],
    "tokens are left for everything else": lambda n, q: n[0] - n[1],
    "A report of": lambda n, q: -(-n[0] / n[1] // (n[2] - n[3] - n[4])),
    "How many positions can be reached": lambda n, q: n[0] * n[1],
    "sets the temperature": lambda n, q: 2.718281828459045 ** (n[1] / n[0]),
    "larger?": lambda n, q: 100 * (n[0] - n[1]) / n[1],
}


def from_config(question: Question, config: dict[str, object]) -> float | None:
    """The answers whose numbers are those of the configuration, worked out anew."""

    def count(*names: str) -> int:
        return next((value for name in names if isinstance(value := config.get(name), int)), 0)

    layers = count("num_hidden_layers", "n_layer")
    heads, hidden = count("num_attention_heads", "n_head"), count("hidden_size", "n_embd")
    width = (count("num_key_value_heads") or heads) * (count("head_dim") or (hidden // heads if heads else 0))
    per_token = 4 * layers * width
    if "do 1,000 tokens of context take" in question.stem:
        return 1000 * per_token / scale(question)
    if "A server holds 8 conversations" in question.stem:
        return 8 * min(4096, count("max_position_embeddings", "n_positions")) * per_token / scale(question)
    if "keep every token" in question.stem:
        windowed = layers // 2
        tokens = count("max_position_embeddings") * (layers - windowed) + count("sliding_window") * windowed
        return tokens * 4 * width / scale(question)
    if "How many MB do the two caches" in question.stem:
        decoder = count("num_decoder_layers", "num_layers")
        return 500 * 4 * decoder * count("num_heads") * count("d_kv") / scale(question)
    return None


@pytest.mark.parametrize("name", CARDS)
def test_every_numeric_answer_follows_from_its_stem_or_the_configuration(shared: Path, name: str) -> None:
    path = shared / "fixtures" / "model_cards" / f"{name}.md"
    document = read_card(path)
    model = read_model(document)
    beside = path.with_name(f"{name}.config.json")
    config = json.loads(beside.read_text()) if beside.exists() else {}
    config |= config.get("text_config", {})
    questions, dropped = made(document, plan_sections(model))
    assert "the stem's figures give another answer" not in dropped
    for question in questions:
        if question.form != "numeric" or "highest value less the lowest" in question.stem:
            continue
        assert question.answer
        assert question.tolerance >= 0.0125 * question.answer or question.answer.is_integer()
        again = from_config(question, config)
        if again is None:
            (rule,) = [rule for words, rule in FROM_THE_STEM.items() if words in question.stem]
            stem = re.sub(r"about (\d+) billion", lambda match: f"{int(match[1]) * 10**9}", question.stem)
            again = rule(numbers_of(stem, model.name), question)
        assert again == pytest.approx(question.answer, abs=max(question.tolerance, 1e-9)), question.stem


def test_every_slip_changes_the_program_and_every_figure_stands_in_it(shared: Path) -> None:
    for name in CARDS:
        for plan in plan_sections(read_model(read_card(shared / "fixtures" / "model_cards" / f"{name}.md"))):
            for item in plan.items:
                if isinstance(item, Computed):
                    assert item.code not in programs(item)[1:], item.stem
                    assert all(exact in item.code for exact, _ in item.figures), item.stem


@pytest.mark.parametrize(
    ("code", "figures", "exact", "reason"),
    [
        ("print(4614 / 1000)", (("4614", "5000"),), False, "the stem's figures give another answer"),
        ("print(127 // 10)", (("127", "130"),), True, "the stem's figures give another answer"),
        ("print(0.0)", (), False, "no number that could be typed"),
        ("print(1.5)", (), True, "no number that could be typed"),
    ],
)
def test_an_answer_that_the_stem_does_not_give_is_dropped(
    tmp_path: Path, code: str, figures: tuple[tuple[str, str], ...], exact: bool, reason: str
) -> None:
    (tmp_path / "README.md").write_text("# M")
    item = Computed("numeric", "How many?", code, (), (), "So many.", exact=exact, figures=figures)
    questions, dropped = made(read_card(tmp_path / "README.md"), [Plan("T", "O", "P", items=(item,))])
    assert questions == []
    assert dropped == {reason: 1}


@given(st.integers(100, 10**13))
def test_a_figure_says_the_same_to_people_and_programs_and_is_never_nothing(size: int) -> None:
    shown = figure(size)
    number, unit = shown.text.split()
    value = float(number.replace(",", "")) * {"GB": 1e9, "MB": 1e6}[unit]
    assert value == pytest.approx(float(shown.code))
    assert value == pytest.approx(size, rel=0.0006)
    assert value > 0


def test_the_stated_program_has_the_figures_of_the_stem() -> None:
    item = Computed("numeric", "?", "a, b = 1234, 5\nprint(a / b)", (), (), "", figures=(("1234", "1.2e3"),))
    assert stated_program(item) == "a, b = 1.2e3, 5\nprint(a / b)"
