"""``chat``: the conversation goes on from call to call, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alain_magics.chat.conversation import INTERRUPTED, Chats
from alain_magics.commands.base import Context, Done, Event, Partial
from alain_magics.commands.chat import NOWHERE, SHELL, ConversationRequest, command, conversation_name, run
from alain_magics.commands.runner import events
from alain_magics.errors import (
    ContextExceeded,
    ConversationError,
    KeyMisused,
    ProfileError,
    ServerFailed,
    UnknownModel,
    UsageError,
)
from alain_magics.keys import Key
from alain_magics.runtimes.base import Runtime, Sampling
from alain_magics.settings import configured
from alain_magics.workspace import Workspace, open_workspace
from tests.commands.asked import done, machine
from tests.conftest import require
from tests.peers.llama_server import Peer
from tests.peers.recorded import recorded
from tests.runtimes.conftest import llama, weights

__all__ = ["llama", "weights"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A project in which ``scripted/echo`` answers."""
    (tmp_path / "alain.toml").write_text('model = "scripted/echo"\n')
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "notes.ipynb"))
    monkeypatch.chdir(tmp_path)
    yield open_workspace(tmp_path)
    configured.clear()


def happens(
    workspace: Workspace, cell: str | None = None, names: dict[str, Any] | None = None, **asked: Any
) -> list[Event]:
    """Run the command to its end; return all that it yields."""
    if "message" in asked:
        asked["message"] = [asked["message"]]

    async def collect() -> list[Event]:
        request = ConversationRequest.model_validate(asked)
        return [event async for event in run(Context(workspace, cell, names or {}, interactive_kernel=True), request)]

    return asyncio.run(collect())


def talk(workspace: Workspace, cell: str | None = None, names: dict[str, Any] | None = None, **asked: Any) -> Done:
    end = happens(workspace, cell, names, **asked)[-1]
    assert isinstance(end, Done)
    return end


def name_of(workspace: Workspace, names: dict[str, Any] | None = None) -> str:
    return conversation_name(Context(workspace, namespace=names or {}, interactive_kernel=True))


def said(workspace: Workspace, name: str | None = None) -> list[tuple[str, str]]:
    """What the stored conversation holds."""
    chats = Chats(workspace.data / "chats")
    conversation = chats.load(name or name_of(workspace))
    return [(entry.message.role, entry.message.content) for entry in conversation.entries]


def sent(workspace: Workspace) -> dict[str, Any]:
    """The request of the latest recorded turn, as it went out."""
    latest = max((workspace.folder / "runs").glob("*/logs/*/prompt.full.json"))
    asked = json.loads(latest.read_text())["request"]
    return {**asked, "messages": [(message["role"], message["content"]) for message in asked["messages"]]}


def test_an_answer_comes_in_pieces_and_ends_with_plain_data(workspace: Workspace):
    found = happens(workspace, "one two three")
    kinds = [event.kind for event in found if isinstance(event, Partial)]
    assert kinds == ["answer", "delta", "delta", "delta", "end"]
    assert isinstance(found[-1], Done)
    data = json.loads(json.dumps(found[-1].data))
    assert (data["text"], data["finish"], data["model"]) == ("one two three", "stop", "echo")
    assert (data["conversation"], data["dropped"]) == (name_of(workspace), 0)


def test_what_was_said_goes_along(workspace: Workspace):
    talk(workspace, "one")
    talk(workspace, "two", record=True)
    assert sent(workspace)["messages"] == [("user", "one"), ("assistant", "one"), ("user", "two")]
    assert said(workspace) == [("user", "one"), ("assistant", "one"), ("user", "two"), ("assistant", "two")]


def test_the_message_may_stand_before_the_cell_or_instead_of_it(workspace: Workspace):
    assert talk(workspace, message="one two").text == "one two"
    assert talk(workspace, "cell\n", message="line").text == "line\ncell"


def test_variables_are_put_in_once(workspace: Workspace):
    done = talk(workspace, "{who} {{who}} {other}", {"who": "{x}", "x": 1})
    assert (done.text, done.data["sent"]) == ("{x} {who} {other}", {"who": 3})


def test_a_key_is_never_said(workspace: Workspace):
    with pytest.raises(KeyMisused):
        talk(workspace, "{secret}", {"secret": Key("sk-123456789", "OPENAI_API_KEY", ["api.openai.com"])})
    assert not Chats(workspace.data / "chats").summaries()


