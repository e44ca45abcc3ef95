"""Models are fetched into Ollama, LM Studio and llama.cpp by their own APIs, and it is told how far that is."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import DownloadError
from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.hub import Variant, variants
from alain_magics.runtimes.http import Deadlines, Http, Pool
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.runtimes.pull import Gauge, Way, arrived, by_hand, can_fetch, in_cache, into_server, takes, way_into
from tests.conftest import require
from tests.peers import hub, recorded
from tests.peers.llama_server import Peer, binary, llama_router
from tests.peers.misbehaving import start as misbehaving
from tests.runtimes.contract import Run

GGUF = Variant("tiny/Tiny-Chat-GGUF", "gguf", "Q8_0", ("Tiny-Chat-Q8_0.gguf",), 1_987_168)
MLX = Variant("tiny/Tiny-Chat-4bit", "mlx", "4-bit", ("config.json", "model.safetensors"), 1_048_578)


@pytest.fixture(scope="module")
def servers() -> Iterator[recorded.Peer]:
    with recorded.recorded("ollama", "lmstudio", "llamacpp") as peer:
        yield peer


@pytest.fixture
def peer(servers: recorded.Peer) -> recorded.Peer:
    for name in ("ollama", "lmstudio", "llamacpp"):
        servers.forget(name)
    return servers


def at(pool: Pool, name: str, url: str, **deadlines: float) -> Http:
    return Http(pool, replace(PROVIDERS[name], base_url=url), deadlines=Deadlines(**deadlines))


async def watched(work: Any, gauge: Gauge) -> list[Gauge]:
    """Do the work, and return what the gauge showed."""
    shown: list[Gauge] = []
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait({task}, timeout=0.005)
        if not shown or shown[-1] != gauge:
            shown.append(replace(gauge))
    task.result()
    return shown


def pulled(run: Run, http: Http, way: Way, name: str, variant: Variant | None = None) -> list[Gauge]:
    gauge = Gauge()
    return list(run(watched(into_server(way, http, name, variant, gauge), gauge)))


def problem(run: Run, http: Http, way: Way, name: str, variant: Variant | None = None) -> str:
    with pytest.raises(DownloadError) as caught:
        run(into_server(way, http, name, variant, Gauge()))
    assert "\n" not in str(caught.value)
    assert caught.value.advice
    return str(caught.value)


def full_disk(monkeypatch: pytest.MonkeyPatch, free: int = 1_000_000) -> None:
    usage = namedtuple("Usage", "total used free")(10**12, 10**12 - free, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


# What goes where.


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("ollama", "ollama"),
        ("lmstudio", "lmstudio"),
        ("llamacpp", "llamacpp"),
        ("local", "cache"),
        ("vllm", ""),
        ("mlx", ""),
        ("openai", ""),
        ("scripted", ""),
    ],
)
def test_a_runtime_says_how_models_get_into_it(name: str, way: Way) -> None:
    assert way_into(PROVIDERS[name]) == way


def test_an_ollama_under_another_name_is_one_too() -> None:
    assert way_into(Provider("work", "work", "ollama", "http://gpu:11434")) == "ollama"


@pytest.mark.parametrize(
    ("way", "gguf", "mlx", "own"),
    [
        ("ollama", True, False, True),
        ("lmstudio", True, True, True),
        ("llamacpp", True, False, False),
        ("cache", True, True, False),
        ("", False, False, False),
    ],
)
def test_each_way_takes_what_runs_at_its_end(way: Way, gguf: bool, mlx: bool, own: bool) -> None:
    assert (takes(way, GGUF), takes(way, MLX), takes(way, None)) == (gguf, mlx, own)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("vllm", "1. Stop it. 2. Start it with this model: vllm serve a/b"),
        ("mlx", "1. Stop it. 2. Start it with this model: mlx_lm.server --model a/b"),
        ("llamacpp", "1. Stop it. 2. Start it with this model: llama-server -hf a/b --jinja"),
        ("openai", "Choose one that it has: alain models --runtime openai"),
    ],
)
def test_where_nothing_can_be_fetched_the_steps_are_told(name: str, advice: str) -> None:
    error = by_hand(PROVIDERS[name], "a/b")
    assert (error.what, error.advice) == (f"{PROVIDERS[name].title} cannot be told to fetch a model.", advice)


def test_a_server_of_ones_own_has_two_steps_too() -> None:
    error = by_hand(Provider("work", "work", "openai", "http://gpu:8000/v1"), "a/b")
    assert error.advice == "1. Fetch it where that runs: alain pull a/b --into local. 2. Start it with that."


def test_in_the_cache_a_model_has_the_name_of_its_first_file_or_of_its_repository() -> None:
    split = replace(GGUF, files=("BF16/m-00001-of-00002.gguf", "BF16/m-00002-of-00002.gguf"))
    assert in_cache(split) == ("local/tiny/Tiny-Chat-GGUF/BF16/m-00001-of-00002.gguf", "")
    assert in_cache(MLX) == ("mlx/tiny/Tiny-Chat-4bit", "mlx_lm runs it: mlx_lm.server --model tiny/Tiny-Chat-4bit")


@pytest.mark.parametrize(
    ("before", "after", "name", "found"),
    [
        (["a"], ["a", "new"], "owner/name:Q8_0", "new"),
        ([], ["x/Tiny-GGUF:Q4_K_XL"], "x/Tiny-GGUF:UD-Q4_K_XL", "x/Tiny-GGUF:Q4_K_XL"),
        (["llama3.2:1b", "llama3.2:latest"], ["llama3.2:1b", "llama3.2:latest"], "llama3.2", "llama3.2:latest"),
        (["llama3.2:1b", "llama3.2:3b"], ["llama3.2:1b", "llama3.2:3b"], "llama3.2:3b", "llama3.2:3b"),
        (["qwen3-4b", "gemma"], ["qwen3-4b", "gemma"], "Qwen/Qwen3-4B-GGUF:Q4_K_M", "qwen3-4b"),
        (["o/n:Q4", "o/n:Q8_0"], ["o/n:Q4", "o/n:Q8_0"], "o/N:q8_0", "o/n:Q8_0"),
        ([], ["other", "qwen3-4b"], "Qwen/Qwen3-4B-GGUF:Q4_K_M", "qwen3-4b"),
        (["gemma"], ["gemma"], "Qwen/Qwen3-4B-GGUF:Q4_K_M", None),
    ],
)
def test_what_has_arrived_is_what_is_new_or_else_called_like_it(
    before: list[str], after: list[str], name: str, found: str | None
) -> None:
    lists = [[ModelInfo(each, "r") for each in names] for names in (before, after)]
    model = arrived(*lists, name)
    assert (model and model.id) == found


# Ollama.


def test_ollama_fetches_a_model_of_its_library(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    shown = pulled(run, at(pool, "ollama", peer.url("ollama", "pace=0.01")), "ollama", "llama3.2:1b")
    done = [gauge.done for gauge in shown]
    assert done == sorted(done)
    assert len(set(done)) > 5
    assert shown[-1].done == shown[-1].total == 1_321_084_602
    assert {"verifying sha256 digest", "writing manifest"} <= {gauge.stage for gauge in shown}
    assert "llama3.2:1b" in [model["name"] for model in run(at(pool, "ollama", peer.url("ollama")).get("/api/tags"))["models"]]


def test_ollama_is_asked_for_a_variant_of_the_hub_by_its_address(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    problem(run, at(pool, "ollama", peer.url("ollama")), "ollama", GGUF.id, GGUF)
    assert peer.seen("ollama")[-1]["body"] == {"model": "hf.co/tiny/Tiny-Chat-GGUF:Q8_0", "stream": True}


def test_a_name_that_ollama_does_not_know_leads_to_a_search(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "ollama", peer.url("ollama")), "ollama", "nosuch:1b")
    assert "nosuch:1b was not fetched. Ollama: pull model manifest: file does not exist" in line
    assert line.endswith("Check the name, or look for it on the Hub: alain models --search nosuch")


@pytest.mark.parametrize("mode", ["cut=1500", "cut=0"])
def test_a_pull_of_ollama_that_broke_goes_on_where_it_was(
    run: Run, pool: Pool, peer: recorded.Peer, mode: str
) -> None:
    line = problem(run, at(pool, "ollama", peer.url("ollama", f"{mode},split=100")), "ollama", "llama3.2:1b")
    assert line.endswith("Pull again: it goes on where it was.")
    first = pulled(run, at(pool, "ollama", peer.url("ollama", "pace=0.02")), "ollama", "llama3.2:1b")
    assert bool([gauge for gauge in first if 0 < gauge.done < 200_000_000]) == (mode == "cut=0")


def test_ollama_that_stops_without_success_is_no_success(run: Run, pool: Pool) -> None:
    with misbehaving() as server:
        line = problem(run, at(pool, "ollama", server.url("empty")), "ollama", "llama3.2:1b")
    assert "llama3.2:1b" in line
