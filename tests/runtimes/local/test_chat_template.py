"""Prompts out of messages, by the templates that models bring."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from alain_magics.errors import Refused
from alain_magics.runtimes.base import ChatRequest, Message, ToolCall
from alain_magics.runtimes.local.chat_template import render
from alain_magics.runtimes.local.gguf import read_header
from tests.conftest import require
from tests.runtimes.contract import SCHEMA, WEATHER

SWITCH = "{% if enable_thinking is defined and not enable_thinking %}silent {% endif %}{{ messages[-1].content }}"
STRICT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{{ messages[0].content }}"
)


@pytest.fixture(autouse=True)
def bindings() -> None:
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")


def ask(*messages: Message, **options: Any) -> ChatRequest:
    return ChatRequest("model", messages or (Message("user", "Hello"),), **options)


def test_the_conversation_is_written_as_the_template_says() -> None:
    template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ eos_token }}"
    messages = (Message("system", "Be brief."), Message("user", "Hi"))
    prompt = render(template, ask(*messages), beginning="<s>", end="</s>")
    assert (prompt.text, prompt.begun, prompt.flags) == ("<s>[system]Be brief.[user]Hi</s>", "", ())


def test_calls_thoughts_and_results_reach_the_template() -> None:
    template = (
        "{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }}|"
        "{% for c in m.tool_calls %}{{ c.function.name }}({{ c.function.arguments.city }}){% endfor %}"
        "{{ m.tool_call_id }}|{{ m.name }};{% endfor %}{% for t in tools %}{{ t.function.name }}{% endfor %}"
    )
    call = ToolCall("1", "get_weather", '{"city": "Oslo"}')
    broken = replace(call, arguments="{")
    messages = (
        Message("assistant", "", reasoning="hm", tool_calls=(call, broken)),
        Message("tool", "sunny", tool_call_id="1", name="get_weather"),
    )
    prompt = render(template, ask(*messages, tools=(WEATHER,)))
    assert prompt.text == "hm|hm|get_weather(Oslo)get_weather()|;||1|get_weather;get_weather"


def test_a_template_that_knows_no_tools_or_effort_is_remarked() -> None:
    prompt = render("{{ messages[0].content }}", ask(tools=(WEATHER,), effort="high", extra={"mirostat": 2}))
    assert set(prompt.flags) == {"ignored:tools", "ignored:effort", "ignored:mirostat"}


def test_variables_of_the_template_can_be_given() -> None:
    assert render("{{ voice }}", ask(extra={"chat_template_kwargs": {"voice": "calm"}})).text == "calm"


def test_thinking_is_switched_off_where_it_is_not_wanted() -> None:
    assert render(SWITCH, ask(effort="off")).text == "silent Hello"
    assert render(SWITCH, ask(schema=SCHEMA)).text == "silent Hello"
    assert render(SWITCH, ask(effort="high")).text == "Hello"
    assert render(SWITCH, ask()).text == "Hello"


def test_thoughts_that_the_prompt_begins_belong_to_the_answer_and_can_be_ended() -> None:
    template = "{{ messages[0].content }}<think>\n"
    assert render(template, ask()).begun == "<think>"
    for request in (ask(effort="off"), ask(schema=SCHEMA)):
        prompt = render(template, request)
        assert prompt.begun == "<think>\n\n</think>\n\n"
        assert prompt.text == "Hello" + prompt.begun


def test_a_schema_is_answered_in_the_final_channel_and_without_tools(weights: Any) -> None:
    template = read_header(weights / "tiny-harmony.gguf").chat_template()
    free = render(template, ask(tools=(WEATHER,), effort="low"))
    bound = render(template, ask(tools=(WEATHER,), schema=SCHEMA))
    assert "Reasoning: low" in free.text
    assert "get_weather" in free.text
    assert free.text.endswith("<|start|>assistant")
    assert bound.text.endswith("<|start|>assistant<|channel|>final<|message|>")
    assert "get_weather" not in bound.text
    assert bound.flags == ("ignored:tools",)
    assert render(template, ask(effort="off")).flags == ("effort: low is the least",)


def test_a_file_without_a_template_is_asked_in_chatml() -> None:
    prompt = render("", ask())
    assert prompt.text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert prompt.flags == ("no chat template in the file: ChatML used",)


def test_a_system_message_that_the_template_refuses_stands_before_the_first_question() -> None:
    prompt = render(STRICT, ask(Message("system", "Be brief."), Message("user", "Hi")))
    assert prompt.text == "Be brief.\n\nHi"
    assert prompt.flags == ("the system message was put before the first question",)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('roles must alternate') }}",
        "{% for %}",
        "{{ missing.attribute.of.nothing }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ 1 / 0 }}",
    ],
)
def test_what_a_template_raises_is_a_typed_error(template: str) -> None:
    with pytest.raises(Refused, match="does not take this conversation") as caught:
        render(template, ask())
    assert caught.value.advice
