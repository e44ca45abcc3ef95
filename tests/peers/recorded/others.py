"""Servers that speak OpenAI's protocol, each with a list of models of its own: mlx_lm, vLLM, Together."""

from __future__ import annotations

from typing import Any

from tests.peers.recorded.protocol import Failure, Json, OpenAI


class Mlx(OpenAI):
    """mlx_lm.server."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        return {"status": "ok"} if path == "/health" else super().answer(method, path, query, headers, body)

    def models(self) -> Json:
        data = [{"id": "mlx-community/Qwen3-4B-4bit", "object": "model", "created": 1760000000}]
        return {"object": "list", "data": data}


class VLLM(OpenAI):
    """vLLM."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        if path in ("/version", "/health"):
            return {"version": "0.11.2"} if path == "/version" else None
        return super().answer(method, path, query, headers, body)

    def models(self) -> Json:
        name = "Qwen/Qwen3-8B"
        shared = {
            "id": name,
            "object": "model",
            "created": 1760000000,
            "owned_by": "vllm",
            "root": name,
            "parent": None,
        }
        permission = {"id": "modelperm-1", "object": "model_permission", "allow_sampling": True, "organization": "*"}
        return {"object": "list", "data": [{**shared, "max_model_len": 40960, "permission": [permission]}]}


class Together(OpenAI):
    """Together: lists of models are bare arrays."""

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        if not headers.get("authorization", "").startswith("Bearer "):
            problem = {"message": "Missing API key", "type": "invalid_request_error", "code": "missing_api_key"}
            raise Failure(401, {"id": "nx-1", "error": {**problem, "param": None}})
        return super().answer(method, path, query, headers, body)

    def models(self) -> list[Json]:
        def listed(name: str, kind: str, maker: str, context: int) -> Json:
            price = {"hourly": 0, "input": 0.18, "output": 0.59, "base": 0, "finetune": 0}
            shared = {"id": name, "object": "model", "created": 1743882111, "type": kind, "running": False}
            more = {
                "display_name": name.partition("/")[2],
                "organization": maker,
                "link": f"https://huggingface.co/{name}",
            }
            return {**shared, **more, "license": "other", "context_length": context, "pricing": price}

        return [
            listed("openai/gpt-oss-20b", "chat", "OpenAI", 131072),
            listed("meta-llama/Llama-4-Scout-17B-16E-Instruct", "chat", "Meta", 1048576),
            listed("BAAI/bge-large-en-v1.5", "embedding", "BAAI", 512),
            listed("black-forest-labs/FLUX.1-schnell", "image", "Black Forest Labs", 0),
        ]
