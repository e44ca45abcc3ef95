"""What tests of runtimes share: a loop to run on, connections, and real servers on tiny weights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alain_magics.runtimes.http import Pool
from tests.conftest import SHARED, require
from tests.peers import misbehaving, recorded
from tests.peers.llama_cpp_server import llama_cpp_server, missing
from tests.peers.llama_server import Peer, binary, llama_router, llama_server
from tests.runtimes.contract import Run


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs a coroutine to its end, for at most a minute, on one loop for all tests, so that servers can be shared."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:

        async def limited(coroutine: Coroutine[Any, Any, Any]) -> Any:
            async with asyncio.timeout(60):
                return await coroutine

        yield lambda coroutine: runner.run(limited(coroutine))


@pytest.fixture
def pool(run: Run) -> Iterator[Pool]:
    """The connections of one test."""
    pool = Pool()
    yield pool
    run(pool.aclose())


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of tiny models: ``tiny-random``, ``tiny-chatml`` and ``tiny-harmony``."""
    folder = SHARED / "fixtures" / "models"
    require(folder.is_dir(), "reason: the tiny models are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def llama(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Peer]]:
    """Gives the real llama-server that runs a tiny model, started once."""
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    peers: dict[str, Peer] = {}
    with ExitStack() as stack:

        def start(model: str) -> Peer:
            if model not in peers:
                log = tmp_path_factory.mktemp("llama") / f"{model}.log"
                peers[model] = stack.enter_context(llama_server(weights / f"{model}.gguf", log))
            return peers[model]

        yield start


@pytest.fixture(scope="session")
def router(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """The real llama-server as a router that loads the tiny models on demand."""
    require(binary(), "reason: llama-server is not built; set ALAIN_LLAMA_SERVER to it")
    with llama_router(weights, tmp_path_factory.mktemp("router") / "router.log") as peer:
        yield peer


@pytest.fixture(scope="session")
def llama_cpp(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """The server of llama-cpp-python on ``tiny-chatml``."""
    require(not missing(), f"reason: not installed: {', '.join(missing())}")
    with llama_cpp_server(weights / "tiny-chatml.gguf", tmp_path_factory.mktemp("llama_cpp") / "log") as peer:
        yield peer


@pytest.fixture(scope="session")
def quirky() -> Iterator[misbehaving.Peer]:
    """A server that misbehaves as the path says."""
    with misbehaving.start() as peer:
        yield peer


@pytest.fixture(scope="session")
def recordings() -> Iterator[recorded.Peer]:
    """Servers that cannot run here, in their recorded shapes."""
    with recorded.recorded("lmstudio", "llamacpp", "vllm", "together", "mlx") as peer:
        yield peer
