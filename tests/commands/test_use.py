"""``use`` chooses the model that is asked where none is named."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from alain_magics.cli import main
from alain_magics.commands.base import Progress
from alain_magics.errors import KeyMissing, KeyRefused, NoRuntime, Refused, UnknownModel, UsageError
from alain_magics.settings import configured
from alain_magics.workspace import Workspace
from tests.commands.asked import done, invoke, machine
from tests.conftest import require
from tests.peers.llama_server import binary, llama_server
from tests.peers.pages import answering
from tests.peers.recorded import Peer, recorded


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with recorded("lmstudio", "ollama", "vllm", "together") as peer:
        yield peer


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder that belongs to no project, on a machine where LM Studio, Ollama and vLLM run."""
    peer.forget("ollama")
    places = {name: peer.url(name) for name in ("lmstudio", "ollama", "vllm")}
    with machine(tmp_path, monkeypatch, **places) as workspace:
        yield workspace


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder of a project that has settings and a comment, on the same machine."""
    (tmp_path / "alain.toml").write_text("# ours\nitem_seconds = 3 # long\n")
    places = {name: peer.url(name) for name in ("lmstudio", "ollama")}
    with machine(tmp_path, monkeypatch, **places) as workspace:
        yield workspace


def loaded(workspace: Workspace, name: str) -> bool:
    rows = done(workspace, "models", runtime=name.partition("/")[0]).data["models"]
    return next(row["loaded"] for row in rows if row["name"] == name)


def test_in_a_notebook_it_counts_for_the_kernel(project: Workspace) -> None:
    end = done(project, "use", name="ollama/qwen3:8b", interactive_kernel=True)
    assert end.text == "ollama/qwen3:8b is asked from now on in this notebook."
    assert end.data["file"] is None
    assert configured["model"] == "ollama/qwen3:8b"
    assert project.settings.model == "ollama/qwen3:8b"
    assert done(project, "models").data["default"] == "ollama/qwen3:8b"
    assert "model" not in (project.folder / "alain.toml").read_text()


@pytest.mark.parametrize("options", [{}, {"project": True}, {"project": True, "interactive_kernel": True}])
def test_in_a_project_its_file_keeps_it_beside_what_stands_there(project: Workspace, options: dict[str, bool]) -> None:
    end = done(project, "use", name="lmstudio/openai/gpt-oss-20b", **options)
    content = (project.folder / "alain.toml").read_text()
    assert content.startswith("# ours\nitem_seconds = 3 # long\n")
    assert tomllib.loads(content) == {"item_seconds": 3, "model": "lmstudio/openai/gpt-oss-20b"}
    assert str(project.folder / "alain.toml") in end.text
    assert project.settings.model == "lmstudio/openai/gpt-oss-20b"
    assert configured == {}


def test_in_a_shell_without_a_project_the_users_file_keeps_it(workspace: Workspace) -> None:
    done(workspace, "use", name="ollama/qwen3:8b")
    done(workspace, "use", name="ollama/gemma3:4b")
    assert tomllib.loads((workspace.folder / "config" / "alain.toml").read_text()) == {"model": "ollama/gemma3:4b"}
    assert workspace.settings.model == "ollama/gemma3:4b"


def test_without_a_project_there_is_no_file_of_one(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="belongs to no project"):
        done(workspace, "use", name="ollama/qwen3:8b", project=True)


def test_what_counts_more_is_told(project: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAIN_MODEL", "ollama/gemma3:4b")
    assert "But ALAIN_MODEL names another, which counts more." in done(project, "use", name="ollama/qwen3:8b").text


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("qwen3:8b", "ollama/qwen3:8b"),
        ("ollama/llama3.2", "ollama/llama3.2:latest"),
        ("vllm", "vllm/Qwen/Qwen3-8B"),
        ("openai/gpt-oss-20b", "lmstudio/openai/gpt-oss-20b"),
    ],
)
def test_a_name_is_kept_in_full(workspace: Workspace, name: str, chosen: str) -> None:
    assert done(workspace, "use", name=name).data["model"] == chosen


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("ollama/qwen3:80b", UnknownModel, "Ollama has no model 'qwen3:80b'. Did you mean 'qwen3:8b'?"),
        ("ollama/zzz", UnknownModel, "alain models --runtime ollama"),
        ("zzz", UnknownModel, "No runtime of this machine has a model 'zzz'."),
        ("llamacpp/x", NoRuntime, "llama-server"),
        ("openai/gpt-4o", KeyMissing, "OPENAI_API_KEY"),
        ("ollama/nomic-embed-text", UsageError, "is no model to chat with"),
    ],
)
def test_a_model_that_cannot_be_asked_is_not_kept(workspace: Workspace, name: str, error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        done(workspace, "use", name=name, interactive_kernel=True)
    assert says in str(caught.value)
    assert configured == {}


def test_a_hosted_model_that_is_not_listed_is_kept_with_a_remark(workspace: Workspace, peer: Peer) -> None:
    elsewhere = peer.url("vllm").replace("127.0.0.1", "127.1")  # which is not known as this machine's address
    workspace.runtimes.add("work", f"{elsewhere}/v1")
    end = done(workspace, "use", name="work/Qwen/Qwen3-9B", interactive_kernel=True)
    assert end.data["model"] == configured["model"] == "work/Qwen/Qwen3-9B"
    assert end.data["note"] == "work does not list it. Did you mean 'Qwen/Qwen3-8B'?"


@pytest.mark.parametrize("pages", [{}, {"/v1/models": (200, "<html>")}, {"/v1/models": (405, "{}")}])
def test_any_name_is_kept_where_the_runtime_does_not_list_models(workspace: Workspace, pages: dict) -> None:
    with answering(pages) as url:
        workspace.runtimes.add("work", f"{url}/v1")
        end = done(workspace, "use", name="work/mine", interactive_kernel=True)
    assert configured["model"] == "work/mine"
    assert "this name was not checked" in end.text


def test_a_key_that_is_refused_is_told(workspace: Workspace) -> None:
    with answering({"/v1/models": (401, "{}")}) as url:
        workspace.runtimes.add("work", f"{url}/v1")
        with pytest.raises(KeyRefused):
            done(workspace, "use", name="work/mine", interactive_kernel=True)
    assert configured == {}


def test_preloading_loads_the_model_and_says_how_long_it_took(workspace: Workspace) -> None:
    events = invoke(workspace, "use", name="ollama/qwen3:8b", preload=True, interactive_kernel=True)
    assert Progress("loading ollama/qwen3:8b") in events
    assert "It was loaded in " in events[-1].text
    assert loaded(workspace, "ollama/qwen3:8b")


def test_unloading_frees_the_model_and_changes_no_default(workspace: Workspace) -> None:
    done(workspace, "use", name="ollama/qwen3:8b", preload=True, interactive_kernel=True)
    end = done(workspace, "use", name="ollama/qwen3:8b", unload=True, interactive_kernel=True)
    assert end.text == "ollama/qwen3:8b is out of memory."
    assert not loaded(workspace, "ollama/qwen3:8b")
    done(workspace, "use", name="ollama/gemma3:4b", unload=True)
    assert configured["model"] == "ollama/qwen3:8b"


@pytest.mark.parametrize(("kernel", "program"), [(True, "%alain"), (False, "alain")])
def test_advice_is_written_as_it_is_typed_there(workspace: Workspace, kernel: bool, program: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        done(workspace, "use", name="ollama/zzz", interactive_kernel=kernel)
    assert caught.value.advice == f"{program} models --runtime ollama lists them."
    with pytest.raises(UsageError) as refused:
        done(workspace, "use", name="lmstudio/text-embedding-nomic-embed-text-v1.5", interactive_kernel=kernel)
    assert refused.value.advice == f"{program} models lists those that are."


def test_help_says_for_whom_a_shell_keeps_it_and_what_a_runtime_alone_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["use", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "a shell does so anyway, or, outside of one, keeps it for you" in shown
    assert "a runtime alone stands for its first loaded model, else its first" in shown


def test_what_cannot_be_unloaded_is_told(workspace: Workspace) -> None:
    with pytest.raises(Refused, match="vLLM cannot unload a model"):
        done(workspace, "use", name="vllm", unload=True)


def test_unloading_goes_with_nothing_else(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="--unload goes with no other option"):
        done(workspace, "use", name="vllm", unload=True, preload=True)


def test_a_real_model_is_found_and_used(workspace: Workspace, shared: Path, tmp_path: Path) -> None:
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    with llama_server(shared / "fixtures" / "models" / "tiny-chatml.gguf", tmp_path / "log") as server:
        workspace.runtimes.add("llamacpp", f"{server.url}/v1")
        end = done(workspace, "use", name="llamacpp", preload=True, interactive_kernel=True)
    assert end.data["model"] == configured["model"] == "llamacpp/tiny-chatml"


def test_the_magic_counts_for_its_kernel_and_the_shell_keeps_a_file(workspace: Workspace, shell) -> None:
    assert "in this notebook" in repr(shell.run_line_magic("alain", "use scripted/echo"))
    assert configured == {"model": "scripted/echo"}
    assert main(["use", "scripted/count"]) == 0
    assert tomllib.loads((workspace.folder / "config" / "alain.toml").read_text()) == {"model": "scripted/count"}


def test_what_was_recorded_can_be_used_where_its_runtime_is_missing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace.folder / "runs" / "1" / "meta" / "cell").mkdir(parents=True)
    recorded = {"keys": [], "model": "tiny-chatml", "runtime": "llamacpp", "interrupted": False}
    (workspace.folder / "runs" / "1" / "meta" / "cell" / "turn.json").write_text(json.dumps(recorded))
    monkeypatch.setenv("ALAIN_REPLAY", "runs")
    done(workspace, "use", name="llamacpp/tiny-chatml", preload=True, interactive_kernel=True)
    assert configured["model"] == "llamacpp/tiny-chatml"
    with pytest.raises(UnknownModel, match=r"llama\.cpp has no model 'another'"):
        done(workspace, "use", name="llamacpp/another")
