"""Models are fetched into Ollama, LM Studio and llama.cpp by their own APIs, and it is told how far that is."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import DownloadError
from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.http import Deadlines, Http, Pool
from alain_magics.runtimes.hub import Variant, variants
from alain_magics.runtimes.openai.models import models_of
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.runtimes.pull import Gauge, Way, arrived, by_hand, can_fetch, in_cache, into_server, takes, way_into
from tests.conftest import require
from tests.peers import hub, recorded
from tests.peers.llama_server import Peer, binary, llama_router
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


def cancelled(run: Run, work: Any, gauge: Gauge) -> float:
    """Cancel the work once something has come, and return the seconds until it has ended."""

    async def cancel() -> float:
        task = asyncio.ensure_future(work)
        while not gauge.done:
            assert not task.done()
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        return time.monotonic() - begun

    return float(run(cancel()))


def wait(holds: Callable[[], bool], seconds: float = 1.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def speaking(answers: Mapping[str, tuple[int, bytes]]) -> Iterator[str]:
    """A server that gives the same answer (status and body, by path) whatever it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, body = answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often at what LM Studio does."""
    monkeypatch.setattr("alain_magics.runtimes.pull._POLL", 0.02)


@dataclass(frozen=True)
class Router:
    """The real llama.cpp as a router, and the Hub that it downloads from."""

    server: Peer
    hub: hub.Peer

    def infos(self, run: Run, http: Http) -> list[ModelInfo]:
        return models_of("llamacpp", run(http.get("/v1/models")))

    def models(self, run: Run, http: Http) -> list[str]:
        return [info.id for info in self.infos(run, http)]


@pytest.fixture(scope="module")
def started(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    folder = tmp_path_factory.mktemp("router")
    with hub.hub(weights) as peer, pytest.MonkeyPatch.context() as environment:
        environment.setenv("HF_ENDPOINT", peer.url)
        environment.setenv("LLAMA_CACHE", str(folder))
        with llama_router(weights, folder / "log") as server:
            yield Router(server, peer)


@pytest.fixture
def router(started: Router, monkeypatch: pytest.MonkeyPatch) -> Router:
    started.hub.forget()
    monkeypatch.setenv("HF_ENDPOINT", started.hub.url)
    return started


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
        (["o/n:Q8_0", "o/n:Q4_K_XL"], ["o/n:Q8_0", "o/n:Q4_K_XL"], "o/n:UD-Q4_K_XL", "o/n:Q4_K_XL"),
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
    assert "llama3.2:1b" in [
        model["name"] for model in run(at(pool, "ollama", peer.url("ollama")).get("/api/tags"))["models"]
    ]


def test_ollama_is_asked_for_a_variant_of_the_hub_by_its_address(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    problem(run, at(pool, "ollama", peer.url("ollama")), "ollama", GGUF.id, GGUF)
    assert peer.seen("ollama")[-1]["body"] == {"model": "hf.co/tiny/Tiny-Chat-GGUF:Q8_0", "stream": True}


def test_a_name_that_ollama_does_not_know_leads_to_a_search(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "ollama", peer.url("ollama")), "ollama", "nosuch:1b")
    assert "nosuch:1b was not fetched: Ollama: pull model manifest: file does not exist." in line
    assert line.endswith("Check the name, or look for it on the Hub: alain models --search nosuch")


def test_a_pull_of_ollama_that_broke_goes_on_where_it_was(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "ollama", peer.url("ollama", "cut=1000")), "ollama", "llama3.2:1b")
    assert line.endswith("broke within the answer. Pull again.")
    shown = pulled(run, at(pool, "ollama", peer.url("ollama", "pace=0.01")), "ollama", "llama3.2:1b")
    assert min(gauge.done for gauge in shown if gauge.done) > 300_000_000


def test_ollama_that_ends_without_success_has_none(run: Run, pool: Pool) -> None:
    with speaking({"/api/pull": (200, b'{"status": "pulling manifest"}\n')}) as url:
        line = problem(run, at(pool, "ollama", url), "ollama", "llama3.2:1b")
    assert line == "Ollama stopped before llama3.2:1b was there. Pull again: it goes on where it was."


def test_ollama_may_be_silent_while_it_compares_checksums(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    http = at(pool, "ollama", peer.url("ollama", "pace=0.3"), first=0.1, silence=0.1)
    with pytest.raises(TimeoutError):
        run(asyncio.wait_for(into_server("ollama", http, "llama3.2:1b", None, Gauge()), 0.5))


def test_an_odd_answer_of_ollama_is_no_crash(run: Run, pool: Pool) -> None:
    odd = (
        b'[]\nnonsense\n{"status": 7, "digest": [], "total": "x"}\n{"digest": "d", "total": -1}\n{"status":"success"}\n'
    )
    with speaking({"/api/pull": (200, odd)}) as url:
        assert pulled(run, at(pool, "ollama", url), "ollama", "x")[-1].total == 0


def test_ollama_is_stopped_where_the_disk_is_too_small(
    run: Run, pool: Pool, peer: recorded.Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    line = problem(run, at(pool, "ollama", peer.url("ollama", "pace=0.01")), "ollama", "llama3.2:1b")
    assert "1.3 GB are to be fetched" in line
    wait(lambda: peer.active("ollama") == 0)


def test_the_disk_of_another_machine_is_not_ours_to_judge(
    run: Run, pool: Pool, peer: recorded.Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    elsewhere = peer.url("ollama", host=recorded.HOSTED)
    assert pulled(run, at(pool, "ollama", elsewhere), "ollama", "llama3.2:1b")[-1].done


def test_a_cancelled_pull_of_ollama_is_stopped_there(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    http = at(pool, "ollama", peer.url("ollama", "pace=0.05"))
    assert cancelled(run, into_server("ollama", http, "llama3.2:1b", None, gauge := Gauge()), gauge) < 0.5
    wait(lambda: peer.active("ollama") == 0)


# LM Studio.


def test_lm_studio_fetches_a_model_of_its_catalogue(run: Run, pool: Pool, peer: recorded.Peer, fast: None) -> None:
    http = at(pool, "lmstudio", peer.url("lmstudio"))
    shown = pulled(run, http, "lmstudio", "qwen/qwen3-4b")
    assert {gauge.total for gauge in shown[1:]} == {2_279_145_003}
    assert shown[-1].done > 0
    assert peer.seen("lmstudio")[0]["body"] == {"model": "qwen/qwen3-4b"}
    assert "qwen/qwen3-4b" in [each["key"] for each in run(http.get("/api/v1/models"))["models"]]


@pytest.mark.parametrize(
    ("variant", "body"),
    [
        (GGUF, {"model": "https://huggingface.co/tiny/Tiny-Chat-GGUF", "quantization": "Q8_0"}),
        (MLX, {"model": "https://huggingface.co/tiny/Tiny-Chat-4bit"}),
    ],
)
def test_lm_studio_is_asked_for_a_variant_of_the_hub_by_its_link(
    run: Run, pool: Pool, peer: recorded.Peer, fast: None, variant: Variant, body: dict[str, str]
) -> None:
    pulled(run, at(pool, "lmstudio", peer.url("lmstudio")), "lmstudio", variant.id, variant)
    assert peer.seen("lmstudio")[0]["body"] == body


def test_what_lm_studio_has_is_not_fetched_again(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    pulled(run, at(pool, "lmstudio", peer.url("lmstudio")), "lmstudio", "openai/gpt-oss-20b")
    assert [each["path"] for each in peer.seen("lmstudio")] == ["/api/v1/models/download"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("qwen/nosuch", "Model qwen/nosuch not found in the catalog"),
        ("qwen/fails", "LM Studio did not fetch qwen/fails. Look at it in LM Studio, and pull again."),
    ],
)
def test_a_download_that_fails_in_lm_studio_is_told(
    run: Run, pool: Pool, peer: recorded.Peer, fast: None, name: str, says: str
) -> None:
    assert says in problem(run, at(pool, "lmstudio", peer.url("lmstudio")), "lmstudio", name)


def test_a_download_that_somebody_paused_is_waited_for(run: Run, pool: Pool, fast: None) -> None:
    paused = b'{"job_id": "j", "status": "paused", "total_size_bytes": 9, "downloaded_bytes": 3}'
    completed = b'{"job_id": "j", "status": "completed"}'
    answers = {"/api/v1/models/download": (200, paused), "/api/v1/models/download/status/j": (200, completed)}
    with speaking(answers) as url:
        shown = pulled(run, at(pool, "lmstudio", url), "lmstudio", "qwen/qwen3-4b")
    assert shown[-1] == Gauge(3, 9, "paused")


def test_an_lm_studio_that_is_too_old_for_downloads_is_told(run: Run, pool: Pool) -> None:
    unknown = b'{"error": "Unexpected endpoint or method. (POST /api/v1/models/download)"}'
    with speaking({"/api/v1/models/download": (200, unknown)}) as url:
        line = problem(run, at(pool, "lmstudio", url), "lmstudio", "qwen/qwen3-4b")
    assert line.endswith("Upgrade LM Studio, or type: lms get qwen/qwen3-4b")


# llama.cpp, which is the real one.


def test_llama_cpp_fetches_a_variant_of_the_hub(run: Run, pool: Pool, router: Router) -> None:
    http = at(pool, "llamacpp", router.server.url)
    assert run(can_fetch(http))
    router.hub.behave(pace=0.03)
    (variant,) = (each for each in run(variants("tiny/Tiny-Chat-GGUF")) if each.name == "Q4_K_M")
    shown = pulled(run, http, "llamacpp", variant.id, variant)
    done = [gauge.done for gauge in shown]
    assert done == sorted(done)
    assert any(0 < each < variant.size for each in done)
    assert {gauge.total for gauge in shown[1:]} == {variant.size}
    assert variant.id in router.models(run, http)
    router.hub.forget()
    pulled(run, http, "llamacpp", variant.id, variant)  # is there: nothing is fetched
    assert router.hub.ranges() == []


def test_all_parts_of_a_model_come_into_llama_cpp(run: Run, pool: Pool, router: Router) -> None:
    http = at(pool, "llamacpp", router.server.url)
    (variant,) = (each for each in run(variants("tiny/Tiny-Chat-GGUF")) if each.name == "BF16")
    before = router.infos(run, http)
    pulled(run, http, "llamacpp", variant.id, variant)
    model = arrived(before, router.infos(run, http), variant.id)
    assert model
    assert model.id == "tiny/Tiny-Chat-GGUF:BF16"


def test_a_name_of_llama_cpps_own_is_found(run: Run, pool: Pool, router: Router) -> None:
    http = at(pool, "llamacpp", router.server.url)
    (variant,) = (each for each in run(variants("tiny/Tiny-Chat-GGUF")) if each.name == "UD-Q4_K_XL")
    before = router.infos(run, http)
    pulled(run, http, "llamacpp", variant.id, variant)
    model = arrived(before, router.infos(run, http), variant.id)
    assert model
    assert model.id == "tiny/Tiny-Chat-GGUF:Q4_K_XL"
    pulled(run, http, "llamacpp", variant.id, variant)  # is there: nothing happens
    assert arrived(before, router.infos(run, http), variant.id) == model


def test_llama_cpp_that_takes_nothing_for_success_is_not_believed(run: Run, pool: Pool, router: Router) -> None:
    line = problem(run, at(pool, "llamacpp", router.server.url), "llamacpp", "tiny/nothing:Q8_0", GGUF)
    assert line.startswith("llama.cpp found no tiny/nothing:Q8_0. Can it reach the Hub")


def test_a_cancelled_pull_of_llama_cpp_is_stopped_there(run: Run, pool: Pool, router: Router) -> None:
    router.hub.behave(pace=0.1)
    http = at(pool, "llamacpp", router.server.url)
    variant = Variant("tiny/Tiny-One-GGUF", "gguf", "Q8_0", ("Tiny-One-Q8_0.gguf",), 1_987_168)
    work = into_server("llamacpp", http, variant.id, variant, gauge := Gauge())
    assert cancelled(run, work, gauge) < 0.5
    wait(lambda: router.hub.active == 0)
    assert variant.id not in router.models(run, http)
    router.hub.behave()
    pulled(run, http, "llamacpp", variant.id, variant)
    assert variant.id in router.models(run, http)


def test_a_pull_that_goes_on_without_us_is_joined(run: Run, pool: Pool, router: Router) -> None:
    router.hub.behave(pace=0.05)
    http = at(pool, "llamacpp", router.server.url)
    name = "tiny/tiny-chat-gguf:Q8_0"
    run(http.post("/models", {"model": name}))
    wait(lambda: router.hub.active > 0)
    router.hub.behave()
    pulled(run, http, "llamacpp", name, GGUF)
    assert len([each for each in router.hub.seen("/cdn/") if each["method"] == "GET"]) == 1


def test_a_llama_cpp_with_one_model_cannot_fetch_others(run: Run, pool: Pool, llama: Callable[[str], Peer]) -> None:
    assert not run(can_fetch(at(pool, "llamacpp", llama("tiny-random").url)))


def test_other_servers_can_always_fetch(run: Run, pool: Pool) -> None:
    assert run(can_fetch(at(pool, "ollama", "http://127.0.0.1:9")))


def test_progress_is_understood_as_the_documentation_writes_it(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    shown = pulled(run, at(pool, "llamacpp", peer.url("llamacpp")), "llamacpp", "tiny/x:Q8_0", replace(GGUF, size=0))
    assert {gauge.total for gauge in shown[1:]} == {219_307_424}


def test_what_llama_cpp_refuses_is_told(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "llamacpp", peer.url("llamacpp")), "llamacpp", "tiny/missing:Q8_0", GGUF)
    assert "model validation failed, unable to download" in line
    assert line.endswith("alain models --search missing")


def test_a_connection_to_llama_cpp_that_breaks_is_told(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "llamacpp", peer.url("llamacpp", "cut=300")), "llamacpp", "tiny/x:Q8_0", GGUF)
    assert line.endswith("broke within the answer. Pull again.")
    assert peer.seen("llamacpp")[-1]["path"] == "/models/unload"


def test_a_download_that_fails_in_llama_cpp_is_told(run: Run, pool: Pool, peer: recorded.Peer) -> None:
    line = problem(run, at(pool, "llamacpp", peer.url("llamacpp")), "llamacpp", "tiny/fails:Q8_0", GGUF)
    assert line == "llama.cpp did not fetch tiny/fails:Q8_0. Its log tells why. Pull again."


@pytest.mark.parametrize(("name", "way"), [("lmstudio", "lmstudio"), ("llamacpp", "llamacpp")])
def test_a_server_is_not_asked_where_the_disk_is_too_small(
    run: Run, pool: Pool, peer: recorded.Peer, monkeypatch: pytest.MonkeyPatch, name: str, way: Way
) -> None:
    full_disk(monkeypatch)
    assert "Free some space" in problem(run, at(pool, name, peer.url(name)), way, GGUF.id, GGUF)
    assert peer.seen(name) == []