def test_options_hold_until_others_are_given(workspace: Workspace):
    talk(workspace, "one", model="scripted/think", temperature=0.5, set=["top_p=0.1"], system="Be kind.")
    talk(workspace, "two", temperature=0.25, record=True)
    asked = sent(workspace)
    assert asked["model"] == "think"
    assert (asked["sampling"]["temperature"], asked["sampling"]["top_p"]) == (0.25, 0.1)
    assert asked["messages"][0] == ("system", "Be kind.")
    talk(workspace, "three", set=["temperature=", "system="], record=True)
    asked = sent(workspace)
    assert asked["sampling"].get("temperature") is None
    assert asked["messages"][0] == ("user", "one")


def test_options_alone_are_kept_too(workspace: Workspace):
    done = talk(workspace, set=["max_tokens=7", "effort=low"])
    assert done.data["options"] == {
        "model": "scripted/echo", "effort": "low", "loop_detection": "cheap", "max_tokens": 7
    }  # fmt: skip
    assert talk(workspace).data["options"]["max_tokens"] == 7


def test_explicit_options_come_before_those_of_the_chat_and_the_profile(workspace: Workspace):
    (workspace.folder / "profiles").mkdir()
    (workspace.folder / "profiles" / "teacher.toml").write_text(
        'system = "You are {name}."\nmax_tokens = 9\neffort = "low"\n'
        '[sampling]\ntemperature = 0.1\ntop_k = 1\n[placeholders]\nname = "Ada"\n'
        '[[examples]]\nmessages = [{ role = "user", content = "Hi" },'
        ' { role = "assistant", content = "I am {name}" }]\n'
    )
    talk(workspace, set=["temperature=0.2", "top_p=0.2"])
    talk(workspace, "one", profile="teacher", set=["top_p=0.3"], record=True)
    asked = sent(workspace)
    assert (asked["max_tokens"], asked["effort"]) == (9, "low")
    sampling = Sampling(**{name: value for name, value in asked["sampling"].items() if name != "stop"})
    assert sampling == Sampling(temperature=0.2, top_p=0.3, top_k=1)
    head = [("system", "You are Ada."), ("user", "Hi"), ("assistant", "I am Ada")]
    assert asked["messages"] == [*head, ("user", "one")]
    talk(workspace, "two", record=True)
    assert sent(workspace)["messages"][:3] == head


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"profile": "techer"}, ProfileError),
        ({"set": ["temprature=1"]}, UsageError),
        ({"model": "scripted/ecko"}, Exception),
        ({"clear": True, "load": "x"}, UsageError),
        ({"load": "x"}, ConversationError),
    ],
)
def test_a_mistake_changes_nothing(workspace: Workspace, asked: dict[str, Any], error: type[Exception]):
    talk(workspace, "one")
    before = Chats(workspace.data / "chats").load(name_of(workspace))
    with pytest.raises(error):
        talk(workspace, "two", **asked)
    assert Chats(workspace.data / "chats").load(name_of(workspace)) == before


def test_a_model_that_does_not_exist_is_refused_when_it_is_chosen(workspace: Workspace):
    with pytest.raises(UnknownModel):
        talk(workspace, model="nobody")
    assert not Chats(workspace.data / "chats").summaries()


def test_a_question_without_an_answer_is_not_kept(workspace: Workspace):
    talk(workspace, "one")
    with pytest.raises(ServerFailed):
        talk(workspace, "two\n/fail server_failed", set=["temperature=1"])
    assert said(workspace) == [("user", "one"), ("assistant", "one")]
    assert "temperature" not in talk(workspace).data["options"]


def test_a_part_of_an_answer_is_kept_and_marked(workspace: Workspace):
    with pytest.raises(Exception, match="This failure was asked for"):
        talk(workspace, "one two three\n/fail stream_truncated 2")
    conversation = Chats(workspace.data / "chats").load(name_of(workspace))
    assert (conversation.entries[1].message.content, conversation.entries[1].finish) == ("one two", "failed")


def test_an_interrupted_answer_is_kept_and_marked(workspace: Workspace):
    request = ConversationRequest(message=["count"], model="scripted/count")
    with closing(events(command, Context(workspace, interactive_kernel=True), request)) as stream:
        for number, _ in enumerate(stream):
            if number == 10:
                break
    conversation = Chats(workspace.data / "chats").load(name_of(workspace))
    asked, answer = conversation.entries
    assert asked.message.content == "count"
    assert answer.message.content.startswith("1 2 3 4 5 6 7 8")
    assert answer.finish == INTERRUPTED
    assert "scripted/count (interrupted):" in talk(workspace, show=True).text
    talk(workspace, "go on", model="scripted/echo", record=True)
    assert sent(workspace)["messages"][1] == ("assistant", answer.message.content)


