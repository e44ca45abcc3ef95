"""Loading a model: the class that loads it, the release that is needed, the token that ends an answer, its settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alain_magics.lessons.document import Fact
from alain_magics.lessons.sources.markdown import Passage
from alain_magics.lessons.teachers.card.claims import cited, plain, sentence
from alain_magics.lessons.teachers.card.items import Cited, Computed, Slip, at, rounded
from alain_magics.lessons.teachers.card.model import Model

_SETTING = re.compile(
    r"`?\b(temperature|top[_-]?p|top[_-]?k|min[_-]?p)`?\s*(?:=|:|\bof\b)\s*`?\$?(\d{1,3}(?:\.\d{1,3})?)", re.IGNORECASE
)
_RECOMMENDED = re.compile(r"temperature.{0,60}?\((\d\.\d{1,2}) is recommended\)", re.IGNORECASE)
_VERSION = re.compile(r"`?\btransformers\s*(<|>=)\s*v?(\d{1,2})\.(\d{1,3})(?:\.(\d{1,3}))?")
_MODE = re.compile(r"(?<![\w-])(non-thinking|thinking) mode\b", re.IGNORECASE)


def loading_items(model: Model) -> Iterator[Cited]:
    """What to load, with which release, and which token ends an answer."""
    for make in (_auto_class, _version, _prefix, _end_token, _quantised):
        item = make(model)
        if item:
            yield item


def setting_items(model: Model) -> Iterator[Computed | Cited]:
    """The sampling settings that the card asks for."""
    item = _two_modes(model) or _temperature(model)
    if item:
        yield item


def _auto_class(model: Model) -> Cited | None:
    fact = next((fact for fact in model.document.facts if fact.name == "architectures"), None)
    if fact is None or not isinstance(fact.value, list) or len(fact.value) != 1 or model.config.has_vision:
        return None
    name = plain(str(fact.value[0]), 60)
    pair = model.config.get("is_encoder_decoder") is True
    if not name.endswith(("ForConditionalGeneration",) if pair else ("ForCausalLM", "LMHeadModel")):
        return None
    classes = {
        "AutoModelForCausalLM": "It is for decoders, which continue a text.",
        "AutoModelForSeq2SeqLM": "It is for encoder-decoders, which read an input and write an output.",
        "AutoModelForMaskedLM": "It is for encoders that fill in masked words.",
        "AutoModelForSequenceClassification": "It puts a classifier on top of a model; it writes no text.",
    }
    key = "AutoModelForSeq2SeqLM" if pair else "AutoModelForCausalLM"
    facts = (fact, *model.config.facts("is_encoder_decoder"))
    return Cited(
        stem=f"Which class of transformers loads {model.name} so that it writes text?",
        key=key,
        wrong=tuple((other, says) for other, says in classes.items() if other != key),
        facts=facts,
        explanation=(
            f"`{name}` names {'an encoder-decoder' if pair else 'a decoder'}, and `{key}` is the class for these."
        ),
        literal=True,
        quotes=(f"architectures: {name}" + ("; is_encoder_decoder: true" if pair else ""),),
    )


def _version(model: Model) -> Cited | None:
    """The oldest of some releases that loads it, where the card states a bound."""
    for passage in model.document.passages:
        match = _VERSION.search(passage.text)
        if not match or int(match[3]) < 3 or (match[1] == "<" and "error" not in passage.text):
            continue
        major, minor = int(match[2]), int(match[3])
        bound = f"{major}.{minor}.{match[4] or 0}"
        # the bound itself is not offered: it stands in the passage that is shown
        return Cited(
            stem=(
                f"A server offers four releases of transformers. Which is the oldest of them that loads {model.name}, "
                "by its card?"
            ),
            key=f"{major}.{minor + 1}.0",
            wrong=(
                (f"{major}.{minor - 2}.0", f"That is older than {bound}."),
                (f"{major}.{minor - 1}.2", f"That is still older than {bound}."),
                (f"{major}.{minor + 2}.0", f"That works; so does {major}.{minor + 1}.0, which is older."),
            ),
            facts=cited(passage),
            explanation=f"The card says: “{plain(sentence(passage.text, match))}”",
            quotes=(sentence(passage.text, match),),
            literal=True,
        )
    return None


def _prefix(model: Model) -> Cited | None:
    """The text that a task of a text-to-text model must begin with, by the pattern of another task."""
    facts = {fact.name.split(".")[-2]: fact for fact in model.document.facts if fact.name.endswith(".prefix")}
    shown, meant = facts.get("translation_en_to_de"), facts.get("translation_en_to_fr")
    if not shown or not meant or shown.value != "translate English to German: ":
        return None
    if meant.value != "translate English to French: ":
        return None
    text = "The tower is tall."
    return Cited(
        stem=(
            f"{model.name} tells its tasks apart by how the input begins. Which input asks it for a sentence in French?"
        ),
        key=f"translate English to French: {text}",
        wrong=(
            (f"translate French to English: {text}", "That asks for English: the source comes first."),
            (f"translation_en_to_fr: {text}", "That is the name of the task in config.json; its prefix is in words."),
            (f"{text} Say it in French:", "It was trained with fixed prefixes, which come first."),
        ),
        facts=(shown, meant),
        explanation="The prefixes name the task, the source and the target; the text follows.",
        literal=True,
        quotes=("task_specific_params, translation_en_to_de, prefix: “translate English to German: ”",),
    )


def _end_token(model: Model) -> Cited | None:
    """The special token that ends an answer, among the other special tokens of the same model."""
    tokens = {
        fact.name.removeprefix("tokenizer."): fact
        for fact in model.document.facts
        if fact.ref == "Hub record" and fact.name.startswith("tokenizer.") and _is_token(fact.value)
    }
    end = tokens.pop("eos_token", None)
    roles = {
        "bos_token": "begins a text",
        "pad_token": "fills up the short texts of a batch",
        "unk_token": "stands for what the vocabulary lacks",
        "sep_token": "separates two texts",
        "cls_token": "stands for a whole text",
        "mask_token": "stands for a hidden word",
    }
    if end is None:
        return None
    wrong = {
        str(fact.value): f"That is `{name}`, which {roles[name]}."
        for name, fact in tokens.items()
        if name in roles and fact.value != end.value
    }
    for block in model.document.code_blocks:
        for marker in re.findall(r"<\|\w{1,20}\|>", block.code):
            if marker != end.value and len(wrong) < 3:
                wrong.setdefault(marker, "That marks whose turn begins; the card's example shows it.")
    if len(wrong) < 2:
        return None
    shown = [f"{name}: {fact.value}" for name, fact in {"eos_token": end, **tokens}.items()]
    return Cited(
        stem=f"You read what {model.name} writes token by token. At which token does your program stop?",
        key=str(end.value),
        wrong=tuple(wrong.items())[:3],
        facts=(end, *tokens.values()),
        explanation="It is the `eos_token`, which ends a sequence.",
        literal=True,
        quotes=("; ".join(shown),),
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[<\[][^\s`]{1,40}[>\]]", value) is not None


def _quantised(model: Model) -> Cited | None:
    """What is left after everything that the configuration excludes from quantisation."""
    kept = next(
        (fact for fact in model.document.facts if fact.name == "quantization_config.modules_to_not_convert"), None
    )
    names = {
        "self_attn": "The attention projections",
        "router": "The routers of the layers",
        "embed_tokens": "The token embeddings",
    }
    if kept is None or not isinstance(kept.value, list) or not model.config.count("num_local_experts"):
        return None
    if not all(any(name in str(entry) for entry in kept.value) for name in names):
        return None
    return Cited(
        stem=f"The configuration of {model.name} names modules that are left as they are. What is quantised?",
        key="The weights of the experts",
        wrong=tuple((says, "`modules_to_not_convert` names them: they stay as they are.") for says in names.values()),
        facts=(kept,),
        explanation="The list names everything but the experts.",
        difficulty="intermediate",
        quotes=("modules_to_not_convert: " + ", ".join(plain(str(entry), 40) for entry in kept.value[:6]),),
    )


def read_settings(text: str) -> dict[str, str]:
    """Sampling settings that a text states, by name: ``temperature``, ``top_p``, ``top_k``, ``min_p``."""
    found: dict[str, str] = {}
    for match in _SETTING.finditer(text):
        name = match[1].lower().replace("-", "").replace("_", "")
        found.setdefault(name if name == "temperature" else f"{name[:3]}_{name[3:]}", match[2])
    return found


def _two_modes(model: Model) -> Cited | None:
    """Temperature and top-p for one of two modes: the options are all combinations of what the card names."""
    modes: dict[str, tuple[dict[str, str], Passage]] = {}
    for passage in model.document.passages:
        named, settings = _MODE.search(passage.text), read_settings(passage.text)
        if named and {"temperature", "top_p"} <= settings.keys():
            modes.setdefault(named[1].lower(), (settings, passage))
    if modes.keys() != {"thinking", "non-thinking"}:
        return None
    (off, passage), (on, other) = modes["non-thinking"], modes["thinking"]
    if any(off[name] == on[name] for name in ("temperature", "top_p")):
        return None
    warmer, wider = (float(off[name]) > float(on[name]) for name in ("temperature", "top_p"))
    moves = [
        f"Temperature {'rises' if up else 'falls'}, top-p {'rises' if out else 'falls'}"
        for up, out in ((warmer, wider), (not warmer, not wider), (not warmer, wider), (warmer, not wider))
    ]
    says = " and ".join(f"{name} goes from {on[name]} to {off[name]}" for name in ("temperature", "top_p")) + "."
    return Cited(
        stem=(
            f"A program with the settings of the card for {model.name} goes over from thinking to non-thinking mode. "
            "What happens to temperature and top-p?"
        ),
        key=moves[0],
        wrong=tuple(
            zip(
                moves[1:],
                ("That is the way back, to thinking mode.", f"By the card, {says}", f"By the card, {says}"),
                strict=True,
            )
        ),
        facts=(*cited(passage), *cited(other)),
        explanation=f"By the card, {says}",
        quotes=tuple(_settings_sentence(text) for text in (other.text, passage.text)),
    )


def _settings_sentence(text: str) -> str:
    match = _SETTING.search(text)
    return sentence(text, match) if match else text


def _temperature(model: Model) -> Computed | None:
    """What the card's temperature does to the odds of two tokens."""
    found = _stated_temperature(model)
    if found is None:
        return None
    value, fact = found
    return Computed(
        form="numeric",
        stem=(
            f"The card of {model.name} sets the temperature to {value}. The score of one token is 2 above that of "
            "another. How many times as likely as the other is it drawn?"
        ),
        code=f"import math\n\ndifference, temperature = 2, {value}\n" + rounded("math.exp(difference / temperature)"),
        slips=(
            Slip("temperature left out", "difference / temperature", "difference", "That is temperature 1."),
            Slip(
                "multiplied",
                "difference / temperature",
                "difference * temperature",
                "That multiplies by the temperature; scores are divided by it.",
            ),
            Slip(
                "no power of e",
                "math.exp(difference / temperature)",
                "difference / temperature",
                "That is the difference of the scaled scores; the odds are e to that power.",
            ),
        ),
        facts=(fact,),
        explanation=f"The scaled scores differ by 2 / {value}; the odds are e to that power.",
        unit="times",
        hint="First divide the difference of the scores by the temperature.",
        difficulty="intermediate",
    )


def _stated_temperature(model: Model) -> tuple[str, Fact] | None:
    """A temperature with its place: recommended, else listed, else used in code."""
    passages = model.document.passages
    for passage in passages:
        if match := _RECOMMENDED.search(passage.text):
            return match[1], at(passage.span, "card")
    texts = [(passage.text, passage.span) for passage in passages] + [
        (block.code, block.span) for block in model.document.code_blocks
    ]
    for text, span in texts:
        for match in _SETTING.finditer(text):
            if match[1].lower() == "temperature" and 0.1 <= float(match[2]) <= 1.2:
                return match[2], at(span, "card")
    return None
