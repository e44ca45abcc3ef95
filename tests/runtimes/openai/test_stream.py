"""The parser of chat completions: exact text from any framing, typed errors from anything else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import BadProtocol, ModelError, ServerFailed, StreamTruncated
from alain_magics.runtimes.base import Event, Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from alain_magics.runtimes.openai.stream import ChatParser, same_model, usage_of
from tests.runtimes.contract import Collected

DONE = b"data: [DONE]\n\n"


def event(chunk: Any) -> bytes:
    """A server-sent event that holds JSON."""
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    """The event of one chunk."""
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "model": "m", **more})


def parse(pieces: Iterable[bytes], asked: str = "m") -> Collected:
    """Parse a whole answer."""
    parser = ChatParser("Test", asked)
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return Collected(events + list(parser.finish()))


def parse_cut(pieces: Iterable[bytes]) -> tuple[Collected, ModelError | None]:
    """Parse what there is of an answer; the error that ends it, too."""
    parser, events = ChatParser("Test", "m"), []
    try:
        for piece in pieces:
            for each in parser.feed(piece):
                events.append(each)
        for each in parser.finish():
            events.append(each)
    except ModelError as error:
        return Collected(events), error
    return Collected(events), None


def calls(*deltas: Any) -> list[tuple[str, str, str]]:
    """The tool calls that pieces amount to."""
    answer = parse([*(chunk({"tool_calls": [delta]}) for delta in deltas), chunk({}, "tool_calls"), DONE])
    return [(call.id, call.name, call.arguments) for call in answer.calls]


def call(arguments: str = "", name: str | None = None, **more: Any) -> dict[str, Any]:
    """One piece of a tool call."""
    return {"function": {"arguments": arguments, **({"name": name} if name else {})}, **more}


TEXTS = ["Grüße ", "🌍\u2028", "{x}", '"\\n\n', "end"]
ANSWER = b"".join(
    [chunk({"role": "assistant", "content": ""}), chunk({"reasoning": "Hm 🤔"})]
    + [chunk({"content": text}) for text in TEXTS]
    + [chunk({}, "stop"), event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}), DONE]
)


@given(st.lists(st.integers(0, len(ANSWER)), max_size=12))
def test_the_text_is_exact_however_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(ANSWER)]
    answer = parse(ANSWER[start:end] for start, end in pairwise(edges))
    assert (answer.text, answer.reasoning) == ("".join(TEXTS), "Hm 🤔")
    assert answer.usage == Usage(3, 5)
    assert answer.finished == Finished("stop", "m")


def test_a_stream_that_ends_at_any_byte_keeps_what_came() -> None:
    finish = ANSWER.index(b'"stop"') + len(b'"stop"}], "model": "m"}')
    for end in range(len(ANSWER)):
        answer, error = parse_cut([ANSWER[:end]])
        begun = [text for text in TEXTS if ANSWER.index(json.dumps(text, ensure_ascii=False).encode()) < end - 60]
        assert answer.text.startswith("".join(begun[:-1]))
        assert "".join(TEXTS).startswith(answer.text)
        assert type(error) is (StreamTruncated if end < finish else type(None)), end


NAMES = st.sampled_from(
    """choices delta message content reasoning reasoning_content tool_calls function function_call name arguments id
    index finish_reason error usage prompt_tokens completion_tokens prompt_tokens_details completion_tokens_details
    timings prompt_ms prompt_n predicted_n model refusal text thinking type""".split()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_json_of_any_shape_gives_an_answer_or_a_typed_error(documents: list[Any]) -> None:
    answer, error = parse_cut([chunk({"content": "kept"}), *map(event, documents), DONE])
    assert answer.text.startswith("kept")
    assert (error is None) == (type(answer.events[-1]) is Finished)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("index", "id", "function"), JSON)), max_size=5))
def test_tool_calls_of_any_shape_have_slots_from_zero_on(pieces: list[Any]) -> None:
    answer, _ = parse_cut([*(chunk({"tool_calls": [piece]}) for piece in pieces), chunk({}, "stop"), DONE])
    slots = [each.slot for each in answer.events if type(each) is ToolCallDelta]
    assert sorted(set(slots)) == list(range(len(set(slots))))


@given(st.lists(st.binary(max_size=60) | st.sampled_from([ANSWER[:200], b"data: ", b"\n\n", b"{}", DONE]), max_size=6))
def test_bytes_of_any_kind_give_an_answer_or_a_typed_error(pieces: list[bytes]) -> None:
    answer, error = parse_cut(pieces)
    assert (error is None) == any(type(each) is Finished for each in answer.events)


def test_content_given_as_parts_is_text_and_thinking() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "Hel"},
        "lo",
        {"type": "image_url", "image_url": {"url": "x"}},
        7,
    ]
    answer = parse([chunk({"content": parts}), chunk({}, "stop")])
    assert (answer.reasoning, answer.text) == ("Hm", "Hello")


def test_thinking_that_comes_under_both_names_is_taken_once() -> None:
    answer = parse([chunk({"reasoning": "Hm", "reasoning_content": "Hm"}), chunk({}, "stop")])
    assert answer.reasoning == "Hm"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_the_name_of_the_thinking_is_told(name: str) -> None:
    parser = ChatParser("Test", "m")
    assert list(parser.feed(chunk({name: "Hm"}))) == [ReasoningDelta("Hm")]
    assert parser.reasoning_field == name


def test_a_refusal_is_text_and_flagged() -> None:
    answer = parse([chunk({"refusal": "I can"}), chunk({"refusal": "not."}), chunk({}, "stop")])
    assert answer.text == "I cannot."
    assert answer.finished.flags == ("refusal",)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([call("{", "f", index=0, id="a"), call("}", index=0)], [("a", "f", "{}")]),
        ([call("{}", "f", index=0, id="a"), call("{}", "g", index=1, id="b")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([call("{}", "f", id="a"), call("{}", "f", id="b")], [("a", "f", "{}"), ("b", "f", "{}")]),
        ([call("{", "f", id="a"), call("}", id="a")], [("a", "f", "{}")]),
        ([call("{", "f", index=0, id="a"), call("}", "f", index=0, id="a")], [("a", "f", "{}")]),
        ([call("{}", "f"), call("{}", "g")], [("", "f", "{}"), ("", "g", "{}")]),
        ([call("{}", "f", index=0), call("{}", "f", index=0)], [("", "f", "{}"), ("", "f", "{}")]),
        ([call("{", "f", index=0), call("}", "f", index=0)], [("", "f", "{}")]),
        ([call("", "f", index=0), call("{}", index=0, id="late")], [("late", "f", "{}")]),
        ([call("{", "f", index=0, id="a"), call("}", index=0, id="changed")], [("a", "f", "{}")]),
        ([{"index": 0, "function": {}}, {"index": 0, "function": None}, call("{}", "f", index=1)], [("", "f", "{}")]),
        ([{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}], [("a", "f", '{"x":1}')]),
        ([call("{", "f", index=0), call("{", "g", index=1), call("}", index=0), call("}", index=1)],
         [("", "f", "{}"), ("", "g", "{}")]),
    ],
)  # fmt: skip
def test_tool_calls_are_told_apart(pieces: list[Any], expected: list[Any]) -> None:
    assert calls(*pieces) == expected


def test_the_function_call_of_old_servers_is_a_tool_call() -> None:
    pieces = [chunk({"function_call": {"name": "f", "arguments": "{"}}), chunk({"function_call": {"arguments": "}"}})]
    answer = parse([*pieces, chunk({}, "function_call"), DONE])
    assert [(each.name, each.arguments) for each in answer.calls] == [("f", "{}")]
    assert answer.finished.reason == "tool_calls"


@pytest.mark.parametrize(
    ("said", "arguments", "reason"),
    [
        ("tool_calls", '{"a": 1}', "tool_calls"),
        ("tool_calls", '{"a": "x', "length"),
        ("tool_calls", "{a: 1}", "tool_calls"),  # wrong, but whole
        ("stop", "{}", "tool_calls"),
        ("length", '{"a', "length"),
        (None, "{}", "tool_calls"),
        (None, '{"a', "length"),
        ("content_filter", "{}", "content_filter"),
    ],
)
def test_the_reason_of_the_end_follows_the_tool_calls(said: str | None, arguments: str, reason: str) -> None:
    pieces = [chunk({"tool_calls": [call(arguments, "f", index=0)]}), chunk({}, said), DONE]
    finished = parse(pieces).finished
    assert finished.reason == reason
    assert finished.flags == (() if said == reason else ("finish_reason inferred",))


def test_a_reason_that_nobody_knows_counts_as_the_end_and_is_flagged() -> None:
    finished = parse([chunk({"content": "x"}, "tired")]).finished
    assert (finished.reason, finished.flags) == ("stop", ("finish_reason tired",))


def test_the_reason_error_is_an_error() -> None:
    broken = {"delta": {"content": ""}, "finish_reason": "error", "error": {"message": "upstream failed", "code": 502}}
    answer, error = parse_cut([chunk({"content": "kept"}), event({"choices": [broken]})])
    assert answer.text == "kept"
    assert type(error) is ServerFailed
    assert "upstream failed" in error.what


def test_nothing_after_the_end_is_taken() -> None:
    assert (
        parse([chunk({"content": "x"}, "stop") + DONE + chunk({"content": "y"}), chunk({"content": "z"})]).text == "x"
    )


def test_whole_json_instead_of_a_stream_is_the_answer() -> None:
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "Hm", "tool_calls": None}
    whole = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}, "model": "m"}
    answer = parse([json.dumps(whole, indent=1).encode()])
    assert (answer.text, answer.reasoning, answer.finished.reason) == ("Hello", "Hm", "stop")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", StreamTruncated),
        (b"\n\n: ping\n\n", StreamTruncated),
        (b"dat", StreamTruncated),
        (b'{"choices": [{"mess', StreamTruncated),
        (b"<html><title>Sign in</title>", BadProtocol),
        (b"Welcome!", BadProtocol),
        (b'{"hello": "world"}', BadProtocol),
        (b"[1]", BadProtocol),
        (b'{"error": "Unexpected endpoint or method."}', ServerFailed),
        (DONE, StreamTruncated),
    ],
)
def test_what_holds_no_answer_is_told_by_its_kind(body: bytes, kind: type[ModelError]) -> None:
    answer, error = parse_cut([body])
    assert type(error) is kind
    assert not answer.events
    assert "Test" in error.what
    assert error.advice


def test_an_answer_may_be_empty() -> None:
    answer = parse([chunk({"role": "assistant"}), chunk({}, "stop"), DONE])
    assert [type(each) for each in answer.events] == [Finished]


@pytest.mark.parametrize("error", [None, ""])
def test_an_error_that_is_none_does_no_harm(error: Any) -> None:
    assert parse([chunk({"content": "x"}, error=error), chunk({}, "stop", error=error)]).text == "x"


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"usage": None}, None),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, None),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": "x"}}, Usage(5, 0)),
        (
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 7,
                    "prompt_tokens_details": {"cached_tokens": 4},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                }
            },
            Usage(9, 7, 3, 4),
        ),
        (
            {"timings": {"cache_n": 2, "prompt_n": 3, "predicted_n": 4, "prompt_ms": 500, "predicted_ms": 2000.0}},
            Usage(5, 4, 0, 2, "provider", 0.5, 2.0),
        ),
    ],
)
def test_usage_is_read_where_there_is_any(document: dict[str, Any], usage: Usage | None) -> None:
    assert usage_of(document) == usage


def test_names_from_the_server_hold_no_control_characters() -> None:
    finished = parse([event({"choices": [{"delta": {}, "finish_reason": "\x1b[2J"}], "model": "x\x1b[2J\n"})]).finished
    assert not any(character < " " for text in (finished.model, *finished.flags) for character in text)


def test_a_long_tool_call_takes_time_in_proportion_to_its_length() -> None:
    begun = time.perf_counter()
    pieces = [chunk({"tool_calls": [call('["', "f", index=0, id="a")]})]
    pieces += [chunk({"tool_calls": [call("x" * 20, index=0)]})] * 20_000
    (made,) = parse([*pieces, chunk({"tool_calls": [call('"]', index=0)]}), chunk({}, "tool_calls")]).calls
    assert len(made.arguments) == 400_004
    assert time.perf_counter() - begun < 5  # in proportion to its square it would be a minute


def test_the_last_usage_of_a_stream_counts() -> None:
    counted = [chunk({"content": "x"}, usage={"prompt_tokens": 3, "completion_tokens": number}) for number in (1, 2)]
    assert parse([*counted, chunk({}, "stop")]).usage == Usage(3, 2)


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("qwen3", "qwen3:latest", True),
        ("openai/gpt-oss-20b", "gpt-oss-20b", True),
        ("gpt-oss-20b", "/models/GPT-OSS-20B", True),
        ("gpt-4", "gpt-4-32k", False),
        ("a", "b", False),
    ],
)
def test_a_dated_or_shortened_name_is_the_same_model(asked: str, answered: str, same: bool) -> None:
    assert same_model(asked, answered) is same


def test_a_long_body_without_events_is_given_up() -> None:
    _, error = parse_cut([b"x" * 2**20 + b"\n"] * 80)
    assert type(error) is BadProtocol


def test_a_stream_says_when_only_its_end_is_awaited() -> None:
    parser = ChatParser("Test", "m")
    seen = []
    for piece in (
        chunk({"content": "x"}),
        chunk({}, "stop"),
        event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}),
    ):
        assert all(type(each) is TextDelta for each in parser.feed(piece))
        seen.append((parser.begun, parser.ended, parser.complete))
    assert seen == [(True, False, False), (True, True, False), (True, True, True)]
