"""The real ``llama-server`` of llama.cpp as a process on this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

VERSION = "0.3.36"
"""The release of llama-cpp-python whose sources hold the server."""

_COMMON = ("--host", "127.0.0.1", "--jinja", "--threads", "1")


@dataclass(frozen=True)
class Peer:
    """A server process that answers at ``url``; ``log`` is what it has printed."""

    url: str
    pid: int
    log: Path


def binary() -> Path | None:
    """Return the program; ``ALAIN_LLAMA_SERVER`` names another one than the cache of test peers holds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache / "alain-test-peers" / f"llama-server-{VERSION}" / "llama-server"
    path = Path(os.environ.get("ALAIN_LLAMA_SERVER") or built)
    return path if os.access(path, os.X_OK) else None


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(command: Sequence[str], port: int, health: str, log: Path, seconds: float = 60) -> Iterator[Peer]:
    """Run a server process until the context ends; it is ready when the path ``health`` answers with 200."""
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "LLAMA_SERVER_SLOTS_DEBUG": "1"}  # so that /slots tells what it was asked
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            _wait(process, url + health, log, seconds)
            yield Peer(url, process.pid, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(url, timeout=1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"{url} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def llama_server(model: Path, log: Path, *options: str, slots: int = 4, context: int = 8192) -> Iterator[Peer]:
    """Serve a GGUF file under its stem's name, with ``context`` tokens shared by ``slots`` answers at a time."""
    port = free_port()
    command = [str(binary()), "--model", str(model), "--alias", model.stem, *_COMMON, "--port", str(port)]
    with serve(
        [*command, "--parallel", str(slots), "--ctx-size", str(context), *options], port, "/health", log
    ) as peer:
        yield peer


@contextlib.contextmanager
def llama_router(models: Path, log: Path) -> Iterator[Peer]:
    """Serve the GGUF files of a folder under their stems' names, each loaded on demand, in a process of its own."""
    port = free_port()
    command = [str(binary()), "--models-dir", str(models), *_COMMON, "--port", str(port), "--ctx-size", "1024"]
    with serve(command, port, "/health", log) as peer:
        yield peer
