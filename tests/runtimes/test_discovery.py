"""What runs on a machine is found, and told by what it answers; what is no runtime is left alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alain_magics.runtimes import discovery
from alain_magics.runtimes.discovery import Found, discover, listens
from alain_magics.runtimes.makers import Makers
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.settings import Settings
from tests.peers.llama_server import Peer as LlamaServer
from tests.peers.llama_server import free_port
from tests.peers.pages import answering
from tests.peers.recorded import Peer, recorded
from tests.runtimes.contract import Run

Look = Callable[..., list[Found]]


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """All recorded servers that stand on a machine."""
    with recorded("lmstudio", "ollama", "llamacpp", "loading", "vllm", "mlx") as peer:
        yield peer


@pytest.fixture
def look(run: Run, tmp_path: Path) -> Iterator[Look]:
    """Looks at addresses, each under the name of the preset that is expected there."""
    makers = Makers(tmp_path, Settings, {})

    def look(**urls: str) -> list[Found]:
        return run(discover([place(name, url) for name, url in urls.items()], makers.keyless, makers.runtime))

    yield look
    run(makers.aclose())


def place(name: str, url: str) -> Provider:
    """A preset at another address, or a server of somebody's own."""
    preset = PROVIDERS.get(name, Provider(name, name, "openai", auth="none"))
    return replace(preset, base_url=url if name == "ollama" else f"{url}/v1")


def names(found: list[Found]) -> list[str]:
    return [each.runtime for each in found]


def test_every_runtime_is_found_the_preferred_first(look: Look, peer: Peer) -> None:
    places = {name: peer.url(name) for name in ("vllm", "llamacpp", "ollama", "lmstudio")}
    assert names(look(**places)) == ["lmstudio", "ollama", "llamacpp", "vllm"]


@pytest.mark.parametrize("expected", ["lmstudio", "ollama", "llamacpp", "vllm"])
@pytest.mark.parametrize("real", ["lmstudio", "ollama", "llamacpp", "vllm", "mlx"])
def test_a_runtime_at_the_place_of_another_is_known_for_what_it_is(
    look: Look, peer: Peer, real: str, expected: str
) -> None:
    (found,) = look(**{expected: peer.url(real)})
    assert found.runtime == real
    assert found.provider.kind == PROVIDERS[real].kind
    assert found.provider.base_url.startswith(peer.url(real))
    assert found.models
    assert {model.runtime for model in found.models} == {real}


def test_models_are_described_by_their_runtime_and_by_their_names(look: Look, peer: Peer) -> None:
    studio, ollama = look(lmstudio=peer.url("lmstudio"), ollama=peer.url("ollama"))
    first, second, third = studio.models
    assert (first.id, first.family, first.maker) == ("openai/gpt-oss-20b", "gpt-oss", "OpenAI")
    assert (first.parameters, first.context, first.quantisation) == (20_000_000_000, 4_096, "MXFP4")
    assert (first.tools, first.size, first.loaded, first.kind) == (True, 12_109_566_624, True, "chat")
    assert (second.family, second.tools, second.loaded) == ("Gemma 3", False, False)
    assert third.kind == "embedding"
    models = {model.id: model for model in ollama.models}
    qwen = models["qwen3:8b"]
    assert (qwen.family, qwen.parameters, qwen.context) == ("Qwen3", 8_190_735_360, 40_960)
    assert (qwen.quantisation, qwen.tools, qwen.size, qwen.loaded) == ("Q4_K_M", True, 5_225_388_164, False)
    assert models["deepseek-r1:8b"].family == "DeepSeek-R1 distilled into Qwen3"
    assert models["nomic-embed-text:latest"].kind == "embedding"
    assert all(model.description for model in ollama.models if model.family)


def test_the_real_llama_server_is_found_where_another_was_expected(
    look: Look, llama: Callable[[str], LlamaServer]
) -> None:
    (found,) = look(vllm=llama("tiny-chatml").url)
    (model,) = found.models
    assert (found.runtime, model.id) == ("llamacpp", "tiny-chatml")
    assert (model.parameters, model.quantisation, model.loaded) == (977_280, "F16", True)
    assert model.context
    assert model.size


def test_a_server_that_still_loads_its_model_is_a_runtime_without_models(look: Look, peer: Peer) -> None:
    (found,) = look(vllm=peer.url("loading"))
    assert (found.runtime, found.models, found.problem) == ("llamacpp", (), "llama.cpp: Loading model (status 503)")


def test_a_second_runtime_of_a_kind_has_its_port_in_its_name(look: Look, peer: Peer) -> None:
    port = peer.ports["ollama"]
    found = look(vllm=peer.url("ollama"), ollama=f"http://localhost:{port}")
    assert names(found) == ["ollama", f"ollama-{port}"]
    assert {model.runtime for model in found[1].models} == {f"ollama-{port}"}


def test_a_server_that_no_preset_knows_is_named_after_its_address(look: Look) -> None:
    models = '{"object": "list", "data": [{"id": "mine-7b", "object": "model", "owned_by": "me"}]}'
    with answering({"/v1/models": (200, models)}) as url:
        (found,) = look(llamacpp=url)
    assert found.runtime == url.replace("http://127.0.0.1", "localhost")
    assert [model.name for model in found.models] == [f"{found.runtime}/mine-7b"]


