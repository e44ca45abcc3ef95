"""What mlx-harmony wrote is read without loss: configurations, profiles, chats of every version, dialogues."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics.chat import conversation as stored
from alain_magics.chat import profiles
from alain_magics.chat.mlx_harmony import PROMPT_KEYS, Imported, read
from alain_magics.chat.profiles import Options
from alain_magics.errors import AlainError, ConversationError, ProfileError
from alain_magics.runtimes.base import Message, Sampling

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
FIXTURES = (
    "chat_schema_v1.json chat_schema_v2.json conversation.example.json dialogue.example.txt profiles.example.json"
    " prompt-config.example.json prompt_config.json".split()
)


def written(folder: Path, data: object) -> Imported:
    """What a file with this content holds."""
    path = folder / "file.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return read(path)


def leaves(value: Any) -> Iterator[Any]:
    """Every value within JSON data that holds no other."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


@pytest.mark.parametrize("name", FIXTURES)
def test_what_is_read_survives_being_stored(harmony: Path, name: str):
    found = read(harmony / name)
    assert found.profiles or found.conversations
    for profile in found.profiles.values():
        again = profiles.Profile.model_validate(tomllib.loads(profiles.dumps(profile)))
        assert again == profile
    for conversation in found.conversations.values():
        assert stored.loads(stored.dumps(conversation)) == conversation


@pytest.mark.parametrize("name", [name for name in FIXTURES if name.endswith(".json")])
def test_every_value_is_still_there(harmony: Path, name: str):
    found = read(harmony / name)
    ours: list[Any] = [*found.conversations, found.active]
    for profile in found.profiles.values():
        ours += [*leaves(profile.model_dump(mode="json")), *map(json.loads, profile.extra.get("as_json", {}).values())]
    for conversation in found.conversations.values():
        ours += leaves(json.loads(stored.dumps(conversation)))
    data = json.loads((harmony / name).read_text(encoding="utf-8"))
    assert data.pop("schema_version", 2) == 2
    for value in leaves(data):
        if value == "configs/prompt-config.example.json" and found.profiles:
            continue  # its content is there in its place
        assert any(holds(each, value) for each in ours), value


def holds(ours: Any, theirs: Any) -> bool:
    """Whether a value of ours is theirs: the same, in other letters, another spelling of a time, or around it."""
    if not (isinstance(ours, str) and isinstance(theirs, str)):
        return ours == theirs
    if theirs in ours or theirs.lower() == ours:
        return True
    with suppress(ValueError):
        return datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)
    return False


@pytest.mark.parametrize("name", FIXTURES)
def test_every_key_is_reported_once(harmony: Path, name: str):
    found = read(harmony / name)
    assert set(found.mapped).isdisjoint(found.kept)
    assert len(set(found.kept)) == len(found.kept)


def test_every_key_of_a_configuration_is_mapped_or_kept(tmp_path: Path):
    assert len(PROMPT_KEYS) == 45
    found = written(tmp_path, dict.fromkeys(PROMPT_KEYS) | {"my_own": [1, None]})
    assert {*found.mapped, *found.kept} == {*PROMPT_KEYS, "my_own"}
    assert set(found.profiles["file"].extra["as_json"]) == {*PROMPT_KEYS, "my_own"}
    assert found.profiles["file"].extra["as_json"]["my_own"] == "[1, null]"


def test_a_configuration_becomes_a_profile(harmony: Path):
    found = read(harmony / "prompt-config.example.json")
    profile = found.profiles["prompt-config.example"]
    assert profile.chosen() == Options(
        effort="medium",
        max_tokens=1024,
        context_tokens=4096,
        sampling=Sampling(
            temperature=0.8,
            top_p=0.9,
            top_k=40,
            min_p=0.0,
            xtc_probability=0.0,
            xtc_threshold=0.0,
            repetition_penalty=1.0,
            repetition_context_size=20,
            stop=("<|endoftext|>",),
        ),
    )
    head = profile.to_messages(NOON)
    here, date = NOON.astimezone(), f"{NOON.astimezone():%Y-%m-%d}"
    assert head[0].content == (
        f"You are Dave (also Dave) on {date} at {here:%H:%M:%S} (local time, 12:00:00 UTC UTC).\n\n"
        f"Current date: {date}\n\nAddress the user as Morgan and be concise.\n\nKnowledge cutoff: 2025-01"
    )
    assert [message.role for message in head[1:]] == ["user", "assistant"] * 2
    assert head[2].content.startswith("Hello Morgan! I'm Dave and")
    assert profile.rendered(profile.greeting, NOON) == "Hello Morgan, I'm Dave. How can I help you today?"
    assert profile.extra["seed"] == -1
    assert {"mlock", "seed", "perf_max_tokens", "logs_dir", "xtc_special_tokens"} <= set(found.kept)


