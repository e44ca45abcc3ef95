"""Conversations: what was said, by which model, and the files in which that outlives a kernel.

Each conversation is one JSON file of the data folder, written anew after every turn and readable by its owner alone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json, to_json

from alain_magics.chat.profiles import Options
from alain_magics.errors import ConversationError
from alain_magics.runtimes.base import Message, Usage
from alain_magics.settings import nearest
from alain_magics.store.files import atomic_write

FORMAT = "alain-chat"
VERSION = 1
INTERRUPTED = "interrupted"
"""The ``finish`` of an answer that the user stopped."""

PREVIOUS = ".previous"
"""What follows the name of a conversation that another one replaced."""

_NAME = re.compile(r"[^\W_][\w .@+-]{0,99}")


def now() -> datetime:
    """Return the present time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class Entry(BaseModel):
    """A message, and what is known about it: ``model`` is who wrote it, ``finish`` how it ended."""

    model_config = ConfigDict(extra="allow")

    id: str
    time: datetime
    message: Message
    model: str = ""
    usage: Usage | None = None
    finish: str = ""
    extra: dict[str, Any] = {}

    @classmethod
    def of(cls, message: Message, **known: Any) -> Self:
        """Make the entry of a message that was said just now."""
        return cls(id=secrets.token_hex(8), time=now(), message=message, **known)


class Window(BaseModel):
    """Where prompts begin since older turns were left out, and the limit in tokens that this was decided for."""

    first: str
    limit: int


class Correction(BaseModel):
    """By how much estimates of a model's tokens must be multiplied, as its own counts have shown."""

    model: str
    factor: float


@dataclass(frozen=True)
class Exchange:
    """A user's message and all that answers it, as a model is to read them; ``id`` is that of the first entry."""

    id: str
    messages: tuple[Message, ...]


class Conversation(BaseModel):
    """What was said, and what was chosen for it: ``options`` hold until others are given."""

    model_config = ConfigDict(extra="allow")

    created: datetime
    updated: datetime
    profile: str = ""
    options: Options = Options()
    entries: list[Entry] = []
    window: Window | None = None
    correction: Correction | None = None
    extra: dict[str, Any] = {}

    @classmethod
    def new(cls) -> Self:
        """Begin a conversation."""
        return cls(created=now(), updated=now())

    def add(self, *entries: Entry) -> None:
        """Append what was said."""
        self.entries.extend(entries)
        self.updated = now()

    def exchanges(self) -> list[Exchange]:
        """Return what models read of it: without earlier thoughts, empty answers and results that nobody asked for.

        Such a result, as older formats have them, becomes a part of the user's message.
        """
        turns: list[list[Entry]] = []
        for entry in self.entries:
            asks = entry.message.role == "user"
            if not turns or (asks and turns[-1][-1].message.role != "user"):
                turns.append([])
            turns[-1].append(entry)
        return [Exchange(turn[0].id, tuple(_as_read(turn))) for turn in turns]


def _as_read(turn: list[Entry]) -> Iterator[Message]:
    """Yield the messages of a turn: one of the user's, if any, then those that answer it."""
    asked = {call.id for entry in turn for call in entry.message.tool_calls}
    said, answers = [], []
    for message in (entry.message for entry in turn):
        if message.role == "user":
            said.append(message.content)
        elif message.role == "tool" and message.tool_call_id not in asked:
            said.append(f"{message.name or 'result'}: {message.content}")
        elif message.content or message.tool_calls:
            answers.append(replace(message, reasoning="") if message.reasoning else message)
    if said:
        yield Message("user", "\n\n".join(said))
    yield from answers


class NewerVersion(ValueError):
    """The file is not damaged, but of a version that is not known here."""


def dumps(conversation: Conversation) -> bytes:
    """Write a conversation as JSON, from which it is read as it was."""
    data = {"format": FORMAT, "version": VERSION, **conversation.model_dump(mode="json", exclude_defaults=True)}
    return to_json(data, indent=1) + b"\n"


