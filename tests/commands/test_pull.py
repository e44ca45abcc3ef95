"""``pull`` fetches models into a runtime, as a job that can be cancelled and resumed."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alain_magics.cli import main
from alain_magics.commands import pull
from alain_magics.commands.base import Context, Progress
from alain_magics.commands.registry import find
from alain_magics.commands.runner import events
from alain_magics.errors import DownloadError, NoRuntime, UnknownModel
from alain_magics.workspace import DATABASE_FILE, Workspace
from tests.commands.asked import done, invoke, machine
from tests.conftest import ROOT, SHARED, require
from tests.peers import hub
from tests.peers.llama_server import binary, llama_router, llama_server
from tests.peers.recorded import Peer, recorded

WEIGHTS = SHARED / "fixtures" / "models"
CHAT = "tiny/Tiny-Chat-GGUF"


@pytest.fixture(scope="module")
def server() -> Iterator[hub.Peer]:
    require(WEIGHTS.is_dir(), "reason: the tiny models are not beside this checkout")
    with hub.hub(WEIGHTS) as peer:
        yield peer


@pytest.fixture
def online(server: hub.Peer, monkeypatch: pytest.MonkeyPatch) -> hub.Peer:
    """The Hub as the environment names it."""
    server.forget()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "")
    return server


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with recorded("lmstudio", "ollama", "vllm") as peer:
        yield peer


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A folder on a machine where nothing runs."""
    with machine(tmp_path, monkeypatch) as workspace:
        yield workspace


