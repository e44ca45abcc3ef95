"""Messages become the text that a model continues, by the template that the model's file holds.

Templates come from strangers: they run in jinja2's sandbox, and what they raise is a typed error.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from alain_magics.errors import Refused
from alain_magics.runtimes.base import ChatRequest, Message, Tool
from alain_magics.runtimes.local.llamacpp import library

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{{ '<|im_start|>assistant\\n' }}"
)
"""What most models without a template of their own were tuned with."""

VARIABLES = "chat_template_kwargs"
"""The entry of ``ChatRequest.extra`` whose values the template sees, as servers call it."""

_THINKS = re.compile(r"<think>\s*$")
_FINAL = "<|channel|>final<|message|>"


@dataclass(frozen=True)
class Prompt:
    """The text that the model continues; ``begun`` is the part of the answer that it ends with already."""

    text: str
    begun: str = ""
    flags: tuple[str, ...] = ()


def mentions_tools(template: str) -> bool:
    """Whether a template shows tools to the model."""
    return re.search(r"\btools\b", template) is not None


def render(template: str, request: ChatRequest, *, beginning: str = "", end: str = "") -> Prompt:
    """Make the prompt; ``beginning`` and ``end`` are the model's own markers around a text.

    A schema is to be answered at once: thoughts and calls of tools are left out then. Raises
    :class:`~alain_magics.errors.Refused` where the template does not take the conversation.
    """
    variables, remarks = _variables(template, request)
    try:
        write = _compiled(template or CHATML, beginning, end)
        try:
            text = write(messages=_plain(request.messages), **variables).prompt
        except Exception:
            if request.messages[0].role != "system":
                raise
            text = write(messages=_plain(_without_system(request.messages)), **variables).prompt
            remarks.append("the system message was put before the first question")
    except Exception as error:  # noqa: BLE001  # a template can raise anything
        what = f"The chat template of {request.model} does not take this conversation: {str(error)[:200].rstrip('.')}."
        raise Refused(what, "Begin with a question, and let question and answer alternate.") from None
    begun = ""
    if opened := _THINKS.search(text):
        begun = "<think>"
        if request.schema is not None or request.effort == "off":
            begun = "<think>\n\n</think>\n\n"
            text = text[: opened.start()] + begun
    elif request.schema is not None and _FINAL in template:
        text += _FINAL
    return Prompt(text, begun, tuple(remarks))


@lru_cache(maxsize=8)
def _compiled(template: str, beginning: str, end: str) -> Any:
    """Return a template ready for use, which takes long ones some ten milliseconds."""
    return library().llama_chat_format.Jinja2ChatFormatter(template, end, beginning)


def _variables(template: str, request: ChatRequest) -> tuple[dict[str, Any], list[str]]:
    """Return what the template is told beside the messages, and remarks on what it would not understand."""
    variables: dict[str, Any] = dict(request.extra.get(VARIABLES, {}))
    remarks = [f"ignored:{name}" for name in request.extra if name != VARIABLES]
    if not template:
        remarks.append("no chat template in the file: ChatML used")
    if request.tools and mentions_tools(template) and request.schema is None:
        variables["tools"] = [_tool(tool) for tool in request.tools]
    elif request.tools:
        remarks.append("ignored:tools")
    switch, effort = "enable_thinking" in template, request.effort
    if switch and (effort or request.schema is not None):
        variables["enable_thinking"] = effort != "off" and request.schema is None
    if "reasoning_effort" in template and effort:
        variables["reasoning_effort"] = "low" if effort == "off" else effort
        if effort == "off" and request.schema is None:
            remarks.append("effort: low is the least")
    elif effort and effort != "off" and not switch:
        remarks.append("ignored:effort")
    return variables, remarks


def _tool(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _without_system(messages: Sequence[Message]) -> Sequence[Message]:
    """Put the system message before the first question, for templates that know none."""
    system, first, *rest = messages
    return (replace(first, content=f"{system.content}\n\n{first.content}".strip()), *rest)


def _plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    """Return a message as templates know it: thoughts under both usual names, arguments as an object."""
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        plain["reasoning_content"] = message.reasoning
        if not (message.content and message.tool_calls):  # the template of gpt-oss takes one of them
            plain["thinking"] = message.reasoning
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.sent_back()}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        plain["tool_call_id"] = message.tool_call_id
    if message.name:
        plain["name"] = message.name
    return plain
