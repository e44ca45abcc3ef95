"""LM Studio."""

from __future__ import annotations

import time
from typing import Any

from tests.peers.recorded.protocol import DOWNLOAD_SECONDS, Failure, Json, OpenAI


def lmstudio_model(key: str, **more: Any) -> Json:
    """One model as LM Studio lists it."""
    publisher, _, name = key.rpartition("/")
    shared: Json = {"type": "llm", "publisher": publisher or "unknown", "key": key, "display_name": name}
    shared |= {"architecture": "llama", "quantization": {"name": "Q4_K_M", "bits_per_weight": 4}}
    shared |= {"size_bytes": 2_000_000_000, "params_string": "4B", "loaded_instances": [], "max_context_length": 32768}
    shared |= {"format": "gguf", "capabilities": {"vision": False, "trained_for_tool_use": True}, "description": None}
    return {**shared, **more}


class LMStudio(OpenAI):
    """LM Studio's REST API v1, its deprecated v0, and OpenAI's protocol."""

    def __init__(self) -> None:
        reasoning = {"allowed_options": ["low", "medium", "high"], "default": "low"}
        config = {"context_length": 4096, "eval_batch_size": 512, "parallel": 4, "flash_attention": True}
        self.listed = [
            lmstudio_model(
                "openai/gpt-oss-20b",
                display_name="GPT-OSS 20B",
                architecture="gpt-oss",
                quantization={"name": "MXFP4", "bits_per_weight": 4},
                size_bytes=12109566624,
                params_string="20B",
                loaded_instances=[{"id": "openai/gpt-oss-20b", "config": config}],
                max_context_length=131072,
                capabilities={"vision": False, "trained_for_tool_use": True, "reasoning": reasoning},
            ),
            lmstudio_model(
                "google/gemma-3-4b",
                display_name="Gemma 3 4B",
                architecture="gemma3",
                quantization={"name": "4bit", "bits_per_weight": 4},
                size_bytes=3034755901,
                max_context_length=131072,
                format="mlx",
                capabilities={"vision": True, "trained_for_tool_use": False},
                variants=["google/gemma-3-4b@4bit"],
                selected_variant="google/gemma-3-4b@4bit",
            ),
            {
                "type": "embedding",
                "publisher": "nomic-ai",
                "key": "text-embedding-nomic-embed-text-v1.5",
                "display_name": "Nomic Embed Text v1.5",
                "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
                "size_bytes": 84106624,
                "params_string": None,
                "loaded_instances": [],
                "max_context_length": 2048,
                "format": "gguf",
            },
        ]
        self.jobs: dict[str, tuple[str, float]] = {}  # model and begin

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        self._arrive()
        if path == "/api/v1/models" and method == "GET":
            return {"models": self.listed}
        if path == "/api/v0/models" and method == "GET":
            return {"object": "list", "data": [self._old(model) for model in self.listed]}
        if path.startswith("/api/v1/models/download/status/"):
            return self._status(path.rpartition("/")[2])
        posted = {"download": self._download, "load": self._load, "unload": self._unload}
        if method == "POST" and path.startswith("/api/v1/models/") and (name := path.rpartition("/")[2]) in posted:
            return posted[name](body)
        return super().answer(method, path, query, headers, body)

    def not_found(self, path: str) -> Failure:
        return Failure(200, {"error": f"Unexpected endpoint or method. (GET {path})"})  # LM Studio says so with 200

    def models(self) -> Json:
        data = [{"id": model["key"], "object": "model", "owned_by": "organization_owner"} for model in self.listed]
        return {"data": data, "object": "list"}

    def _old(self, model: Json) -> Json:
        kind = {"llm": "llm", "embedding": "embeddings"}[model["type"]]
        state = "loaded" if model["loaded_instances"] else "not-loaded"
        shared = {"id": model["key"], "object": "model", "type": kind, "publisher": model["publisher"], "state": state}
        shared |= {"arch": model.get("architecture", "nomic-bert"), "compatibility_type": model["format"]}
        return {
            **shared,
            "quantization": model["quantization"]["name"],
            "max_context_length": model["max_context_length"],
        }

    def _download(self, body: Json) -> Json:
        name = str(body.get("model"))
        if any(model["key"] == name for model in self.listed):
            return {"status": "already_downloaded"}
        if not (name == "qwen/qwen3-4b" or "fails" in name or name.startswith("https://huggingface.co/")):
            problem = {
                "type": "not_found",
                "message": f"Model {name} not found in the catalog",
                "code": "model_not_found",
            }
            raise Failure(404, {"error": problem})
        job = f"job_{len(self.jobs):010x}"
        self.jobs[job] = name, time.monotonic()
        started = {"total_size_bytes": 2279145003, "started_at": "2026-10-03T15:33:23.496Z"}
        return {"job_id": job, "status": "downloading", **started}

    def _part(self, job: str) -> float:
        return min(1.0, (time.monotonic() - self.jobs[job][1]) / DOWNLOAD_SECONDS)

    def _status(self, job: str) -> Json:
        if job not in self.jobs:
            raise Failure(404, {"error": {"type": "not_found", "message": f"Job {job} not found"}})
        part, fails = self._part(job), "fails" in self.jobs[job][0]
        told: Json = {"job_id": job, "total_size_bytes": 2279145003, "started_at": "2026-10-03T15:33:23.496Z"}
        if fails and part >= 0.5:
            return {**told, "status": "failed", "downloaded_bytes": 1139572501}
        told["downloaded_bytes"] = int(2279145003 * part)
        if part >= 1:
            return {**told, "status": "completed", "completed_at": "2026-10-03T15:43:12.102Z"}
        return {
            **told,
            "status": "downloading",
            "bytes_per_second": 9116580012,
            "estimated_completion": "2026-10-03T15:43:12Z",
        }

    def _arrive(self) -> None:
        """List what has been downloaded."""
        for job, (name, _) in self.jobs.items():
            key = "/".join(name.removeprefix("https://huggingface.co/").split("/")[-2:]).lower()
            if self._part(job) >= 1 and "fails" not in name and all(model["key"] != key for model in self.listed):
                self.listed.append(lmstudio_model(key, architecture="qwen3"))

    def _find(self, name: str) -> Json:
        for model in self.listed:
            if model["key"] == name:
                return model
        raise Failure(404, {"error": {"type": "model_not_found", "message": f"Model {name} not found"}})

    def _load(self, body: Json) -> Json:
        model = self._find(str(body.get("model")))
        config = {"context_length": body.get("context_length", 4096)}
        model["loaded_instances"] = [{"id": model["key"], "config": config}]
        return {"type": model["type"], "instance_id": model["key"], "load_time_seconds": 9.099, "status": "loaded"}

    def _unload(self, body: Json) -> Json:
        model = self._find(str(body.get("instance_id")))
        model["loaded_instances"] = []
        return {"instance_id": body["instance_id"]}

    def chat(self, body: Json) -> Any:
        self._find(body["model"])
        if (body.get("response_format") or {}).get("type") == "json_object":
            raise Failure(400, {"error": "'response_format.type' must be 'json_schema' or 'text'"})
        return super().chat(body)