@pytest.fixture
def ollama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder on a machine where Ollama runs."""
    peer.forget("ollama")
    with machine(tmp_path, monkeypatch, ollama=peer.url("ollama", "pace=0.01")) as workspace:
        yield workspace


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Peer) -> Iterator[Workspace]:
    """A folder on a machine where LM Studio runs."""
    peer.forget("lmstudio")
    monkeypatch.setattr("alain_magics.runtimes.pull._POLL", 0.02)
    with machine(tmp_path, monkeypatch, lmstudio=peer.url("lmstudio")) as workspace:
        yield workspace


def fetched(workspace: Workspace, name: str, **options: str) -> str:
    """Pull something that `use` then accepts, and return the name by which it does."""
    identifier = str(done(workspace, "pull", name=name, **options).data["id"])
    assert done(workspace, "use", name=identifier, interactive_kernel=True).data["model"] == identifier
    return identifier


def problem(workspace: Workspace, name: str, error: type = DownloadError, **options: str) -> str:
    with pytest.raises(error) as caught:
        done(workspace, "pull", name=name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def jobs(workspace: Workspace) -> list[dict[str, Any]]:
    """The pulls so far."""
    with closing(sqlite3.connect(workspace.data / DATABASE_FILE)) as connection:
        rows = connection.execute("select id, status, cancel_requested, request from jobs order by created")
        return [
            {"id": row[0], "status": row[1], "cancel_requested": row[2], "request": json.loads(row[3])} for row in rows
        ]


# The variants.


def test_where_there_is_a_choice_the_variants_are_listed(bare: Workspace, online: hub.Peer) -> None:
    end = done(bare, "pull", name=CHAT)
    assert [line.split() for line in end.text.splitlines()] == [
        ["variant", "size", "files", "memory"],
        ["BF16", "1.0", "MB", "2", "fits"],
        ["Q8_0", "2.0", "MB", "1", "fits"],
        ["UD-Q4_K_XL", "2.0", "MB", "1", "fits"],
        ["Q4_K_M", "2.2", "MB", "1", "fits"],
        [],
        ["Fetch", "one:", "alain", "pull", f"{CHAT}:Q4_K_M"],
    ]
    assert end.data["variants"][0] == {
        "id": f"{CHAT}:BF16",
        "variant": "BF16",
        "format": "gguf",
        "size": 1_048_840,
        "files": 2,
        "fits_memory": True,
    }
    assert online.ranges() == []
    assert not (bare.data / DATABASE_FILE).exists()


def test_a_model_that_is_too_large_for_the_memory_is_told(
    bare: Workspace, monkeypatch: pytest.MonkeyPatch, online: hub.Peer
) -> None:
    monkeypatch.setattr("alain_magics.runtimes.room.HEADROOM", 10**6)
    end = done(bare, "pull", name=CHAT)
    assert {row["fits_memory"] for row in end.data["variants"]} == {False}
    assert "too little for it" in end.text
    assert end.text.endswith(f"Fetch one: alain pull {CHAT}:BF16")


def test_a_variant_that_is_not_there_names_those_that_are(bare: Workspace, online: hub.Peer) -> None:
    line = problem(bare, f"{CHAT}:Q2_K")
    assert line == f"{CHAT} has no variant 'Q2_K'. It has: BF16, Q8_0, UD-Q4_K_XL, Q4_K_M."


# Into the cache.


def test_a_variant_lands_in_the_cache_where_local_finds_it(bare: Workspace, online: hub.Peer) -> None:
    assert fetched(bare, f"{CHAT}:q8_0") == f"local/{CHAT}/Tiny-Chat-Q8_0.gguf"


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        (f"hf.co/{CHAT}:BF16", f"local/{CHAT}/BF16/Tiny-Chat-BF16-00001-of-00002.gguf"),
        ("TINY/tiny-one-gguf", "local/tiny/Tiny-One-GGUF/Tiny-One-Q8_0.gguf"),
        (f"{CHAT}:UD-Q4_K_XL", f"local/{CHAT}/Tiny-Chat-UD-Q4_K_XL.gguf"),
    ],
)
def test_local_lists_it_by_the_name_that_is_told(bare: Workspace, online: hub.Peer, name: str, identifier: str) -> None:
    end = done(bare, "pull", name=name, into="local")
    assert end.data["id"] == identifier
    assert f"Use it: alain use {identifier}" in end.text
    assert identifier in [row["name"] for row in done(bare, "models", runtime="local").data["models"]]


def test_weights_for_mlx_land_in_the_cache_and_the_server_that_runs_them_is_named(
    bare: Workspace, online: hub.Peer
) -> None:
    end = done(bare, "pull", name="tiny/Tiny-Chat-4bit")
    assert end.data["id"] == "mlx/tiny/Tiny-Chat-4bit"
    assert "mlx_lm runs it: mlx_lm.server --model tiny/Tiny-Chat-4bit" in end.text


def test_progress_is_told_in_megabytes(bare: Workspace, online: hub.Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "LOOK", 0.02)
    online.behave(pace=0.02)
    shown = [event for event in invoke(bare, "pull", name=f"{CHAT}:Q4_K_M") if isinstance(event, Progress)]
    what = f"fetching {CHAT}:Q4_K_M into the Hub's cache, MB"
    assert shown[0] == Progress(f"looking at {CHAT} on the Hub")
    assert Progress(what, 1, 3) in shown
    assert shown[-1] == Progress(what, 2, 3)


# Into servers.


def test_a_model_of_ollamas_library_comes_into_ollama(ollama: Workspace) -> None:
    assert fetched(ollama, "llama3.2:1b") == "ollama/llama3.2:1b"


def test_what_ollama_has_is_found_by_its_name(ollama: Workspace) -> None:
    assert fetched(ollama, "llama3.2:latest", into="ollama") == "ollama/llama3.2:latest"


def test_a_name_of_ollamas_library_may_look_like_one_of_the_hub(
    ollama: Workspace, online: hub.Peer, peer: Peer
) -> None:
    line = problem(ollama, "somebody/model:1b", into="ollama")
    assert "somebody/model:1b was not fetched: Ollama: pull model manifest: file does not exist" in line


def test_a_variant_of_the_hub_is_fetched_by_ollama_itself(ollama: Workspace, online: hub.Peer, peer: Peer) -> None:
    problem(ollama, f"{CHAT}:Q8_0")  # this Ollama has a library of its own
    assert {"model": f"hf.co/{CHAT}:Q8_0", "stream": True} in [each["body"] for each in peer.seen("ollama")]
    assert online.ranges() == []


def test_a_variant_of_the_hub_comes_into_lm_studio(studio: Workspace, online: hub.Peer) -> None:
    assert fetched(studio, f"{CHAT}:Q8_0") == "lmstudio/tiny/tiny-chat-gguf"


def test_a_model_of_lm_studios_catalogue_comes_into_lm_studio(studio: Workspace, online: hub.Peer) -> None:
    assert fetched(studio, "qwen/qwen3-4b", into="lmstudio") == "lmstudio/qwen/qwen3-4b"
    assert fetched(studio, "qwen/qwen3-4b", into="lmstudio") == "lmstudio/qwen/qwen3-4b"


def test_weights_for_mlx_come_into_lm_studio(studio: Workspace, online: hub.Peer) -> None:
    assert fetched(studio, "tiny/Tiny-Chat-4bit") == "lmstudio/tiny/tiny-chat-4bit"


def test_a_variant_of_the_hub_comes_into_llama_cpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: hub.Peer
) -> None:
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "llama"))
    (tmp_path / "empty").mkdir()
    with (
        llama_router(tmp_path / "empty", tmp_path / "log") as router,
        machine(tmp_path, monkeypatch, llamacpp=router.url) as workspace,
    ):
        assert fetched(workspace, f"{CHAT}:Q8_0") == f"llamacpp/{CHAT}:Q8_0"
        end = done(workspace, "ask", prompt=["hello"], max_tokens=4)
        assert end.data["model"] == f"{CHAT}:Q8_0"


# What cannot be.


@pytest.mark.parametrize(
    ("into", "error", "says"),
    [
        ("ollama", NoRuntime, "Install Ollama (ollama.com) and start it: ollama serve, then:"),
        ("lmstudio", NoRuntime, "lms server start"),
        ("llamacpp", NoRuntime, "llama-server"),
        (
            "vllm",
            DownloadError,
            "vLLM cannot be told to fetch a model. 1. Stop it. 2. Start it with this model",
        ),
        ("openai", DownloadError, "OpenAI cannot be told to fetch a model. Choose one that it has"),
        ("olama", UnknownModel, "Did you mean 'ollama'?"),
    ],
)
def test_a_runtime_that_cannot_take_it_says_what_to_do(
    bare: Workspace, online: hub.Peer, into: str, error: type, says: str
) -> None:
    assert says in problem(bare, f"{CHAT}:Q8_0", error, into=into)
    assert online.seen() == []


def test_a_server_of_ones_own_has_two_steps(bare: Workspace, peer: Peer) -> None:
    bare.runtimes.add("work", f"{peer.url('vllm')}/v1")
    line = problem(bare, f"{CHAT}:Q8_0", into="work")
    assert f"1. Fetch it where that runs: alain pull {CHAT}:Q8_0 --into local. 2. Start it with that." in line


def test_a_llama_cpp_with_one_model_has_two_steps_and_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, online: hub.Peer
) -> None:
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    with (
        llama_server(WEIGHTS / "tiny-random.gguf", tmp_path / "log") as running,
        machine(tmp_path, monkeypatch, llamacpp=running.url) as workspace,
    ):
        line = problem(workspace, f"{CHAT}:Q8_0", into="llamacpp")
        assert f"1. Stop it. 2. Start it with this model: llama-server -hf {CHAT}:Q8_0 --jinja" in line
        assert done(workspace, "pull", name=f"{CHAT}:Q8_0").data["into"] == "local"


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("nosuch:1b", {}, "No Ollama runs here that could fetch nosuch:1b. Start it: ollama serve, or look on the Hub"),
        ("nosuch:1b", {"into": "local"}, "takes models of the Hub, and nosuch:1b is none. Name one (owner/name)"),
        ("tiny/nothing", {}, "The Hub has no tiny/nothing."),
        ("tiny/Tiny-Chat", {}, "tiny/Tiny-Chat holds no weights in GGUF or MLX form."),
        ("tiny/Tiny-Gated-GGUF", {}, "is gated. Accept its terms at"),
        ("tiny/Tiny-Huge-GGUF", {}, "1,000,000.0 GB are to be fetched"),
    ],
)
def test_what_is_not_to_be_had_is_one_line(
    bare: Workspace, online: hub.Peer, name: str, options: dict[str, str], says: str
) -> None:
    assert says in problem(bare, name, **options)


def test_ollama_takes_no_weights_for_mlx(ollama: Workspace, online: hub.Peer) -> None:
    line = problem(ollama, "tiny/Tiny-Chat-4bit", into="ollama")
    assert line == "Ollama takes no MLX weights. Choose a GGUF repository."


def test_a_full_disk_is_told_before_anything_is_fetched(
    bare: Workspace, online: hub.Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("Usage", "total used free")(10**12, 10**12, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "Free some space, or choose a smaller variant." in problem(bare, f"{CHAT}:Q8_0")
    assert online.ranges() == []
    assert [job["status"] for job in jobs(bare)] == ["failed"]


# The job.


def test_a_pull_is_a_job_with_its_progress(bare: Workspace, online: hub.Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "NOTE", 0.1)
    monkeypatch.setattr(pull, "LOOK", 0.01)
    online.behave(pace=0.02)
    end = done(bare, "pull", name=f"{CHAT}:Q4_K_M")
    (job,) = jobs(bare)
    assert job["request"] == {"name": f"{CHAT}:Q4_K_M", "into": "local"}
    assert bare.jobs.get(job["id"]).result == end.data
    told = bare.jobs.events(job["id"])
    seconds = (told[-1].time - told[0].time).total_seconds()
    assert 2 <= len(told) <= 2 + seconds / 0.1  # one in a period at most, on average: writing may be late
    assert told[-1].data["total"] == 2_151_488


def test_one_that_broke_is_taken_up_again(bare: Workspace, online: hub.Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alain_magics.runtimes.hub_download.ATTEMPTS", 1)
    monkeypatch.setattr("alain_magics.runtimes.hub_download.PAUSE", 0.01)
    online.behave(cut=500_000, cuts=1)
    whole = done(bare, "pull", name=f"{CHAT}:Q4_K_M")
    assert online.ranges() == ["bytes=0-", "bytes=500000-"]
    shutil.rmtree(bare.folder / "hub")
    online.forget()
    online.behave(cut=0)
    assert "Pull again: what has come is kept." in problem(bare, f"{CHAT}:Q4_K_M")
    online.behave()
    assert done(bare, "pull", name=f"{CHAT}:Q4_K_M", into="local").data == whole.data
    assert [job["status"] for job in jobs(bare)] == ["finished", "finished"]


def begun(workspace: Workspace, name: str) -> Iterator[Any]:
    """The events of a pull, up to the first bytes."""
    command = find("pull")
    stream = events(command, Context(workspace), command.request(name=name))
    for event in stream:
        if isinstance(event, Progress) and event.total:
            return stream
    raise AssertionError("it ended")


def wait(holds: Callable[[], bool], seconds: float = 1.0) -> float:
    """Wait until something holds, and return how long that took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)
    return time.monotonic() - start


