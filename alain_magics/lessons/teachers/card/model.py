"""What the numbers of a card say about a model: only what is understood, each with the facts that state it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from alain_magics.lessons.document import Fact
from alain_magics.lessons.sources.card import CardDocument
from alain_magics.lessons.teachers.card.items import at

CLOSE = 0.05
MOST_PARAMETERS = 10**14
_UNITS = {"m": 10**6, "million": 10**6, "b": 10**9, "billion": 10**9, "t": 10**12, "trillion": 10**12}
_UNIT = "(?P<unit>m|b|t|million|billion|trillion)"
_NUMBER = r"(?<![\w.])(?P<number>\d{1,4}(?:\.\d{1,3})?)\s?"
_PARAMETERS = re.compile(
    rf"{_NUMBER}{_UNIT}[\s-]+(?:(?P<which>total|active|activated)\s+)?parameters?\b", re.IGNORECASE
)
_LABELLED = re.compile(rf"number of param\w+(?: \(total\))?: {_NUMBER}{_UNIT}\b", re.IGNORECASE)
_IN_NAME = re.compile(rf"(?<![\w.])(?P<number>\d{{1,4}}(?:\.\d{{1,3}})?){_UNIT}(?![\w.])", re.IGNORECASE)
_ALIASES = {
    "num_hidden_layers": ("num_hidden_layers", "n_layer"),
    "num_attention_heads": ("num_attention_heads", "n_head"),
    "hidden_size": ("hidden_size", "n_embd", "d_model"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions"),
}
_PLAIN_ATTENTION = frozenset(
    "bailing_moe gpt2 gpt_oss granite llama mistral mixtral olmo2 phi3 qwen2 qwen2_moe qwen3 qwen3_moe".split()
)
_WINDOW_EVERYWHERE = frozenset({"mistral", "mixtral", "phi3"})


class Config:
    """The values of ``config.json``; of a model with several parts, those of its language part."""

    def __init__(self, document: CardDocument) -> None:
        facts = [fact for fact in document.facts if fact.ref == "config.json"]
        self._facts = {fact.name: fact for fact in facts}
        self._facts |= {fact.name.removeprefix("text_config."): fact for fact in facts if "text_config." in fact.name}
        self.type = str(self.get("model_type") or "")
        self.has_vision = any(fact.name.startswith("vision_config.") for fact in facts)

    def fact(self, name: str) -> Fact | None:
        """The fact of that name, older names of the same value included."""
        return next((self._facts[alias] for alias in _ALIASES.get(name, (name,)) if alias in self._facts), None)

    def get(self, name: str) -> object:
        """The value of that name, ``None`` where there is none."""
        fact = self.fact(name)
        return fact.value if fact else None

    def count(self, name: str) -> int:
        """A value that is a positive whole number below 10^9, else 0."""
        value = self.get(name)
        return value if type(value) is int and 0 < value < 10**9 else 0

    def facts(self, *names: str) -> tuple[Fact, ...]:
        """Those of the named facts that are there."""
        return tuple(fact for name in names if (fact := self.fact(name)))


@dataclass(frozen=True)
class Cache:
    """The key-value cache of a decoder: per layer, ``kv_heads`` keys and as many values of ``head_dim`` numbers.

    ``windowed`` of the ``layers`` keep at most ``window`` tokens.
    """

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    facts: tuple[Fact, ...]
    windowed: int = 0
    window: int = 0

    def bytes_at(self, tokens: int) -> int:
        """Bytes for that many tokens, 2 bytes a number."""
        held = (self.layers - self.windowed) * tokens + self.windowed * min(tokens, self.window)
        return 2 * self.kv_heads * self.head_dim * 2 * held


def read_cache(config: Config) -> Cache | None:
    """The cache of a decoder whose attention is known to be plain, grouped or windowed; ``None`` otherwise."""
    if config.type not in _PLAIN_ATTENTION or config.get("kv_lora_rank") or config.get("is_encoder_decoder"):
        return None
    names = ("num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size")
    layers, heads, kv_heads, head_dim, hidden = (config.count(name) for name in names)
    kv_heads = kv_heads or heads
    if not (layers and heads and hidden) or heads % kv_heads or (not head_dim and hidden % heads):
        return None
    windows = read_windows(config, layers)
    if windows is None:
        return None
    facts = config.facts(*names, *(("layer_types", "sliding_window") if windows[0] else ()))
    return Cache(layers, heads, kv_heads, head_dim or hidden // heads, hidden, facts, *windows)


def read_windows(config: Config, layers: int) -> tuple[int, int] | None:
    """How many layers have a window, and how long it is; ``None`` where the configuration is not understood."""
    window, kinds = config.count("sliding_window"), config.get("layer_types")
    if isinstance(kinds, list):
        if len(kinds) != layers or any(kind not in ("full_attention", "sliding_attention") for kind in kinds):
            return None
        windowed = kinds.count("sliding_attention")
        return (windowed, window) if window and windowed else (0, 0) if not windowed else None
    switch = config.get("use_sliding_window")
    if not window or switch is False or window >= config.count("max_position_embeddings") > 0:
        return (0, 0)
    return (layers, window) if switch is None and config.type in _WINDOW_EVERYWHERE else None


@dataclass(frozen=True)
class Parts:
    """Where the parameters of a dense model are; ``matrices`` of the size of the vocabulary are kept."""

    vocabulary: int
    hidden: int
    matrices: int
    attention: int
    feed_forward: int
    total: int
    facts: tuple[Fact, ...]

    @property
    def embedding(self) -> int:
        """Parameters of one matrix of the size of the vocabulary."""
        return self.vocabulary * self.hidden


def count_parts(config: Config) -> Parts | None:
    """Count the parameters of an architecture that is known exactly: Llama, Mistral, Qwen 2 and 3, GPT-2, T5."""
    if config.has_vision:
        return None
    if config.type == "t5":
        return _count_t5(config)
    cache, vocabulary = read_cache(config), config.count("vocab_size")
    if cache is None or not vocabulary:
        return None
    hidden, inner = cache.hidden, config.count("intermediate_size")
    tied = config.get("tie_word_embeddings") is True
    facts = cache.facts + config.facts("vocab_size", "intermediate_size", "tie_word_embeddings")
    if config.type == "gpt2":
        positions = config.count("max_position_embeddings")
        if config.get("n_inner") or config.get("tie_word_embeddings") is False or not positions:
            return None
        attention, feed_forward = 4 * hidden * hidden + 4 * hidden, 8 * hidden * hidden + 5 * hidden
        total = (vocabulary + positions) * hidden + cache.layers * (attention + feed_forward + 4 * hidden) + 2 * hidden
        return Parts(vocabulary, hidden, 1, attention, feed_forward, total, facts)
    if config.type not in {"llama", "mistral", "qwen2", "qwen3"} or not inner:
        return None
    if config.get("mlp_bias") or (config.get("attention_bias") and config.type != "qwen2"):
        return None
    query, key = cache.heads * cache.head_dim, cache.kv_heads * cache.head_dim
    attention = 2 * hidden * query + 2 * hidden * key
    extra = {"qwen2": query + 2 * key, "qwen3": 2 * cache.head_dim}.get(config.type, 0)
    feed_forward = 3 * hidden * inner
    matrices = 1 if tied else 2
    total = matrices * vocabulary * hidden + cache.layers * (attention + extra + feed_forward + 2 * hidden) + hidden
    return Parts(vocabulary, hidden, matrices, attention, feed_forward, total, facts)


def _count_t5(config: Config) -> Parts | None:
    names = ("vocab_size", "d_model", "d_ff", "d_kv", "num_heads", "num_layers")
    vocabulary, hidden, inner, head_dim, heads, layers = (config.count(name) for name in names)
    activation = config.get("feed_forward_proj") or "relu"
    if not all((vocabulary, hidden, inner, head_dim, heads, layers)) or activation not in ("relu", "gated-gelu"):
        return None
    decoder = config.count("num_decoder_layers") or layers
    matrices = 2 if config.get("tie_word_embeddings") is False else 1
    attention, feed_forward = 4 * hidden * heads * head_dim, (2 + (activation != "relu")) * hidden * inner
    blocks = layers * (attention + feed_forward + 2 * hidden) + decoder * (2 * attention + feed_forward + 3 * hidden)
    buckets = 2 * heads * (config.count("relative_attention_num_buckets") or 32)
    total = matrices * vocabulary * hidden + blocks + buckets + 2 * hidden
    facts = config.facts(*names, "num_decoder_layers", "feed_forward_proj", "tie_word_embeddings")
    return Parts(vocabulary, hidden, matrices, attention, feed_forward, total, facts)


@dataclass(frozen=True)
class Count:
    """A number of parameters; ``says`` is where it comes from, ``exact`` whether the last digit counts."""

    value: int
    says: str
    facts: tuple[Fact, ...]
    exact: bool = True

    @property
    def text(self) -> str:
        """The number for people: all digits, or the rounded one that was stated."""
        return f"{self.value:,}" if self.exact else f"about {self.value / 1e9:.12g} billion"


@dataclass(frozen=True)
class Model:
    """A model as far as its card and configuration are understood; ``active`` and ``total`` are stated parameters."""

    document: CardDocument
    name: str
    config: Config
    cache: Cache | None
    parts: Parts | None
    count: Count | None
    active: int = 0
    total: int = 0
    active_facts: tuple[Fact, ...] = ()


def read_model(document: CardDocument) -> Model:
    """Understand what can be understood."""
    config = Config(document)
    cache, parts = read_cache(config), count_parts(config)
    count = count_parameters(document, parts)
    stated = active_parameters(document, count) if count else None
    active, total, facts = (stated[0], stated[1], (stated[2],)) if stated else (0, 0, ())
    return Model(document, plain_name(document.title), config, cache, parts, count, active, total, facts)


def plain_name(title: str) -> str:
    """A title that can stand in prose and in a stem: letters, digits and a little punctuation, 60 characters."""
    return " ".join(re.sub(r"[^\w .,+/:()@%-]", " ", title).split())[:60].strip() or "the model"


def stated_counts(document: CardDocument) -> list[tuple[int, bool, Fact]]:
    """Every number of parameters that the card states: the number, whether of active ones, and the passage."""
    found = []
    for passage in document.passages:
        fact = at(passage.span, "card")
        for pattern in (_PARAMETERS, _LABELLED):
            for match in pattern.finditer(passage.text):
                active = (match.groupdict().get("which") or "").lower().startswith("activ")
                found.append((_number(match), active, fact))
    return found


def counts_in_name(document: CardDocument) -> list[int]:
    """The numbers of parameters in the name of the model, such as that of ``M-7B``."""
    return [_number(match) for match in _IN_NAME.finditer(document.title.replace("-", " "))]


def count_parameters(document: CardDocument, parts: Parts | None) -> Count | None:
    """The number of parameters that can be vouched for.

    Counted from the configuration where the card or the checkpoint agrees; else the total of the checkpoint, unless it
    is quantised; else what the card states if it states one number only.
    """
    stored = next((fact for fact in document.facts if fact.name == "safetensors.total"), None)
    total = stored.value if stored and type(stored.value) is int and 0 < stored.value < MOST_PARAMETERS else 0
    stated = [(value, fact) for value, active, fact in stated_counts(document) if not active]
    if parts:
        named = [(value, at_id(document)) for value in counts_in_name(document)]
        agreeing = [fact for value, fact in stated + named if fact and close(value, parts.total)]
        if agreeing or close(total, parts.total):
            return Count(parts.total, "counted from config.json", (*parts.facts, *agreeing[:1]))
        return None
    if stored and total and not _quantised(document):
        return Count(total, "as stored in the checkpoint", (stored,))
    stated = [(value, fact) for value, fact in stated if not total or close(value, total)]
    if len({value for value, _ in stated}) == 1:
        value, fact = stated[0]
        return Count(value, "as the card states", (fact,), exact=False)
    return None


def active_parameters(document: CardDocument, total: Count) -> tuple[int, int, Fact] | None:
    """Active and total parameters that one passage of the card states, if its total fits; and that passage."""
    pairs: dict[Fact, tuple[set[int], set[int]]] = {}
    for value, active, fact in stated_counts(document):
        pairs.setdefault(fact, (set(), set()))[active].add(value)
    for fact, (totals, actives) in pairs.items():
        fitting = [value for value in totals if close(value, total.value)]
        if fitting and len(actives) == 1:
            return actives.pop(), fitting[0], fact
    return None


def at_id(document: CardDocument) -> Fact | None:
    """The Hub's name of the model."""
    return next((fact for fact in document.facts if fact.name == "id" and fact.ref == "Hub record"), None)


def close(one: float, two: float) -> bool:
    """Whether two counts agree within 5 %."""
    return abs(one - two) <= CLOSE * max(one, two) and min(one, two) > 0


def _quantised(document: CardDocument) -> bool:
    return any(fact.name.startswith("quantization_config.") for fact in document.facts)


def _number(match: re.Match[str]) -> int:
    return int(Fraction(match["number"]) * _UNITS[match["unit"].lower()])
