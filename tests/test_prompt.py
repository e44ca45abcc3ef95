"""``alain chat`` on a real terminal: typing, pasting, commands, the stop key, and what is left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from alain_magics.chat.conversation import INTERRUPTED, Chats, Conversation
from alain_magics.commands.chat import SHELL
from tests.conftest import ROOT
from tests.runtimes.conftest import llama, weights

__all__ = ["llama", "weights"]

SECONDS = 20
PROMPT = "\n>"
ENTER, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\x1b\r", "\x03", "\x04"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|[\r\x08]")


class Terminal:
    """``alain chat`` in a terminal of 200 columns, and what it shows, without colours and movements."""

    def __init__(self, *words: str, folder: Path) -> None:
        self._screen, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "alain_magics", "chat", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # so that Ctrl-C reaches it
        )
        os.close(theirs)
        self._raw = b""
        self._seen = 0

    @property
    def shown(self) -> str:
        return _ESCAPES.sub("", self._raw.decode(errors="replace"))

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def until(self, text: str) -> str:
        """Wait until a text is shown that was not seen before; return what came up to its end."""
        end = time.monotonic() + SECONDS
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < end, f"{text!r} is not among {self.shown[self._seen :]!r}"
            self._read(0.1)
        begin, self._seen = self._seen, self.shown.index(text, self._seen) + len(text)
        return self.shown[begin : self._seen]

    def say(self, text: str, answer: str) -> str:
        """Type a line, and wait for what is shown then."""
        self.type(text + ENTER)
        self.until(text[-20:].splitlines()[-1])  # what was typed is shown too
        return self.until(answer)

    def answered(self) -> None:
        """Wait until an answer has come, and the prompt again: then everything is stored."""
        self.until(" in, ")
        self.until(PROMPT)

    def end(self) -> int:
        """Wait until the program has ended; return its status."""
        with suppress(OSError):  # how Linux says that nobody holds the other side
            while self.process.poll() is None:
                self._read(0.1)
        return self.process.wait(SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def _read(self, seconds: float) -> None:
        if select.select([self._screen], [], [], seconds)[0]:
            self._raw += os.read(self._screen, 65536)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which ``scripted/echo`` answers."""
    (tmp_path / "alain.toml").write_text('model = "scripted/echo"\n')
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def chat(folder: Path) -> Iterator[Callable[..., Terminal]]:
    """Starts ``alain chat`` and waits for its prompt."""
    terminals: list[Terminal] = []

    def start(*words: str) -> Terminal:
        terminals.append(Terminal(*words, folder=folder))
        terminals[-1].until(PROMPT)
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def stored(private_data: Path) -> Conversation:
    return Chats(private_data / "chats").load(SHELL)


def said(private_data: Path) -> list[str]:
    return [entry.message.content for entry in stored(private_data).entries if entry.message.role == "user"]


