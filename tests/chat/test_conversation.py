"""Conversations outlive the kernel; a damaged file is set aside, never overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.chat.conversation import (
    INTERRUPTED,
    Chats,
    Conversation,
    Correction,
    Entry,
    Window,
    dumps,
    loads,
)
from alain_magics.chat.profiles import Options
from alain_magics.errors import ConversationError
from alain_magics.runtimes.base import Message, Sampling, ToolCall, Usage
from alain_magics.store.files import atomic_write
from tests.conftest import ROOT


def talk(*messages: Message) -> Conversation:
    conversation = Conversation.new()
    conversation.add(*(Entry.of(message) for message in messages))
    return conversation


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str, **more: Any) -> Message:
    return Message("assistant", text, **more)


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(tmp_path / "chats")


def test_a_saved_conversation_is_read_as_it_was(chats: Chats):
    conversation = talk(user("Hi"))
    answer = said("Yo", reasoning="Hm", tool_calls=(ToolCall("1", "f", "{}"),))
    conversation.add(Entry.of(answer, model="a/b", usage=Usage(3, 4, cached=2), finish=INTERRUPTED))
    conversation.options = Options(model="a/b", sampling=Sampling(temperature=0.0, stop=("x",)))
    conversation.window = Window(first=conversation.entries[0].id, limit=100)
    chats.save("talk", conversation)
    assert chats.load("talk") == chats.open("talk") == conversation


def test_where_nothing_is_stored_a_conversation_begins(chats: Chats):
    assert chats.open("new").entries == []
    with pytest.raises(ConversationError, match=r"There is no conversation 'new'\. None is stored yet\."):
        chats.load("new")


def test_what_was_not_stored_is_not_remembered(chats: Chats):
    chats.save("talk", talk(user("Hi")))
    open_one = chats.open("talk")
    open_one.add(Entry.of(said("Yo")))
    open_one.options = Options(max_tokens=1)
    again = chats.open("talk")
    assert (len(again.entries), again.options) == (1, Options())


def test_what_another_program_stored_is_seen(chats: Chats):
    chats.save("talk", talk(user("Hi")))
    text = chats.path("talk").read_text()
    chats.path("talk").write_text(text.replace('"Hi"', '"Ho"'))
    assert chats.open("talk").entries[0].message.content == "Ho"
    chats.path("talk").unlink()
    assert chats.open("talk").entries == []


def test_a_name_that_is_nearly_right_is_suggested(chats: Chats):
    chats.save("physics", talk())
    with pytest.raises(ConversationError, match="Did you mean 'physics'"):
        chats.load("phisics")


def test_files_and_their_folder_are_their_owners_alone(chats: Chats, tmp_path: Path):
    chats.save("talk", talk(user("secret")))
    chats.save("talk", talk(user("more secret")))
    assert (tmp_path / "chats").stat().st_mode & 0o777 == 0o700
    assert chats.path("talk").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 200, "a\nb", "a\0b"])
def test_an_odd_name_is_refused(chats: Chats, name: str):
    for use in (chats.open, chats.load, lambda name: chats.save(name, talk())):
        with pytest.raises(ConversationError, match="cannot name a conversation"):
            use(name)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": "alain-chat"}', '{"format": "alain-chat", "version": "1"}']
)
def test_a_damaged_file_is_set_aside(chats: Chats, content: str):
    chats.save("talk", talk())
    chats.path("talk").write_text(content)
    with pytest.raises(ConversationError, match="'talk' is damaged") as caught:
        chats.open("talk")
    (aside,) = chats.path("talk").parent.iterdir()
    assert aside.read_text() == content
    assert str(aside) in str(caught.value)
    assert chats.open("talk").entries == []
    chats.save("talk", talk(user("Hi")))
    assert aside.read_text() == content


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_with_a_wrong_byte_is_read_or_refused(data: st.DataObject):
    whole = dumps(talk(user("Hi"), said("Yo")))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] + data.draw(st.binary(max_size=2)) + whole[at + 1 :]
    try:
        read = loads(damaged)
    except ValueError:
        return
    assert loads(dumps(read)) == read


def test_a_file_of_a_newer_release_stays_where_it_is(chats: Chats):
    chats.save("talk", talk())
    newer = json.loads(chats.path("talk").read_text()) | {"version": 2, "format": "alain-chat"}
    chats.path("talk").write_text(json.dumps(newer))
    with pytest.raises(ConversationError, match="newer release"):
        chats.open("talk")
    assert json.loads(chats.path("talk").read_text()) == newer


def test_fields_that_are_not_known_are_kept():
    data = json.loads(dumps(talk(user("Hi"))))
    data["mood"] = "good"
    data["entries"][0]["rating"] = 7
    again = json.loads(dumps(loads(json.dumps(data))))
    assert (again["mood"], again["entries"][0]["rating"]) == ("good", 7)


def test_one_that_is_replaced_is_kept(chats: Chats):
    first, second = talk(user("first")), talk(user("second"))
    chats.save("talk", first)
    chats.replace("talk", second)
    assert (chats.load("talk"), chats.load("talk.previous")) == (second, first)


def test_the_list_shows_the_latest_first_and_no_damaged_ones(chats: Chats):
    for name, day in (("old", 1), ("new", 2)):
        conversation = talk(user("Hi"))
        conversation.add(Entry.of(said("Yo"), model="a/b"))
        conversation.updated = datetime(2026, 1, day, tzinfo=UTC)
        chats.save(name, conversation)
    chats.path("bad").write_text("{")
    assert [(each.name, each.messages, each.model) for each in chats.summaries()] == [
        ("new", 2, "a/b"),
        ("old", 2, "a/b"),
    ]
    assert Chats(chats.path("none") / "x").summaries() == []


def test_a_turn_is_a_user_message_and_all_that_answers_it():
    call = said("", tool_calls=(ToolCall("1", "f", "{}"),))
    result = Message("tool", "42", tool_call_id="1", name="f")
    conversation = talk(said("Welcome"), user("a"), call, result, said("It is 42"), user("b"), said("B"))
    turns = conversation.exchanges()
    assert [turn.messages for turn in turns] == [
        (said("Welcome"),),
        (user("a"), call, result, said("It is 42")),
        (user("b"), said("B")),
    ]
    assert [turn.id for turn in turns] == [conversation.entries[number].id for number in (0, 1, 5)]


def test_models_do_not_read_earlier_thoughts_nor_empty_answers():
    conversation = talk(user("a"), said("", reasoning="Hm"), user("b"), said("B", reasoning="Hm"))
    assert [turn.messages for turn in conversation.exchanges()] == [(user("a"),), (user("b"), said("B"))]


def test_a_result_that_nobody_asked_for_is_told_by_the_user():
    conversation = talk(user("a"), user("b"), Message("tool", "42", name="f"), said("A"))
    assert [turn.messages for turn in conversation.exchanges()] == [(user("a\n\nb\n\nf: 42"), said("A"))]


times = st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC))
texts = st.text(max_size=20)
messages = st.builds(
    Message, content=texts, reasoning=texts, tool_calls=st.lists(st.builds(ToolCall), max_size=2).map(tuple), name=texts
)
entries = st.builds(Entry, time=times, message=messages, model=texts, usage=st.none() | st.builds(Usage), finish=texts)
conversations = st.builds(
    Conversation,
    created=times,
    updated=times,
    profile=texts,
    options=st.builds(Options, system=st.none() | texts, max_tokens=st.none() | st.integers(1)),
    entries=st.lists(entries, max_size=4),
    window=st.none() | st.builds(Window),
    correction=st.none() | st.builds(Correction, factor=st.floats(0.1, 10)),
    extra=st.dictionaries(texts, st.none() | st.integers() | texts, max_size=3),
)


@settings(max_examples=200, deadline=None)
@given(conversations)
def test_every_conversation_is_read_as_it_was_written(conversation: Conversation):
    assert loads(dumps(conversation)) == conversation


@given(conversations)
def test_turns_begin_with_what_the_user_said_and_lose_no_answer(conversation: Conversation):
    turns = conversation.exchanges()
    for turn in turns:
        assert all(message.role != "user" for message in turn.messages[1:])
    answers = [entry.message for entry in conversation.entries if entry.message.role == "assistant"]
    assert [message.content for turn in turns for message in turn.messages if message.role == "assistant"] == [
        answer.content for answer in answers if answer.content or answer.tool_calls
    ]


def test_a_kill_at_any_moment_leaves_a_whole_conversation(tmp_path: Path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from alain_magics.chat.conversation import Chats, Conversation, Entry\n"
        "from alain_magics.runtimes.base import Message\n"
        "chats, conversation = Chats(Path(sys.argv[1])), Conversation.new()\n"
        "while True:\n"
        "    conversation.add(Entry.of(Message('user', 'x' * 100)))\n"
        "    chats.save('talk', conversation)\n"
        "    print(len(conversation.entries), flush=True)\n"
    )
    for round_ in range(int(os.environ.get("ALAIN_SOAK_KILLS", "5"))):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / str(round_))],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout
        with process.stdout as lines:
            for _ in range(saves := 3 * (round_ % 10) + 1):
                lines.readline()
            process.send_signal(signal.SIGKILL)
            acknowledged = max([saves, *map(int, lines.read().split())])
        process.wait()
        stored = len(Chats(tmp_path / str(round_)).load("talk").entries)
        assert stored in (acknowledged, acknowledged + 1)


def test_what_another_program_stores_at_the_same_moment_is_not_mistaken_for_ones_own(
    chats: Chats, monkeypatch: pytest.MonkeyPatch
):
    other = talk(user("theirs"))

    def overtaken(path: Path, data: bytes, **options: Any) -> None:
        atomic_write(path, data, **options)
        atomic_write(path, dumps(other), **options)

    monkeypatch.setattr("alain_magics.chat.conversation.atomic_write", overtaken)
    chats.save("talk", talk(user("mine")))
    assert chats.load("talk") == other
