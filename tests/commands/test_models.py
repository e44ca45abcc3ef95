"""``models`` lists what can be asked, with all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from alain_magics.commands.base import Progress
from alain_magics.commands.models import size_text, table
from alain_magics.errors import DownloadError, KeyMissing, NoRuntime, UnknownModel
from alain_magics.runtimes.providers import PROVIDERS
from alain_magics.workspace import Workspace
from tests.commands.asked import done, invoke, machine
from tests.conftest import SHARED, require
from tests.peers import hub
from tests.peers.pages import answering
from tests.peers.recorded import Peer, recorded


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with recorded("lmstudio", "ollama", "together") as peer:
        yield peer


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder on a machine where LM Studio and Ollama run."""
    with machine(tmp_path, monkeypatch, lmstudio=peer.url("lmstudio"), ollama=peer.url("ollama")) as workspace:
        yield workspace


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A folder on a machine where nothing runs."""
    with machine(tmp_path, monkeypatch) as workspace:
        yield workspace


def test_every_model_has_a_line_with_what_is_known_and_one_with_what_it_is_for(workspace: Workspace) -> None:
    lines = done(workspace, "models").text.splitlines()
    heading = ["model", "family", "parameters", "context", "stored as", "tools", "size", "loaded"]
    assert [name for name in heading if name in lines[0]] == heading
    first = lines[1].split()
    assert first == [
        "*",
        "lmstudio/openai/gpt-oss-20b",
        "gpt-oss",
        "20B",
        "4,096",
        "MXFP4",
        "yes",
        "12.1",
        "GB",
        "yes",
    ]
    assert lines[2].strip() == "Open weights; reasons with an effort that can be chosen"
    assert any(line.split()[:2] == ["ollama/qwen3:8b", "Qwen3"] for line in lines)
    assert "* the default: lmstudio/openai/gpt-oss-20b" in lines
    assert "Choose another: alain use NAME" in lines


def test_the_same_is_given_as_data(workspace: Workspace) -> None:
    data = done(workspace, "models").data
    assert data == json.loads(json.dumps(data))
    assert data["default"] == "lmstudio/openai/gpt-oss-20b"
    rows = {row["name"]: row for row in data["models"]}
    assert [row["name"] for row in data["models"] if row["default"]] == ["lmstudio/openai/gpt-oss-20b"]
    qwen = rows["ollama/qwen3:8b"]
    assert (qwen["maker"], qwen["parameters"], qwen["context"], qwen["size"]) == (
        "Alibaba",
        8_190_735_360,
        40_960,
        5_225_388_164,
    )
    assert rows["lmstudio/text-embedding-nomic-embed-text-v1.5"]["kind"] == "embedding"


def test_what_is_done_is_shown_while_it_is_done(workspace: Workspace) -> None:
    assert Progress("looking for runtimes") in invoke(workspace, "models")


def test_one_runtime_alone_can_be_listed(workspace: Workspace) -> None:
    names = [row["name"] for row in done(workspace, "models", runtime="lmstudio").data["models"]]
    assert names
    assert all(name.startswith("lmstudio/") for name in names)


def test_the_default_is_the_one_that_was_chosen(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAIN_MODEL", "ollama/qwen3:8b")
    found = done(workspace, "models")
    assert found.data["default"] == "ollama/qwen3:8b"
    assert "* ollama/qwen3:8b" in found.text


def test_a_default_that_cannot_be_asked_says_why(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALAIN_MODEL", "openai/gpt-4o")
    found = done(workspace, "models")
    assert found.data["default"] == ""
    assert "There is no default: OpenAI needs a key." in found.text


def test_where_nothing_runs_the_two_steps_are_told_for_each_runtime(bare: Workspace) -> None:
    found = done(bare, "models")
    assert found.data == {"default": "", "models": []}
    for provider in PROVIDERS.values():
        if provider.local and provider.base_url:
            (line,) = [line for line in found.text.splitlines() if line.strip().startswith(f"{provider.title}:")]
            assert all(step.rstrip(".") in line for step in provider.steps)


@pytest.mark.parametrize(
    ("runtime", "error", "says"),
    [
        ("lmstudio", NoRuntime, "lms server start"),
        ("openai", KeyMissing, "OPENAI_API_KEY"),
        ("olama", UnknownModel, "Did you mean 'ollama'?"),
    ],
)
def test_a_runtime_that_cannot_be_asked_says_what_to_do(bare: Workspace, runtime: str, error: type, says: str) -> None:
    with pytest.raises(error) as caught:
        done(bare, "models", runtime=runtime)
    assert says in str(caught.value)


def test_a_shutdown_that_is_announced_is_told(bare: Workspace) -> None:
    listed = {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "shutdown_date": "2027-01-14"}]}
    with answering({"/v1/models": (200, json.dumps(listed))}) as url:
        bare.runtimes.add("work", f"{url}/v1")
        found = done(bare, "models", runtime="work")
    assert found.data["models"][0]["shutdown"] == "2027-01-14"
    assert "Shut down on 2027-01-14" in found.text


def test_of_thousands_of_models_the_first_are_printed_and_all_are_data(bare: Workspace) -> None:
    listed = {"object": "list", "data": [{"id": f"model-{number}", "object": "model"} for number in range(1201)]}
    with answering({"/v1/models": (200, json.dumps(listed))}) as url:
        bare.runtimes.add("work", f"{url}/v1")
        found = done(bare, "models", runtime="work")
    assert len(found.data["models"]) == 1201
    assert sum("  work/model-" in line[:14] for line in found.text.splitlines()) == 199  # and the default
    assert "  and 1,001 more of work; --json lists them all" in found.text.splitlines()


def test_columns_stand_below_each_other_and_empty_ones_are_left_out() -> None:
    assert table(["a", "b", "long"], [["1", "", "x"], ["234", "", ""]]) == ["a    long", "1    x", "234"]


@pytest.mark.parametrize(
    ("size", "text"), [(None, ""), (1_956_864, "2.0 MB"), (84_106_624, "84.1 MB"), (12_109_566_624, "12.1 GB")]
)
def test_sizes_are_written_as_people_do(size: int | None, text: str) -> None:
    assert size_text(size) == text


@pytest.fixture(scope="module")
def server() -> Iterator[hub.Peer]:
    weights = SHARED / "fixtures" / "models"
    require(weights.is_dir(), "reason: the tiny models are not beside this checkout")
    with hub.hub(weights) as peer:
        yield peer


def test_a_search_lists_what_the_hub_has_in_both_forms(
    bare: Workspace, server: hub.Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    found = done(bare, "models", search="tiny")
    assert [line.split() for line in found.text.splitlines()] == [
        ["model", "format", "downloads", "updated"],
        ["tiny/Tiny-Chat-GGUF", "gguf", "1,200", "2026-09-01"],
        ["tiny/Tiny-Chat-4bit", "mlx", "300", "2026-09-01"],
        ["tiny/Tiny-One-GGUF", "gguf", "80", "2026-09-01"],
        ["tiny/Tiny-Gated-GGUF", "gguf", "9", "2026-09-01", "terms", "to", "accept"],
        ["tiny/Tiny-Huge-GGUF", "gguf", "7", "2026-09-01"],
        [],
        ["See", "the", "variants", "and", "fetch", "one:", "alain", "pull", "tiny/Tiny-Chat-GGUF"],
    ]
    assert found.data["found"][1] == {
        "id": "tiny/Tiny-Chat-4bit",
        "format": "mlx",
        "downloads": 300,
        "likes": 30,
        "updated": "2026-09-01",
        "gated": False,
        "family": "",
        "maker": "",
        "parameters": None,
    }


def test_a_search_that_finds_nothing_says_so(
    bare: Workspace, server: hub.Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    found = done(bare, "models", search="nosuch")
    assert (found.data, found.text) == ({"found": []}, "The Hub has no GGUF or MLX model for 'nosuch'.")


def test_a_hub_that_cannot_be_asked_is_one_line(bare: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        done(bare, "models", search="qwen")
    assert "\n" not in str(caught.value)
    assert "the Hub at http://127.0.0.1:9" in str(caught.value)
