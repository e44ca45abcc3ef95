"""``ask``: one question to one model, or to several side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alain_magics.chat import profiles
from alain_magics.chat.profiles import Options, Profile
from alain_magics.commands.answers import ModelRequest, stream_answer, stream_answers
from alain_magics.commands.base import Command, Context, Done, Event, Partial, Permission
from alain_magics.commands.interpolate import interpolate
from alain_magics.errors import AlainError, ConsentNeeded, InvalidOutput, UsageError
from alain_magics.ledger import prices
from alain_magics.runtimes.base import ChatRequest, Message, ToolCall
from alain_magics.runtimes.tokens import estimate_request

if TYPE_CHECKING:
    from alain_magics.chat.tools import FunctionTool
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.recording import Origin
    from alain_magics.runtimes.turn import Turn
    from alain_magics.workspace import Workspace

FIXED_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""What deterministic prompts say the time is."""

ROUNDS = 8
"""How often a model may call tools before its answer counts as the last."""


class AskRequest(ModelRequest):
    """What to ask, whom, and how."""

    prompt: list[str] = Field(
        default=[],
        description="the question, where it does not stand in the cell",
        json_schema_extra={"positional": True},
    )
    compare: list[str] = Field(
        default=[], description="ask this model too, side by side (repeatable)", json_schema_extra={"complete": "model"}
    )
    json_schema: str | None = Field(
        default=None,
        description="a variable or file with the JSON schema that the answer must satisfy",
        json_schema_extra={"complete": "file"},
    )
    tool: list[str] = Field(
        default=[], description="a function of the notebook that the model may ask for (repeatable)"
    )
    output: str | None = Field(
        default=None,
        description="keep the result in this variable",
        json_schema_extra={"short": "o", "variable": True},
    )
    estimate: bool = Field(default=False, description="say what it would take, and send nothing")
    deterministic: bool = Field(default=False, description="temperature 0 and a fixed seed and time")

    @property
    def wants_text(self) -> bool:
        """Whether the question is still to come."""
        return not self.prompt


async def run(context: Context, request: AskRequest) -> AsyncIterator[Event]:
    """Ask, show the answers as they come, and let the model call the tools that it was offered."""
    workspace = context.workspace
    prompt, sent = _prompt(context, request)
    tools = _tools(context, request.tool)
    options, head = _options(workspace, request)
    schema = _schema(context, request.json_schema) if request.json_schema else None
    asked: list[tuple[Runtime, ChatRequest]] = []
    for wanted in _wanted(request, options):
        runtime, model = await workspace.runtimes.choose(wanted)
        asked.append((runtime, _chat_request(model, [*head, Message("user", prompt)], options, tools, schema)))
    if request.estimate:
        yield await _estimate(asked)
        return
    record = context.origin if request.record else None
    turns = [
        workspace.turn(runtime, each, record=record, loop_detection=options.loop_detection) for runtime, each in asked
    ]
    answer: dict[str, Any] = {}
    if len(turns) > 1:
        ends: dict[int, dict[str, Any]] = {}
        async with aclosing(stream_answers(turns, sent=sent)) as partials:
            async for partial in partials:
                if partial.kind == "end":
                    ends[partial.data["slot"]] = partial.data
                yield partial
        yield Done({"answers": [ends[slot] for slot in sorted(ends)], "sent": sent}, "")
        return
    async with aclosing(_with_tools(workspace, turns[0], tools, record, sent)) as events:
        async for event in events:
            yield event
            if isinstance(event, Partial) and event.kind == "end":
                answer = event.data
    yield Done(answer, answer["text"])


def _wanted(request: AskRequest, options: Options) -> list[str | None]:
    """Return whom to ask; two models to compare need no third that is asked by default."""
    default = [options.model] if request.model or len(request.compare) < 2 else []
    return list(dict.fromkeys([*default, *request.compare]))


async def _with_tools(
    workspace: Workspace, turn: Turn, tools: Mapping[str, FunctionTool], record: Origin | None, sent: Mapping[str, int]
) -> AsyncGenerator[Event, None]:
    """Ask; where the model wants tools called and the user allows it, call them and ask on."""
    for _ in range(ROUNDS):
        async with aclosing(stream_answer(turn, sent=sent)) as partials:
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
        turn = workspace.turn(turn.runtime, asked, record=record)


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


def _options(workspace: Workspace, request: AskRequest) -> tuple[Options, list[Message]]:
    """Return the options in force, and the messages that stand before the question."""
    explicit, _ = request.explicit()
    folder = (workspace.project or workspace.folder) / profiles.FOLDER
    profile = profiles.load(folder, request.profile) if request.profile else Profile()
    if request.deterministic:
        profile = profile.model_copy(update={"fixed_time": profile.fixed_time or FIXED_TIME})
        explicit = profiles.resolve(explicit, Options.of({"temperature": 0.0}))
    settings = workspace.settings
    weakest = Options(model=settings.model or None, loop_detection=settings.loop_detection)
    options = profiles.resolve(explicit, profile.chosen(), weakest)
    return options, profile.to_messages(datetime.now(UTC), explicit.system)


def _chat_request(
    model: str,
    messages: list[Message],
    options: Options,
    tools: Mapping[str, FunctionTool],
    schema: Mapping[str, Any] | None,
) -> ChatRequest:
    return ChatRequest(
        model,
        tuple(messages),
        max_tokens=options.max_tokens,
        sampling=options.sampling,
        tools=tuple(tool.tool for tool in tools.values()),
        schema=schema,
        effort=options.effort,
        context_tokens=options.context_tokens,
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