def test_who_turns_away_cancels_it_and_the_next_pull_goes_on(bare: Workspace, online: hub.Peer) -> None:
    online.behave(pace=0.1)
    stream = begun(bare, f"{CHAT}:Q4_K_M")
    wait(lambda: online.active == 1)
    time.sleep(0.3)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 0.5
    wait(lambda: online.active == 0, 0.5)
    assert [job["status"] for job in jobs(bare)] == ["cancelled"]
    (part,) = (bare.folder / "hub").rglob("*.incomplete")
    there = part.stat().st_size
    assert there >= 2**16
    online.behave()
    done(bare, "pull", name=f"{CHAT}:Q4_K_M")
    assert online.ranges() == ["bytes=0-", f"bytes={there}-"]
    assert [job["status"] for job in jobs(bare)] == ["finished"]


def test_another_process_can_cancel_it(bare: Workspace, online: hub.Peer) -> None:
    online.behave(pace=0.1)
    stream = begun(bare, f"{CHAT}:Q4_K_M")
    (job,) = jobs(bare)
    script = f"from alain_magics.workspace import open_workspace as o; o().jobs.request_cancel({job['id']!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=bare.folder, env=environment, check=True)
    with pytest.raises(DownloadError, match="Somebody has cancelled fetching"):
        list(stream)
    assert [job["status"] for job in jobs(bare)] == ["cancelled"]
    wait(lambda: online.active == 0, 0.5)


