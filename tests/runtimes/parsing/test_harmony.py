"""Harmony in the forms in which servers let it through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtimes.parsing.heard import Heard, cuts, hear

OSS = "openai/gpt-oss-20b"
TWO = [("reasoning", "Let me see."), ("text", "Yes.")]
CALL = [("reasoning", "Let me look."), ("call", "look", '{"at": "Paris"}')]


@pytest.mark.parametrize("model", [OSS, "tiny-harmony"])
@pytest.mark.parametrize(
    ("text", "heard"),
    [
        (
            "<|start|>assistant<|channel|>analysis<|message|>Let me see.<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
            TWO,
        ),
        (
            "<|channel|>analysis<|message|>Let me see.<|end|>\n<|start|>assistant<|channel|>final<|message|>Yes.",
            TWO,
        ),
        ("<|channel|>analysis<|message|>Let me see.<|channel|>final <|constrain|>json<|message|>Yes.<|return|>", TWO),
        ("<|start|>assistant<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant<|message|>Yes.", TWO),
        ("<|channel|>commentary<|message|>Let me see.<|end|>Yes.", TWO),
        ("<|channel|>musing<|message|>Let me see.<|end|><|channel|>final<|message|>Yes.", TWO),
        (
            "<|channel|>analysis<|message|>Let me look.<|end|><|start|>assistant<|channel|>commentary"
            ' to=functions.look <|constrain|>json<|message|>{"at": "Paris"}<|call|>',
            CALL,
        ),
        (
            "<|channel|>analysis<|message|>Let me look.<|end|><|start|>assistant to=functions.look"
            '<|channel|>commentary json<|message|>{"at": "Paris"}<|call|>',
            CALL,
        ),
        ("<|channel|>analysis to=browser.search code<|message|>Let me see.<|call|>Yes.", TWO),
    ],
)
def test_messages_go_where_their_header_says(text: str, heard: Heard, model: str) -> None:
    assert hear(text, model) == (heard, [])


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("analysisLet me see.assistantfinalYes.", TWO),
        ("analysisLet me assistantcommentarysee.assistantfinalYes.", TWO),
        ('analysisLet me look.assistantcommentary to=functions.look json{"at": "Paris"}', CALL),
        ('commentary to=functions.look json{"at": "Paris"}', CALL[1:]),
        ("analysisLet me see.assistantfinalYes. assistantfinal", [TWO[0], ("text", "Yes. assistantfinal")]),
        ("analysisAn assistant toassistantcommentary to=", [("reasoning", "An assistant to to=")]),
    ],
)
def test_words_without_their_markers_are_understood_for_gpt_oss(text: str, heard: Heard) -> None:
    assert hear(text, OSS) == (heard, [])
    assert hear(text, "llama-3") == ([("text", text)], [])


@pytest.mark.parametrize(
    "text", ["analysis of variance", "analysis: a word", "analysis", "commentary", "anal", "final words"]
)
def test_sentences_that_begin_with_such_a_word_are_text(text: str) -> None:
    assert hear(text, OSS) == ([("text", text)], [])


@pytest.mark.parametrize(
    "text",
    [
        "<|channel|> is a marker of Harmony.",
        "<|channel|>final",
        "<|start|>",
        "<|start|>assistant<|channel|>" + "x" * 100 + "<|message|>Yes.",
        "In Harmony, `<|channel|>final<|message|>` begins the answer.",
    ],
)
def test_markers_that_begin_no_message_are_text(text: str) -> None:
    assert hear(text, OSS) == ([("text", text)], [])


def test_a_marker_that_begins_no_message_is_part_of_the_message_it_stands_in() -> None:
    assert hear("<|channel|>final<|message|>See <|start|> (here).<|return|>") == (
        [("text", "See <|start|> (here).")],
        [],
    )


def test_a_header_that_is_cut_is_dropped_and_flagged() -> None:
    text = "<|channel|>analysis<|message|>Let me see.<|end|><|start|>assistant<|chan"
    assert hear(text) == ([("reasoning", "Let me see.")], ["the answer ends within a header"])


def test_what_the_model_says_in_the_name_of_others_is_reasoning() -> None:
    text = "<|channel|>final<|message|>Yes.<|end|><|start|>user<|message|>And now?<|end|>"
    assert hear(text) == ([("text", "Yes."), ("reasoning", "And now?")], ["the model speaks as user"])


words = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), min_size=1, max_size=40)
messages = st.lists(st.tuples(st.sampled_from(["analysis", "commentary", "final"]), words), min_size=1, max_size=4)


@given(messages, st.booleans(), cuts)
def test_messages_are_told_apart_without_loss(messages: list[tuple[str, str]], opened: bool, cuts: list[int]) -> None:
    text = "<|end|>".join(f"<|start|>assistant<|channel|>{name}<|message|>{words}" for name, words in messages)
    heard, flags = hear(text.removeprefix("<|start|>assistant") if opened else text, cuts=cuts)
    for kind in ("text", "reasoning"):
        sent = "".join(words for name, words in messages if (name == "final") == (kind == "text"))
        assert "".join(each[1] for each in heard if each[0] == kind) == sent
    assert flags == []


@given(words, words, cuts)
def test_reasoning_and_answer_without_markers_are_told_apart_without_loss(
    reasoning: str, answer: str, cuts: list[int]
) -> None:
    text = f"analysisWe {reasoning}assistantfinal{answer}"
    assert hear(text, OSS, cuts=cuts) == ([("reasoning", f"We {reasoning}"), ("text", answer)], [])
