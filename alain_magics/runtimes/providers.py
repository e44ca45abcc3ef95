"""The runtimes that are known by name: where they are, which keys they take, and what they can do, as data.

What differs between OpenAI-compatible servers is written here, never as a branch on a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["openai", "anthropic", "ollama", "local", "scripted"]
Auth = Literal["bearer", "api-key", "x-api-key", "none"]


STANDARD = {name: name for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty", "seed", "stop")}
"""The sampling that every OpenAI-compatible server should know."""

_OPEN = {**STANDARD, "top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repetition_penalty"}
_LLAMA = {
    **STANDARD,
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
    "repetition_context_size": "repeat_last_n",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
}


@dataclass(frozen=True)
class NativeApi:
    """What a server offers beside the OpenAI protocol: paths from the root of its address, empty where it has none.

    ``models`` are lists with more details, the first that answers counts; ``load`` and ``unload`` take a model,
    ``unload`` under the name ``unload_field``; ``template`` makes messages a prompt, ``tokenize`` a prompt tokens.
    ``download`` is whose way of downloading models it knows.
    """

    models: tuple[str, ...] = ()
    load: str = ""
    unload: str = ""
    unload_field: str = "model"
    template: str = ""
    tokenize: str = ""
    download: Literal["", "lmstudio", "llamacpp"] = ""


@dataclass(frozen=True)
class Capabilities:
    """What a server can do, and how it wants to be asked for it.

    ``sampling``: the fields of :class:`~alain_magics.runtimes.base.Sampling` it takes, each with its name in the body.
    ``whole_answers``: patterns of model ids that answer in one piece only. ``thinking``: how thinking is steered;
    ``thinking_off``: the effort that stands for none. ``reasoning_field``: the name under which an assistant's earlier
    thinking is sent back before any has been received; empty: not at all.
    """

    tools: bool = True
    json_schema: bool = True
    json_object: bool = True
    stream_usage: bool = True
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    thinking: Literal["", "reasoning_effort", "chat_template"] = ""
    thinking_off: str = "low"
    reasoning_field: str = ""
    sampling: Mapping[str, str] = field(default_factory=lambda: dict(STANDARD))
    whole_answers: tuple[str, ...] = ()
    native: NativeApi = NativeApi()


@dataclass(frozen=True)
class Provider:
    """A runtime's preset, or what the user added under a name of their own.

    ``key_variables`` are the environment variables that may hold its key; none: no key is sent. ``query`` is appended
    to every address. ``steps`` are the two things to do where nothing answers; ``start`` is the command that starts it
    with a ``{model}`` of the Hub, where it takes one so.
    """

    name: str
    title: str
    kind: Kind
    base_url: str = ""
    key_variables: tuple[str, ...] = ()
    auth: Auth = "bearer"
    capabilities: Capabilities = Capabilities()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    steps: tuple[str, str] = ("", "")
    start: str = ""

    @property
    def host(self) -> str:
        """The host and port that requests go to."""
        return urlsplit(self.base_url).netloc

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that it costs nothing and can be probed."""
        return self.kind in ("local", "scripted") or urlsplit(self.base_url).hostname in (
            "localhost",
            "127.0.0.1",
            "::1",
        )

    def at(self, base_url: str) -> Provider:
        """Return the same at another address, whose query, such as ``?api-version=…``, goes with every request."""
        parts = urlsplit(base_url.strip())
        return replace(self, base_url=f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", query=parts.query)


_PRESETS = (
    # Those of this machine, in the order in which the first that answers is chosen.
    Provider(
        "lmstudio",
        "LM Studio",
        "openai",
        "http://127.0.0.1:1234/v1",
        ("LM_API_TOKEN",),
        capabilities=Capabilities(
            json_object=False,
            thinking="reasoning_effort",
            sampling={**STANDARD, "top_k": "top_k", "repetition_penalty": "repeat_penalty"},
            native=NativeApi(
                models=("/api/v1/models", "/api/v0/models"),
                load="/api/v1/models/load",
                unload="/api/v1/models/unload",
                unload_field="instance_id",
                download="lmstudio",
            ),
        ),
        steps=(
            "Install LM Studio (lmstudio.ai) and download a model: lms get openai/gpt-oss-20b",
            "Start its server: lms server start",
        ),
    ),
    Provider(
        "ollama",
        "Ollama",
        "ollama",
        "http://127.0.0.1:11434",
        auth="none",
        steps=("Install Ollama (ollama.com) and start it: ollama serve", "Download a model: ollama pull gpt-oss:20b"),
    ),
    Provider(
        "llamacpp",
        "llama.cpp",
        "openai",
        "http://127.0.0.1:8080/v1",
        ("LLAMA_API_KEY",),
        capabilities=Capabilities(
            thinking="chat_template",
            reasoning_field="reasoning_content",
            sampling=_LLAMA,
            native=NativeApi(
                load="/models/load",
                unload="/models/unload",
                template="/apply-template",
                tokenize="/tokenize",
                download="llamacpp",
            ),
        ),
        # It closes the connection after a stream without saying so: a request that uses it again may be lost.
        headers={"connection": "close"},
        steps=(
            "Install llama.cpp (github.com/ggml-org/llama.cpp).",
            "Start a model: llama-server -hf ggml-org/gpt-oss-20b-GGUF --jinja",
        ),
        start="llama-server -hf {model} --jinja",
    ),
    Provider(
        "vllm",
        "vLLM",
        "openai",
        "http://127.0.0.1:8000/v1",
        ("VLLM_API_KEY",),
        capabilities=Capabilities(thinking="chat_template", sampling=_OPEN),
        steps=("Install vLLM: pip install vllm", "Start a model: vllm serve openai/gpt-oss-20b"),
        start="vllm serve {model}",
    ),
    Provider(
        "mlx",
        "mlx_lm",
        "openai",
        "http://127.0.0.1:8080/v1",
        auth="none",
        # It ignores schemas instead of refusing them.
        capabilities=Capabilities(
            json_schema=False,
            json_object=False,
            thinking="chat_template",
            sampling={
                name: name
                for name in """temperature top_p top_k min_p repetition_penalty repetition_context_size xtc_probability
                xtc_threshold seed stop""".split()
            },
        ),
        steps=(
            "Install mlx_lm on a Mac: pip install mlx-lm",
            "Start a model: mlx_lm.server --model mlx-community/Qwen3-4B-4bit",
        ),
        start="mlx_lm.server --model {model}",
    ),
    Provider(
        "local",
        "this process",
        "local",
        auth="none",
        steps=(
            "Install the extra: pip install 'alain-magics[local]'",
            "Download a model: alain pull NAME, or put a GGUF file into the folder of the setting models_dir",
        ),
    ),
    # Hosted ones.
    Provider(
        "openai",
        "OpenAI",
        "openai",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        capabilities=Capabilities(max_tokens_name="max_completion_tokens", thinking="reasoning_effort"),
    ),
    Provider(
        "anthropic",
        "Anthropic",
        "anthropic",
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        auth="x-api-key",
        headers={"anthropic-version": "2023-06-01"},
    ),
    Provider(
        "google",
        "Google Gemini",
        "openai",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        capabilities=Capabilities(thinking="reasoning_effort", thinking_off="none"),
    ),
    Provider(
        "mistral",
        "Mistral",
        "openai",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        # Usage comes without being asked for, and is refused when it is.
        capabilities=Capabilities(stream_usage=False, sampling={**STANDARD, "seed": "random_seed"}),
    ),
    Provider(
        "deepseek",
        "DeepSeek",
        "openai",
        "https://api.deepseek.com/v1",
        ("DEEPSEEK_API_KEY",),
        capabilities=Capabilities(
            json_schema=False, sampling={name: known for name, known in STANDARD.items() if name != "seed"}
        ),
    ),
    Provider(
        "groq",
        "Groq",
        "openai",
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        capabilities=Capabilities(
            max_tokens_name="max_completion_tokens",
            thinking="reasoning_effort",
            sampling={name: name for name in ("temperature", "top_p", "seed", "stop")},
        ),
    ),
    Provider(
        "together",
        "Together",
        "openai",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY",),
        capabilities=Capabilities(thinking="reasoning_effort", sampling=_OPEN),
    ),
    Provider(
        "openrouter",
        "OpenRouter",
        "openai",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        capabilities=Capabilities(
            thinking="reasoning_effort", thinking_off="none", reasoning_field="reasoning", sampling=_OPEN
        ),
    ),
    Provider(
        "poe",
        "Poe",
        "openai",
        "https://api.poe.com/v1",
        ("POE_API_KEY",),
        capabilities=Capabilities(
            json_schema=False,
            json_object=False,
            sampling={name: name for name in ("temperature", "top_p", "stop")},
            whole_answers=(
                "*-image*",
                *(
                    f"{maker}*"
                    for maker in """cartesia dall-e elevenlabs flux hailuo ideogram imagen kling lyria nano-banana pika
                    ray recraft runway seedance seedream sora stable veo""".split()
                ),
            ),
        ),
    ),
    Provider(
        "azure",
        "Azure OpenAI",
        "openai",
        key_variables=("AZURE_OPENAI_API_KEY",),
        auth="api-key",
        capabilities=Capabilities(max_tokens_name="max_completion_tokens", thinking="reasoning_effort"),
        steps=(
            "Deploy a model in the Azure portal.",
            "Add its address: alain runtimes add azure https://NAME.openai.azure.com/openai/v1",
        ),
    ),
    # For tests, tutorials and replay.
    Provider("scripted", "Scripted answers", "scripted", auth="none"),
)

PROVIDERS: dict[str, Provider] = {each.name: each for each in _PRESETS}
"""The presets by name: those of this machine first, in the order of preference. An address of ours replaces theirs
with :meth:`Provider.at`."""
