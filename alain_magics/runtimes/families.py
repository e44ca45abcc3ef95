"""The families of models that are known by their names: who made them, what they are, what every one of them can do.

The first row whose pattern is found in a model's name counts, so special names stand before general ones. Groups of a
pattern are the version. ``tools`` and ``context`` are given only where the makers say the same of every model of the
row; what a runtime reports outranks them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Family:
    """A row: ``name`` holds ``{}`` where the version goes; ``pattern`` is searched in the name in lower case."""

    name: str
    maker: str
    pattern: str
    about: str
    tools: bool | None = None
    context: int | None = None

    def found(self, name: str) -> str:
        """Return the family's name with the version that a model's name holds; empty where it is another family."""
        match = self._regex.search(name)
        if match is None:
            return ""
        version = ".".join(part for part in match.groups() if part)
        return self.name.format(version.upper() if len(version) < 3 else version.title()).rstrip(" -")

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern.replace("{v}", _VERSION))


_VERSION = r"[-_]?v?(\d(?:\.\d)?)(?![\d.]*[bm]\b)"  # "2.5" of "2.5-7b", but nothing of "7b"

_QWEN, _R1 = "Alibaba", "reasoning that DeepSeek-R1 taught to"

FAMILIES = (
    Family("gpt-oss", "OpenAI", r"gpt-oss", "open weights; reasons with an effort that can be chosen", True, 131_072),
    # DeepSeek and its distilled models, before their other parents
    Family("DeepSeek-R1 distilled into Qwen3", "DeepSeek", r"deepseek-r1\b.*qwen-?3", f"{_R1} Qwen3", None, 131_072),
    Family("DeepSeek-R1 distilled into Qwen2.5", "DeepSeek", r"deepseek-r1\b.*qwen", f"{_R1} Qwen2.5", False, 131_072),
    Family(
        "DeepSeek-R1 distilled into Llama 3.3", "DeepSeek", r"deepseek-r1\b.*70b", f"{_R1} Llama 3.3", False, 131_072
    ),
    Family(
        "DeepSeek-R1 distilled into Llama 3.1", "DeepSeek", r"deepseek-r1\b.*llama", f"{_R1} Llama 3.1", False, 131_072
    ),
    Family(
        "DeepSeek-R1 distilled into Qwen2.5",
        "DeepSeek",
        r"deepseek-r1:(?:1\.5|7|14|32)b",
        f"{_R1} Qwen2.5",
        False,
        131_072,
    ),
    Family(
        "DeepSeek-R1 distilled into Qwen3 or Llama 3.1",
        "DeepSeek",
        r"deepseek-r1:(?:8b|latest)",
        f"{_R1} a small model",
    ),
    Family("DeepSeek-R1", "DeepSeek", r"deepseek-(?:r1|reasoner)\b", "reasons at length before it answers"),
    Family("DeepSeek-Coder", "DeepSeek", r"deepseek-coder", "for writing code"),
    Family("DeepSeek-V{}", "DeepSeek", r"deepseek-(?:chat-)?{v}", "a large mixture of experts"),
    Family("DeepSeek", "DeepSeek", r"deepseek", "models of DeepSeek"),
    # models that others made out of the families below
    Family("Hermes {}", "Nous Research", r"hermes(?:{v})?", "tuned from an open model for following instructions"),
    Family("Dolphin {}", "Cognitive Computations", r"dolphin(?:{v})?", "tuned from an open model without refusals"),
    Family("Nemotron", "NVIDIA", r"nemotron", "NVIDIA's tuning, for agents and reasoning"),
    Family("Zephyr", "Hugging Face", r"zephyr", "tuned from an open model for chat"),
    Family("Vicuna", "LMSYS", r"vicuna", "Llama tuned on shared conversations", False),
    Family("LLaVA", "LLaVA team", r"llava", "reads images too", False),
    Family("TinyLlama", "TinyLlama project", r"tiny-?llama", "a very small Llama for trying things out", False, 2048),
    # Qwen
    Family("QwQ", _QWEN, r"\bqwq", "reasons at length before it answers", True),
    Family("Qwen{}-Coder", _QWEN, r"qwen-?(3)-?coder", "for writing code and for agents", True, 262_144),
    Family("Qwen{}-Coder", _QWEN, r"qwen{v}-?coder", "for writing code", True, 32_768),
    Family("Qwen{}-VL", _QWEN, r"qwen{v}-?vl", "reads images too"),
    Family("Qwen{}", _QWEN, r"qwen{v}.*(?:omni|math|-1m)", "a special version of Qwen"),
    Family("Qwen{}", _QWEN, r"qwen-?(3).*(?:2507|next)", "a general model in many languages", True, 262_144),
    Family("Qwen{}", _QWEN, r"qwen-?(3)(?![\d.])", "a general model; thinks first unless told not to", True, 40_960),
    Family("Qwen{}", _QWEN, r"qwen-?(2\.5)", "a general model in many languages", True, 32_768),
    Family("Qwen{}", _QWEN, r"qwen(?:{v})?", "a general model in many languages"),
    # Llama
    Family("Code Llama", "Meta", r"code-?llama", "Llama 2 for writing code", False, 16_384),
    Family("Llama {}", "Meta", r"llama[-_]?v?(3\.[1-3])(?!\d)", "a general model", True, 131_072),
    Family("Llama {}", "Meta", r"llama[-_]?v?(4)(?![\d.]*b)", "a mixture of experts that reads images too", True),
    Family("Llama {}", "Meta", r"llama[-_]?v?(3)(?![\d.]*b)", "a general model", False, 8192),
    Family("Llama {}", "Meta", r"llama[-_]?v?(2)(?![\d.]*b)", "a general model of 2023", False, 4096),
    Family("Llama", "Meta", r"llama", "a model of the Llama family"),
    # Google
    Family("CodeGemma", "Google", r"codegemma", "Gemma for writing code", False, 8192),
    Family(
        "Gemma {}n", "Google", r"gemma-?(\d)n", "made for phones and laptops; reads images and sound too", None, 32_768
    ),
    Family("Gemma {}", "Google", r"gemma-?(3)\b.*\b(?:1b|270m)", "a small general model", None, 32_768),
    Family("Gemma {}", "Google", r"gemma-?(3)\b", "a general model that reads images too", None, 131_072),
    Family("Gemma {}", "Google", r"gemma-?(2)\b", "a general model", False, 8192),
    Family("Gemma {}", "Google", r"gemma(?:{v})?", "a model of the Gemma family"),
    Family("Gemini {}", "Google", r"gemini-(2\.\d)", "a hosted model of Google", True, 1_048_576),
    Family("Gemini {}", "Google", r"gemini(?:{v})?", "a hosted model of Google"),
    # Microsoft
    Family("Phi-{}", "Microsoft", r"\bphi-?(4)-mini", "a small model that reasons well for its size", True, 131_072),
    Family("Phi-{}", "Microsoft", r"\bphi-?(4)(?!-m)", "a small model that reasons well for its size", None),
    Family("Phi-{}", "Microsoft", r"\bphi(?:{v})?", "a small model that reasons well for its size"),
    # Mistral
    Family("Mixtral", "Mistral AI", r"mixtral.*8x22b", "a mixture of experts", True, 65_536),
    Family("Mixtral", "Mistral AI", r"mixtral", "a mixture of experts", None, 32_768),
    Family("Magistral", "Mistral AI", r"magistral", "reasons before it answers", True),
    Family("Ministral", "Mistral AI", r"ministral", "a small model for laptops and devices", True),
    Family("Codestral", "Mistral AI", r"codestral", "for writing and completing code"),
    Family("Devstral", "Mistral AI", r"devstral", "for agents that work on software", True),
    Family("Mathstral", "Mistral AI", r"mathstral", "for mathematics"),
    Family("Pixtral", "Mistral AI", r"pixtral", "reads images too", True),
    Family("Voxtral", "Mistral AI", r"voxtral", "listens to speech too"),
    Family("Mistral NeMo", "Mistral AI", r"mistral-nemo", "a general model made with NVIDIA", True, 131_072),
    Family("Mistral {}", "Mistral AI", r"mistral-(small|medium|large)", "a general model", True),
    Family("Mistral", "Mistral AI", r"mistral", "a general model"),
    # IBM, TII, Hugging Face, Ai2, 01.AI, Cohere
    Family("Granite Code", "IBM", r"granite-code", "for writing code"),
    Family("Granite {}", "IBM", r"granite-?(3\.[1-3])", "a general model for work and for tools", True, 131_072),
    Family("Granite {}", "IBM", r"granite(?:{v})?", "a general model for work and for tools"),
    Family("Falcon {}", "TII", r"falcon-?(h1|e)\b", "a compact general model"),
    Family("Falcon {}", "TII", r"falcon(?:{v})?", "a general model"),
    Family("SmolLM{}", "Hugging Face", r"smollm(3)", "a very small model, made in the open", True, 65_536),
    Family("SmolLM{}", "Hugging Face", r"smollm(?:{v})?", "a very small model, made in the open"),
    Family("SmolVLM{}", "Hugging Face", r"smolvlm(?:{v})?", "a very small model that reads images too"),
    Family("OLMoE", "Ai2", r"olmoe", "a mixture of experts with open data, code and weights", None, 4096),
    Family("OLMo {}", "Ai2", r"olmo(?:{v})?", "a general model with open data, code and weights"),
    Family("Yi-Coder", "01.AI", r"\byi-coder", "for writing code"),
    Family("Yi-{}", "01.AI", r"(?<![\w.])yi(?:{v}|(?![a-z]))", "a general model in English and Chinese"),
    Family("Command A", "Cohere", r"command-a\b", "for answers from documents, and for tools", True),
    Family("Command R+", "Cohere", r"command-r-?(?:\+|plus)", "for answers from documents, and for tools", True),
    Family("Command R{}", "Cohere", r"command-r(\d)b", "for answers from documents, and for tools", True),
    Family("Command {}", "Cohere", r"\bcommand-?(r)?\b", "for answers from documents, and for tools"),
    Family("Aya", "Cohere", r"\baya\b", "a general model in many languages"),
    # other open weights
    Family("GLM-{}", "Z.ai", r"\b(?:chat)?glm-?(\d(?:\.\d)?)?", "a general model for agents and code"),
    Family("Kimi {}", "Moonshot AI", r"kimi-?(k\d(?:\.\d)?)?", "a large mixture of experts for agents and code"),
    Family("MiniMax {}", "MiniMax", r"minimax-?(m\d(?:\.\d)?)?", "a large mixture of experts for agents and code"),
    Family("Ling {}", "inclusionAI", r"\bling-(?:\w+-)?(\d\.\d)", "a mixture of experts"),
    Family("Ring {}", "inclusionAI", r"\bring-(?:\w+-)?(\d\.\d)", "a mixture of experts that reasons"),
    Family("LFM{}", "Liquid AI", r"\blfm-?(\d(?:\.\d)?)?", "small and fast on laptops and phones"),
    Family("ERNIE {}", "Baidu", r"ernie(?:{v})?", "a general model in Chinese and English"),
    Family("Hunyuan", "Tencent", r"hunyuan", "a general model in Chinese and English"),
    Family("Seed-OSS", "ByteDance", r"seed-oss", "reasons with a budget that can be chosen"),
    Family("InternLM{}", "Shanghai AI Laboratory", r"internlm(?:{v})?", "a general model in Chinese and English"),
    Family("EXAONE {}", "LG AI Research", r"exaone(?:{v})?", "a general model in Korean and English"),
    Family("StarCoder{}", "BigCode", r"starcoder(?:{v})?", "for completing code", False),
    Family("StableLM {}", "Stability AI", r"stablelm(?:{v})?", "a small general model"),
    Family("Solar", "Upstage", r"\bsolar", "a general model in Korean and English"),
    Family("Jamba", "AI21 Labs", r"jamba", "a mix of attention and state-space layers for long texts"),
    Family("BLOOM", "BigScience", r"\bbloomz?\b", "an early open model in many languages", False, 2048),
    Family("OPT", "Meta", r"\bopt-\d", "an early open model that continues text", False, 2048),
    Family("GPT-2", "OpenAI", r"gpt-?2\b", "an early small model that continues text", False, 1024),
    Family("T5", "Google", r"\b(?:flan-|mt5|code)?-?t5", "turns one text into another; not for chat", False),
    # hosted
    Family("GPT-4o", "OpenAI", r"gpt-4o", "a hosted model of OpenAI", True, 128_000),
    Family("GPT-4.1", "OpenAI", r"gpt-4\.1", "a hosted model of OpenAI for long texts", True, 1_047_576),
    Family("GPT-3.5", "OpenAI", r"gpt-3\.?5", "a hosted model of OpenAI, of 2022", True, 16_385),
    Family("GPT-{}", "OpenAI", r"\bgpt-(\d(?:\.\d)?)", "a hosted model of OpenAI", True),
    Family("o{}", "OpenAI", r"^o([134])\b", "a hosted model of OpenAI that reasons"),
    Family("Claude {}", "Anthropic", r"claude-(3)(?:[-.](\d)(?!\d))?", "a hosted model of Anthropic", True, 200_000),
    Family(
        "Claude {}",
        "Anthropic",
        r"claude(?:-(?:[a-z]+-)?(\d)(?:[-.](\d)(?!\d))?)?",
        "a hosted model of Anthropic",
        True,
    ),
    Family("Grok {}", "xAI", r"grok(?:{v})?", "a hosted model of xAI"),
    Family("Nova", "Amazon", r"\bnova-(?:micro|lite|pro|premier)", "a hosted model of Amazon", True),
    Family("Sonar", "Perplexity", r"\bsonar", "answers with what it finds on the web"),
)

EMBEDDING = re.compile(r"embed|\bbge-|\bgte-|\be5-|minilm|retrieval|colbert|sentence-t5|\bvoyage-")
"""Names of models that turn text into vectors."""

OTHER = re.compile(
    r"rerank|guard|shieldgemma|moderation|whisper|transcri|\btts\b|speech|realtime|dall-e|image|imagen|\bflux|diffusion"
    r"|sdxl|\bsora|\bveo\b|kandinsky|babbage|davinci|turbo-instruct|\bbark\b|parakeet|\bopus-mt|(?:\b|flan-|mt|code)t5(?!gemma)"
)
"""Names of models that do something else than talk."""
