"""Loading a model and talking to it as its card asks: class, version, special tokens, prompts, sampling."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alain_magics.lessons.document import CodeBlock, Fact
from alain_magics.lessons.sources.markdown import Passage
from alain_magics.lessons.teachers.card.claims import cited, plain
from alain_magics.lessons.teachers.card.items import Cited, at
from alain_magics.lessons.teachers.card.model import Model

_NAMES = r"temperature|top[_-]?p|top[_-]?k|min[_-]?p"
_SETTING = re.compile(rf"`?\b({_NAMES})`?\s*(?:=|:|\bof\b)\s*`?\$?(\d{{1,3}}(?:\.\d{{1,3}})?)", re.IGNORECASE)
_VERSION = re.compile(r"`?transformers\s*(<|>=)\s*v?(\d{1,2})\.(\d{1,3})(?:\.(\d{1,3}))?\b")
_MODE = re.compile(r"(?<![\w-])(non-thinking|thinking) mode\b", re.IGNORECASE)


def loading_items(model: Model) -> Iterator[Cited]:
    """What to load, with which version, and which token ends an answer."""
    for make in (_auto_class, _version, _prefix, _end_token, _quantised):
        item = make(model)
        if item:
            yield item


def prompting_items(model: Model) -> Iterator[Cited]:
    """Where instructions go, what goes into the history, how to sample."""
    for make in (_system_prompt, _history, _format, _thinking, _settings, _greedy):
        item = make(model)
        if item:
            yield item


def _find(model: Model, pattern: str) -> Passage | None:
    compiled = re.compile(pattern, re.IGNORECASE)
    return next((passage for passage in model.document.passages if compiled.search(passage.text)), None)


def _auto_class(model: Model) -> Cited | None:
    """The class of transformers that loads it for generation."""
    fact = next((fact for fact in model.document.facts if fact.name == "architectures"), None)
    names = fact.value if fact and isinstance(fact.value, list) else []
    if fact is None or len(names) != 1 or model.config.has_vision:
        return None
    name = str(names[0])
    reads = model.config.get("is_encoder_decoder") is True or name.startswith(("T5For", "Marian"))
    if not name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) or reads == name.endswith("ForCausalLM"):
        return None
    kind = "an encoder-decoder" if reads else "a decoder"
    classes = {
        "AutoModelForCausalLM": "For decoders, which continue a text.",
        "AutoModelForSeq2SeqLM": "For encoder-decoders, which read an input and write an output.",
        "AutoModelForMaskedLM": "For encoders that fill in masked words.",
        "AutoModelForSequenceClassification": "For a classifier on top of a model; it writes no text.",
    }
    key = "AutoModelForSeq2SeqLM" if reads else "AutoModelForCausalLM"
    return Cited(
        stem=f"The configuration of {model.name} names the architecture `{plain(name, 60)}`. Which class of transformers loads it to write text?",
        key=key,
        wrong=tuple((other, says) for other, says in classes.items() if other != key),
        facts=(fact,),
        explanation=f"`{plain(name, 60)}` is {kind}. {classes[key]}",
    )


def _version(model: Model) -> Cited | None:
    """The oldest of some releases that loads it, from a stated bound."""
    for passage in model.document.passages:
        match = _VERSION.search(passage.text)
        if not match or int(match[3]) < 3:
            continue
        if match[1] == "<" and "error" not in passage.text:
            continue
        major, minor = int(match[2]), int(match[3])
        bound = f"{major}.{minor}.{match[4] or 0}"
        options = {
            f"{major}.{minor - 2}.0": f"That is older than {bound}.",
            f"{major}.{minor - 1}.2": f"That is still older than {bound}.",
            f"{major}.{minor + 1}.0": f"That works, but {bound} is older and works too.",
        }
        return Cited(
            stem=f"A server offers four releases of transformers. Which is the oldest of them that loads {model.name}, by its card?",
            key=bound,
            wrong=tuple(options.items()),
            facts=cited(passage),
            explanation=f"The card says: “{plain(passage.text, 160)}”",
        )
    return None


def _prefix(model: Model) -> Cited | None:
    """The text that a task of a text-to-text model must begin with."""
    fact = next((fact for fact in model.document.facts if fact.name == "task_specific_params.summarization.prefix"), None)
    if fact is None or fact.value != "summarize: ":
        return None
    text = "The tower is 324 metres tall."
    return Cited(
        stem=f"{model.name} tells its tasks apart by how the input begins. Which input asks it for a short version of a text?",
        key=f"summarize: {text}",
        wrong=(
            (f"summarization: {text}", "That is the name of the task in config.json; its prefix is another word."),
            (f"{text} TL;DR:", "That is a prompt for decoders, which continue a text."),
            (f"Please shorten this: {text}", "It was trained with fixed prefixes, not with instructions in free words."),
        ),
        facts=(fact,),
        explanation="config.json gives the prefix “summarize: ” for this task; the text follows it.",
    )


def _end_token(model: Model) -> Cited | None:
    """The special token that ends an answer, among the other special tokens of the same model."""
    tokens = {
        fact.name.removeprefix("tokenizer."): fact
        for fact in model.document.facts
        if fact.ref == "Hub record" and fact.name.startswith("tokenizer.")
    }
    end = tokens.get("eos_token")
    if end is None or not _is_token(end.value):
        return None
    roles = {
        "bos_token": "begins a text", "pad_token": "fills up short texts of a batch", "unk_token": "stands for what the vocabulary lacks",
        "sep_token": "separates two texts", "cls_token": "stands for a whole text", "mask_token": "stands for a hidden word",
    }
    wrong = {
        str(fact.value): f"That is `{name}`: it {roles[name]}."
        for name, fact in tokens.items()
        if name in roles and _is_token(fact.value) and fact.value != end.value
    }
    for marker, passage in _markers(model):
        if marker != end.value and len(wrong) < 3:
            wrong.setdefault(marker, "That marks a part of a conversation; the card shows it in its example.")
    if len(wrong) < 2:
        return None
    return Cited(
        stem=f"You read what {model.name} writes token by token. At which token does your program stop?",
        key=str(end.value),
        wrong=tuple(wrong.items())[:3],
        facts=(end,),
        explanation="The tokenizer's record names it as `eos_token`, the end of a sequence.",
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[<\[][^\s`]{1,40}[>\]]", value) is not None


def _markers(model: Model) -> list[tuple[str, CodeBlock]]:
    """Role markers such as ``<|user|>`` in the card's code."""
    return [(marker, block) for block in model.document.code_blocks for marker in re.findall(r"<\|\w{1,20}\|>", block.code)]