def test_what_a_window_does_not_hold_is_not_sent(workspace: Workspace):
    options = ["context_tokens=40", "max_tokens=10", "context_margin=2"]
    for number in range(8):
        done = talk(workspace, f"{number} b c d", set=options, record=True)
        assert done.data["prompt_tokens"] <= 28
    assert done.data["dropped"] > 0
    assert f"not sent: the {done.data['dropped']} oldest turns" in done.data["flags"]
    assert len(said(workspace)) == 16
    assert sent(workspace)["messages"][0] == ("user", f"{done.data['dropped']} b c d")


def test_a_message_that_is_too_long_is_not_sent(workspace: Workspace):
    with pytest.raises(ContextExceeded, match="This message is too long"):
        talk(workspace, "word " * 50, set=["context_tokens=40", "max_tokens=10", "context_margin=2"])
    assert not Chats(workspace.data / "chats").summaries()


def test_conversations_are_saved_loaded_listed_and_cleared(workspace: Workspace):
    talk(workspace, "one", save="physics")
    talk(workspace, "two")
    assert said(workspace, "physics") == [("user", "one"), ("assistant", "one")]
    assert talk(workspace, clear=True).data["messages"] == []
    assert len(said(workspace, f"{name_of(workspace)}.previous")) == 4
    talk(workspace, "three", load="physics")
    assert said(workspace)[2:] == [("user", "three"), ("assistant", "three")]
    assert len(said(workspace, "physics")) == 2
    listed = talk(workspace, list=True)
    assert {row["name"] for row in listed.data["conversations"]} >= {"physics", name_of(workspace)}
    assert f"* {name_of(workspace)}" in listed.text
    assert json.dumps(listed.data)


def test_what_was_chosen_outlives_what_was_said(workspace: Workspace):
    (workspace.folder / "profiles").mkdir()
    (workspace.folder / "profiles" / "kind.toml").write_text('effort = "low"\n')
    chosen = {"model": "scripted/think", "system": "Be kind.", "temperature": 0.5, "profile": "kind"}
    talk(workspace, "one", **chosen)
    cleared = talk(workspace, clear=True, set=["temperature="])
    assert cleared.data["messages"] == []
    assert cleared.data["options"] == {
        "profile": "kind", "model": "scripted/think", "system": "Be kind.", "effort": "low", "loop_detection": "cheap"
    }  # fmt: skip
    assert "model = scripted/think" in cleared.text
    talk(workspace, "two", record=True)
    assert sent(workspace)["messages"] == [("system", "Be kind."), ("user", "two")]


def test_a_conversation_of_a_newer_release_can_be_cleared(workspace: Workspace):
    talk(workspace, "one")
    path = Chats(workspace.data / "chats").path(name_of(workspace))
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(ConversationError, match="newer release"):
        talk(workspace, "two")
    assert talk(workspace, clear=True).data["messages"] == []
    assert '"version": 2' in path.with_name(f"{name_of(workspace)}.previous.json").read_text()


