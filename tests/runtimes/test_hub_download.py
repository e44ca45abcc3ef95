"""Downloads from the Hub lie in its cache, go on where they ended, and are what the Hub says they are."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import DownloadError
from alain_magics.runtimes import hub_download
from alain_magics.runtimes.hub import Variant, variants
from alain_magics.runtimes.hub_download import download
from alain_magics.runtimes.local.files import find_models
from tests.peers.hub import COMMIT, TOKEN, Peer, hub

CHAT = "tiny/Tiny-Chat-GGUF"


@pytest.fixture(scope="module")
def server(weights: Path) -> Iterator[Peer]:
    with hub(weights) as peer:
        yield peer


@pytest.fixture
def peer(server: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Peer:
    """The Hub as the environment names it, without a token, and with an empty cache."""
    server.forget()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_download, "PAUSE", 0.01)
    return server


def variant(repository: str = CHAT, name: str = "Q4_K_M") -> Variant:
    return next(each for each in asyncio.run(variants(repository)) if each.name == name)


def fetch(what: Variant) -> list[int]:
    """Download something, and return what was reported."""
    reports: list[int] = []
    asyncio.run(download(what, reports.append))
    return reports


def parts(folder: Path) -> list[Path]:
    return list(folder.rglob("*.incomplete"))


def test_a_model_lies_in_the_cache_where_others_look_for_it(peer: Peer, tmp_path: Path, weights: Path) -> None:
    reports = fetch(variant())
    path = tmp_path / "models--tiny--Tiny-Chat-GGUF" / "snapshots" / COMMIT / "Tiny-Chat-Q4_K_M.gguf"
    assert path.read_bytes() == (weights / "tiny-random.gguf").read_bytes()
    assert reports == sorted(reports)
    assert reports[-1] == path.stat().st_size
    assert list(find_models([])) == [f"{CHAT}/Tiny-Chat-Q4_K_M.gguf"]
    assert not parts(tmp_path)


def test_the_library_finds_it_without_the_network(peer: Peer, tmp_path: Path) -> None:
    from huggingface_hub import try_to_load_from_cache

    fetch(variant())
    found = try_to_load_from_cache(CHAT, "Tiny-Chat-Q4_K_M.gguf", cache_dir=tmp_path)
    assert isinstance(found, str)
    assert Path(found).is_file()


def test_all_parts_of_a_model_are_fetched(peer: Peer) -> None:
    split = variant(name="BF16")
    reports = fetch(split)
    assert reports[-1] == split.size
    (model,) = find_models([]).values()
    assert model.id == f"{CHAT}/{split.files[0]}"
    assert all(path.is_file() for path in model.parts)


def test_all_files_of_weights_for_mlx_are_fetched(peer: Peer, tmp_path: Path) -> None:
    fetch(variant("tiny/Tiny-Chat-4bit", "4-bit"))
    folder = tmp_path / "models--tiny--Tiny-Chat-4bit" / "snapshots" / COMMIT
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_what_is_there_is_not_fetched_again(peer: Peer) -> None:
    fetch(variant())
    peer.forget()
    assert fetch(variant()) == [variant().size]
    assert peer.ranges() == []


def test_a_cache_that_holds_files_without_links_is_understood(peer: Peer, tmp_path: Path) -> None:
    fetch(variant())
    (link,) = tmp_path.rglob("*.gguf")
    link.resolve().rename(link)
    peer.forget()
    fetch(variant())
    assert peer.ranges() == []


def test_a_connection_that_breaks_is_taken_up_where_it_broke(peer: Peer) -> None:
    peer.behave(cut=500_000, cuts=2)
    fetch(variant())
    assert peer.ranges() == ["bytes=0-", "bytes=500000-", "bytes=1000000-"]


def test_one_that_breaks_again_and_again_is_given_up_and_what_came_is_kept(peer: Peer, tmp_path: Path) -> None:
    what = variant()
    peer.behave(cut=500_000)
    there, _ = interrupted(what, lambda done: done >= 500_000)
    peer.behave(cut=0)
    line = problem(what)
    assert line == f"{what.id}: The connection to The Hub broke within the answer. Pull again: what has come is kept."
    assert peer.ranges()[-hub_download.ATTEMPTS :] == [f"bytes={there}-"] * hub_download.ATTEMPTS
    (part,) = parts(tmp_path)
    assert part.stat().st_size == there


def test_a_server_that_knows_no_ranges_sends_everything_again(peer: Peer) -> None:
    peer.behave(cut=500_000, cuts=1, ranges=0)
    fetch(variant())
    assert list(find_models([])) == [f"{CHAT}/Tiny-Chat-Q4_K_M.gguf"]


def interrupted(what: Variant, enough: Callable[[int], bool]) -> tuple[int, float]:
    """Cancel a download once enough is there; return how much was, and the seconds until it had ended."""

    async def work() -> tuple[int, float]:
        reports: list[int] = []
        task = asyncio.create_task(download(what, reports.append))
        while not (reports and enough(reports[-1])):
            assert not task.done()
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        return reports[-1], time.monotonic() - begun

    return asyncio.run(work())


def test_a_cancelled_download_stops_at_once_and_goes_on_later(peer: Peer, tmp_path: Path) -> None:
    peer.behave(pace=0.05)
    there, seconds = interrupted(variant(), lambda done: done > 300_000)
    assert seconds < 0.5
    (part,) = parts(tmp_path)
    assert part.stat().st_size == there
    peer.behave()
    fetch(variant())
    assert peer.ranges() == ["bytes=0-", f"bytes={there}-"]
    assert not parts(tmp_path)


def test_the_server_notices_the_end_of_a_cancelled_download(peer: Peer) -> None:
    peer.behave(pace=0.05)
    interrupted(variant(), lambda done: done > 100_000)
    deadline = time.monotonic() + 0.5
    while peer.active and time.monotonic() < deadline:
        time.sleep(0.01)
    assert peer.active == 0


def problem(what: Variant) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(what)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_bytes_than_promised_are_refused_and_removed(peer: Peer, tmp_path: Path) -> None:
    peer.behave(spoilt=1)
    assert "did not arrive as it should" in problem(variant())
    assert not parts(tmp_path)
    assert find_models([]) == {}


def test_a_file_that_is_not_there_any_more_is_told(peer: Peer) -> None:
    gone = Variant(CHAT, "gguf", "Q2_K", ("Tiny-Chat-Q2_K.gguf",), 1)
    line = f"A file of {CHAT}:Q2_K is not there any more. Look at its variants again, and choose one."
    assert problem(gone) == line


def test_a_part_that_does_not_belong_to_the_model_is_found_out(peer: Peer, tmp_path: Path) -> None:
    peer.behave(pace=0.05)
    interrupted(variant(), lambda done: done > 100_000)
    (part,) = parts(tmp_path)
    part.write_bytes(bytes(part.stat().st_size))
    peer.behave()
    assert "did not arrive as it should" in problem(variant())
    fetch(variant())


def test_a_name_that_leads_out_of_the_cache_is_refused(peer: Peer, tmp_path: Path) -> None:
    peer.behave(bent=1)
    assert "does not say what Tiny-Chat-Q4_K_M.gguf is" in problem(variant())
    assert [*tmp_path.parent.rglob("bent*")] == []


def test_a_gated_model_names_the_page_with_its_terms(peer: Peer) -> None:
    line = problem(variant("tiny/Tiny-Gated-GGUF", "Q8_0"))
    assert line == (
        f"tiny/Tiny-Gated-GGUF:Q8_0 is gated. Accept its terms at {peer.url}/tiny/Tiny-Gated-GGUF, then: hf auth login"
    )


def test_the_token_opens_it_and_goes_to_no_other_host(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(variant("tiny/Tiny-Gated-GGUF", "Q8_0"))
    assert {each["headers"].get("authorization") for each in peer.seen("/resolve/")} == {f"Bearer {TOKEN}"}
    assert {each["headers"].get("authorization") for each in peer.seen("/cdn/")} == {None}


def test_the_token_goes_to_the_hub_for_small_files(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(variant("tiny/Tiny-Chat-4bit", "4-bit"))
    fetched = [each for each in peer.seen("config.json") if each["method"] == "GET"]
    assert [each["headers"].get("authorization") for each in fetched] == [f"Bearer {TOKEN}"]


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - size, size))


def test_without_room_on_the_disk_nothing_is_fetched(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 1_000_000)
    assert "Free some space, or choose a smaller variant." in problem(variant())
    assert peer.ranges() == []


def test_room_is_needed_only_for_what_is_missing(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    what = variant()
    peer.behave(pace=0.02)
    there, _ = interrupted(what, lambda done: done > 1_500_000)
    peer.behave()
    free(monkeypatch, what.size - there + 100_000)
    fetch(what)


def test_two_downloads_of_the_same_do_not_mix(peer: Peer) -> None:
    peer.behave(pace=0.02)
    what = variant()

    async def both() -> list[Any]:
        first = asyncio.create_task(download(what, lambda _: None))
        while not peer.ranges():
            await asyncio.sleep(0.02)
        return await asyncio.gather(first, download(what, lambda _: None), return_exceptions=True)

    first, second = asyncio.run(both())
    assert first is None
    assert str(second) == f"{what.id} is being fetched by somebody else. Wait until that is done."
    assert list(find_models([])) == [f"{CHAT}/Tiny-Chat-Q4_K_M.gguf"]


def test_a_folder_that_cannot_be_written_is_named(peer: Peer, tmp_path: Path) -> None:
    what = variant()
    (tmp_path / "models--tiny--Tiny-Chat-GGUF").write_text("in the way")
    assert f"Look at {tmp_path}." in problem(what)
