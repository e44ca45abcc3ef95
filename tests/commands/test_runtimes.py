"""``runtimes`` lists where models run, keeps addresses of one's own, and tries them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alain_magics.commands import runtimes
from alain_magics.commands.base import Context
from alain_magics.commands.registry import find
from alain_magics.commands.runner import events
from alain_magics.errors import KeyMisused, NoRuntime, Refused, TimedOut, UnknownModel, UsageError
from alain_magics.runtimes.providers import PROVIDERS
from alain_magics.workspace import Workspace
from tests.commands.asked import done, invoke, machine
from tests.conftest import require
from tests.peers.llama_server import binary, free_port, llama_server
from tests.peers.pages import answering
from tests.peers.recorded import Peer, recorded


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with recorded("lmstudio", "ollama", "loading", "together") as peer:
        yield peer


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder on a machine where LM Studio and Ollama run."""
    with machine(tmp_path, monkeypatch, lmstudio=peer.url("lmstudio"), ollama=peer.url("ollama")) as workspace:
        yield workspace


def state(workspace: Workspace, name: str) -> str:
    rows = {row["runtime"]: row for row in done(workspace, "runtimes").data["runtimes"]}
    return rows[name]["state"]


def test_every_runtime_has_a_line_those_that_run_first(workspace: Workspace) -> None:
    end = done(workspace, "runtimes")
    rows = end.data["runtimes"]
    assert [row["runtime"] for row in rows[:2]] == ["lmstudio", "ollama"]
    assert {row["runtime"] for row in rows} == set(PROVIDERS)
    assert end.data == json.loads(json.dumps(end.data))
    lines = end.text.splitlines()
    assert lines[1].split()[0] == "lmstudio"
    assert lines[1].endswith("runs, 3 models")
    assert len(lines) == 1 + len(rows)


def test_what_a_runtime_lacks_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    assert state(workspace, "openai") == "key in OPENAI_API_KEY"
    assert state(workspace, "anthropic") == "no key (ANTHROPIC_API_KEY)"
    assert state(workspace, "azure") == "has no address"
    assert state(workspace, "vllm") == "does not answer"
    assert state(workspace, "local") == "no models"
    assert state(workspace, "scripted") == "always here"
    assert "sk-of-nobody" not in done(workspace, "runtimes").text


def test_where_nothing_runs_the_steps_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(tmp_path, monkeypatch) as workspace:
        text = done(workspace, "runtimes").text
    assert "Two steps lead to one:" in text
    assert "ollama serve" in text


def test_an_address_is_added_listed_and_removed(workspace: Workspace, peer: Peer) -> None:
    end = done(workspace, "runtimes", action="add", name="lab", url=peer.url("lmstudio") + "/v1")
    assert "Try it: alain runtimes test lab" in end.text
    assert state(workspace, "lab") == "runs, 3 models"
    assert done(workspace, "models", runtime="lab").data["models"][0]["name"].startswith("lab/")
    done(workspace, "runtimes", action="remove", name="lab")
    assert "lab" not in {row["runtime"] for row in done(workspace, "runtimes").data["runtimes"]}


