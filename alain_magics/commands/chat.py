"""``chat``: a conversation with a model, which the notebook (or the shell) keeps."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pydantic import Field

from alain_magics.chat import mlx_harmony, profiles
from alain_magics.chat.budget import WINDOWS, Budget, Fitted, corrected, fit
from alain_magics.chat.conversation import INTERRUPTED, Chats, Conversation, Entry
from alain_magics.chat.profiles import Options, Profile
from alain_magics.commands.answers import ModelRequest, question, stream_answer
from alain_magics.commands.base import Command, Context, Done, Event, Partial
from alain_magics.errors import AlainError, ContextExceeded, ConversationError, TargetError, UsageError
from alain_magics.runtimes.base import ChatRequest, Message, ModelInfo, Runtime
from alain_magics.store.files import atomic_write

if TYPE_CHECKING:
    from alain_magics.runtimes.answer import Answer
    from alain_magics.workspace import Workspace

SHELL = "terminal"
"""The name of the conversation of a shell."""

NOWHERE = "default"
"""The name of the conversation of a notebook that does not say its own."""

_STARTED = datetime.now(UTC)
"""What placeholders say the time is: one that changed with every turn would cost the server's cache of the prompt."""

KEPT = 30.0
"""Seconds for which it is remembered how large the windows of local models are; those of others don't change."""

_Attempt = tuple[Runtime, Fitted, Entry]  # to whom, what, and the entry of what is asked now
Words = list[str]  # a request has a field with the name of this type
_windows: WeakKeyDictionary[Runtime, tuple[float, dict[str, int | None]]] = WeakKeyDictionary()


class ConversationRequest(ModelRequest):
    """What to say, to whom, and what to do with the conversation."""

    message: Words = Field(
        default=[],
        description="what to say, where it does not stand in the cell",
        json_schema_extra={"positional": True},
    )
    clear: bool = Field(
        default=False, description="forget what was said; model, profile and options stay, the old one is NAME.previous"
    )
    load: str | None = Field(default=None, description="go on with a copy of the conversation of this name")
    save: str | None = Field(default=None, description="store a copy under this name")
    show: bool = Field(default=False, description="show what was said until now")
    list: bool = Field(default=False, description="list the stored conversations")
    import_file: str | None = Field(
        default=None,
        description="take over profiles or conversations of mlx-harmony",
        json_schema_extra={"complete": "file"},
    )

    @property
    def wants_text(self) -> bool:
        """Whether there is nothing to say or to do yet."""
        return not (self.message or self.list or self.show or self.save is not None or self.import_file)


async def run(context: Context, request: ConversationRequest) -> AsyncIterator[Event]:
    """Do what is asked with the conversation, say the message, and store the answer."""
    workspace = context.workspace
    chats, name = Chats(workspace.data / "chats"), conversation_name(context)
    text, sent = _message(context, request)
    if request.import_file:
        await asyncio.to_thread(workspace.make_data)
        yield await asyncio.to_thread(_import, workspace, chats, request.import_file)
        return
    if request.list:
        yield await asyncio.to_thread(_listed, chats, name)
        return
    if request.save is not None:
        chats.path(request.save)  # a name that cannot be is refused before anything is asked
    await asyncio.to_thread(workspace.make_data)
    conversation = await asyncio.to_thread(_found, chats, name, request)
    explicit, cleared = request.explicit()
    before = conversation.model_copy()
    conversation.options = profiles.resolve(explicit, conversation.options.without(cleared))
    if request.profile is not None:
        conversation.profile = request.profile
    profile = _profile(workspace, conversation)
    options = _options(workspace, conversation, profile)
    if text:
        async with aclosing(_say(context, request, conversation, profile, options, text, sent)) as events:
            async for event in events:
                if isinstance(event, Done):
                    done = event
                else:
                    yield event
    else:
        if explicit.model:
            await workspace.runtimes.choose(explicit.model)
        if (conversation.options, conversation.profile) != (before.options, before.profile):
            await asyncio.to_thread(chats.save, name, conversation)
        greeting = "" if conversation.entries else profile.rendered(profile.greeting, _STARTED)
        asked_is = options.model or await _default(workspace)
        done = _state(name, conversation, options, asked_is, greeting, whole=request.show)
    if request.save is not None:
        await asyncio.to_thread(chats.save, request.save, conversation)
        saved = f"The conversation is saved as {request.save}."
        if text:
            workspace.notices.append(saved)
        done = Done({**done.data, "saved": request.save}, done.text if text else f"{done.text}\n{saved}")
    yield done


