"""The body of a chat completion: everything of the request is in it, in the words of the server."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import ModelError, Refused, ServerFailed
from alain_magics.runtimes.base import ChatRequest, Message, Sampling, ToolCall
from alain_magics.runtimes.openai.body import ATTEMPTS, Attempt, manners_of
from alain_magics.runtimes.providers import PROVIDERS, Capabilities
from tests.runtimes.contract import SCHEMA, WEATHER, ask


def attempt(request: ChatRequest, **capabilities: Any) -> Attempt:
    known = Capabilities(**capabilities)
    return Attempt(request, known, manners_of(known, request.model))


def test_a_plain_request_is_model_messages_and_a_stream_with_usage() -> None:
    request = ChatRequest("m", (Message("system", ""), Message("user", "Hi")))
    assert attempt(request).body() == {
        "model": "m",
        "messages": [{"role": "system", "content": ""}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_calls_and_results_of_tools_are_sent_as_they_were() -> None:
    call = ToolCall("c1", "f", '{"broken": ')
    messages = (
        Message("assistant", "", reasoning="Hm", tool_calls=(call,)),
        Message("tool", "42", tool_call_id="c1", name="f"),
    )
    request = ChatRequest("m", messages, tools=(WEATHER,))
    body = attempt(request, reasoning_field="reasoning").body()
    told = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"broken": '}}
    assert body["messages"] == [
        {"role": "assistant", "content": None, "reasoning": "Hm", "tool_calls": [told]},
        {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "f"},
    ]
    assert body["tools"][0]["function"]["parameters"] == WEATHER.parameters


def test_thinking_is_not_sent_back_where_no_name_for_it_is_known() -> None:
    (message,) = attempt(ChatRequest("m", (Message("assistant", "x", reasoning="Hm"),))).body()["messages"]
    assert message == {"role": "assistant", "content": "x"}


VALUES = st.fixed_dictionaries(
    {},
    optional={
        each.name: st.tuples(st.text(min_size=1)) if each.name == "stop" else st.integers(0, 5)
        for each in fields(Sampling)
    },
)


@given(VALUES, st.sampled_from([each for each in PROVIDERS.values() if each.kind == "openai"]))
def test_every_sampling_value_is_sent_or_flagged(values: dict[str, Any], provider: Any) -> None:
    request = ask("m", "Hi", sampling=Sampling(**values))
    tried = Attempt(request, provider.capabilities, manners_of(provider.capabilities, "m"))
    body = tried.body()
    for name, value in values.items():
        known = provider.capabilities.sampling.get(name)
        sent = known is not None and body[known] == (list(value) if name == "stop" else value)
        assert sent != (f"ignored:{name}" in tried.flags)


@pytest.mark.parametrize(
    ("thinking", "effort", "expected"),
    [
        ("reasoning_effort", "high", {"reasoning_effort": "high"}),
        ("reasoning_effort", "off", {"reasoning_effort": "low"}),
        ("chat_template", "off", {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low"}}),
        ("chat_template", "high", {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "high"}}),
        ("", "high", {}),
    ],
)
def test_the_effort_is_told_in_the_way_of_the_server(thinking: str, effort: Any, expected: dict[str, Any]) -> None:
    tried = attempt(ask("m", "Hi", effort=effort), thinking=thinking)
    body = tried.body()
    assert {name: body[name] for name in ("reasoning_effort", "chat_template_kwargs") if name in body} == expected
    assert tried.flags == ([] if expected else ["ignored:effort"])


def test_what_stands_in_extra_goes_into_the_body_as_it_is() -> None:
    body = attempt(ask("m", "Hi", extra={"temperature": 2, "provider": {"sort": "price"}})).body()
    assert body["temperature"] == 2
    assert body["provider"] == {"sort": "price"}


@pytest.mark.parametrize(
    ("capabilities", "kind", "told", "flags"),
    [
        ({}, "json_schema", False, []),
        ({"json_schema": False}, "json_object", True, []),
        ({"json_schema": False, "json_object": False}, None, True, ["schema not enforced"]),
    ],
)
def test_a_schema_is_asked_for_as_strictly_as_the_server_can(
    capabilities: dict[str, Any], kind: str | None, told: bool, flags: list[str]
) -> None:
    request = ChatRequest("m", (Message("system", "Be kind."), Message("user", "Hi")), schema=SCHEMA)
    tried = attempt(request, **capabilities)
    body = tried.body()
    assert body.get("response_format", {}).get("type") == kind
    assert (json.dumps(SCHEMA) in body["messages"][0]["content"]) == told
    assert body["messages"][0]["content"].startswith("Be kind.")
    assert tried.flags == flags


def test_a_schema_that_no_form_can_hold_is_asked_for_in_words_at_last() -> None:
    tried = attempt(ask("m", "Hi", schema=SCHEMA))
    forms = [tried.body().get("response_format")]
    while tried.adapt(Refused("X: failed to parse grammar", status=400)):
        if tried.body().get("response_format") != forms[-1]:
            forms.append(tried.body().get("response_format"))
    assert [form and form["type"] for form in forms] == [
        "json_schema",
        "json_schema",
        "json_object",
        "json_object",
        None,
    ]
    assert tried.manners.form == 0  # another schema may be held


@given(st.lists(st.sampled_from(
    [Refused("unsupported: temperature", status=400), Refused("bad", status=400), Refused("max_tokens not supported, "
     "use max_completion_tokens", status=400), Refused("unsupported max_completion_tokens", status=400),
     Refused("response_format unknown", status=422), Refused("grammar", status=400), ServerFailed("peg-native format"),
     Refused("streaming is not supported", status=400), ServerFailed("broken", status=503)]), max_size=30)
)  # fmt: skip
def test_a_server_that_refuses_everything_is_asked_a_few_times_only(errors: list[ModelError]) -> None:
    tried = attempt(ask("m", "Hi", schema=SCHEMA))
    assert sum(tried.adapt(error) for error in errors) < ATTEMPTS


def test_bodies_are_not_shared_between_attempts() -> None:
    request = ask("m", "Hi", schema=SCHEMA)
    before = json.dumps(SCHEMA)
    tried = attempt(request, json_schema=False)
    assert tried.body() == tried.body()
    assert json.dumps(SCHEMA) == before