def test_a_key_is_named_by_its_variable_and_never_given(workspace: Workspace) -> None:
    with pytest.raises(KeyMisused, match="name of a variable"):
        done(workspace, "runtimes", action="add", name="lab", url="https://x.example.org/v1", key_variable="sk-secret")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"action": "add"}, "alain runtimes add work http://localhost:8000/v1"),
        ({"action": "add", "name": "work"}, "alain runtimes add work http://localhost:8000/v1"),
        ({"action": "test"}, "alain runtimes test work"),
        ({"action": "remove"}, "alain runtimes remove work"),
        ({"action": "remove", "name": "work"}, "You have added no runtime 'work'"),
        ({"action": "test", "name": "lmstudio", "url": "http://x/v1"}, "go with add only"),
        ({"action": "list", "key_variable": "K"}, "go with add only"),
    ],
)
def test_what_is_missing_or_too_much_is_told(workspace: Workspace, values: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        done(workspace, "runtimes", **values)
    assert says in str(caught.value)


def test_two_names_of_one_server_are_told(workspace: Workspace, peer: Peer) -> None:
    done(workspace, "runtimes", action="add", name="mine", url=peer.url("lmstudio").replace("127.0.0.1", "localhost"))
    assert state(workspace, "mine").startswith("runs")
    assert state(workspace, "lmstudio") == "same server as mine"


def test_what_listens_but_is_no_such_runtime_is_told(workspace: Workspace) -> None:
    with answering({}) as url:
        done(workspace, "runtimes", action="add", name="vllm", url=f"{url}/v1")
        assert state(workspace, "vllm") == "listens, but not as vLLM"


def test_a_server_that_refuses_the_key_says_so(workspace: Workspace) -> None:
    with answering({"/v1/models": (401, '{"error": {"message": "Who are you?"}}')}) as url:
        done(workspace, "runtimes", action="add", name="lab", url=f"{url}/v1")
        assert state(workspace, "lab") == "lab: Who are you? (status 401)"


def test_an_entry_that_is_wrong_has_a_line_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "config" / "alain-runtimes.toml"
    file.write_text(file.read_text() + "\n[lab]\n")
    assert state(workspace, "lab").startswith(f"{file}: lab: ")
    assert state(workspace, "lmstudio") == "runs, 3 models"


def test_the_end_of_an_address_that_was_taken_off_is_told(workspace: Workspace) -> None:
    end = done(workspace, "runtimes", action="add", name="lab", url="http://127.0.0.1:9/v1/chat/completions")
    assert end.data["url"] == "http://127.0.0.1:9/v1"
    assert "/chat/completions was taken off" in end.text


def test_who_waits_for_a_server_that_hangs_sees_it_and_not_for_long(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "TEST_SECONDS", 1.5)
    waiting: list[str] = []
    with answering({}, delay=4) as url:
        done(workspace, "runtimes", action="add", name="lab", url=f"{url}/v1")
        command = find("runtimes")
        asked = events(command, Context(workspace), command.request(action="test", name="lab"))
        with pytest.raises(TimedOut, match=r"lab did not answer within 1\.5 seconds"):
            waiting.extend(event.what for event in asked)
    assert waiting == ["listing the models of lab", "waiting for lab (1 s)"]


def test_a_runtime_is_tried_with_one_word(workspace: Workspace, peer: Peer) -> None:
    peer.forget("ollama")
    end = done(workspace, "runtimes", action="test", name="ollama")
    assert end.data["reachable"] is True
    assert end.data["models"] == 9
    assert end.data["model"] == "qwen3:8b"
    assert 0 <= end.data["first_token_seconds"] <= end.data["seconds"]
    assert end.text.startswith("Ollama works: 9 models; qwen3:8b ")
    (asked,) = [request for request in peer.seen("ollama") if request["path"] == "/api/chat"]
    assert "authorization" not in asked["headers"]


def test_the_model_to_try_can_be_named(workspace: Workspace) -> None:
    end = done(workspace, "runtimes", action="test", name="lmstudio/google/gemma-3-4b")
    assert end.data["model"] == "google/gemma-3-4b"


def test_a_real_server_says_a_word(workspace: Workspace, shared: Path, tmp_path: Path) -> None:
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    with llama_server(shared / "fixtures" / "models" / "tiny-chatml.gguf", tmp_path / "log") as server:
        done(workspace, "runtimes", action="add", name="lab", url=f"{server.url}/v1")
        end = done(workspace, "runtimes", action="test", name="lab")
    assert (end.data["models"], end.data["model"]) == (1, "tiny-chatml")
    assert end.data["answer"].strip()
    assert "first token after" in end.text


def test_what_does_not_answer_gives_the_steps(workspace: Workspace) -> None:
    with pytest.raises(NoRuntime, match="vllm serve"):
        done(workspace, "runtimes", action="test", name="vllm")


def test_an_address_without_its_path_gets_a_hint(workspace: Workspace, peer: Peer) -> None:
    with answering({}) as url:
        done(workspace, "runtimes", action="add", name="lab", url=url)
        with pytest.raises(Refused, match=rf"alain runtimes add lab {url}/v1"):
            done(workspace, "runtimes", action="test", name="lab")


def test_a_runtime_that_still_loads_says_so(workspace: Workspace, peer: Peer) -> None:
    done(workspace, "runtimes", action="add", name="llamacpp", url=peer.url("loading") + "/v1")
    assert state(workspace, "llamacpp") == "llama.cpp: Loading model (status 503)"


def test_without_models_to_chat_with_there_is_nothing_to_try(workspace: Workspace) -> None:
    listed = {"object": "list", "data": [{"id": "nomic-embed-text", "object": "model"}]}
    with answering({"/v1/models": (200, json.dumps(listed))}) as url:
        done(workspace, "runtimes", action="add", name="lab", url=f"{url}/v1")
        with pytest.raises(UnknownModel, match="no model to chat with"):
            done(workspace, "runtimes", action="test", name="lab")


@pytest.mark.parametrize("answers", [True, False])
def test_a_hosted_runtime_without_its_key_is_only_reached_for(workspace: Workspace, peer: Peer, answers: bool) -> None:
    port = peer.ports["together"] if answers else free_port()
    address = f"https://127.1:{port}/v1"  # which is not known as this machine's address
    done(workspace, "runtimes", action="add", name="work", url=address, key_variable="WORK_KEY")
    peer.forget("together")
    end = done(workspace, "runtimes", action="test", name="work")
    assert end.data == {"runtime": "work", "reachable": answers}
    assert end.exit_status == (0 if answers else 1)
    assert "WORK_KEY" in end.text
    assert peer.seen("together") == []


def test_what_is_done_is_shown_while_it_is_done(workspace: Workspace) -> None:
    events = invoke(workspace, "runtimes", action="test", name="ollama")
    assert [event.what for event in events[:-1]] == ["listing the models of Ollama", "asking qwen3:8b"]