def test_a_line_is_said_and_answered(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.say("one two", "one two")
    terminal.answered()
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert said(private_data) == ["one two"]


def test_it_goes_on_where_it_was_left(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.say("one", "one")
    terminal.answered()
    terminal = chat("--temperature", "0.5")
    assert "terminal: 2 messages" in terminal.shown
    assert "temperature = 0.5" in terminal.shown
    terminal.say("two", "two")
    terminal.answered()
    assert said(private_data) == ["one", "two"]


@pytest.mark.parametrize("newline", ["\\" + ENTER, ALT_ENTER])
def test_a_message_may_have_lines(chat: Callable[..., Terminal], private_data: Path, newline: str):
    terminal = chat()
    terminal.type(f"first{newline}second{ENTER}")
    terminal.answered()
    assert said(private_data) == ["first\nsecond"]


def test_two_backslashes_at_the_end_are_sent(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.type("a \\\\" + ENTER)
    terminal.answered()
    assert said(private_data) == ["a \\\\"]


def test_pasted_text_keeps_its_lines(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.type("\x1b[200~def f():\r    return 1\r\x1b[201~")
    terminal.type("What is this?" + ENTER)
    terminal.answered()
    assert said(private_data) == ["def f():\n    return 1\nWhat is this?"]


def test_a_stopped_answer_is_kept_and_the_conversation_goes_on(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat("--model", "scripted/count")
    terminal.type("go" + ENTER)
    terminal.until(" 50 ")
    terminal.type(CTRL_C)
    terminal.until("Stopped.")
    terminal.until(PROMPT)
    answer = stored(private_data).entries[1]
    assert answer.finish == INTERRUPTED
    assert answer.message.content.startswith("1 2 3")
    terminal.say("\\set model=scripted/echo", "model = scripted/echo")
    terminal.say("still here", "still here")


def test_the_stop_key_at_the_prompt_only_empties_the_line(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.type("half a thou" + CTRL_C)
    terminal.until("leaves.")
    terminal.say("whole", "whole")
    terminal.answered()
    assert said(private_data) == ["whole"]


def test_options_are_set_and_listed_while_it_runs(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.say("\\set temperature=0.7", "temperature = 0.7")
    terminal.say("\\set system=You are kind and brief.", "system = You are kind and brief.")
    listed = terminal.say("\\list", "temperature = 0.7")
    assert "model = scripted/echo" in listed
    terminal.say("\\set temprature=1", "There is no option 'temprature'. Did you mean 'temperature'?")
    terminal.say("\\set temperature=hot", "temperature cannot be 'hot'.")
    terminal.say("\\set temperature=", "system = You are kind and brief.")
    assert stored(private_data).options.values() == {"system": "You are kind and brief."}


def test_conversations_are_saved_loaded_shown_and_cleared(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.say("one", "one")
    terminal.answered()
    terminal.say("\\save tea", "The conversation is saved as tea.")
    terminal.say("\\clear", "terminal: 0 messages")
    terminal.say("\\chats", "tea")
    terminal.say("\\load te", "Did you mean 'tea'?")
    terminal.say("\\load tea", "terminal: 2 messages")
    terminal.say("\\show", "user:\none\n\nscripted/echo:\none")


def test_commands_are_explained_and_mistakes_named(chat: Callable[..., Terminal]):
    terminal = chat()
    shown = terminal.say("\\help", "Options: model, ")
    assert "\\set NAME=VALUE" in shown
    assert "\\list " in shown
    assert "\\chats " in shown
    terminal.say("\\halp", "There is no command \\halp. Did you mean 'help'?")
    terminal.say("\\save", "\\save takes NAME.")
    terminal.say("\\list all", "\\list takes nothing.")
    terminal.say("\\\\list all", "\\list all")
    terminal.answered()
    terminal.say("\\q", "")
    assert terminal.end() == 0


@pytest.mark.parametrize("text", ["\\frac{a}{b} in words", "\\lisp is a language", "\\frac"])
def test_a_message_may_begin_with_a_word_that_is_no_command(
    chat: Callable[..., Terminal], private_data: Path, text: str
):
    terminal = chat()
    terminal.type(text + ENTER)
    terminal.answered()
    assert said(private_data) == [text]


def test_another_model_is_asked_from_then_on(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.say("\\model scripted/think", "model = scripted/think")
    terminal.say("\\clear", "model = scripted/think")
    assert stored(private_data).options.model == "scripted/think"


def test_every_message_is_recorded_where_that_was_asked_for(chat: Callable[..., Terminal], folder: Path):
    terminal = chat("--record")
    for text in ("one", "two"):
        terminal.say(text, text)
        terminal.answered()
    assert len(list((folder / "runs").glob("*/meta/shell/turn.json"))) == 2


def test_an_error_is_one_line_and_the_prompt_comes_back(chat: Callable[..., Terminal], private_data: Path):
    terminal = chat()
    terminal.type(f"a{ALT_ENTER}/fail key_refused{ENTER}")
    terminal.until("This failure was asked for: key_refused.")
    terminal.until(PROMPT)
    assert "Traceback" not in terminal.shown
    terminal.say("again", "again")


def test_a_wrong_option_of_the_call_ends_it(folder: Path):
    terminal = Terminal("--model", "nobody", folder=folder)
    try:
        terminal.until("nobody")
        assert terminal.end() == 2
    finally:
        terminal.close()


def test_what_was_typed_is_remembered_for_its_owner_alone(chat: Callable[..., Terminal], private_data: Path):
    first = chat()
    first.say("remember me", "remember me")
    first.answered()
    first.type(CTRL_D)
    assert first.end() == 0
    history = private_data / "chats" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    second = chat()
    second.type("\x1b[A" + ENTER)
    second.answered()
    assert said(private_data) == ["remember me", "remember me"]


def test_commands_and_options_are_completed(chat: Callable[..., Terminal]):
    terminal = chat()
    terminal.type("\\cle\t")
    terminal.until("\\clear")
    terminal.type(ENTER)
    terminal.until("terminal: 0 messages")
    terminal.type("\\set max_\t")
    terminal.until("max_tokens=")
    terminal.type("7" + ENTER)
    terminal.until("max_tokens = 7")


def test_a_greeting_is_shown(folder: Path, chat: Callable[..., Terminal]):
    (folder / "profiles").mkdir()
    (folder / "profiles" / "kind.toml").write_text('greeting = "Hello, I am \x5cu001b[31mDave."\n')
    assert "Hello, I am \ufffd[31mDave." in chat("--profile", "kind").shown


def test_control_characters_of_an_answer_do_not_reach_the_terminal(chat: Callable[..., Terminal]):
    terminal = chat()
    terminal.type("\x1b[200~a\x1b]0;title\x07b\x1b[201~" + ENTER)
    terminal.answered()
    assert b"\x1b]0;title" not in terminal._raw


def test_it_talks_with_a_real_server(
    folder: Path, chat: Callable[..., Terminal], llama: Callable[[str], Any], private_data: Path
):
    peer = llama("tiny-chatml")
    (folder / "config").mkdir()
    (folder / "config" / "alain-runtimes.toml").write_text(f'[llamacpp]\nbase_url = "{peer.url}/v1"\n')
    terminal = chat("--model", "llamacpp/tiny-chatml", "--max-tokens", "200", "--seed", "1")
    terminal.type("Say something." + ENTER)
    terminal.answered()
    terminal.type("And more." + ENTER)
    terminal.answered()
    terminal.say("\\models", "tiny-chatml")
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert [entry.model for entry in stored(private_data).entries[1::2]] == ["llamacpp/tiny-chatml"] * 2
