"""Lessons from model cards: enough items for every real card, each proven or cited, and honest refusals."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alain_magics.errors import NothingToTeach
from alain_magics.lessons.pipeline import write_lesson
from alain_magics.lessons.proving import Prover, python_version
from alain_magics.lessons.quality import judge, mend
from alain_magics.lessons.schema import CodeStep, Difficulty, Lesson, Question, Section, TextStep
from alain_magics.lessons.sources.card import CardDocument, read_card
from alain_magics.lessons.teachers.base import Brief, Outline
from alain_magics.lessons.teachers.card import CardTeacher
from alain_magics.lessons.teachers.card.items import Computed, programs
from alain_magics.lessons.teachers.card.model import read_model
from alain_magics.lessons.teachers.card.teacher import plan_sections
from alain_magics.sandbox import Sandbox

FEWEST_ITEMS = 4
CARDS = (
    "deepseek-ai-deepseek-r1-distill-qwen-32b", "distilbert-distilgpt2", "google-t5-v1-1-base",
    "helsinki-nlp-opus-mt-en-fr", "inclusionai-ling-flash-2-0", "mistralai-magistral-small-2509", "openai-gpt-oss-20b",
    "qwen-qwen2-5-1-5b-instruct", "qwen-qwen3-0-6b", "salesforce-codet5p-220m", "t5-small",
    "tinyllama-tinyllama-1-1b-chat-v1-0",
)  # fmt: skip
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "intermediate_size": 5632,
    "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4, "vocab_size": 32000,
    "max_position_embeddings": 2048, "tie_word_embeddings": False,
}  # fmt: skip


def teach(
    document: CardDocument, difficulty: Difficulty = "beginner"
) -> tuple[Outline, list[tuple[Section, list[Question]]]]:
    """The outline of a card, and the section and questions of each topic."""

    async def run() -> tuple[Outline, list[tuple[Section, list[Question]]]]:
        brief = Brief(difficulty)
        async with Prover(Sandbox("limited")) as prover:
            teacher = CardTeacher(document, prover)
            outline = await teacher.outline(document, brief)
            parts = []
            for topic in outline.topics:
                questions = await teacher.questions(document, brief, topic)
                assert all(isinstance(question, Question) for question in questions)
                parts.append((await teacher.section(document, brief, topic), questions))
        return outline, parts

    return asyncio.run(run())


def lesson_of(document: CardDocument, difficulty: Difficulty = "beginner") -> Lesson:
    """The lesson that the pipeline makes of a card."""

    async def run() -> Lesson:
        async with Prover(Sandbox("limited")) as prover:
            async for part in write_lesson(document, CardTeacher(document, prover), Brief(difficulty)):
                if isinstance(part, Lesson):
                    return part
        raise AssertionError("no lesson came")

    return asyncio.run(run())


def small_card(folder: Path, text: str, config: object = None) -> CardDocument:
    path = folder / "README.md"
    path.write_text(text, encoding="utf-8")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return read_card(path)


def all_questions(parts: list[tuple[Section, list[Question]]]) -> list[Question]:
    return [question for _, questions in parts for question in questions]


@pytest.mark.parametrize("name", CARDS)
def test_every_shared_card_gives_items_that_hold(shared: Path, name: str) -> None:
    document = read_card(shared / "fixtures" / "model_cards" / f"{name}.md")
    outline, parts = teach(document, "advanced")
    questions = all_questions(parts)
    assert len(questions) >= FEWEST_ITEMS
    forms = {question.form for question in questions}
    assert outline.kind == ("lesson" if len(questions) >= 8 and len(forms) >= 3 else "tour")
    for section, own in parts:
        above = "\n".join(step.markdown for step in section.steps if isinstance(step, TextStep))
        check_section(document, section)
        for question in own:
            check_question(document, question)
            verdict = judge(mend(question), above)
            assert verdict.kept, (question.stem, verdict.findings)
            assert not verdict.flagged, (question.stem, verdict.flagged)


def check_section(document: CardDocument, section: Section) -> None:
    first, *rest = section.steps
    assert isinstance(first, TextStep)
    assert len(first.markdown.split()) <= 90
    for step in rest:
        if isinstance(step, CodeStep):
            assert step.proof is not None
            assert step.proof == step.proof.sealed()
            assert step.proof.runs[0].output == step.output
            assert step.output
        else:
            assert isinstance(step, TextStep)
            quotes = [line for line in step.markdown.splitlines() if line.startswith(">")]
            assert len(" ".join(quotes).split()) - len(quotes) <= 90
            assert step.citations


def check_question(document: CardDocument, question: Question) -> None:
    assert question.citations
    for citation in question.citations:
        assert document.text[citation.start : citation.end] == citation.quote
        assert citation.quote.strip()
    assert all(option.feedback for option in question.options)
    assert question.explanation
    assert question.objective
    if question.proof is None:
        assert question.form == "single"
        return
    proof = question.proof
    assert proof == proof.sealed()
    assert proof.versions == {"python": python_version()}
    assert proof.seeds == [0, 1]
    key, *slips = proof.runs
    assert key.how == "key"
    assert sorted(run.option for run in proof.runs if run.option is not None) == list(range(len(question.options)))
    if question.form == "numeric":
        assert question.answer == float(key.output)
        assert all(question.options[run.option].text == run.output for run in slips if run.option is not None)
        slipped = [float(option.text) for option in question.options]
        assert all(abs(value - question.answer) > 2 * question.tolerance for value in slipped)
        assert not any(option.correct for option in question.options)
    else:
        assert question.key == key.option
        assert question.options[question.key].text == key.output


# Worked out by hand from the cards: card, a word of the stem, answer.
ANSWERS = [
    ("tinyllama-tinyllama-1-1b-chat-v1-0", "In bf16 each", 2.20),
    ("tinyllama-tinyllama-1-1b-chat-v1-0", "1,000 tokens of context", 22.53),
    ("tinyllama-tinyllama-1-1b-chat-v1-0", "A report of 12,000 words", 10),
    ("qwen-qwen2-5-1-5b-instruct", "1,000 tokens of context", 28.67),
    ("qwen-qwen2-5-1-5b-instruct", "by what factor", 6),
    ("qwen-qwen3-0-6b", "with a full window, fit", 2),
    ("qwen-qwen3-0-6b", "tokens are left", 8192),
    ("qwen-qwen3-0-6b", "second copy", 311.2),
    ("openai-gpt-oss-20b", "key-value cache of 131,072", 3.22),
    ("openai-gpt-oss-20b", "packed in MXFP4", 10.15),
    ("openai-gpt-oss-20b", "left for everything else", 2.24),
    ("openai-gpt-oss-20b", "YaRN", 131_072),
    ("inclusionai-ling-flash-2-0", "routed experts", 3.125),
    ("deepseek-ai-deepseek-r1-distill-qwen-32b", "How many thousand tokens", 25.25),
    ("t5-small", "the two caches", 6.14),
    ("google-t5-v1-1-base", "a matrix each", 49.35),
    ("helsinki-nlp-opus-mt-en-fr", "less the lowest", 23.0),
    ("mistralai-magistral-small-2509", "per cent of the lower number", 22.15),
]


@pytest.mark.parametrize(("name", "words", "answer"), ANSWERS)
def test_answers_are_those_worked_out_by_hand(shared: Path, name: str, words: str, answer: float) -> None:
    _, parts = teach(read_card(shared / "fixtures" / "model_cards" / f"{name}.md"), "advanced")
    (question,) = [question for question in all_questions(parts) if words.lower() in question.stem.lower()]
    assert question.answer == pytest.approx(answer, abs=0.006)


@pytest.mark.parametrize("difficulty", ["beginner", "intermediate", "advanced"])
def test_the_difficulty_decides_which_questions_come(shared: Path, difficulty: Difficulty) -> None:
    document = read_card(shared / "fixtures" / "model_cards" / "qwen-qwen3-0-6b.md")
    _, parts = teach(document, difficulty)
    levels = [[question.difficulty for question in questions] for _, questions in parts]
    assert any("advanced" in own for own in levels) == (difficulty != "beginner")
    assert all(own[0] == difficulty for own in levels if difficulty in own)


def test_the_pipeline_makes_a_lesson_without_flaws_of_a_real_card(shared: Path) -> None:
    lesson = lesson_of(read_card(shared / "fixtures" / "model_cards" / "openai-gpt-oss-20b.md"))
    assert lesson.kind == "lesson"
    assert len(lesson.questions()) >= 8
    assert {question.form for question in lesson.questions()} >= {"numeric", "single", "predict"}
    assert lesson.quality.flaws == {}
    assert all(bar.passed for bar in lesson.quality.bars)
    assert lesson.source.licence == "apache-2.0"
    assert lesson.references[0].startswith("Model card of openai/gpt-oss-20b (revision ")


def test_two_runs_give_the_same_lesson(shared: Path) -> None:
    document = read_card(shared / "fixtures" / "model_cards" / "t5-small.md")
    assert lesson_of(document) == lesson_of(document)


@pytest.mark.parametrize(
    "text", ["# My model\n\nIt is the best model of all.", "hello", "# T\n\n| a | b |\n|---|---|\n| x | y |"]
)
def test_a_card_with_nothing_in_it_is_refused_with_the_way_on(tmp_path: Path, text: str) -> None:
    with pytest.raises(NothingToTeach) as caught:
        teach(small_card(tmp_path, text))
    assert "--teacher MODEL" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_few_items_make_a_short_tour(tmp_path: Path) -> None:
    outline, parts = teach(small_card(tmp_path, "# Tiny 7B\n\nThis model has 7B parameters."))
    assert outline.kind == "tour"
    assert outline.title == "Tiny 7B: a short tour"
    assert 0 < len(all_questions(parts)) < 8


def test_a_configuration_that_is_not_understood_gives_no_arithmetic_of_attention(tmp_path: Path) -> None:
    card = "# Odd 1.1B\n\nIt has 1.1B parameters."
    known, _ = teach(small_card(tmp_path, card, LLAMA))
    assert "The key-value cache" in [topic.title for topic in known.topics]
    for change in ({"model_type": "mamba"}, {"kv_lora_rank": 512}, {"layer_types": ["mamba"] * 22}):
        odd, _ = teach(small_card(tmp_path, card, LLAMA | change))
        assert "The key-value cache" not in [topic.title for topic in odd.topics]


def test_code_of_a_card_is_shown_and_never_made_a_code_step(tmp_path: Path) -> None:
    card = (
        "# Shell 1.1B\n\n1.1B parameters.\n\n```python\n!pip install evil\nmodel = A.from_pretrained('x', "
        "trust_remote_code=True)\nopen('canary', 'w')\n```\n"
    )
    _, parts = teach(small_card(tmp_path, card, LLAMA))
    shown = [step.markdown for section, _ in parts for step in section.steps if isinstance(step, TextStep)]
    assert any("!pip install evil" in markdown and "shown and not run" in markdown for markdown in shown)
    programs = [step.source for section, _ in parts for step in section.steps if isinstance(step, CodeStep)]
    programs += [run.code for question in all_questions(parts) if question.proof for run in question.proof.runs]
    assert programs
    assert not any("pip" in program or "canary" in program or "open(" in program for program in programs)


POISON = [
    "__import__('os').system('touch canary')", '"); open("canary", "w"); ("', "<script>alert(1)</script>", "%s {{7*7}}",
    "![x](http://evil/x.png)", "`x`\n\n# Title", "{output} {name} {0}", "\u202eevil", "[a](javascript:alert(1))",
]  # fmt: skip


@pytest.mark.parametrize("text", POISON)
def test_text_of_a_card_never_becomes_code_markup_or_a_template(tmp_path: Path, text: str) -> None:
    flat = " ".join(text.split())
    rows = "".join(f"| {flat.replace('|', ' ')} {i} | {i}.5 | {9 - i}.25 |\n" for i in range(5))
    value = json.dumps(text)
    card = (
        f"---\nlicense: {value}\npipeline_tag: {value}\nlanguage: [{value}, fr, de, ro]\n---\n"
        f"# {flat} 1.1B\n\nIt has 1.1B parameters {flat}. Performance might degrade past 40k of 128k {flat}.\n\n"
        f"| {flat} | A {flat} | B {flat} |\n|---|---|---|\n{rows}\n"
    )
    document = small_card(tmp_path, card, LLAMA | {"architectures": [text + "ForCausalLM"], "hidden_act": text})
    _, parts = teach(document, "advanced")
    questions = all_questions(parts)
    assert len(questions) >= FEWEST_ITEMS
    markdown = "\n".join(step.markdown for section, _ in parts for step in section.steps if isinstance(step, TextStep))
    assert "<script" not in markdown
    assert not re.search(r"(?<!\\)!\[|\]\(javascript", markdown)
    assert "\u202e" not in markdown + "".join(
        question.model_dump_json() for question in questions if not question.citations
    )
    programs = [step.source for section, _ in parts for step in section.steps if isinstance(step, CodeStep)]
    programs += [run.code for question in questions if question.proof for run in question.proof.runs]
    names = {node.id for program in programs for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Name)}
    assert names.isdisjoint({"__import__", "open", "eval", "exec"})
    assert list(tmp_path.glob("canary")) == []


hostile = st.one_of(
    st.sampled_from(
        [0, -1, 1, 2, 7, 10**8, 10**9, 10**300, 1.5, 1e308, True, None, "8", [], [[]], {}, ["x"], {"a": {}}]
    ),
    st.integers(1, 5000),
)
KEYS = [
    *LLAMA, "head_dim", "sliding_window", "use_sliding_window", "layer_types", "d_model", "d_ff", "d_kv", "num_layers",
    "num_heads", "feed_forward_proj", "num_local_experts", "num_experts_per_tok", "rope_scaling", "is_encoder_decoder",
    "quantization_config", "text_config", "vision_config", "n_embd", "n_layer", "n_head", "n_positions",
]  # fmt: skip
TYPES = ["llama", "mistral", "qwen2", "qwen3", "gpt2", "gpt_oss", "t5", "bailing_moe", "phi3", "unheard_of"]


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS), hostile, max_size=8))
@example("llama", {"tie_word_embeddings": []})
@settings(deadline=None)
def test_any_configuration_is_planned_without_a_failure(
    tmp_path_factory: pytest.TempPathFactory, kind: str, change: dict[str, object]
) -> None:
    card = "# Big 7B\n\nIt has 7B parameters, 2B active parameters."
    config = LLAMA | {"model_type": kind} | {name: value for name, value in change.items() if name != "model_type"}
    for plan in plan_sections(read_model(small_card(tmp_path_factory.mktemp("card"), card, config))):
        assert len(plan.prose.split()) <= 90
        for item in plan.items:
            assert "?" in item.stem
            if isinstance(item, Computed):
                for program in programs(item):
                    ast.parse(program)