def test_that_lm_studio_goes_on_by_itself_is_told(studio: Workspace, online: hub.Peer) -> None:
    stream = begun(studio, f"{CHAT}:Q8_0")
    stream.close()
    assert studio.notices == ["LM Studio goes on with it: downloads can be stopped there only."]
    assert [job["status"] for job in jobs(studio)] == ["cancelled"]


# In a shell.


def shell(workspace: Workspace, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alain_magics", *words]
    return subprocess.run(
        command,
        cwd=workspace.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_json_gives_rows(bare: Workspace, online: hub.Peer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", CHAT, "--json"]) == 0
    assert [row["variant"] for row in json.loads(capsys.readouterr().out)["variants"]] == [
        "BF16",
        "Q8_0",
        "UD-Q4_K_XL",
        "Q4_K_M",
    ]


def test_an_error_is_one_line_and_status_1(
    bare: Workspace, online: hub.Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "tiny/nothing"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)


def test_offline_the_hub_says_so(bare: Workspace, online: hub.Peer) -> None:
    ended = shell(bare, "pull", CHAT, HF_HUB_OFFLINE="1")
    assert ended.returncode == 1
    assert ended.stderr == (f"The Hub is in offline mode, so {CHAT} cannot be had from it. Unset HF_HUB_OFFLINE.\n")


def interrupted(workspace: Workspace, words: list[str], ready: Callable[[], bool]) -> tuple[float, int, str]:
    """Press Ctrl-C once it is ready; return the seconds until the end, the status, and what was on the screen."""
    parent, child = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "alain_magics", *words]
    process = subprocess.Popen(command, cwd=workspace.folder, env=environment, stdout=child, stderr=child)
    os.close(child)
    try:
        wait(ready, 20)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        status = process.wait(20)
        return time.monotonic() - start, status, os.read(parent, 10_000).decode()
    finally:
        process.kill()
        process.wait()
        os.close(parent)


def test_control_c_ends_it_soon_with_130_and_the_job_is_cancelled(bare: Workspace, online: hub.Peer) -> None:
    online.behave(pace=0.1)
    words = ["pull", f"{CHAT}:Q4_K_M"]
    seconds, status, screen = interrupted(bare, words, lambda: online.active == 1)
    assert status == 130
    assert seconds < 2  # the end of the process counts too
    assert "Interrupted." in screen
    wait(lambda: online.active == 0, 0.5)
    assert [job["status"] for job in jobs(bare)] == ["cancelled"]
    online.behave()
    assert shell(bare, *words).returncode == 0
    assert [job["status"] for job in jobs(bare)] == ["finished"]


def test_control_c_does_not_wait_for_a_hub_that_hangs(bare: Workspace, online: hub.Peer) -> None:
    online.behave(stall=15)
    seconds, status, _ = interrupted(bare, ["pull", CHAT], lambda: bool(online.seen()))
    assert status == 130
    assert seconds < 5