def test_a_server_of_ones_own_is_what_its_owner_says(look: Look, peer: Peer) -> None:
    (found,) = look(mine=peer.url("vllm"))
    assert found.runtime == "mine"
    assert found.models[0].name == "mine/Qwen/Qwen3-8B"


@pytest.mark.parametrize(
    "pages",
    [
        {},
        dict.fromkeys(("/api/v1/models", "/props", "/api/tags", "/v1/models"), (200, "<html>Hello</html>")),
        dict.fromkeys(("/api/v1/models", "/props", "/api/tags", "/v1/models"), (200, "[]")),
        dict.fromkeys(("/api/v1/models", "/props", "/api/tags", "/v1/models"), (500, "{}")),
        {"/health": (200, '{"status": "ok"}'), "/version": (200, '{"version": "1.0"}')},
        {"/api/tags": (200, '{"models": "many"}'), "/v1/models": (200, '{"data": [{"id": 1}]}')},
        {"/v1/models": (200, '{"object": "list", "data": [{"id": "x", "object": "cat"}, 3]}')},
        {"/v1/models": (302, "")},
    ],
    ids=["empty", "pages", "lists", "broken", "healthy", "shapes", "mixed", "redirect"],
)
def test_another_web_application_is_no_runtime(look: Look, pages: dict[str, tuple[int, str]]) -> None:
    with answering(pages) as url:
        assert look(llamacpp=url, ollama=url, mine2=f"http://127.0.0.1:{free_port()}") == []


def test_what_speaks_no_http_is_no_runtime(look: Look) -> None:
    async def serve() -> list[Found]:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
            await reader.read()
            writer.close()

        makers = Makers(Path(), Settings, {})
        async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            found = await discover([place("vllm", f"http://127.0.0.1:{port}")], makers.keyless, makers.runtime)
        await makers.aclose()
        return found

    assert asyncio.run(serve()) == []


def test_all_places_together_take_no_longer_than_300_ms_even_where_somebody_is_silent(look: Look, peer: Peer) -> None:
    look(lmstudio=peer.url("lmstudio"))  # httpx is imported
    seconds = []
    with answering({}, delay=2) as silent:
        for _ in range(3):  # other programs may be at work
            begun = time.perf_counter()
            found = look(lmstudio=peer.url("lmstudio"), ollama=peer.url("ollama"), llamacpp=silent, vllm=silent)
            seconds.append(time.perf_counter() - begun)
    assert names(found) == ["lmstudio", "ollama"]
    assert min(seconds) <= 0.3


def test_where_nothing_listens_it_takes_no_time_and_nothing_is_imported(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from dataclasses import replace\n"
        "from alain_magics.runtimes.discovery import discover\n"
        "from alain_magics.runtimes.providers import PROVIDERS\n"
        f"place = replace(PROVIDERS['vllm'], base_url='http://127.0.0.1:{free_port()}/v1')\n"
        "print(asyncio.run(discover([place], None, None)), 'httpx' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["[]", "False"]


@pytest.mark.parametrize("url", ["", "localhost", "http://", "ftp://127.0.0.1", "http://127.0.0.1:x", "http://[::1"])
def test_at_what_is_no_address_nothing_listens(run: Run, url: str) -> None:
    assert run(listens(url)) is False


def test_what_runs_in_place_of_another_gets_no_key_but_that_of_the_place(look: Look, peer: Peer) -> None:
    (found,) = look(ollama=peer.url("lmstudio"))
    assert (found.runtime, found.provider.key_variables, found.provider.auth) == ("lmstudio", (), "none")


def test_a_server_that_answered_without_a_key_is_listed_without_one(run: Run, tmp_path: Path, peer: Peer) -> None:
    makers = Makers(tmp_path, Settings, {"VLLM_API_KEY": "secret-of-vllm"})
    peer.forget("vllm")
    (found,) = run(discover([place("vllm", peer.url("vllm"))], makers.keyless, makers.lister))
    run(makers.aclose())
    assert found.models
    assert "secret-of-vllm" not in str(peer.seen("vllm"))


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ((200, "<html>Hello</html>"), "no JSON"),
        ((302, ""), "status 302"),
        ((401, '{"error": {"message": "no such key"}}'), "no such key (status 401)"),
    ],
)
def test_what_a_server_of_ones_own_does_instead_of_listing_models_is_told(
    look: Look, page: tuple[int, str], says: str
) -> None:
    with answering({"/v1/models": page}) as url:
        (found,) = look(mine=url)
    assert found.models == ()
    assert says in found.problem


def test_a_server_of_ones_own_that_hangs_is_told(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery.look, "__defaults__", (0.2,))
    with answering({}, delay=1) as url:
        (found,) = look(mine=url)
    assert found.problem == "It accepts connections, but lists no models within 0.2 s."


def test_no_key_is_sent_to_find_out_what_is_there(run: Run, tmp_path: Path, peer: Peer) -> None:
    makers = Makers(tmp_path, Settings, {"LM_API_TOKEN": "secret-of-lm-studio"})
    peer.forget("vllm")
    run(discover([place("lmstudio", peer.url("vllm"))], makers.keyless, makers.runtime))
    run(makers.aclose())
    assert peer.seen("vllm")
    assert "secret-of-lm-studio" not in str(peer.seen("vllm"))
