"""The answer, the reasoning and the calls in one text are told apart, whatever the pieces it comes in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.runtimes.base import TextDelta
from alain_magics.runtimes.parsing.channels import LONGEST_CALL, channel_parser
from tests.runtimes.parsing.heard import Heard, cuts, hear

MARKUP = [
    *("<think>", "</think>", "<thinking>", "</thinking>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>"),
    *("[TOOL_CALLS]", "[ARGS]", "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>"),
    *("<|constrain|>", "assistant", "analysis", "commentary", "final", " to=functions.look", " json"),
    *("\n", "\n\n", " ", "<", "[", "<|", "</", "{", '{"name": "f", "arguments": {"x": 1}}', "word", "Ünï…"),
]
MODELS = ["llama-3", "deepseek-r1-distill-qwen-7b", "openai/gpt-oss-20b"]
marked_up = st.lists(st.sampled_from(MARKUP), max_size=12).map("".join)
plain = st.text(st.characters(exclude_characters="<[", exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize("tags", [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")])
def test_what_stands_between_tags_of_thinking_is_reasoning(tags: tuple[str, str]) -> None:
    heard, flags = hear(f"{tags[0]}\nLet me see.\n{tags[1]}\n\n    code\n")
    assert heard == [("reasoning", "Let me see.\n"), ("text", "    code\n")]
    assert flags == []


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("<think></think>\n\nYes.", [("text", "Yes.")]),
        ("\n <think>a</think>\n<think>b</think>\nYes.", [("reasoning", "ab"), ("text", "Yes.")]),
        (
            "<think>a <thinking> b [/THINK] c</think>Yes.",
            [("reasoning", "a <thinking> b [/THINK] c"), ("text", "Yes.")],
        ),
        ("<think>a</think>See `<think>`.", [("reasoning", "a"), ("text", "See `<think>`.")]),
        ("<think>a</think>See `</think>`.", [("reasoning", "a"), ("text", "See `</think>`.")]),
    ],
)
def test_thinking_comes_before_the_answer_only(text: str, heard: Heard) -> None:
    assert hear(text) == (heard, [])


def test_thinking_that_never_ends_is_flagged() -> None:
    assert hear("<think>a") == ([("reasoning", "a")], ["the reasoning has no end"])


@pytest.mark.parametrize(
    "model", ["deepseek-ai/DeepSeek-R1", "deepseek-r1-distill-llama-8b", "Qwen/QwQ-32B", "qwen3-4b-thinking-2507"]
)
def test_families_whose_prompt_opens_the_thinking_begin_with_reasoning(model: str) -> None:
    assert hear("Let me see.\n</think>\n\nYes.", model) == ([("reasoning", "Let me see.\n"), ("text", "Yes.")], [])
    assert hear("<think>\nLet me see.</think>Yes.", model) == ([("reasoning", "Let me see."), ("text", "Yes.")], [])
    assert hear("", model) == ([], [])
    assert hear('<tool_call>{"name": "f"}</tool_call>', model, tools=True)[0] == [("call", "f", "{}")]


def test_a_family_that_thinks_first_is_believed_when_its_server_gives_the_reasoning_in_a_field() -> None:
    parser = channel_parser("deepseek-r1")
    parser.reasoning_is_separate()
    assert list(parser.feed("Yes.")) == [TextDelta("Yes.")]


def test_other_families_are_shown_and_nothing_is_taken_back_when_a_closing_tag_comes() -> None:
    assert hear("Let me see.</think>Yes.", "llama-3") == (
        [("text", "Let me see.</think>Yes.")],
        ["reasoning before </think> is part of the text"],
    )


CALL = '{"name": "look", "arguments": {"at": "Paris", "far": 1.0}}'


def test_calls_in_tags_are_calls_with_their_arguments_as_written() -> None:
    text = f"I look.\n<tool_call>\n{CALL}\n</tool_call>\n<tool_call>{CALL}</tool_call>\nDone."
    call = ("call", "look", '{"at": "Paris", "far": 1.0}')
    assert hear(text, tools=True) == ([("text", "I look.\n"), call, call, ("text", "Done.")], [])


def test_a_call_counts_without_its_closing_tag_at_the_end() -> None:
    assert hear(f"<think>a</think>\n<tool_call>{CALL}", tools=True)[0][1][:2] == ("call", "look")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ('{"name": "f", "parameters": {"x": 1}}', '{"x": 1}'),
        ('{"name": "f", "arguments": "{\\"x\\": 1}"}', '{"x": 1}'),
        ('{"name": "f"}', "{}"),
    ],
)
def test_other_ways_to_write_arguments_are_understood(call: str, arguments: str) -> None:
    assert hear(f"<tool_call>{call}</tool_call>", tools=True) == ([("call", "f", arguments)], [])


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>not JSON</tool_call> so",
        "<tool_call>[1]</tool_call> so",
        '<tool_call>{"no": "name"}</tool_call>',
        "<tool_call>",
        "<tool_call>" + '{"name": "' + "x" * LONGEST_CALL,
        "[TOOL_CALLS]",
        "[TOOL_CALLS] see the manual",
        "[TOOL_CALLS][1, 2]",
        '[TOOL_CALLS][{"name": "f"}, 2]',
        "[TOOL_CALLS]f[ARGS]{cut",
        "[TOOL_CALLS]" + "x" * LONGEST_CALL,
    ],
)
def test_what_cannot_be_read_as_a_call_stays_text(text: str) -> None:
    heard, flags = hear(text, tools=True, cuts=range(0, 500, 7))
    assert heard == [("text", text)]
    assert len(flags) == 1


def test_without_tools_on_offer_no_text_is_a_call() -> None:
    text = f"<tool_call>{CALL}</tool_call>[TOOL_CALLS]"
    assert hear(text) == ([("text", text)], [])


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        (f"[TOOL_CALLS] [{CALL}]", [("call", "look", '{"at": "Paris", "far": 1.0}')]),
        (f"So: [TOOL_CALLS]{CALL}", [("text", "So: "), ("call", "look", '{"at": "Paris", "far": 1.0}')]),
        ('[TOOL_CALLS][{"name": "f"},{"name":"g","arguments":{}}]', [("call", "f", "{}"), ("call", "g", "{}")]),
        ('[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g[ARGS]{}', [("call", "f", '{"x": 1}'), ("call", "g", "{}")]),
        ('[TOOL_CALLS]f[CALL_ID]abc123DEF[ARGS]{"x": 1}', [("call", "f", '{"x": 1}')]),
    ],
)
def test_calls_of_mistral_models_are_understood(text: str, heard: Heard) -> None:
    assert hear(text, "mistral-small", tools=True) == (heard, [])


@given(marked_up, cuts, st.sampled_from(MODELS), st.booleans())
def test_the_pieces_in_which_a_text_comes_make_no_difference(
    text: str, cuts: list[int], model: str, tools: bool
) -> None:
    assert hear(text, model, tools=tools, cuts=cuts) == hear(text, model, tools=tools)


@given(plain, cuts, st.sampled_from(["llama-3", "openai/gpt-oss-20b"]), st.booleans())
def test_text_without_markup_passes_unchanged(text: str, cuts: list[int], model: str, tools: bool) -> None:
    if text.lstrip().startswith(("analysis", "commentary")):
        return
    assert hear(text, model, tools=tools, cuts=cuts) == ([("text", text)] if text else [], [])


@given(marked_up, cuts)
def test_an_answer_that_begins_with_text_is_text_to_its_end(text: str, cuts: list[int]) -> None:
    assert hear(f"So {text}", cuts=cuts)[0] == [("text", f"So {text}")]


@given(plain, plain, st.sampled_from(["<think>", "<thinking>", "[THINK]"]), cuts)
def test_reasoning_and_answer_are_told_apart_without_loss(
    reasoning: str, answer: str, opener: str, cuts: list[int]
) -> None:
    closer = opener.replace("<", "</").replace("[", "[/")
    reasoning, answer = reasoning.lstrip("\r\n"), answer.lstrip("\r\n")
    expected = [(kind, text) for kind, text in [("reasoning", reasoning), ("text", answer)] if text]
    assert hear(f"{opener}\n{reasoning}{closer}\n\n{answer}", cuts=cuts) == (expected, [])


arguments = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=10), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["f", "look.up"]), arguments), max_size=3), plain, cuts)
def test_calls_and_text_are_told_apart_without_loss(
    calls: list[tuple[str, dict[str, object]]], text: str, cuts: list[int]
) -> None:
    written = [(name, json.dumps(values)) for name, values in calls]
    answer = text + "".join(
        f'\n<tool_call>{{"name": "{name}", "arguments": {values}}}</tool_call>' for name, values in written
    )
    heard, flags = hear(answer, tools=True, cuts=cuts)
    assert [each[1:] for each in heard if each[0] == "call"] == written
    assert "".join(each[1] for each in heard if each[0] == "text").rstrip("\n") == text.rstrip("\n")
    assert flags == []


def test_a_plain_piece_passes_at_once() -> None:
    parser = channel_parser("llama-3", tools=True)
    assert list(parser.feed("Once ")) == [TextDelta("Once ")]
    assert list(parser.feed("")) == []
    assert list(parser.feed("upon <")) == [TextDelta("upon ")]
    assert list(parser.feed(" a")) == [TextDelta("< a")]
    assert list(parser.finish()) == []
