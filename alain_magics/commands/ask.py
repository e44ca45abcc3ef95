"""``ask``: one question to one model, or to several side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alain_magics.commands.answers import stream_answer, stream_answers
from alain_magics.commands.base import Command, Context, Done, Event, Partial, Permission, Request
from alain_magics.commands.interpolate import interpolate
from alain_magics.errors import AlainError, ConsentNeeded, InvalidOutput, UsageError
from alain_magics.ledger import prices
from alain_magics.runtimes.base import ChatRequest, Effort, Message, Sampling, ToolCall
from alain_magics.runtimes.tokens import estimate_request

if TYPE_CHECKING:
    from alain_magics.chat.tools import FunctionTool
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.turn import Turn

ROUNDS = 8
"""How often a model may call tools before its answer counts as the last."""


class AskRequest(Request):
    """What to ask, whom, and how."""

    prompt: list[str] = Field(
        default=[],
        description="the question, where it does not stand in the cell; - reads the standard input",
        json_schema_extra={"positional": True},
    )
    model: str | None = Field(
        default=None,
        description="whom to ask, as runtime/model (default: what use chose)",
        json_schema_extra={"short": "m", "complete": "model"},
    )
    compare: list[str] = Field(
        default=[], description="ask this model too, side by side (repeatable)", json_schema_extra={"complete": "model"}
    )
    system: str | None = Field(
        default=None, description="what the model should know about its role", json_schema_extra={"short": "s"}
    )
    temperature: float | None = Field(default=None, ge=0, le=5, description="0: always the likeliest token")
    max_tokens: int | None = Field(default=None, ge=1, description="tokens that the answer may have")
    seed: int | None = Field(default=None, description="the same seed gives the same answer, where the runtime can")
    effort: Effort | None = Field(default=None, description="how much to think before the answer")
    json_schema: str | None = Field(
        default=None,
        description="a variable or file with the JSON schema that the answer must satisfy",
        json_schema_extra={"complete": "file"},
    )
    tool: list[str] = Field(
        default=[], description="a function of the notebook that the model may ask for (repeatable)"
    )
    output: str | None = Field(
        default=None, description="keep the result in this variable", json_schema_extra={"short": "o"}
    )
    estimate: bool = Field(default=False, description="say what it would take, and send nothing")
    deterministic: bool = Field(default=False, description="temperature 0 and a fixed seed")
    record: bool = Field(default=False, description="keep prompt, answer and measurements under runs/")


async def run(context: Context, request: AskRequest) -> AsyncIterator[Event]:
    """Ask, show the answers as they come, and let the model call the tools that it was offered."""
    prompt, sent = _prompt(context, request)
    tools = _tools(context, request.tool)
    chosen = [await context.workspace.runtimes.choose(name) for name in (request.model, *request.compare)]
    asked = [_chat_request(model, prompt, request, tools, context) for _, model in chosen]
    if request.estimate:
        yield await _estimate([(runtime, each) for (runtime, _), each in zip(chosen, asked, strict=True)])
        return
    turns = [
        context.workspace.turn(runtime, each, record=request.record)
        for (runtime, _), each in zip(chosen, asked, strict=True)
    ]
    if len(turns) > 1:
        ends: dict[int, dict[str, Any]] = {}
        async with aclosing(stream_answers(turns)) as partials:
            async for event in partials:
                if event.kind == "end":
                    ends[event.data["slot"]] = event.data
                yield event
        yield Done({"answers": [ends[slot] for slot in sorted(ends)], "sent": sent}, "")
        return
    async for event in _with_tools(context, turns[0], tools, record=request.record):
        yield event
        if isinstance(event, Partial) and event.kind == "end":
            answer = event.data
    yield Done({**answer, "sent": sent}, answer["text"])


async def _with_tools(
    context: Context, turn: Turn, tools: Mapping[str, FunctionTool], *, record: bool
) -> AsyncGenerator[Event, None]:
    """Ask; where the model wants tools called and the user allows it, call them and ask on."""
    for _ in range(ROUNDS):
        async with aclosing(stream_answer(turn)) as partials:
            async for event in partials:
                yield event
        answer = turn.answer
        if answer.finish != "tool_calls" or not tools:
            return
        messages = [Message("assistant", answer.text, answer.reasoning, answer.tool_calls)]
        for call in answer.tool_calls:
            permission = _permission(call, tools)
            if isinstance(permission, str):
                result = permission
            else:
                yield permission
                result = await _outcome(permission)
            yield Partial("tool", {"name": call.name, "arguments": call.arguments, "result": result})
            messages.append(Message("tool", result, tool_call_id=call.id, name=call.name))
        asked = replace(turn.request, messages=(*turn.request.messages, *messages))
        turn = context.workspace.turn(turn.runtime, asked, record=record)


def _permission(call: ToolCall, tools: Mapping[str, FunctionTool]) -> Permission | str:
    """Return what the user must be asked, or what the model is told where its call makes no sense."""
    if call.name not in tools:
        return f"There is no tool {call.name}."
    tool = tools[call.name]
    try:
        arguments = tool.prepared(call)
    except InvalidOutput as error:
        return str(error)
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return Permission(f"The model wants to call {call.name}({shown}).", partial(tool.call, arguments), Future())


async def _outcome(permission: Permission) -> str:
    """Return what the call gave, as text for the model."""
    try:
        return str(await asyncio.wrap_future(permission.outcome))
    except ConsentNeeded:
        return "The user did not allow this call."
    except Exception as error:  # noqa: BLE001  # whatever the user's function raises, the model should know
        return f"{type(error).__name__}: {error}"


def _prompt(context: Context, request: AskRequest) -> tuple[str, dict[str, int]]:
    """Return the question with the values of variables in it, and how many characters each of them sends."""
    text = "\n".join(part for part in (" ".join(request.prompt), context.cell or "") if part.strip()).strip("\n")
    if not text.strip():
        raise UsageError("There is nothing to ask.", "Write the question into the cell, or after the verb.")
    filled = interpolate(text, context.namespace) if context.cell is not None else None
    return (filled.text, filled.sent) if filled else (text, {})


def _tools(context: Context, names: list[str]) -> dict[str, FunctionTool]:
    from alain_magics.chat.tools import FunctionTool

    missing = [name for name in names if name not in context.namespace]
    if missing:
        raise UsageError(f"There is no function {missing[0]}.", "Define it in a cell first; a shell has no tools.")
    return {name: FunctionTool(name, context.namespace[name]) for name in names}


def _chat_request(
    model: str, prompt: str, request: AskRequest, tools: Mapping[str, FunctionTool], context: Context
) -> ChatRequest:
    system = [Message("system", request.system)] if request.system else []
    sampling = Sampling(temperature=request.temperature, seed=request.seed)
    if request.deterministic:
        sampling = replace(sampling, temperature=request.temperature or 0.0, seed=request.seed or 0)
    return ChatRequest(
        model,
        (*system, Message("user", prompt)),
        max_tokens=request.max_tokens,
        sampling=sampling,
        tools=tuple(tool.tool for tool in tools.values()),
        schema=_schema(context, request.json_schema) if request.json_schema else None,
        effort=request.effort,
    )


def _schema(context: Context, name: str) -> Mapping[str, Any]:
    """Return the JSON schema of a variable (a dict, or a pydantic model) or of a file."""
    found = context.namespace.get(name)
    if found is None:
        try:
            found = json.loads(context.workspace.path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{name} is neither a variable nor a file with a JSON schema: {error}.") from None
    if hasattr(found, "model_json_schema"):
        found = found.model_json_schema()
    if not isinstance(found, Mapping):
        raise UsageError(f"{name} is no JSON schema.", "Give a dict, a pydantic model or a JSON file.")
    return found


async def _estimate(asked: list[tuple[Runtime, ChatRequest]]) -> Done:
    """Say how many tokens each model would read, and what that costs."""
    rows, lines = [], []
    for runtime, request in asked:
        try:
            counted = await runtime.count_tokens(request)
        except AlainError:
            counted = None
        tokens = estimate_request(request) if counted is None else counted
        output = request.max_tokens or 0
        cost = 0 if runtime.local else prices.cost(runtime.name, request.model, tokens, output)
        rows.append(
            {
                "model": f"{runtime.name}/{request.model}",
                "input_tokens": tokens,
                "source": "estimate" if counted is None else "counted",
                "max_tokens": request.max_tokens,
                "cost": cost,
            }
        )
        answer = f"at most {output} for the answer" if output else "the answer's are not limited (--max-tokens)"
        about = "about " if counted is None else ""
        lines.append(
            f"{runtime.name}/{request.model}: {about}{tokens} tokens to read, {answer}; {_price(cost, output)}"
        )
    return Done({"estimates": rows}, "\n".join([*lines, "Nothing was sent."]))


def _price(cost: int | None, output: int) -> str:
    if not cost:
        return prices.as_text(cost)
    return f"{'at most' if output else 'at least'} {prices.as_text(cost)}"


command = Command(
    "ask",
    "ask a model, or several side by side",
    AskRequest,
    run,
    takes_cell=True,
    examples=("ask 'What is a median?'", "ask --model ollama/gpt-oss:20b --compare openai/gpt-4o 'Explain recursion.'"),
)
