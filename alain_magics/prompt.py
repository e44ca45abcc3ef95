"""``alain chat`` on a terminal without a message: type, read the answer, type on.

Enter sends; Alt+Enter, or Enter behind a backslash, begins a new line; pasted text keeps its lines. Ctrl-C stops the
answer and nothing else, Ctrl-D leaves. A line that begins with a backslash is a command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from alain_magics.chat.profiles import Options
from alain_magics.commands.arguments import Invocation, parse
from alain_magics.commands.base import Context, Done, Request
from alain_magics.commands.chat import ConversationRequest
from alain_magics.display import TerminalView, show, show_notices
from alain_magics.errors import AlainError, UsageError, of_the_system
from alain_magics.settings import nearest
from alain_magics.text import plain
from alain_magics.workspace import open_workspace

if TYPE_CHECKING:
    from alain_magics.workspace import Workspace

COMMANDS = {
    "set": ("NAME=VALUE", "change an option from now on; NAME= leaves it open again"),
    "model": ("NAME", "ask this model from now on, as \\set model=NAME"),
    "list": ("", "the options that count"),
    "models": ("", "the models that can be talked to"),
    "profile": ("NAME", "use a profile from now on"),
    "show": ("", "what was said until now"),
    "save": ("NAME", "store a copy of the conversation"),
    "load": ("NAME", "go on with a copy of a stored one"),
    "chats": ("", "the stored conversations, as chat --list has them"),
    "clear": ("", "forget what was said; model, profile and options stay"),
    "help": ("", "this"),
    "quit": ("", "leave; \\q and Ctrl-D do too"),
}
"""What can be typed behind a backslash: its argument, and what it does."""

_WORDS = {"set": "--set", "profile": "--profile", "save": "--save", "load": "--load", "show": "--show"}
_WORDS |= {"chats": "--list", "clear": "--clear"}
_PROGRAM = "alain"


def converse(asked: Invocation) -> int:
    """Go on until the user leaves, and return the exit status; the call's own options count from the beginning."""
    workspace = open_workspace()
    folder = workspace.make_data() / "chats"
    folder.mkdir(exist_ok=True, mode=0o700)
    session = _session(folder / "history")
    begun = _run(workspace, asked, asked.request)
    print(plain(begun.text))
    print("Enter sends, Alt+Enter begins a new line, Ctrl-C stops an answer, Ctrl-D leaves; \\help says more.")
    if begun.data["greeting"]:
        print(plain(f"\n{begun.data['greeting']}"))
    while True:
        try:
            text = session.prompt("\n> ", prompt_continuation="… ").strip()
        except KeyboardInterrupt:
            print("Ctrl-D or \\quit leaves.", file=sys.stderr)
            continue
        except EOFError:
            return 0
        if text in ("\\quit", "\\q"):
            return 0
        try:
            _handle(workspace, asked, text)
        except AlainError as error:
            print(plain(str(error)), file=sys.stderr)
        except OSError as error:
            print(plain(of_the_system(error)), file=sys.stderr)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)


def _handle(workspace: Workspace, asked: Invocation, text: str) -> None:
    """Say what was typed, or do what it commands."""
    if not text:
        return
    name, _, argument = text[1:].partition(" ")
    if text.startswith("\\") and _is_command(name, alone=text[1:] == name):
        print(plain(_command(workspace, name, argument.strip())))
        return
    said = text[1:] if text.startswith("\\\\") else text
    recorded = isinstance(asked.request, ConversationRequest) and asked.request.record
    _run(workspace, asked, ConversationRequest(message=[said], record=recorded))


def _is_command(name: str, *, alone: bool) -> bool:
    """Whether a word behind a backslash is a command; one that resembles a command, and stands alone, is a mistake."""
    if alone and name not in COMMANDS and (advice := nearest(name, COMMANDS)):
        raise UsageError(f"There is no command \\{name[:40]}.", f"{advice} A message may begin with two backslashes.")
    return name in COMMANDS


def _command(workspace: Workspace, name: str, argument: str) -> str:
    """Do what a command of :data:`COMMANDS` says, and return what there is to show."""
    if name == "help":
        return _help()
    if bool(argument) != bool(COMMANDS[name][0]):
        raise UsageError(f"\\{name} takes {COMMANDS[name][0] or 'nothing'}.", "\\help lists all commands.")
    if name == "model":
        name, argument = "set", f"model={argument}"
    words = ["models"] if name == "models" else ["chat", *filter(None, [_WORDS.get(name), argument])]
    invocation = parse(words, _PROGRAM)
    assert isinstance(invocation, Invocation)
    return _run(workspace, invocation, invocation.request).text


def _run(workspace: Workspace, asked: Invocation, request: Request) -> Done:
    """Run a command and show what it does; an answer that is interrupted ends its line."""
    try:
        return show(asked.command, Context(workspace, consent=asked.consent), request, TerminalView())
    finally:
        show_notices(workspace.notices)


def _help() -> str:
    commands = [(f"\\{name} {argument}", text) for name, (argument, text) in COMMANDS.items()]
    lines = [
        "Enter sends; Alt+Enter, or Enter behind a backslash, begins a new line; pasted text keeps its lines.",
        "Ctrl-C stops the answer, Ctrl-D leaves. Everything is stored after each answer.",
        "",
        *(f"  {command:<18}{text}" for command, text in commands),
        "",
        f"Options: {', '.join(Options.names())}.",
    ]
    return "\n".join(lines)


class _Completer(Completer):
    """Completes commands and the names of options."""

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Yield what may stand at the cursor of a first line that begins with a backslash."""
        text = document.text_before_cursor
        if text.startswith("\\set "):
            word, texts = text[5:], [f"{name}=" for name in Options.names()]
        elif text.startswith("\\"):
            word, texts = text, [f"\\{name}{' ' if argument else ''}" for name, (argument, _) in COMMANDS.items()]
        else:
            return
        for each in texts:
            if each.startswith(word):
                yield Completion(each, -len(word))


def _session(history: Path) -> PromptSession[str]:
    """Make the prompt; its history can be read by its owner alone."""
    os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))
    history.chmod(0o600)
    return PromptSession(
        history=FileHistory(history),
        multiline=True,
        key_bindings=_keys(),
        completer=_Completer(),
        complete_while_typing=False,
    )


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\") and not buffer.document.text_before_cursor.endswith(
            "\\\\"
        ):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