async def _say(
    context: Context,
    request: ConversationRequest,
    conversation: Conversation,
    profile: Profile,
    options: Options,
    text: str,
    sent: Mapping[str, int],
) -> AsyncGenerator[Event, None]:
    """Say a message, and store what was said.

    Where the server takes less than is known of it, older turns are left out and it is asked again.
    """
    workspace = context.workspace
    chats, name = Chats(workspace.data / "chats"), conversation_name(context)
    fit_to = partial(_fit, workspace, conversation, profile, options, text)
    attempt: _Attempt | None = await fit_to()
    again = False
    while attempt:
        runtime, fitted, asked = attempt
        turn = workspace.turn(
            runtime,
            fitted.request,
            record=context.origin if request.record else None,
            loop_detection=options.loop_detection,
        )
        if fitted.dropped:
            turn.answer.flag(f"not sent: the {fitted.dropped} oldest turns")
        ends: list[Partial] = []
        try:
            async with aclosing(stream_answer(turn, sent=sent)) as partials:
                async for event in partials:
                    if event.kind == "end":
                        ends.append(event)
                    elif event.kind != "answer" or not again:
                        yield event
            attempt = None
        except AlainError as error:
            attempt = await _shorter(fit_to, fitted, options) if _refused_whole(error, turn.answer) else None
            if attempt is None:
                for end in ends:
                    yield end
                raise
            again = True
        finally:
            if _keep(conversation, asked, turn.answer, fitted):
                await asyncio.to_thread(chats.save, name, conversation)
    for end in ends:
        yield end
    about = {"conversation": name, "prompt_tokens": fitted.tokens, "dropped": fitted.dropped}
    yield Done({**turn.answer.as_data(), "sent": sent, **about}, turn.answer.text)


def conversation_name(context: Context) -> str:
    """Name the conversation of the running notebook (after its file), of IPython alone, or of a shell."""
    if not context.interactive_kernel:
        return SHELL
    path = os.environ.get("JPY_SESSION_NAME") or str(context.namespace.get("__vsc_ipynb_file__") or "")
    if not path:
        return NOWHERE
    place = hashlib.blake2b(str(Path(path).absolute()).encode(), digest_size=3).hexdigest()
    return f"{_plain_name(Path(path).stem)}-{place}"


def _plain_name(text: str) -> str:
    """Return the nearest text that can name a conversation or a profile."""
    return re.sub(r"[^\w.@+-]+", "-", text).lstrip("_.@+-")[:60] or "unnamed"


def _message(context: Context, request: ConversationRequest) -> tuple[str, dict[str, int]]:
    """Return what to say, with the values of variables in it, and how many characters each of them sends."""
    filled = question(request.message, context)
    return filled.text, filled.sent


def _found(chats: Chats, name: str, request: ConversationRequest) -> Conversation:
    """Return the conversation to go on with."""
    if request.clear and request.load is not None:
        raise UsageError("--clear and --load cannot go together.", "Leave one of them out.")
    if not request.clear and request.load is None:
        return chats.open(name)
    conversation = _cleared(chats, name) if request.load is None else chats.load(request.load)
    chats.replace(name, conversation)
    return conversation


def _cleared(chats: Chats, name: str) -> Conversation:
    """Return a new conversation with the choices of the one that it follows."""
    fresh = Conversation.new()
    try:
        old = chats.open(name)
    except ConversationError:  # it cannot be read, and so makes room in any case
        return fresh
    return fresh.model_copy(update={"profile": old.profile, "options": old.options})


async def _default(workspace: Workspace) -> str:
    """Return who is asked where nothing was chosen, or why nobody is."""
    try:
        runtime, model = await workspace.runtimes.choose()
    except AlainError as error:
        return f"none: {error.what}"
    return f"{runtime.name}/{model}"


