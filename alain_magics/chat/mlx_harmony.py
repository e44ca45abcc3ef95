"""Prompt configurations, profiles and chats of mlx-harmony, read as profiles and conversations.

No key is dropped: what has a meaning here is mapped, everything else is kept under ``extra``, and :class:`Imported`
lists both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alain_magics.chat.conversation import Conversation, Entry, now
from alain_magics.chat.profiles import PLACEHOLDER, Options, Profile, Said, checked, times
from alain_magics.errors import ConversationError, ProfileError
from alain_magics.runtimes.base import Message, Role

DEFAULT_FIXED_TIME = "2000-01-01T00:00:00Z"
"""The time of a deterministic configuration that names none."""

_EFFORTS = ("low", "medium", "high")
_SAMPLING = (
    "temperature top_p top_k min_p xtc_probability xtc_threshold repetition_penalty repetition_context_size".split()
)
_SAME = {
    "max_tokens": "max_tokens",
    "max_context_tokens": "context_tokens",
    "max_context_tokens_margin": "context_margin",
    "loop_detection": "loop_detection",
    **{name: f"sampling.{name}" for name in _SAMPLING},
    "end_token_strings": "sampling.stop",
}
_PERFORMANCE = {"perf_max_tokens": "max_tokens", "perf_max_context_tokens": "context_tokens"}
_SYSTEM = {"system_model_identity": "{}", "conversation_start_date": "Current date: {}", "developer_instructions": "{}"}
_OTHERS = (
    "reasoning_effort knowledge_cutoff assistant_greeting example_dialogues placeholders deterministic_time_enabled"
    " deterministic_time_iso performance_mode perf_max_kv_size perf_prompt_token_budget min_tokens_to_keep"
    " xtc_special_tokens max_kv_size mlock lazy seed reseed_each_turn clear_cache clear_cache_interval"
    " clear_cache_generation log_memory_stats log_timing_stats truncate_thinking truncate_response logs_dir chats_dir"
    " models_dir".split()
)
PROMPT_KEYS = frozenset([*_SAME, *_PERFORMANCE, *_SYSTEM, *_OTHERS])
"""Every key of a prompt configuration."""

_PROFILE_KEYS = {"model", "prompt_config", "max_context_tokens"}
_ROLES: dict[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"
}  # fmt: skip
_SPEAKER = re.compile(r"^(user|assistant|system|developer|tool):[ \t]*", re.IGNORECASE | re.MULTILINE)


@dataclass
class Imported:
    """What a file held. ``mapped`` says where each key is now, ``kept`` names those that lie under ``extra``.

    ``active`` is the conversation that was worked on last.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    active: str = ""
    mapped: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


class _Keys:
    """The keys of one object: each is taken once, or kept."""

    def __init__(self, data: Mapping[str, Any], found: Imported, prefix: str = "") -> None:
        self.left = dict(data)
        self._found = found
        self._prefix = prefix

    def has(self, key: str) -> bool:
        """Whether there is a value to take."""
        return self.left.get(key) is not None

    def take(self, key: str, target: str) -> Any:
        """Remove a key and return its value, which now is at ``target``."""
        self._found.mapped[self._prefix + key] = target
        return self.left.pop(key)

    def keep(self) -> dict[str, Any]:
        """Return what was not taken."""
        self._found.kept += [self._prefix + key for key in self.left]
        return self.left