def _quantised(model: Model) -> Cited | None:
    kept = next((fact for fact in model.document.facts if fact.name == "quantization_config.modules_to_not_convert"), None)
    method = next((fact for fact in model.document.facts if fact.name == "quantization_config.quant_method"), None)
    names = {"self_attn": "The attention projections", "router": "The routers", "embed_tokens": "The token embeddings"}
    if kept is None or method is None or not isinstance(kept.value, list) or not model.config.count("num_local_experts"):
        return None
    if not all(any(name in str(entry) for entry in kept.value) for name in names):
        return None
    return Cited(
        stem=f"The configuration of {model.name} names a quantisation and the modules that are left as they are. Which weights are quantised?",
        key="The weights of the experts",
        wrong=tuple((says, "`modules_to_not_convert` names them: they are left as they are.") for says in names.values()),
        facts=(kept, method),
        explanation=f"`modules_to_not_convert` lists everything else; what is left to {plain(str(method.value), 20)} are the experts, most of the weights.",
        difficulty="intermediate",
    )


def _system_prompt(model: Model) -> Cited | None:
    avoid = _find(model, r"avoid (?:adding|using) a system prompt")
    use = _find(model, r"reasoning prompt is given in the system prompt")
    passage = avoid or use
    if passage is None or (avoid and use):
        return None
    places = {
        "the user's message": "The card wants it in the system prompt." ,
        "a system prompt": "The card advises against a system prompt.",
        "the start of the answer": "What the answer begins with is left to the model here.",
        "the description of a tool": "That is for tools; the card does NOT mention it.",
    }
    key = "the user's message" if avoid else "a system prompt"
    what = "instructions" if avoid else "the text that tells the model how to reason"
    return Cited(
        stem=f"Where does the card of {model.name} want {what} to stand?",
        key=f"In {key}",
        wrong=tuple((f"In {place}", says) for place, says in places.items() if place != key),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 200)}”",
    )


def _history(model: Model) -> Cited | None:
    passage = _find(model, r"historical model output should only include the final output")
    if passage is None:
        return None
    return Cited(
        stem=f"A chat with {model.name} goes into its second turn. What of the first answer belongs into the history?",
        key="The final part of it, the thinking removed",
        wrong=(
            ("The thinking part of it, the rest removed", "It is the other way round."),
            ("The thinking part of it and the final part", "The card wants the thinking left out."),
            ("A summary of it, the thinking included", "The card asks for the final output, which is no summary."),
        ),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 220)}”",
        difficulty="intermediate",
    )


def _format(model: Model) -> Cited | None:
    passage = _find(model, r"should only be used with the harmony format")
    if passage is None:
        return None
    return Cited(
        stem=f"You send tokens to {model.name} yourself, past the chat template of transformers. In which format must the conversation be?",
        key="Harmony",
        wrong=(
            ("ChatML", "Qwen models and others use it; this card asks for another."),
            ("Alpaca", "It is a format for instructions of older models; this card asks for another."),
            ("Llama 2 chat", "It belongs to Llama 2; this card asks for another."),
        ),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 200)}”",
    )