def test_who_is_asked_is_said_where_nobody_was_chosen(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    (workspace.folder / "alain.toml").write_text("")
    monkeypatch.setattr(workspace.runtimes, "choose", lambda: found("scripted/count"))
    done = talk(workspace)
    assert (done.data["model"], "model" in done.data["options"]) == ("scripted/count", False)
    assert "  model = scripted/count" in done.text.splitlines()


async def found(name: str) -> tuple[Runtime, str]:
    runtime, _, model = name.partition("/")
    return open_workspace().runtimes.get(runtime), model


def test_old_turns_are_left_out_where_the_window_is_smaller_than_known(
    llama: Any, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def unknown(runtime: Runtime, model: str) -> None:
        return None

    monkeypatch.setattr("alain_magics.commands.chat._window", unknown)
    peer: Peer = llama("tiny-chatml")
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "alain-runtimes.toml").write_text(f'[llamacpp]\nbase_url = "{peer.url}/v1"\n')
    options = {"model": "llamacpp/tiny-chatml", "max_tokens": 8, "seed": 1}
    for number in range(6):
        shown = happens(workspace, f"{number} gravity " * 250, **options)
    assert shown[-1].data["dropped"] > 0
    kinds = [event.kind for event in shown if isinstance(event, Partial)]
    assert (kinds[0], kinds.count("answer"), kinds.count("end")) == ("answer", 1, 1)
    assert len(said(workspace)) == 12
    with pytest.raises(ContextExceeded):
        talk(workspace, "gravity " * 5000, **options)
    assert len(said(workspace)) == 12


def test_what_was_saved_is_said(workspace: Workspace):
    done = talk(workspace, save="physics")
    assert done.data["saved"] == "physics"
    assert done.text.splitlines()[-1] == "The conversation is saved as physics."
    assert talk(workspace, "one", save="tea").text == "one"
    assert workspace.notices.pop() == "The conversation is saved as tea."


@pytest.mark.parametrize("wrong", [{"save": ""}, {"load": ""}, {"save": "../x"}])
def test_a_name_that_cannot_be_is_refused_before_anything_is_asked(workspace: Workspace, wrong: dict[str, str]):
    with pytest.raises(ConversationError, match="cannot name a conversation"):
        talk(workspace, "one", **wrong)
    assert not Chats(workspace.data / "chats").summaries()


def test_what_is_said_in_a_project_stays_out_of_git(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ALAIN_DATA_DIR")
    subprocess.run(["git", "init", "--quiet", workspace.folder], check=True)
    talk(open_workspace(workspace.folder), "secret")
    git = ["git", "-C", str(workspace.folder), "status", "--short"]
    assert subprocess.run(git, capture_output=True, text=True, check=True).stdout == "?? alain.toml\n"
    assert (workspace.folder / ".alain").stat().st_mode & 0o777 == 0o700


def test_a_long_conversation_does_not_widen_the_window_of_ollama_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with recorded("ollama") as peer, machine(tmp_path, monkeypatch, ollama=peer.url("ollama")) as workspace:
        for _ in range(8):
            said_ = {"message": ["word " * 6000], "model": "ollama/qwen3:8b"}  # which reaches 40,960
            end = done(workspace, "chat", interactive_kernel=True, **said_)
        windows = [seen["body"].get("options", {}).get("num_ctx", 0) for seen in peer.seen("ollama") if seen["body"]]
        assert end.data["dropped"] > 0
        assert (max(windows), windows[-1]) == (32_768, 32_768)
        done(workspace, "chat", interactive_kernel=True, set=["context_tokens=90000"], **said_)
        assert peer.seen("ollama")[-1]["body"]["options"]["num_ctx"] == 40_960


def test_a_model_of_this_process_gets_the_window_that_was_counted_on(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    monkeypatch.setenv("ALAIN_MODELS_DIR", str(weights))
    with machine(tmp_path, monkeypatch) as workspace:
        options = {"model": "local/tiny-chatml.gguf", "max_tokens": 8, "seed": 1}
        done(workspace, "ask", prompt=["Hi"], set=["context_tokens=256"], **options)  # it stays open as it is
        for number in range(3):
            end = done(workspace, "chat", message=[f"{number} gravity " * 60], interactive_kernel=True, **options)
        assert end.data["prompt_tokens"] > 256


def test_nothing_stored_is_said_so(workspace: Workspace):
    assert talk(workspace, list=True).text == "No conversation is stored yet."


def test_a_damaged_conversation_is_set_aside_once(workspace: Workspace):
    talk(workspace, "one")
    Chats(workspace.data / "chats").path(name_of(workspace)).write_text("{")
    with pytest.raises(ConversationError, match="is damaged"):
        talk(workspace, "two")
    assert talk(workspace, "three").text == "three"


def test_it_survives_the_death_of_the_kernel(workspace: Workspace):
    script = (
        "import os, signal\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'alain_magics')\n"
        "shell.run_cell_magic('alain', 'chat', 'one')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=workspace.folder, check=False, timeout=60, capture_output=True)
    assert said(workspace) == [("user", "one"), ("assistant", "one")]


def test_each_notebook_has_a_conversation_of_its_own(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    names = []
    for path in ("a/My notes (1).ipynb", "b/My notes (1).ipynb", "a/.odd.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", str(workspace.folder / path))
        names.append(name_of(workspace))
    assert len(set(names)) == 3
    assert names[0].startswith("My-notes-1-")
    assert Chats(workspace.data).path(names[2]).name.startswith("odd-")
    assert conversation_name(Context(workspace)) == SHELL
    monkeypatch.delenv("JPY_SESSION_NAME")
    code = {"__vsc_ipynb_file__": str(workspace.folder / "a/My notes (1).ipynb")}
    assert name_of(workspace, code) == names[0]
    assert name_of(workspace) == NOWHERE


def test_a_shell_has_a_conversation_of_its_own(workspace: Workspace):
    alain = [sys.executable, "-m", "alain_magics", "chat"]
    done = subprocess.run([*alain, "one"], check=True, capture_output=True, text=True, cwd=workspace.folder, timeout=60)
    assert done.stdout == "one\n"
    piped = subprocess.run(
        alain, input="two\nthree\n", check=True, capture_output=True, text=True, cwd=workspace.folder, timeout=60
    )
    assert piped.stdout == "two\nthree\n"
    assert [text for role, text in said(workspace, SHELL) if role == "user"] == ["one", "two\nthree"]


def test_a_cell_says_its_text_and_keeps_the_conversation(shell: Any, workspace: Workspace):
    shell.user_ns["who"] = "Ada"
    shell.run_cell_magic("alain", "chat", "Hello {who}")
    result = shell.run_cell_magic("alain", "chat --temperature 0", "Bye")
    assert result.data["text"] == "Bye"
    assert [text for role, text in said(workspace) if role == "user"] == ["Hello Ada", "Bye"]


def test_visual_studio_code_names_the_notebook(shell: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("JPY_SESSION_NAME")
    shell.user_ns["__vsc_ipynb_file__"] = str(workspace.folder / "code.ipynb")
    result = shell.run_cell_magic("alain", "chat", "Hello")
    assert result.data["conversation"].startswith("code-")


@pytest.mark.parametrize("name", ["chat_schema_v1.json", "chat_schema_v2.json", "conversation.example.json"])
def test_chats_of_mlx_harmony_go_on_here(workspace: Workspace, shared: Path, name: str):
    file = str(shared / "fixtures" / "mlx_harmony" / name)
    stored = talk(workspace, import_file=file)
    (conversation,) = stored.data["stored"].values()
    assert stored.data["kept"]
    assert f"chat --load {conversation}" in stored.text
    talk(workspace, "And now?", load=conversation, model="scripted/echo", set=["max_tokens=20"], record=True)
    assert sent(workspace)["messages"][0][0] == "user"
    assert sent(workspace)["messages"][-1] == ("user", "And now?")


def test_profiles_of_mlx_harmony_can_be_used_here(workspace: Workspace, shared: Path):
    file = str(shared / "fixtures" / "mlx_harmony" / "prompt-config.example.json")
    assert talk(workspace, import_file=file).data["stored"] == {
        "profile prompt-config.example": "prompt-config.example"
    }
    again = talk(workspace, import_file=file)
    assert list(again.data["stored"].values()) == ["prompt-config.example-2"]
    assert "kept under extra: performance_mode" in again.text
    talk(workspace, "Hi", profile="prompt-config.example", record=True)
    asked = sent(workspace)
    assert (asked["max_tokens"], asked["sampling"]["temperature"]) == (1024, 0.8)
    assert asked["messages"][0][1].startswith("You are Dave (also Dave) on ")


def test_a_greeting_is_shown_before_anything_was_said(workspace: Workspace):
    (workspace.folder / "profiles").mkdir()
    (workspace.folder / "profiles" / "kind.toml").write_text(
        'greeting = "Hello {who}!"\nplaceholders = { who = "you" }'
    )
    assert talk(workspace, profile="kind").data["greeting"] == "Hello you!"
    talk(workspace, "Hi")
    assert talk(workspace).data["greeting"] == ""


def test_the_real_server_reads_what_was_counted(llama: Any, workspace: Workspace, tmp_path: Path):
    peer: Peer = llama("tiny-chatml")
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config" / "alain-runtimes.toml").write_text(f'[llamacpp]\nbase_url = "{peer.url}/v1"\n')
    options = {"model": "llamacpp/tiny-chatml", "max_tokens": 8, "seed": 1, "system": "Be brief."}
    for number in range(3):
        done = talk(workspace, f"Say {number}.", **options)
        assert done.data["usage"]["input"] == done.data["prompt_tokens"]
    assert len(said(workspace)) == 6