def read(path: Path) -> Imported:
    """Read a prompt configuration, ``profiles.json``, a chat of any version, or the text of a dialogue.

    Raises :class:`~alain_magics.errors.ConversationError` where it is none of them, and
    :class:`~alain_magics.errors.ProfileError` for a configuration with impossible values.
    """
    try:
        return _read(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConversationError(f"{path} cannot be read: {error.strerror}.", "Check the name of the file.") from None
    except (UnicodeDecodeError, RecursionError):
        raise ConversationError(f"{path} cannot be read: it is no text, or nested too deeply.") from None


def _read(path: Path, text: str) -> Imported:
    try:
        data = json.loads(text)
    except ValueError:
        return read_dialogue(text, path.stem)
    match data:
        case {"chats": dict()} | {"messages": list()}:
            return read_chats(data, path.stem)
        case dict() if PROMPT_KEYS.intersection(data):
            found = Imported()
            found.profiles[path.stem] = read_prompt_config(data, found, str(path))
            return found
        case dict() if data and all(isinstance(each, dict) and _PROFILE_KEYS & {*each} for each in data.values()):
            return read_profiles(data, path)
    advice = "Give a prompt configuration, profiles.json, a saved chat, or a text with lines of ROLE: TEXT."
    raise ConversationError(f"{path} holds nothing that is known.", advice)


def read_prompt_config(data: Mapping[str, Any], found: Imported, origin: str, prefix: str = "") -> Profile:
    """Make a profile of a prompt configuration, and note in ``found`` where its keys went."""
    keys = _Keys(data, found, prefix)
    values: dict[str, Any] = {}
    if keys.left.get("performance_mode"):
        for key, target in _PERFORMANCE.items():
            if keys.has(key):
                values[target] = keys.take(key, target)
    sampling: dict[str, Any] = {}
    for key, target in _SAME.items():
        if keys.has(key) and target not in values:
            table, _, name = target.rpartition(".")
            (sampling if table else values)[name] = keys.take(key, target)
    if isinstance(keys.left.get("seed"), int) and keys.left["seed"] >= 0:
        sampling["seed"] = keys.take("seed", "sampling.seed")
    if str(keys.left.get("reasoning_effort")).lower() in _EFFORTS:
        values["effort"] = keys.take("reasoning_effort", "effort").lower()
    if keys.left.get("deterministic_time_enabled"):
        keys.take("deterministic_time_enabled", "fixed_time")
        given = keys.has("deterministic_time_iso")
        values["fixed_time"] = keys.take("deterministic_time_iso", "fixed_time") if given else DEFAULT_FIXED_TIME
    names: dict[str, str] = {}
    if isinstance(keys.left.get("placeholders"), dict):
        names = {str(name): str(value) for name, value in keys.take("placeholders", "placeholders").items()}
    values |= _texts(keys, names)
    data = {**values, "sampling": sampling, "placeholders": names, "extra": _as_toml(keys.keep())}
    return checked(Profile, data, origin)


def _texts(keys: _Keys, names: dict[str, str]) -> dict[str, Any]:
    """Take what may contain placeholders."""
    parts = [form.format(_ours(str(keys.take(key, "system")), names)) for key, form in _SYSTEM.items() if keys.has(key)]
    texts: dict[str, Any] = {"system": "\n\n".join(parts)} if parts else {}
    for key, target in {"knowledge_cutoff": "knowledge_cutoff", "assistant_greeting": "greeting"}.items():
        if keys.has(key):
            texts[target] = _ours(str(keys.take(key, target)), names)
    dialogues = keys.left.get("example_dialogues")
    if isinstance(dialogues, list) and all(map(_is_dialogue, dialogues)):
        texts["examples"] = [
            {"messages": [{"role": said["role"], "content": _ours(said["content"], names)} for said in dialogue]}
            for dialogue in keys.take("example_dialogues", "examples")
        ]
    return texts


def _is_dialogue(dialogue: Any) -> bool:
    return isinstance(dialogue, list) and all(
        isinstance(said, dict)
        and said.keys() == Said.model_fields.keys()
        and said["role"] in ("user", "assistant")
        and isinstance(said["content"], str)
        for said in dialogue
    )


def _ours(text: str, names: dict[str, str]) -> str:
    """Write a text so that it gives here what it gave there, where unknown placeholders stay and braces may double."""
    known = {*names, *times(now())}
    angled = {name.upper() for name in known}

    def written(match: re.Match[str]) -> str:
        if name := match["escaped"]:
            return f"{{<|{name}|>}}" if name in known else f"{{{match[0]}}}"
        if name := match["braced"]:
            return match[0] if name in known else f"{{{match[0]}}}"
        if match["angled"].upper() not in angled:
            names[match["angled"]] = match[0]
        return match[0]

    return PLACEHOLDER.sub(written, text)


def read_profiles(data: Mapping[str, Mapping[str, Any]], path: Path) -> Imported:
    """Make a profile of each one in ``profiles.json``, with the prompt configuration it names where that is found."""
    found = Imported()
    for name, each in data.items():
        keys = _Keys(each, found, f"{name}.")
        values: dict[str, Any] = {"extra": {}}
        if config := _beside(path.parent, keys.left.get("prompt_config")):
            keys.take("prompt_config", "the profile itself")
            profile = read_prompt_config(_object(config), found, str(config), f"{name}.prompt_config.")
            values = profile.model_dump(exclude_none=True)
        if keys.has("model"):
            values["model"] = keys.take("model", "model")
        if keys.has("max_context_tokens") and "context_tokens" not in values:
            values["context_tokens"] = keys.take("max_context_tokens", "context_tokens")
        values["extra"] |= _as_toml(keys.keep())
        found.profiles[name] = checked(Profile, values, str(path))
    return found


def _object(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ProfileError(f"{path} cannot be read: {error}.", "Correct the file or move it away.") from None
    if not isinstance(data, dict):
        raise ProfileError(f"{path} is no prompt configuration.", "Correct the file or move it away.")
    return data


def _beside(folder: Path, name: object) -> Path | None:
    """Find a file that a profile names relative to where the program was started."""
    if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    return next(
        (path for path in (folder / name, folder.parent / name, folder / Path(name).name) if path.is_file()), None
    )


def read_chats(data: Mapping[str, Any], name: str) -> Imported:
    """Make conversations of a file of chats: many (schema 2), or one (schema 1, or without a version)."""
    found = Imported(active=name)
    keys = _Keys(data, found)
    if keys.has("schema_version"):
        keys.take("schema_version", "version")
    if not isinstance(data.get("chats"), dict):
        chat: dict[str, Any] = {key: keys.left.pop(key) for key in ("metadata", "messages") if key in keys.left}
        found.conversations[name] = _conversation(chat, found, "")
    else:
        chats: dict[str, Any] = keys.take("chats", "conversations")
        listed = isinstance(keys.left.get("chat_order"), list)
        order = map(str, keys.take("chat_order", "order of the conversations") if listed else ())
        for chat_id in dict.fromkeys([*(each for each in order if each in chats), *chats]):
            found.conversations[chat_id] = _conversation(chats[chat_id], found, f"chats.{chat_id}.")
        found.active = next(iter(found.conversations), "")
        if str(keys.left.get("active_chat_id")) in chats:
            found.active = str(keys.take("active_chat_id", "active"))
    if not found.conversations:
        raise ConversationError(f"{name} holds no conversation.", "Give a file with at least one.")
    if kept := keys.keep():
        for conversation in found.conversations.values():
            conversation.extra["file"] = kept
    return found


def _conversation(chat: Any, found: Imported, prefix: str) -> Conversation:
    if not isinstance(chat, dict) or not isinstance(chat.get("messages", []), list):
        raise ConversationError(f"{prefix.rstrip('.') or 'the file'} has no messages.", "Take the damaged chat out.")
    keys = _Keys(chat, found, prefix)
    has_metadata = isinstance(keys.left.get("metadata"), dict)
    about = _Keys(keys.left.pop("metadata") if has_metadata else {}, found, f"{prefix}metadata.")
    for each in (keys, about):
        if each.has("chat_id"):
            each.take("chat_id", "name")
    begun = _taken_time(about, "created_at", "created") or now()
    ended = _taken_time(about, "updated_at", "updated") or begun
    conversation = Conversation(created=begun, updated=ended, options=_options(about))
    others = []
    for number, message in enumerate(keys.left.pop("messages", [])):
        entry = _entry(message, number, begun, found, prefix) if isinstance(message, dict) else None
        if entry is None:
            others.append(message)
            found.kept.append(f"{prefix}messages[{number}]")
        elif entry.message.role == "system" and not conversation.entries and conversation.options.system is None:
            conversation.options.system = entry.message.content
            keys.left["system_message"] = entry.model_dump(mode="json", exclude={"message"})
        else:
            conversation.entries.append(entry)
    conversation.extra = about.keep() | keys.keep() | ({"messages": others} if others else {})
    return conversation


def _options(about: _Keys) -> Options:
    """Take what was chosen for a chat; what was chosen last counts."""
    values: dict[str, Any] = {}
    for key in ("last_model_path", "model_path", "model"):
        if about.has(key) and "model" not in values:
            values["model"] = about.take(key, "options.model")
    if about.has("max_context_tokens"):
        values["context_tokens"] = about.take("max_context_tokens", "options.context_tokens")
    sampling: dict[str, Any] = {}
    for key in ("last_hyperparameters", "hyperparameters"):
        if isinstance(about.left.get(key), dict):
            chosen = dict(about.left[key])
            if isinstance(seed := chosen.pop("seed", None), int) and seed >= 0:
                sampling["seed"] = seed
            for name, target in _SAME.items():
                if chosen.get(name) is not None:
                    (sampling if target.startswith("sampling.") else values)[target.rpartition(".")[2]] = chosen[name]
            if chosen.keys() <= _SAME.keys():
                about.take(key, "options")
            break
    return checked(Options, {**values, "sampling": sampling}, "the chat")


def _entry(message: dict[str, Any], number: int, begun: datetime, found: Imported, prefix: str) -> Entry | None:
    """Make an entry of a message; ``None`` for one of a role that is not known here."""
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        return None
    keys = _Keys(message, found, f"{prefix}messages[{number}].")
    keys.take("role", "message.role")
    if message["role"] != role:
        keys.left["role"] = message["role"]
    content = keys.take("content", "message.content") if isinstance(keys.left.get("content"), str) else ""
    known = {
        target: keys.take(key, f"message.{target}")
        for key, target in {"analysis": "reasoning", "name": "name"}.items()
        if isinstance(keys.left.get(key), str)
    }
    entry_id = str(keys.take("id", "id")) if keys.has("id") else f"m{number}"
    time = _taken_time(keys, "timestamp", "time") or begun
    return Entry(id=entry_id, time=time, message=Message(role, content, **known), extra=keys.keep())


def _taken_time(keys: _Keys, key: str, target: str) -> datetime | None:
    """Take a time, given as ISO text or as ``{unix, iso}``; one that says anything else is kept as it is."""
    raw = keys.left.get(key)
    text = raw.get("iso") if isinstance(raw, dict) else raw
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    if isinstance(raw, dict) and raw != {"iso": text, "unix": time.timestamp()}:
        return time
    keys.take(key, target)
    return time


def read_dialogue(text: str, name: str) -> Imported:
    """Make a conversation of lines ``ROLE: TEXT``, each of which may go on over further lines."""
    before, *parts = _SPEAKER.split(text)
    if before.strip() or not parts:
        what = f"{name} is neither JSON nor a dialogue."
        raise ConversationError(what, "Begin each message with user: or assistant:.")
    messages = [
        {"role": role.lower(), "content": said.strip()} for role, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    return read_chats({"messages": messages}, name)


def _as_toml(kept: dict[str, Any]) -> dict[str, Any]:
    """Return what TOML can hold: what contains a null is kept as its JSON text."""
    nulls = {key: json.dumps(value) for key, value in kept.items() if _has_null(value)}
    return {key: value for key, value in kept.items() if key not in nulls} | ({"as_json": nulls} if nulls else {})


def _has_null(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_null, value.values()))
    if isinstance(value, Iterable) and not isinstance(value, str):
        return any(map(_has_null, value))
    return value is None
