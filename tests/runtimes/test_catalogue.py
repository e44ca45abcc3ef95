"""What a model's name says, on names as runtimes, hosts and files write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alain_magics.runtimes.base import ModelInfo
from alain_magics.runtimes.catalogue import amount, describe, parameters, quantisation
from alain_magics.runtimes.families import FAMILIES


def described(name: str, **reported: object) -> ModelInfo:
    """Describe a model of which nothing but its name, and perhaps what is ``reported``, is known."""
    return describe(ModelInfo(name, "somewhere", **reported))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "family", "maker"),
    [
        # LM Studio
        ("openai/gpt-oss-20b", "gpt-oss", "OpenAI"),
        ("qwen/qwen3-4b-2507", "Qwen3", "Alibaba"),
        ("google/gemma-3n-e4b", "Gemma 3n", "Google"),
        ("microsoft/phi-4-reasoning-plus", "Phi-4", "Microsoft"),
        ("mistralai/mistral-small-3.2", "Mistral Small", "Mistral AI"),
        ("mistralai/devstral-small-2507", "Devstral", "Mistral AI"),
        ("ibm/granite-4-h-tiny", "Granite 4", "IBM"),
        ("meta-llama-3.1-8b-instruct", "Llama 3.1", "Meta"),
        ("lmstudio-community/Meta-Llama-3.1-8B-Instruct-GGUF", "Llama 3.1", "Meta"),
        ("deepseek/deepseek-r1-0528-qwen3-8b", "DeepSeek-R1 distilled into Qwen3", "DeepSeek"),
        ("liquid/lfm2-1.2b", "LFM2", "Liquid AI"),
        # Ollama
        ("gpt-oss:120b-cloud", "gpt-oss", "OpenAI"),
        ("llama3.2:3b-instruct-q4_K_M", "Llama 3.2", "Meta"),
        ("llama3:8b", "Llama 3", "Meta"),
        ("llama2:13b", "Llama 2", "Meta"),
        ("codellama:7b-code", "Code Llama", "Meta"),
        ("qwq:32b", "QwQ", "Alibaba"),
        ("qwen2.5-coder:7b", "Qwen2.5-Coder", "Alibaba"),
        ("qwen2.5vl:7b", "Qwen2.5-VL", "Alibaba"),
        ("qwen:0.5b", "Qwen", "Alibaba"),
        ("gemma3:4b-it-qat", "Gemma 3", "Google"),
        ("gemma2:9b", "Gemma 2", "Google"),
        ("gemma:7b", "Gemma", "Google"),
        ("phi4-mini", "Phi-4", "Microsoft"),
        ("phi:2.7b", "Phi", "Microsoft"),
        ("mixtral:8x7b", "Mixtral", "Mistral AI"),
        ("mistral-nemo", "Mistral NeMo", "Mistral AI"),
        ("codestral:22b", "Codestral", "Mistral AI"),
        ("deepseek-r1:1.5b", "DeepSeek-R1 distilled into Qwen2.5", "DeepSeek"),
        ("deepseek-r1:70b", "DeepSeek-R1 distilled into Llama 3.3", "DeepSeek"),
        ("deepseek-r1:671b", "DeepSeek-R1", "DeepSeek"),
        ("granite3.3:8b", "Granite 3.3", "IBM"),
        ("falcon3:7b", "Falcon 3", "TII"),
        ("smollm:135m", "SmolLM", "Hugging Face"),
        ("smollm2:135m", "SmolLM2", "Hugging Face"),
        ("olmo2:7b", "OLMo 2", "Ai2"),
        ("yi:6b", "Yi", "01.AI"),
        ("command-r:35b", "Command R", "Cohere"),
        ("command-r7b", "Command R7", "Cohere"),
        # Together, OpenRouter, Hugging Face
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", "Llama 4", "Meta"),
        ("Qwen/Qwen3-235B-A22B-fp8-tput", "Qwen3", "Alibaba"),
        ("Qwen/Qwen3.8-27B", "Qwen3.8", "Alibaba"),
        ("deepseek/deepseek-chat-v3.1", "DeepSeek-V3.1", "DeepSeek"),
        ("nousresearch/hermes-3-llama-3.1-405b", "Hermes 3", "Nous Research"),
        ("nvidia/llama-3.1-nemotron-70b-instruct", "Nemotron", "NVIDIA"),
        ("cohere/command-r-plus-08-2024", "Command R+", "Cohere"),
        ("01-ai/Yi-1.5-34B-Chat", "Yi-1.5", "01.AI"),
        ("tiiuae/falcon-h1-0.5b-instruct", "Falcon H1", "TII"),
        ("allenai/OLMo-2-1124-7B-Instruct", "OLMo 2", "Ai2"),
        ("HuggingFaceTB/SmolLM3-3B", "SmolLM3", "Hugging Face"),
        ("mistralai/Ministral-8B-Instruct-2410", "Ministral", "Mistral AI"),
        ("moonshotai/Kimi-K2-Instruct", "Kimi K2", "Moonshot AI"),
        ("zai-org/GLM-4.5-Air-FP8", "GLM-4.5", "Z.ai"),
        ("x-ai/grok-4", "Grok 4", "xAI"),
        # hosted
        ("gpt-4o-2024-08-06", "GPT-4o", "OpenAI"),
        ("gpt-6-luna", "GPT-6", "OpenAI"),
        ("o3-mini", "o3", "OpenAI"),
        ("ft:gpt-4o-mini-2024-07-18:org::abc", "GPT-4o", "OpenAI"),
        ("claude-3-5-sonnet-20241022", "Claude 3.5", "Anthropic"),
        ("claude-opus-4-1-20250805", "Claude 4.1", "Anthropic"),
        ("claude-opus-4-20250514", "Claude 4", "Anthropic"),
        ("anthropic/claude-sonnet-4.5", "Claude 4.5", "Anthropic"),
        ("google/gemini-2.5-pro", "Gemini 2.5", "Google"),
        # files
        ("DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", "DeepSeek-R1 distilled into Qwen2.5", "DeepSeek"),
        ("/srv/models/Mistral-7B-Instruct-v0.3.Q8_0.gguf", "Mistral", "Mistral AI"),
        ("llama-2-7b.Q5_K_M.gguf", "Llama 2", "Meta"),
        ("llama-7b.gguf", "Llama", "Meta"),
        ("model-00001-of-00003.gguf", "", ""),
    ],
)
def test_family_and_maker_are_read_off_the_name(name: str, family: str, maker: str) -> None:
    found = described(name)
    assert (found.family, found.maker) == (family, maker)


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("qwen3", "DeepSeek-R1 distilled into Qwen3"),
        ("qwen2", "DeepSeek-R1 distilled into Qwen2.5"),
        ("llama", "DeepSeek-R1 distilled into Llama 3.1"),
        ("", "DeepSeek-R1 distilled into Qwen3 or Llama 3.1"),
    ],
)
def test_the_architecture_tells_both_parents_of_a_distilled_model(architecture: str, family: str) -> None:
    assert described("deepseek-r1:8b", family=architecture).family == family


def test_a_family_that_no_name_tells_is_that_of_the_architecture() -> None:
    assert described("my-assistant", family="gemma3").family == "Gemma 3"
    assert described("my-assistant", family="homegrown").family == "homegrown"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("llama3.1:8b", 8_000_000_000),
        ("Qwen2.5-1.5B-Instruct", 1_500_000_000),
        ("smollm2:135m", 135_000_000),
        ("Ling-1T", 1_000_000_000_000),
        ("qwen3-30b-a3b", 30_000_000_000),
        ("OLMoE-1B-7B-0924", 7_000_000_000),
        ("Qwen2.5-14B-Instruct-1M", 14_000_000_000),
        ("gemma-3-4b-it-q4_0", 4_000_000_000),
        ("mixtral:8x7b", None),
        ("gemma-3n-e4b", None),
        ("Qwen1.5-MoE-A2.7B", None),
        ("llama-4-maverick-17b-128e-instruct", None),
        ("Qwen3-Embedding-4bit", None),
        ("phi-3-mini-128k-instruct", None),
        ("claude-3-5-sonnet-20241022", None),
        ("gpt-4-32k", None),
    ],
)
def test_the_number_of_parameters_is_what_the_name_says_and_never_a_guess(name: str, number: int | None) -> None:
    assert parameters(name) == number


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mixtral:8x7b", "8 experts of 7B parameters"),
        ("qwen3-30b-a3b", "3B parameters at work for each token"),
        ("granite-3.1-1b-a400m-instruct", "400M parameters at work for each token"),
        ("llama-4-scout-17b-16e-instruct", "17B parameters at work for each token"),
        ("gemma3n:e4b", "takes the memory of 4B parameters"),
        ("llama3.2-vision:11b", "reads images too"),
        ("Qwen3-8B-Base", "continues text and is not tuned for chat"),
        ("nomic-embed-text", "Turns text into vectors; not for chat"),
    ],
)
def test_the_description_tells_what_no_figure_can(name: str, says: str) -> None:
    assert says in described(name).description


def test_every_family_has_a_one_line_description_that_begins_like_a_sentence() -> None:
    for family in FAMILIES:
        assert family.about
        assert "\n" not in family.about
        assert not family.about.endswith(".")
    assert described("gpt-oss-20b").description.startswith("Open weights; reasons")


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("llama3.2:3b-instruct-q4_K_M", "Q4_K_M"),
        ("Qwen3-30B-A3B-UD-Q4_K_XL.gguf", "Q4_K_XL"),
        ("Mistral-7B-Instruct-v0.3.IQ4_XS", "IQ4_XS"),
        ("Mistral-7B.Q8_0", "Q8_0"),
        ("gpt-oss-20b-MXFP4", "MXFP4"),
        ("mlx-community/Qwen3-4B-4bit", "4-bit"),
        ("Qwen2.5-7B-Instruct-AWQ", "AWQ"),
        ("Qwen2.5-7B-Instruct-GPTQ-Int4", "INT4"),
        ("Llama-3.2-3B-Instruct-bf16", "BF16"),
        ("DeepSeek-V3-FP8", "FP8"),
        ("llama3.1:8b", ""),
        ("qwen3:8b", ""),
    ],
)
def test_the_quantisation_is_what_the_name_says(name: str, stored: str) -> None:
    assert quantisation(name) == stored


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-oss:20b", "chat"),
        ("my-own-tune", "chat"),
        ("nomic-embed-text:latest", "embedding"),
        ("text-embedding-3-small", "embedding"),
        ("BAAI/bge-large-en-v1.5", "embedding"),
        ("all-minilm", "embedding"),
        ("togethercomputer/m2-bert-80M-32k-retrieval", "embedding"),
        ("meta-llama/Llama-Guard-4-12B", "other"),
        ("black-forest-labs/FLUX.1-schnell", "other"),
        ("whisper-1", "other"),
        ("gpt-image-1", "other"),
        ("gpt-4o-mini-realtime-preview", "other"),
        ("gpt-3.5-turbo-instruct", "other"),
        ("google-t5/t5-small", "other"),
        ("Helsinki-NLP/opus-mt-en-fr", "other"),
    ],
)
def test_what_is_no_model_to_chat_with_is_told_apart(name: str, kind: str) -> None:
    assert described(name).kind == kind


def test_what_the_runtime_reports_stays() -> None:
    reported = {"parameters": 7, "context": 8, "quantisation": "Q2_K", "tools": False, "description": "Mine."}
    found = described("gpt-oss-20b-MXFP4", maker="lmstudio-community", **reported)
    assert {name: getattr(found, name) for name in reported} == reported
    assert found.maker == "OpenAI"


def test_what_holds_for_a_whole_family_is_filled_in() -> None:
    found = described("openai/gpt-oss-20b")
    assert (found.context, found.tools) == (131_072, True)
    assert (described("llama2:7b").context, described("llama2:7b").tools) == (4096, False)
    assert described("Phi-3-mini-128k-instruct").context == 131_072
    assert described("qwen3-4b-2507").context == 262_144
    assert described("somebodys-model").context is None


def test_real_model_cards_agree_with_what_is_said_of_their_names(shared: Path) -> None:
    compared = 0
    for card in sorted((shared / "fixtures" / "model_cards").glob("*.model.json")):
        repository = json.loads(card.read_bytes())["id"]
        config = card.with_name(card.name.replace(".model.json", ".config.json"))
        known = json.loads(config.read_bytes()) if config.exists() else {}
        window = {**known, **(known.get("text_config") or {})}.get("max_position_embeddings")
        found = described(repository)
        if window and found.context:
            assert found.context == window, repository
            compared += 1
        weights = (json.loads(card.read_bytes()).get("safetensors") or {}).get("total")
        if weights and found.parameters:  # names round, and 0.6B leaves the embeddings out
            assert 0.75 < found.parameters / weights < 1.34, repository
            compared += 1
    assert compared >= 8


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (12, "12"), (977_280, "977K"), (135_000_000, "135M"), (20_914_757_184, "20.9B"), (10**12, "1T")],
)
def test_numbers_of_parameters_are_written_as_people_do(number: int | None, text: str) -> None:
    assert amount(number) == text


@given(st.text(max_size=60))
@example("8b" * 30)
@example("qwen-" + "2." * 25)
def test_any_name_is_described(name: str) -> None:
    found = described(name)
    assert found.id == name
    assert found.description == " ".join(found.description.split())
    assert describe(found) == found