def _profile(workspace: Workspace, conversation: Conversation) -> Profile:
    return profiles.load(_profiles_folder(workspace), conversation.profile) if conversation.profile else Profile()


def _profiles_folder(workspace: Workspace) -> Path:
    return (workspace.project or workspace.folder) / profiles.FOLDER


def _options(workspace: Workspace, conversation: Conversation, profile: Profile) -> Options:
    """Resolve what counts for the next turn; explicit options already are the conversation's."""
    settings = workspace.settings
    weakest = Options(model=settings.model or None, loop_detection=settings.loop_detection)
    return profiles.resolve(conversation.options, profile.chosen(), weakest)


async def _fit(
    workspace: Workspace,
    conversation: Conversation,
    profile: Profile,
    options: Options,
    text: str,
    at_most: int | None = None,
) -> _Attempt:
    """Choose the model, and make the request that says as much of the conversation as its window holds.

    ``at_most`` are the tokens of a smaller window, where the server has refused what should have fitted.
    """
    runtime, model = await workspace.runtimes.choose(options.model)
    head = profile.to_messages(_STARTED, conversation.options.system)
    request = ChatRequest(
        model,
        tuple(head),
        max_tokens=options.max_tokens,
        sampling=options.sampling,
        effort=options.effort,
        context_tokens=options.context_tokens,
    )
    runtimes = workspace.runtimes
    kind = runtimes.provider(runtime.name).kind if runtime.name in runtimes.names() else "scripted"
    wanted = options.context_tokens or WINDOWS.get(kind)
    window = min(filter(None, (wanted, await _window(runtime, model))), default=None)
    room = min(filter(None, (window, at_most)), default=None)
    budget = Budget.of(room, options.max_tokens, options.context_margin) if room else None
    asked = Entry.of(Message("user", text))
    draft = conversation.model_copy(update={"entries": [*conversation.entries, asked]})
    fitted = await fit(
        runtime,
        request,
        draft.exchanges(),
        budget,
        window=conversation.window,
        correction=conversation.correction,
    )
    if budget and kind in WINDOWS and (kind == "local" or budget.tight(fitted.tokens) or options.context_tokens):
        fitted = replace(fitted, request=replace(fitted.request, context_tokens=window))
    return runtime, fitted, asked


def _refused_whole(error: AlainError, answer: Answer) -> bool:
    """Whether the server read nothing of a prompt that is too long for it."""
    return isinstance(error, ContextExceeded) and answer.empty


async def _shorter(fit_to: Callable[[int], Awaitable[_Attempt]], refused: Fitted, options: Options) -> _Attempt | None:
    """Leave out more of a conversation than the window, as it was known, makes necessary; ``None``: nothing is left."""
    try:
        attempt = await fit_to(refused.tokens + (options.max_tokens or 0))
    except ContextExceeded:
        return None
    return attempt if attempt[1].dropped > refused.dropped else None


async def _window(runtime: Runtime, model: str) -> int | None:
    """Return the window of a model in tokens, ``None`` where nobody says."""
    from alain_magics.runtimes.catalogue import describe
    from alain_magics.runtimes.discovery import list_models

    asked_at, windows = _windows.get(runtime, (None, {}))
    if asked_at is None or (runtime.local and time.monotonic() - asked_at > KEPT):
        listed = await (runtime.models() if runtime.local else list_models(runtime))
        windows = {info.id: info.context for info in listed}
        _windows[runtime] = time.monotonic(), windows
    if runtime.local:  # only the runtime knows how the model was started
        return windows.get(model)
    return windows.get(model) or describe(ModelInfo(model, runtime.name)).context


