"""llama.cpp, as a router and while it loads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from tests.peers.recorded.protocol import DOWNLOAD_SECONDS, Failure, Json, OpenAI, Personality, Stream


class LlamaCpp(OpenAI):
    """llama.cpp's server as a router of several models."""

    def __init__(self) -> None:
        self.states = {"ggml-org/gemma-3-4b-it-GGUF:Q4_K_M": "loaded", "Qwen3-8B-Q4_K_M": "unloaded"}
        self.downloads: dict[str, float] = {}

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        for name, begun in list(self.downloads.items()):
            if time.monotonic() - begun >= DOWNLOAD_SECONDS:
                del self.downloads[name]
                if "fails" not in name:
                    self.states[name] = "unloaded"
        if path == "/health":
            return {"status": "ok"}
        if path == "/props":
            told = {"role": "router", "max_instances": 4, "models_autoload": True, "build_info": "b7524-0c1e570"}
            settings = {"params": None, "n_ctx": 0}
            more = {"model_alias": "llama-server", "model_path": "none", "default_generation_settings": settings}
            return {**told, **more}
        if path == "/models/sse":
            return Stream("text/event-stream", self._events())
        if path == "/models" and method == "POST":
            return self._download(body)
        if path == "/models" and method == "DELETE":
            return self._remove(query)
        if path == "/models":
            return self.models()
        if path in ("/models/load", "/models/unload"):
            name = str(body.get("model"))
            if self.downloads.pop(name, None) is None:  # unloading what is being downloaded cancels that
                self._check(name)
                self.states[name] = "loaded" if path.endswith("/load") else "unloaded"
            return {"success": True}
        return super().answer(method, path, query, headers, body)

    def _check(self, name: str) -> None:
        if name not in self.states:
            raise self._refusal("model is not found")

    def _refusal(self, message: str) -> Failure:
        return Failure(400, {"error": {"code": 400, "message": message, "type": "invalid_request_error"}})

    def models(self) -> Json:
        return {"data": [self._listed(name) for name in (*self.states, *self.downloads)], "object": "list"}

    def _listed(self, name: str) -> Json:
        state = self.states.get(name, "downloading")
        status: Json = {"value": state}
        if state == "downloading":
            status["progress"] = self._progress(name)
        architecture = {"input_modalities": ["text"], "output_modalities": ["text"]}
        shared = {
            "id": name,
            "aliases": [],
            "tags": [],
            "object": "model",
            "owned_by": "llamacpp",
            "created": 1795225529,
        }
        listed = {**shared, "status": status, "architecture": architecture, "source": "cache", "can_remove": True}
        if state == "loaded":
            meta = {"vocab_type": 2, "n_vocab": 262144, "n_ctx": 8192, "n_ctx_train": 131072, "n_embd": 2560}
            listed["meta"] = {**meta, "n_params": 3880099328, "size": 2489757696, "ftype": "Q4_K - Medium"}
        return listed

    def _progress(self, name: str) -> Json:
        part = min(1.0, (time.monotonic() - self.downloads.get(name, 0)) / DOWNLOAD_SECONDS)
        return {f"https://huggingface.co/{name}.gguf": {"done": int(219307424 * part), "total": 219307424}}

    def _download(self, body: Json) -> Json:
        name = str(body.get("model"))
        if "/" not in name or "missing" in name:
            raise self._refusal("model validation failed, unable to download")
        self.downloads[name] = time.monotonic()
        return {"success": True}

    def _remove(self, query: Json) -> Json:
        name = query.get("model", "")
        if name not in self.states:
            problem = {"code": 500, "message": f"model name={name} is not found", "type": "server_error"}
            raise Failure(500, {"error": problem})
        del self.states[name]
        return {"success": True}

    def _events(self) -> Iterator[bytes]:
        """Tell of downloads for as long as anybody listens."""
        following: set[str] = set()
        while True:
            for name, begun in list(self.downloads.items()):
                if time.monotonic() - begun < DOWNLOAD_SECONDS:
                    following.add(name)
                    yield self._event(name, "download_progress", self._progress(name))
            for name in list(following):
                if time.monotonic() - self.downloads.get(name, 0) >= DOWNLOAD_SECONDS:
                    following.remove(name)
                    yield self._event(name, "download_failed" if "fails" in name else "download_finished", {})
            yield b": ping\n\n"
            time.sleep(DOWNLOAD_SECONDS / 10)

    def _event(self, model: str, event: str, data: Json) -> bytes:
        return b"data: %s\n\n" % json.dumps({"model": model, "event": event, "data": data}).encode()


class Loading(Personality):
    """llama.cpp that still loads its model."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        raise Failure(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