def test_values_that_mean_something_are_mapped(tmp_path: Path):
    found = written(
        tmp_path,
        {
            "seed": 7,
            "deterministic_time_enabled": True,
            "max_context_tokens_margin": 5,
            "loop_detection": "full",
            "performance_mode": True,
            "perf_max_tokens": 11,
            "max_tokens": 22,
            "placeholders": {"n": 5},
        },
    )
    profile = found.profiles["file"]
    assert (profile.sampling.seed, profile.fixed_time) == (7, datetime(2000, 1, 1, tzinfo=UTC))
    assert (profile.context_margin, profile.loop_detection) == (5, "full")
    assert (profile.max_tokens, profile.extra) == (11, {"performance_mode": True, "max_tokens": 22})
    assert profile.placeholders == {"n": "5"}


def test_examples_that_are_more_than_dialogues_are_kept_whole(tmp_path: Path):
    odd = [[{"role": "user", "content": "Hi", "mood": "good"}]]
    profile = written(tmp_path, {"example_dialogues": odd}).profiles["file"]
    assert (profile.examples, profile.extra) == ([], {"example_dialogues": odd})


KNOWN = {"user": "Morgan", "assistant": "Dave", "USER": "Morgan"}
fragments = st.sampled_from(
    ["{", "}", "{user}", "{x}", "{{user}}", "{{x}}", "<|User|>", "<|foo|>", "<|", "|>", " a", "$"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(fragments).map("".join))
def test_a_text_gives_here_what_it_gave_there(tmp_path: Path, text: str):
    there = text
    for angled in ("<|User|>", "<|user|>"):
        there = there.replace(angled, "Morgan")
    for name, value in KNOWN.items():
        there = there.replace(f"{{{name}}}", value)
    profile = written(tmp_path, {"assistant_greeting": text, "placeholders": KNOWN}).profiles["file"]
    assert profile.rendered(profile.greeting, NOON) == there


def test_profiles_take_their_configuration_in(harmony: Path):
    found = read(harmony / "profiles.example.json")
    assert list(found.profiles) == ["gpt-oss-20b", "gpt-oss-120b"]
    profile = found.profiles["gpt-oss-20b"]
    assert (profile.model, profile.max_tokens) == ("~/models/gpt-oss-20b", 1024)
    assert (profile.context_tokens, profile.extra["max_context_tokens"]) == (4096, 131072)


@pytest.mark.parametrize("name", ["none.json", "/etc/passwd", "../../etc/passwd"])
def test_a_configuration_that_is_not_beside_stays_a_name(tmp_path: Path, name: str):
    found = written(tmp_path, {"a": {"model": "m", "prompt_config": name, "max_context_tokens": 9}})
    assert (found.profiles["a"].context_tokens, found.profiles["a"].extra) == (9, {"prompt_config": name})


def test_the_first_version_of_chats(harmony: Path):
    found = read(harmony / "chat_schema_v1.json")
    chat = found.conversations[found.active]
    assert chat.options == Options(
        model="models/old-model", max_tokens=64, context_tokens=2048, sampling=Sampling(temperature=0.5)
    )
    assert [entry.message for entry in chat.entries] == [Message("user", "Hello"), Message("assistant", "Hi")]
    assert chat.entries[1].time == chat.updated == datetime(2025, 1, 7, 0, 0, 1, tzinfo=UTC)
    assert chat.entries[1].extra["hyperparameters"] == {"temperature": 0.5, "max_tokens": 64}
    assert chat.extra["prompt_config"] == "configs/old-config.json"


def test_the_second_version_of_chats(harmony: Path):
    found = read(harmony / "chat_schema_v2.json")
    assert (found.active, list(found.conversations)) == ("chat-001", ["chat-001"])
    chat = found.conversations["chat-001"]
    assert (chat.options.model, chat.options.max_tokens) == ("models/new-model", 128)
    assert [entry.id for entry in chat.entries] == ["msg-1", "msg-2"]
    assert chat.entries[1].extra["parent_id"] == "msg-1"


def test_chats_without_a_version(harmony: Path):
    chat = read(harmony / "conversation.example.json").conversations["conversation.example"]
    assert chat.options.sampling.top_p == 0.95
    assert chat.extra["tools"] == ["browser", "python"]
    assert [entry.message.role for entry in chat.entries] == ["user", "assistant", "user", "tool", "assistant"]
    assert chat.entries[3].message.name == "browser"
    asked = chat.exchanges()[1].messages
    assert [message.role for message in asked] == ["user", "assistant"]
    assert asked[0].content.endswith("latest Python news?\n\nbrowser: Search results: [Python 3.12 released...]")


def test_a_dialogue(harmony: Path):
    chat = read(harmony / "dialogue.example.txt").conversations["dialogue.example"]
    assert [entry.message.role for entry in chat.entries] == ["assistant", "user", "assistant", "user", "assistant"]
    assert chat.entries[0].message.content == "Hello, how may I help you today?"
    assert chat.entries[4].message.content.count("\n\n") == 2


def test_the_rest_of_a_chat_is_kept(tmp_path: Path):
    found = written(
        tmp_path,
        {
            "owner": "me",
            "metadata": {"updated_at": "soon", "last_hyperparameters": {"top_k": 1, "min_tokens_to_keep": 1}},
            "messages": [
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": ["not text"], "timestamp": {"unix": 1.0, "iso": "2025-01-07T00:00:00Z"}},
                {"role": "narrator", "content": "He came."},
                {"role": "assistant", "content": "Yes", "analysis": "Hm."},
            ],
        },
    )
    chat = found.conversations["file"]
    assert (chat.options.system, chat.options.sampling.top_k) == ("Be kind.", 1)
    assert chat.extra["system_message"]["extra"] == {"role": "developer"}
    assert chat.extra["messages"] == [{"role": "narrator", "content": "He came."}]
    assert chat.extra["file"] == {"owner": "me"}
    assert chat.extra["updated_at"] == "soon"
    assert chat.extra["last_hyperparameters"]["min_tokens_to_keep"] == 1
    assert chat.entries[0].extra["content"] == ["not text"]
    assert chat.entries[0].extra["timestamp"]["unix"] == 1.0
    assert chat.entries[1].message == Message("assistant", "Yes", reasoning="Hm.")


@pytest.mark.parametrize(
    ("data", "error", "problem"),
    [
        ({}, ConversationError, "holds nothing that is known"),
        ([1], ConversationError, "holds nothing that is known"),
        ({"temperature": "hot"}, ProfileError, "sampling.temperature cannot be 'hot'"),
        ({"chats": {"a": 1}}, ConversationError, "chats.a has no messages"),
        ({"chats": {}}, ConversationError, "holds no conversation"),
        ({"messages": [], "metadata": {"max_context_tokens": "x"}}, ProfileError, "context_tokens cannot be 'x'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: object, error: type[AlainError], problem: str):
    with pytest.raises(error) as caught:
        written(tmp_path, data)
    assert problem in str(caught.value)


@pytest.mark.parametrize("content", [b"just a text", b"", b"\xff\xfe", b"[" * 100_000])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConversationError):
        read(tmp_path / "x")
    with pytest.raises(ConversationError):
        read(tmp_path / "none")


KEYS = [
    *sorted(PROMPT_KEYS),
    *"chats messages metadata chat_order active_chat_id schema_version chat_id model model_path".split(),
    *"prompt_config last_model_path".split(),
    *"hyperparameters last_hyperparameters created_at timestamp iso unix id role content analysis".split(),
    *"name tools a b".split(),
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["user", "tool"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=6))
def test_whatever_a_file_holds_is_read_or_refused_with_advice(tmp_path: Path, data: dict[str, Any]):
    try:
        found = written(tmp_path, data)
    except AlainError:
        return
    for profile in found.profiles.values():
        assert set(tomllib.loads(profiles.dumps(profile))) <= set(profiles.Profile.model_fields)
    for conversation in found.conversations.values():
        assert len(stored.loads(stored.dumps(conversation)).entries) == len(conversation.entries)