def _keep(conversation: Conversation, asked: Entry, answer: Answer, fitted: Fitted) -> bool:
    """Add what was said to the conversation, also what was cut; a question that got no answer at all is not."""
    if answer.empty and not answer.finish:
        return False
    finish = INTERRUPTED if "interrupted" in answer.flags else answer.finish or "failed"
    calls = {"tool_calls": [asdict(call) for call in answer.tool_calls]} if answer.tool_calls else {}
    said = Entry.of(
        Message("assistant", answer.text, answer.reasoning),
        model=f"{answer.runtime}/{answer.model}",
        usage=answer.usage,
        finish=finish,
        extra=calls,  # nobody offered tools: a call that is never answered must not be sent again
    )
    conversation.add(asked, said)
    conversation.window = fitted.window
    if not fitted.counted:
        conversation.correction = corrected(fitted.request, answer.usage) or conversation.correction
    return True


def _state(name: str, conversation: Conversation, options: Options, model: str, greeting: str, *, whole: bool) -> Done:
    """Say what counts for the next turn, and what was said."""
    said = [
        {"role": entry.message.role, "text": entry.message.content, "model": entry.model, "finish": entry.finish}
        for entry in conversation.entries
    ]
    chosen = {**({"profile": conversation.profile} if conversation.profile else {}), **options.values()}
    shown = {"model": model, **chosen}
    lines = [f"{name}: {len(said)} messages"] + [f"  {key} = {value}" for key, value in shown.items()]
    if whole:
        for each in said:
            cut = f" ({each['finish']})" if each["finish"] in (INTERRUPTED, "failed", "loop", "length") else ""
            lines += ["", f"{each['model'] or each['role']}{cut}:", each["text"]]
    data = {"conversation": name, "model": model, "options": chosen, "messages": said, "greeting": greeting}
    return Done(data, "\n".join(lines))


def _listed(chats: Chats, name: str) -> Done:
    summaries = chats.summaries()
    rows = [{**asdict(each), "updated": each.updated.isoformat()} for each in summaries]
    width = max((len(each.name) for each in summaries), default=0)
    lines = [
        f"{'*' if each.name == name else ' '} {each.name:<{width}}  {each.messages:>4} messages"
        f"  {each.updated.astimezone():%Y-%m-%d %H:%M}  {each.model}".rstrip()
        for each in summaries
    ]
    return Done({"conversations": rows}, "\n".join(lines) or "No conversation is stored yet.")


def _import(workspace: Workspace, chats: Chats, file: str) -> Done:
    """Store what a file of mlx-harmony holds, under names that are still free."""
    found = mlx_harmony.read(workspace.path(file))
    folder = _profiles_folder(workspace)
    names: dict[str, str] = {}
    for name, profile in found.profiles.items():
        folder.mkdir(parents=True, exist_ok=True)
        names[f"profile {name}"] = path = _free(folder, name, ".toml")
        atomic_write(folder / f"{path}.toml", profiles.dumps(profile))
    for name, conversation in found.conversations.items():
        names[f"conversation {name}"] = stored = _free(chats.path("x").parent, name, ".json")
        chats.save(stored, conversation)
    lines = [f"{what} is now {name}" for what, name in names.items()]
    lines.append(f"  {len(found.mapped)} keys have a meaning here; kept under extra: {', '.join(found.kept) or 'none'}")
    use = [f"--profile {name}" for what, name in names.items() if what.startswith("profile")]
    use += [f"--load {names[f'conversation {found.active}']}"] if found.conversations else []
    lines.append(f"  go on with: chat {use[0]}")
    return Done({"stored": names, "mapped": found.mapped, "kept": found.kept}, "\n".join(lines))


def _free(folder: Path, name: str, suffix: str) -> str:
    base = _plain_name(name)
    taken = {path.name for path in folder.glob(f"*{suffix}")}
    candidates = [base, *(f"{base}-{number}" for number in range(2, 1000))]
    free = next((each for each in candidates if each + suffix not in taken), None)
    if free is None:
        raise TargetError(f"{folder} holds too many files of the name {base}.", "Remove some.")
    return free


command = Command(
    "chat",
    "talk with a model; the notebook keeps the conversation",
    ConversationRequest,
    run,
    takes_cell=True,
    examples=(
        "chat --model ollama/gpt-oss:20b 'Hello!'",
        "chat --profile teacher --set top_p=0.9",
        "chat --save physics",
        "chat --load physics",
    ),
)
