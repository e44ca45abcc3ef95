"""The server of llama-cpp-python as a process: no usage in streams, no ``json_schema``, answers to any model's name."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.peers.llama_server import Peer, free_port, serve

PACKAGES = ("llama_cpp", "fastapi", "uvicorn", "sse_starlette", "starlette_context", "pydantic_settings")


def missing() -> list[str]:
    """Return the packages that the server needs and that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


@contextlib.contextmanager
def llama_cpp_server(model: Path, log: Path) -> Iterator[Peer]:
    """Serve a GGUF file under its stem's name, one answer at a time."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", model.stem]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", "2048", "--n_threads", "1"]
    command += ["--interrupt_requests", "false"]  # else a second request cuts the first one off
    with serve(command, port, "/v1/models", log) as peer:
        yield peer