def _thinking(model: Model) -> Cited | None:
    passage = _find(model, r"when `enable_thinking=False`, the soft switches are not valid")
    if passage is None:
        return None
    return Cited(
        stem=(
            f"A program calls the chat template of {model.name} with `enable_thinking=False`, and a user writes `/think` at the end "
            "of the message. What does the model write?"
        ),
        key="An answer with no think block",
        wrong=(
            ("A think block, then the answer", "The switch in the message has no effect here."),
            ("An empty think block, then the answer", "That is what `/no_think` gives with `enable_thinking=True`."),
            ("The think block and nothing after it", "Thinking is off, and an answer follows in any mode."),
        ),
        facts=cited(passage),
        explanation="With `enable_thinking=False` the switches in messages are ignored: no think block is written.",
        difficulty="intermediate",
    )


def _settings(model: Model) -> Cited | None:
    return _two_modes(model) or _temperature(model)


def read_settings(text: str) -> dict[str, str]:
    """Sampling settings that a text states, by name: ``temperature``, ``top_p``, ``top_k``, ``min_p``."""
    found = {}
    for match in _SETTING.finditer(text):
        name = match[1].lower().replace("-", "_")
        found.setdefault(name if "_" in name or name == "temperature" else f"{name[:3]}_{name[3:]}", match[2])
    return found


def _two_modes(model: Model) -> Cited | None:
    """Temperature and top-p for one of two modes: the four options are all combinations of what the card names."""
    modes: dict[str, tuple[dict[str, str], Passage]] = {}
    for passage in model.document.passages:
        named = _MODE.search(passage.text)
        settings = read_settings(passage.text)
        if named and {"temperature", "top_p"} <= settings.keys():
            modes.setdefault(named[1].lower(), (settings, passage))
    if modes.keys() != {"thinking", "non-thinking"}:
        return None
    (off, passage), (on, _) = modes["non-thinking"], modes["thinking"]
    if any(off[name] == on[name] for name in ("temperature", "top_p")):
        return None
    pairs = {(t, p): f"`temperature={t}`, `top_p={p}`" for t in (off["temperature"], on["temperature"]) for p in (off["top_p"], on["top_p"])}
    key = (off["temperature"], off["top_p"])
    says = {(on["temperature"], on["top_p"]): "That is for thinking mode."}
    return Cited(
        stem=f"A program uses {model.name} in non-thinking mode. Which settings does the card suggest?",
        key=pairs[key],
        wrong=tuple((text, says.get(pair, "That mixes the settings of the two modes.")) for pair, text in pairs.items() if pair != key),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 200)}”",
    )


def _temperature(model: Model) -> Cited | None:
    stated: tuple[str, Fact, str] | None = None
    recommended = re.compile(r"temperature[^.]{0,60}?\((\d\.\d{1,2}) is recommended\)", re.IGNORECASE)
    for passage in model.document.passages:
        if match := recommended.search(passage.text):
            stated = (match[1], *cited(passage), passage.text)
            break
        if "temperature" in (settings := read_settings(passage.text)):
            stated = stated or (settings["temperature"], *cited(passage), passage.text)
    for block in model.document.code_blocks:
        if stated is None and "temperature" in (settings := read_settings(block.code)):
            stated = (settings["temperature"], at(block.span, "card"), "")
    if stated is None or not 0.1 <= float(stated[0]) <= 0.9:
        return None
    value, fact, text = stated
    others = {"0": "That is greedy decoding: the same answer every time.", "1.0": "That leaves the model's probabilities as they are.", "1.5": "That flattens the probabilities: rare tokens become more likely."}
    verb = "recommend" if text else "use in its example"
    return Cited(
        stem=f"Which temperature does the card of {model.name} {verb}?",
        key=value,
        wrong=tuple(others.items()),
        facts=(fact,),
        explanation=f"The card says: “{plain(text, 200)}”" if text else f"The card's example sets `temperature={value}`.",
    )


def _greedy(model: Model) -> Cited | None:
    passage = _find(model, r"do not use greedy decoding")
    if passage is None:
        return None
    return Cited(
        stem=f"The card of {model.name} warns that one way of decoding leads to endless repetitions in thinking mode. Which one?",
        key="Greedy decoding (`do_sample=False`)",
        wrong=(
            ("Top-k sampling (`top_k=20`)", "The card asks for top-k 20."),
            ("Nucleus sampling (`top_p=0.95`)", "The card asks for top-p 0.95."),
            ("Sampling at a `temperature` of 0.6", "The card asks for temperature 0.6."),
        ),
        facts=cited(passage),
        explanation=f"The card says: “{plain(passage.text, 200)}”",
    )
