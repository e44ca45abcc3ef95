"""Ollama."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.peers.recorded.protocol import Failure, Json, Personality, Stream, lines
from tests.peers.recorded.speech import Said, count, say


@dataclass(frozen=True)
class OllamaModel:
    """What Ollama knows about a model."""

    name: str
    arch: str
    size: int
    parameters: str
    count: int
    quantisation: str
    context: int
    capabilities: tuple[str, ...]


def known(line: str) -> OllamaModel:
    """Read a line of the table."""
    name, arch, size, parameters, count, quantisation, context, *capabilities = line.split()
    return OllamaModel(name, arch, int(size), parameters, int(count), quantisation, int(context), tuple(capabilities))


TABLE = """
qwen3:8b                qwen3       5225388164  8.2B  8190735360  Q4_K_M  40960 completion tools thinking
gpt-oss:20b             gptoss     13793441244 20.9B 20914757184   MXFP4 131072 completion tools thinking
llama3.2:latest         llama       2019393189  3.2B  3212749888  Q4_K_M 131072 completion tools
gemma3:4b               gemma3      3338801804  4.3B  4299915632  Q4_K_M 131072 completion vision
deepseek-r1:8b          qwen3       5225376047  8.2B  8190735360  Q4_K_M 131072 completion thinking
nomic-embed-text:latest nomic-bert   274302450  137M   136727040     F16   2048 embedding
broken:latest           llama       1321098329  1.2B  1235814432    Q8_0   8192 completion
severed:latest          llama       1321098329  1.2B  1235814432    Q8_0   8192 completion
untold:latest           llama       1321098329  1.2B  1235814432    Q8_0   8192 completion
"""
PULLABLE = known("llama3.2:1b llama 1321098329 1.2B 1235814432 Q8_0 131072 completion tools")
LAYERS = {"sha256:" + digit * 64: size for digit, size in (("7", 1321082688), ("a", 1429), ("4", 485))}
DEFAULT_WINDOW = 4096


class Ollama(Personality):
    """Ollama's own API."""

    def __init__(self) -> None:
        self.models = {model.name: model for model in map(known, TABLE.split("\n")[1:-1])}
        self.loaded: dict[str, int] = {}  # windows
        self.downloaded: dict[str, int] = {}  # bytes of layers

    def answer(self, method: str, path: str, query: Json, headers: Json, body: Json) -> Any:
        if method == "GET":
            found = {"/api/version": self.version, "/api/tags": self.tags, "/api/ps": self.ps, "/": lambda: None}
            if path in found:
                return found[path]()
        posted: dict[str, Callable[[Json], Any]] = {
            "/api/show": self.show,
            "/api/chat": self.chat,
            "/api/pull": self.pull,
            "/api/delete": self.delete,
        }
        if path not in posted or method != ("DELETE" if path == "/api/delete" else "POST"):
            raise Failure(404, "404 page not found")
        return posted[path](body)

    def version(self) -> Json:
        return {"version": "0.13.5"}

    def tags(self) -> Json:
        return {"models": [self._listed(model) for model in self.models.values()]}

    def _listed(self, model: OllamaModel) -> Json:
        details = {"parent_model": "", "format": "gguf", "family": model.arch, "families": [model.arch]}
        details |= {"parameter_size": model.parameters, "quantization_level": model.quantisation}
        shared = {"name": model.name, "model": model.name, "size": model.size, "digest": "a" * 64, "details": details}
        return {**shared, "modified_at": "2026-09-14T10:20:30.123456789+02:00"}

    def ps(self) -> Json:
        def running(name: str) -> Json:
            listed = self._listed(self.models[name])
            del listed["modified_at"]
            more = {"expires_at": "2026-10-01T10:20:30.5Z", "size_vram": listed["size"]}
            return {**listed, **more, "context_length": self.loaded[name]}

        return {"models": [running(name) for name in self.loaded]}

    def _model(self, body: Json) -> OllamaModel:
        name = str(body.get("model") or body.get("name") or "")
        found = self.models.get(name) or self.models.get(f"{name}:latest")
        if found is None:
            raise Failure(404, {"error": f"model '{name}' not found"})
        return found

    def show(self, body: Json) -> Json:
        model = self._model(body)
        info = {
            "general.architecture": model.arch,
            "general.file_type": 15,
            "general.parameter_count": model.count,
            f"{model.arch}.context_length": model.context,
            f"{model.arch}.embedding_length": 4096,
            "tokenizer.ggml.tokens": None,
        }
        listed = self._listed(model)
        shown = {"license": "Apache", "modelfile": "FROM x", "template": "{{ .Prompt }}", "details": listed["details"]}
        modified = {"modified_at": listed["modified_at"]}
        return {**shown, "model_info": info, "capabilities": list(model.capabilities), **modified}

    def chat(self, body: Json) -> Any:
        model = self._model(body)
        shared = {"model": body["model"], "created_at": "2026-09-30T12:00:00.123456Z"}
        messages = body.get("messages") or []
        options = body.get("options") or {}
        empty = {"role": "assistant", "content": ""}
        if not messages and body.get("keep_alive") in (0, "0", "0s"):
            self.loaded.pop(model.name, None)
            return {**shared, "message": empty, "done": True, "done_reason": "unload"}
        if "completion" not in model.capabilities:
            raise Failure(400, {"error": f'"{body["model"]}" does not support chat'})
        if body.get("tools") and "tools" not in model.capabilities:
            raise Failure(400, {"error": f"registry.ollama.ai/library/{model.name} does not support tools"})
        think = body.get("think", "thinking" in model.capabilities)
        if think and "thinking" not in model.capabilities:
            raise Failure(400, {"error": f'"{body["model"]}" does not support thinking'})
        window = min(options.get("num_ctx") or DEFAULT_WINDOW, model.context)
        self.loaded[model.name] = window
        if not messages:
            return {**shared, "message": empty, "done": True, "done_reason": "load"}
        prompt = count(messages)
        if prompt > window and body.get("truncate") is False:
            told = f"request ({prompt} tokens) exceeds the available context size ({window} tokens), try increasing it"
            raise Failure(400, {"error": told})
        tools = [(tool["function"]["name"], tool["function"]["parameters"]) for tool in body.get("tools") or []]
        limit = options.get("num_predict")
        said = say(
            messages, thinks=bool(think), tools=tools, schema=body.get("format"), limit=limit, stop=options.get("stop")
        )
        return Stream("application/x-ndjson", lines(self._told(model.name, shared, said, min(prompt, window))))

    def _told(self, model: str, shared: Json, said: Said, prompt: int) -> Iterator[Json]:
        def piece(**message: Any) -> Json:
            return {**shared, "message": {"role": "assistant", "content": "", **message}, "done": False}

        yield from (piece(thinking=thought) for thought in said.thoughts)
        for number, text in enumerate(said.pieces):
            if model == "broken:latest" and number == 2:
                yield {"error": "an error was encountered while running the model: unexpected EOF"}
                return
            if model == "severed:latest" and number == 2:
                return
            yield piece(content=text)
        for index, (name, arguments) in enumerate(said.calls):
            function = {"index": index, "name": name, "arguments": arguments}
            yield piece(tool_calls=[{"id": f"call_{index}f3a9", "function": function}])
        durations = {"total_duration": 2504587958, "load_duration": 1453587916}
        counts = {
            "prompt_eval_count": prompt,
            "prompt_eval_duration": 250000000,
            "eval_count": said.tokens,
            "eval_duration": 800000000,
        }
        done = {**piece(), "done": True, "done_reason": "length" if said.length else "stop", **durations}
        yield done if model == "untold:latest" else {**done, **counts}

    def pull(self, body: Json) -> Any:
        return Stream("application/x-ndjson", lines(self._pulled(str(body.get("model") or body.get("name")))))

    def _pulled(self, name: str) -> Iterator[Json]:
        yield {"status": "pulling manifest"}
        if name != PULLABLE.name and name not in self.models:
            yield {"error": "pull model manifest: file does not exist"}
            return
        for digest, total in LAYERS.items():
            status = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
            yield status
            while (have := self.downloaded.get(digest, 0)) < total:
                self.downloaded[digest] = have = min(total, have + max(1, total // 10))
                yield {**status, "completed": have}
        for message in ("verifying sha256 digest", "writing manifest"):
            yield {"status": message}
        self.models.setdefault(name, PULLABLE)
        yield {"status": "success"}

    def delete(self, body: Json) -> None:
        model = self._model(body)
        del self.models[model.name]
        self.loaded.pop(model.name, None)
