"""Servers that cannot run on a test machine, as one real HTTP process that answers in their recorded shapes.

::

    with recorded("ollama", "lmstudio") as peer:      # one process, a port for each personality
        peer.url("ollama")                            # http://127.0.0.1:PORT, without /v1
        peer.url("ollama", "cut=300,pace=0.01")       # the same server, misbehaving
        peer.seen("ollama")                           # the requests it got
        peer.active("ollama")                         # how many streams it is sending
        peer.forget("ollama")                         # begin anew: requests, downloads, loaded models

The shapes follow the public documentation and sources of each server (autumn 2026). What is said is computed from the
question: deterministic, different for different questions, limited by the token limit and by stop sequences, thinking
first where the model thinks, JSON that fits where a schema is given, a call of the first tool where the question has
"weather" in it, 400 words where it has "lesson" in it. A token is a word.

===========  ========================================================================================================
personality  what it answers
===========  ========================================================================================================
ollama       ``/api/version tags show ps chat pull delete``. Models ``broken`` (error within the stream), ``severed``
             (ends without ``done``), ``untold`` (no counts); ``llama3.2:1b`` can be pulled, in three layers, and a
             pull that was cut goes on where it was; every other name gives an error within the stream of status 200
lmstudio     ``/api/v1/models``, ``…/download``, ``…/download/status/:job``, ``…/load``, ``…/unload``,
             ``/api/v0/models``, ``/v1/models``, ``/v1/chat/completions``. ``qwen/qwen3-4b`` and Hugging Face links
             can be downloaded, a model whose name has ``fails`` in it fails half-way
llamacpp     a router: ``/health /props /models /models/load /models/unload /models/sse``, ``/v1/models``, chat;
             ``POST /models`` downloads (fails at the end for a name with ``fails`` in it, at once for one with
             ``missing``), ``/models/unload`` cancels that, ``DELETE /models?model=`` removes
loading      llama.cpp that still loads its model: 503 everywhere
mlx          mlx_lm: ``/health``, ``/v1/models``, chat, and no ``/props``
vllm         ``/version /health /v1/models``, chat
anthropic    ``/v1/models`` (pages), ``/v1/messages``, ``/v1/messages/count_tokens``; wants ``x-api-key`` and
             ``anthropic-version``, and refuses what the real one refuses. Models: ``claude-opus-5-5`` (only adaptive
             thinking, no sampling, no forced tool), ``claude-sonnet-4-6``, ``claude-haiku-4-5`` (only budgets, no
             output_config.effort), ``claude-haiku-3`` (no structured output); not listed: ``overloaded`` (error
             within the stream), ``refuses``, ``pauses``, ``overflows``, ``severed``, ``whole`` (ignores ``stream``)
together     ``/v1/models`` as a bare array, chat; wants a bearer key
===========  ========================================================================================================

The first part of a path may hold modes, joined by commas: ``cut=N`` closes the connection after N bytes of a stream's
body, ``pace=S`` waits S seconds between pieces, ``split=N`` sends N bytes at a time, ``status=N`` fails with that
status, ``delay=S`` waits before answering.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
ROOT = Path(__file__).parents[3]

HOSTED = "127.0.0.2"
"""An address of this machine that does not look like one."""


@dataclass(frozen=True)
class Peer:
    """A running process with a port for each personality."""

    ports: dict[str, int]

    def url(self, personality: str, modes: str = "", host: str = "127.0.0.1") -> str:
        """Return the root address of a personality, which may misbehave by ``modes``.

        With the host :data:`HOSTED` a runtime takes it for a server that is not of this machine.
        """
        return f"http://{host}:{self.ports[personality]}" + (f"/{modes}" if modes else "")

    def seen(self, personality: str) -> list[Json]:
        """Return the requests so far: ``method``, ``path``, ``query``, ``headers`` (lower case), ``body``."""
        return list(self._ask(personality, "GET")["requests"])

    def active(self, personality: str) -> int:
        """Return how many streams are being sent."""
        return int(self._ask(personality, "GET")["active"])

    def forget(self, personality: str) -> None:
        """Begin anew: as if the server had just been started."""
        self._ask(personality, "DELETE")

    def _ask(self, personality: str, method: str) -> Json:
        request = urllib.request.Request(self.url(personality) + "/__requests__", method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            found: Json = json.load(answer)
            return found


@contextlib.contextmanager
def recorded(*personalities: str) -> Iterator[Peer]:
    """Run the process until the context ends."""
    command = [sys.executable, "-m", __name__, *personalities]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout
        yield Peer(json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.communicate()