def loads(text: str | bytes) -> Conversation:
    """Read what :func:`dumps` wrote; ``ValueError`` says what is wrong with it."""
    data = from_json(text)
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise ValueError("it is no conversation")
    version = data.pop("version", None)
    if isinstance(version, int) and version > VERSION:
        raise NewerVersion("a newer release wrote it")
    if version != VERSION:
        raise ValueError("its version is unknown")
    try:
        return Conversation.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


_State = tuple[Path, int, int, int]


def _state(path: Path) -> _State:
    """Return what changes with every change of a file."""
    found = path.stat()
    return path, found.st_ino, found.st_mtime_ns, found.st_size


def _copy(conversation: Conversation) -> Conversation:
    """Return a conversation that can go on by itself; entries never change."""
    return conversation.model_copy(update={"entries": list(conversation.entries)})


@dataclass(frozen=True)
class Summary:
    """A stored conversation, without what was said."""

    name: str
    messages: int
    updated: datetime
    model: str


class Chats:
    """The conversations of a folder, by name.

    What was stored last is remembered, so that a turn costs no reading of all that was said before.
    """

    _latest: ClassVar[tuple[_State, Conversation] | None] = None

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the file of a conversation; :class:`~alain_magics.errors.ConversationError` for an odd name."""
        if not _NAME.fullmatch(name):
            advice = "Use letters, digits, spaces and . - _ @ +, beginning with a letter or digit."
            raise ConversationError(f"{name[:80]!r} cannot name a conversation.", advice)
        return self._folder / f"{name}.json"

    def open(self, name: str) -> Conversation:
        """Return the conversation of that name, a new one where there is none.

        A damaged file is set aside, and a :class:`~alain_magics.errors.ConversationError` says so: the next call finds
        a new conversation.
        """
        return self.load(name) if self.path(name).exists() else Conversation.new()

    def load(self, name: str) -> Conversation:
        """Return the conversation of that name; :class:`~alain_magics.errors.ConversationError` as for :meth:`open`."""
        path = self.path(name)
        try:
            if Chats._latest and Chats._latest[0] == _state(path):
                return _copy(Chats._latest[1])
            return loads(path.read_bytes())
        except FileNotFoundError:
            stored = [each.stem for each in self._files()]
            advice = nearest(name, stored) or (f"Stored: {', '.join(stored)}." if stored else "None is stored yet.")
            raise ConversationError(f"There is no conversation {name!r}.", advice) from None
        except NewerVersion:
            what = f"The conversation {name!r} was stored by a newer release."
            raise ConversationError(what, "Upgrade alain_magics, or use another name.") from None
        except OSError as error:
            raise ConversationError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
        except ValueError as error:
            aside = path.with_name(f"{name}.damaged-{secrets.token_hex(3)}")
            path.rename(aside)
            what = f"The conversation {name!r} is damaged ({str(error)[:120]}); it is kept as {aside}."
            raise ConversationError(what, "Run the same again to begin a new one.") from None

    def save(self, name: str, conversation: Conversation) -> None:
        """Store a conversation, so that it survives a crash of the machine."""
        path = self.path(name)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = dumps(conversation)
        atomic_write(path, data, force=True, private=True)
        state = _state(path)
        mine = path.read_bytes() == data  # unless another program has stored something else meanwhile
        Chats._latest = (state, _copy(conversation)) if mine else None

    def replace(self, name: str, conversation: Conversation) -> None:
        """Store a conversation in the place of another, which is kept under its name with :data:`PREVIOUS`."""
        path = self.path(name)
        if path.exists():
            path.replace(self.path(name + PREVIOUS))
        self.save(name, conversation)

    def summaries(self) -> list[Summary]:
        """Return what is stored, the latest first; damaged files are left out."""
        found = []
        for path in self._files():
            try:
                stored = loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            model = next((entry.model for entry in reversed(stored.entries) if entry.model), "")
            found.append(Summary(path.stem, len(stored.entries), stored.updated, model))
        return sorted(found, key=lambda each: each.updated, reverse=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.json"))
