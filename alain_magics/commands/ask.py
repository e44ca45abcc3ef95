"""``ask``: one question to one model, or to several side by side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from alain_magics.chat import profiles
from alain_magics.chat.profiles import Options, Profile
from alain_magics.commands.answers import ModelRequest, defect, question, stream_answer, stream_answers
from alain_magics.commands.base import Command, Context, Done, Event, Partial, Permission
from alain_magics.errors import AlainError, ConsentNeeded, InvalidOutput, KeyMissing, UsageError
from alain_magics.ledger import prices
from alain_magics.runtimes.base import ChatRequest, Message, ToolCall
from alain_magics.runtimes.makers import runs_here
from alain_magics.runtimes.tokens import estimate_request

if TYPE_CHECKING:
    from alain_magics.chat.tools import FunctionTool
    from alain_magics.runtimes.base import Runtime
    from alain_magics.runtimes.registry import Runtimes
    from alain_magics.runtimes.turn import Turn
    from alain_magics.workspace import Workspace

FIXED_TIME = datetime(2026, 1, 1, tzinfo=UTC)
"""What deterministic prompts say the time is."""

ROUNDS = 8
"""How often the tools that a model wants are called for one question."""

_Ends = list[dict[str, Any]]


class AskRequest(ModelRequest):
    """What to ask, whom, and how."""

    prompt: list[str] = Field(
        default=[],
        description="the question, where it does not stand in the cell",
        json_schema_extra={"positional": True},
    )
    compare: list[str] = Field(
        default=[],
        description="a model to compare (repeatable): one is compared with the default (or --model); two or more "
        "without --model are compared with each other only",
        json_schema_extra={"complete": "model"},
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
    if request.compare and request.tool:
        raise UsageError("--compare and --tool cannot go together.", "Leave one of them out.")
    prompt, sent = _prompt(context, request)
    tools = _tools(context, request.tool)
    options, head = _options(workspace, request)
    schema = _schema(context, request.json_schema) if request.json_schema else None
    asking = partial(
        ChatRequest,
        messages=(*head, Message("user", prompt)),
        max_tokens=options.max_tokens,
        sampling=options.sampling,
        tools=tuple(tool.tool for tool in tools.values()),
        schema=schema,
        effort=options.effort,
        context_tokens=options.context_tokens,
    )
    wanted = _wanted(request, options)
    if request.estimate:
        yield _estimated([await _estimate(workspace.runtimes, each, asking) for each in wanted])
        return
    record = context.origin if request.record else None
    turn = partial(workspace.turn, record=record, loop_detection=options.loop_detection)
    chosen = [await workspace.runtimes.choose(each) for each in wanted]
    turns = [turn(runtime, asking(model)) for runtime, model in chosen]
    several = len(turns) > 1
    ends: _Ends = []
    answers = stream_answers(turns, sent=sent) if several else _with_tools(turn, turns[0], tools, sent)
    try:
        async with aclosing(answers) as events:
            async for event in events:
                if isinstance(event, Partial) and event.kind == "end":
                    ends.append(event.data)
                yield event
    except (AlainError, asyncio.CancelledError) as error:
        if ends:  # what there is stays
            yield _compared(ends, sent) if several else _answered(ends, defect(error))
        raise
    yield _compared(ends, sent) if several else _answered(ends)


def _compared(ends: _Ends, sent: Mapping[str, int]) -> Done:
    """Return answers that came side by side; one that failed is a reason to leave with 1."""
    answers = sorted(ends, key=lambda end: int(end["slot"]))
    texts = [
        "\n\n".join(filter(None, (f"## {each['runtime']}/{each['model']}", each["text"], each["error"])))
        for each in answers
    ]
    failed = any(each["error"] for each in answers)
    return Done({"answers": answers, "sent": dict(sent)}, "\n\n".join(texts), exit_status=int(failed))


def _answered(ends: _Ends, error: str = "") -> Done:
    """Return the last answer, with the tokens and the cost of those before it, in which tools were called."""
    last = ends[-1]
    usages = [end["usage"] for end in ends if end["usage"]]
    if len(usages) > 1:
        usage = {name: _total(each[name] for each in usages) for name in usages[0] if name != "source"}
        usage["source"] = "estimate" if any(each["source"] == "estimate" for each in usages) else "provider"
        last = {**last, "usage": usage, "cost": _total(end["cost"] for end in ends)}
    return Done({**last, "error": error}, last["text"], exit_status=1 if error else 0)


def _total(figures: Iterable[Any]) -> Any:
    """Add figures; ``None`` where one is not known."""
    known = list(figures)
    return None if None in known else sum(known)


def _wanted(request: AskRequest, options: Options) -> list[str | None]:
    """Return whom to ask; two models to compare need no third that is asked by default."""
    default = [options.model] if request.model or len(request.compare) < 2 else []
    return list(dict.fromkeys([*default, *request.compare]))


async def _with_tools(
    again: Callable[[Runtime, ChatRequest], Turn],
    turn: Turn,
    tools: Mapping[str, FunctionTool],
    sent: Mapping[str, int],
) -> AsyncGenerator[Event, None]:
    """Ask; where the model wants tools called and the user allows it, call them and ask ``again``."""
    for called in range(ROUNDS + 1):
        answer = turn.answer
        async with aclosing(stream_answer(turn, sent=sent)) as partials:
            async for event in partials:
                ending = event.kind == "end" and answer.finish == "tool_calls" and tools
                if ending and called == ROUNDS:
                    event.data["flags"].append(f"stopped: it called tools {ROUNDS} times and wants more")
                yield event
        if answer.finish != "tool_calls" or not tools or called == ROUNDS:
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
        turn = again(turn.runtime, asked)


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
    filled = question(request.prompt, context)
    if not filled.text.strip():
        raise UsageError("There is nothing to ask.", "Write the question into the cell, or after the verb.")
    return filled.text, filled.sent


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


async def _estimate(runtimes: Runtimes, wanted: str | None, asking: Callable[[str], ChatRequest]) -> dict[str, Any]:
    """Return how many tokens a model would read, and what that costs.

    Only a server of this machine that has the model loaded is asked; anything else would be sent, or load it.
    """
    name, slash, model = (wanted or "").partition("/")
    if name in runtimes.names() and not slash and not runs_here(runtimes.provider(name)):
        raise UsageError(
            f"--estimate asks {name} for nothing, not even which models it has.", f"Name one: {name}/MODEL."
        )
    runtime: Runtime | None = None
    with suppress(KeyMissing):  # to be asked, not to be named
        runtime, model = await runtimes.choose(wanted)
        name = runtime.name
    request = asking(model)
    counted = None
    if runtime and runtime.local and runtime.http_call(request):
        with suppress(AlainError):
            loaded = {info.id: info.loaded for info in await runtimes.models_of(runtime)}.get(model)
            counted = None if loaded is False else await runtime.count_tokens(request)
    tokens = estimate_request(request) if counted is None else counted
    local = runtime is not None and runtime.local
    return {
        "model": f"{name}/{model}",
        "input_tokens": tokens,
        "source": "estimate" if counted is None else "counted",
        "max_tokens": request.max_tokens,
        "cost": 0 if local else prices.cost(name, model, tokens, request.max_tokens or 0),
    }


def _estimated(rows: list[dict[str, Any]]) -> Done:
    lines = []
    for row in rows:
        tokens, output = row["input_tokens"], row["max_tokens"] or 0
        answer = f"at most {output} for the answer" if output else "the answer's are not limited (--max-tokens)"
        about = "about " if row["source"] == "estimate" else ""
        words = "token" if tokens == 1 else "tokens"
        lines.append(f"{row['model']}: {about}{tokens} {words} to read, {answer}; {_price(row['cost'], output)}")
    counted = any(row["source"] == "counted" for row in rows)
    lines.append("Only a server of this machine counted." if counted else "Nothing was sent.")
    return Done({"estimates": rows}, "\n".join(lines))


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
