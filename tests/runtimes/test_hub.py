"""The Hub is searched, its repositories come apart into variants, and what goes wrong there is one line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import DownloadError
from alain_magics.runtimes.hub import HubModel, ask, parse_name, search, variants
from tests.conftest import ROOT
from tests.peers.hub import HUGE, TOKEN, Peer, hub


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[Peer]:
    with hub(weights) as peer:
        yield peer


@pytest.fixture
def peer(server: Peer, monkeypatch: pytest.MonkeyPatch) -> Peer:
    """The Hub as the environment names it, without a token."""
    server.forget()
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("HF_TOKEN", "")
    return server


def problem(coroutine: Any) -> str:
    """The line that a user sees."""
    with pytest.raises(DownloadError) as caught:
        asyncio.run(coroutine)
    assert "\n" not in str(caught.value)
    assert caught.value.advice
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "repository", "variant"),
    [
        ("Qwen/Qwen3-0.6B-GGUF", "Qwen/Qwen3-0.6B-GGUF", ""),
        ("Qwen/Qwen3-0.6B-GGUF:Q8_0", "Qwen/Qwen3-0.6B-GGUF", "Q8_0"),
        ("hf.co/Qwen/Qwen3-0.6B-GGUF:q8_0", "Qwen/Qwen3-0.6B-GGUF", "q8_0"),
        ("https://huggingface.co/Qwen/Qwen3-0.6B-GGUF", "Qwen/Qwen3-0.6B-GGUF", ""),
        ("llama3.2:3b", "", ""),
        ("a/b/c", "", ""),
        ("../../etc/passwd", "", ""),
        ("", "", ""),
    ],
)
def test_a_name_says_which_repository_and_which_variant(name: str, repository: str, variant: str) -> None:
    assert parse_name(name) == (repository, variant)


def test_a_search_finds_both_forms_the_most_downloaded_first(peer: Peer) -> None:
    found = asyncio.run(search("TINY-chat"))
    assert found == [
        HubModel("tiny/Tiny-Chat-GGUF", "gguf", downloads=1200, likes=120, updated="2026-09-01", gated=False),
        HubModel("tiny/Tiny-Chat-4bit", "mlx", downloads=300, likes=30, updated="2026-09-01", gated=False),
    ]
    assert [model.gated for model in asyncio.run(search("gated"))] == [True]


def test_a_search_is_as_long_as_wanted(peer: Peer) -> None:
    assert [model.id for model in asyncio.run(search("tiny", limit=1))] == [
        "tiny/Tiny-Chat-GGUF",
        "tiny/Tiny-Chat-4bit",
    ]


def test_a_repository_comes_apart_into_variants_the_smallest_first(peer: Peer) -> None:
    found = asyncio.run(variants("tiny/Tiny-Chat-GGUF"))
    assert [(each.name, len(each.files)) for each in found] == [
        ("BF16", 2),
        ("Q8_0", 1),
        ("UD-Q4_K_XL", 1),
        ("Q4_K_M", 1),
    ]
    assert [each.size for each in found] == sorted(each.size for each in found)
    assert found[0].files == tuple(f"BF16/Tiny-Chat-BF16-0000{part}-of-00002.gguf" for part in (1, 2))
    assert found[1].id == "tiny/Tiny-Chat-GGUF:Q8_0"


def test_a_repository_has_the_name_that_the_hub_writes(peer: Peer) -> None:
    assert {each.repository for each in asyncio.run(variants("TINY/tiny-chat-gguf"))} == {"tiny/Tiny-Chat-GGUF"}


def test_what_belongs_to_a_model_is_none(peer: Peer) -> None:
    assert [each.files for each in asyncio.run(variants("tiny/Tiny-One-GGUF"))] == [("Tiny-One-Q8_0.gguf",)]


def test_weights_for_mlx_are_one_variant_of_all_their_files(peer: Peer) -> None:
    (found,) = asyncio.run(variants("tiny/Tiny-Chat-4bit"))
    assert (found.format, found.name) == ("mlx", "4-bit")
    assert found.files == ("config.json", "model.safetensors", "tokenizer.json")


def test_a_size_is_told_without_the_bytes(peer: Peer) -> None:
    assert [each.size for each in asyncio.run(variants("tiny/Tiny-Huge-GGUF"))] == [HUGE]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], ["Q4_K_M", "Q8_0"]),
        (["m-UD-Q4_K_XL.gguf", "m-Q4_K_XL.gguf"], ["UD-Q4_K_XL", "Q4_K_XL"]),
        (["Q8/m-q8_0.gguf", "m.bf16.gguf"], ["q8_0", "bf16"]),
        (["m-IQ3_S-imat.gguf", "model.gguf"], ["IQ3_S-imat", "model"]),
        (["a/m-Q8_0.gguf", "b/m-Q8_0.gguf"], ["a/m-Q8_0", "b/m-Q8_0"]),
        (["m-4bit.gguf", "gpt-oss-MXFP4.gguf"], ["m-4bit", "MXFP4"]),
    ],
)
def test_variants_are_named_by_the_ends_of_their_files(files: list[str], names: list[str]) -> None:
    from alain_magics.runtimes.hub import _names

    assert _names(files) == dict(zip(files, names, strict=True))


@pytest.mark.parametrize(
    ("repository", "says"),
    [
        ("tiny/nothing", "The Hub has no tiny/nothing. Look for it: alain models --search nothing"),
        ("tiny/Tiny-Chat", "tiny/Tiny-Chat holds no weights in GGUF or MLX form. Look for some"),
        ("-/-", "The Hub has no -/-."),
    ],
)
def test_a_repository_without_a_model_says_so(peer: Peer, repository: str, says: str) -> None:
    assert says in problem(variants(repository))


@pytest.mark.parametrize("asked", [lambda: search("x"), lambda: variants("tiny/Tiny-One-GGUF")])
@pytest.mark.parametrize(
    ("status", "says"),
    [(429, "too many requests from here. Wait a little, or log in"), (503, "The Hub answered with status 503")],
)
def test_a_hub_that_refuses_says_so_at_once(peer: Peer, asked: Any, status: int, says: str) -> None:
    peer.behave(status=status)
    begun = time.monotonic()
    assert says in problem(asked())
    assert time.monotonic() - begun < 2


def test_a_hub_that_is_not_there_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be had from the Hub at http://127.0.0.1:9: [Errno 111]" in problem(variants("tiny/Tiny-One-GGUF"))


def test_a_hub_that_does_not_answer_is_given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alain_magics.runtimes.hub.SECONDS", 0.2)
    peer.behave(stall=1)
    assert f"the Hub at {peer.url}: timed out." in problem(search("x"))
    assert f"the Hub at {peer.url}: timed out." in problem(variants("tiny/Tiny-One-GGUF"))
    assert f"The Hub at {peer.url} does not answer." in problem(ask("x", lambda: time.sleep(1)))


def test_a_page_that_is_no_hub_is_told_as_such(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{peer.url}/__control__?")
    assert "models for 'x' cannot be had from the Hub" in problem(search("x"))


def test_offline_the_hub_says_so() -> None:
    script = "import asyncio; from alain_magics.runtimes.hub import *; asyncio.run(search('x'))"
    environment = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "The Hub is in offline mode, so models for 'x' cannot be had from it. Unset HF_HUB_OFFLINE." in run.stderr


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert 'pip install "alain-magics[hub]"' in problem(search("x"))
    assert 'pip install "alain-magics[hub]"' in problem(variants("tiny/Tiny-One-GGUF"))


def test_the_token_of_the_hub_is_sent_to_it(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    asyncio.run(search("x"))
    asyncio.run(variants("tiny/Tiny-One-GGUF"))
    assert {each["headers"].get("authorization") for each in peer.seen("/api/")} == {f"Bearer {TOKEN}"}


def test_who_loses_interest_waits_no_longer() -> None:
    async def lose_interest() -> float:
        asked = asyncio.create_task(ask("something", lambda: time.sleep(2)))
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        asked.cancel()
        await asyncio.wait({asked})
        return time.monotonic() - begun

    assert asyncio.run(lose_interest()) < 0.1


def test_a_hub_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    script = "import asyncio, time; from alain_magics.runtimes.hub import *\n" + (
        "async def main():\n"
        "    task = asyncio.create_task(ask('x', lambda: time.sleep(20)))\n"
        "    await asyncio.sleep(0.1); task.cancel()\n"
        "asyncio.run(main())"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=20)
    assert time.monotonic() - begun < 10
