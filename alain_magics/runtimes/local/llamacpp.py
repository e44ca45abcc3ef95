"""One model in memory, run by llama.cpp inside this process: text to tokens, tokens to tokens, tokens to bytes.

The C functions of ``llama_cpp`` are called directly: its own ``Llama`` class redirects the standard output of the whole
process while it loads, which would swallow what a cell prints meanwhile. Whoever uses a model has it alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from alain_magics.errors import InvalidOutput, Refused, ServerFailed
from alain_magics.runtimes.base import Sampling

INSTALL = 'Install it: pip install "alain-magics[local]", then restart the kernel.'

DEFAULT_WINDOW = 8192
"""Tokens that a model works with unless asked otherwise: what it was trained with may take all memory."""

_BATCH = 512  # tokens of a prompt that are read at once
_ABORTED = 2
_ERROR = 4  # the level of a message

Number = TypeVar("Number", int, float)

_complaints: deque[str] = deque(maxlen=4)


@cache
def library() -> Any:
    """Return the bindings, which print nothing; :class:`~alain_magics.errors.Refused` where they are not installed."""
    try:
        bindings: Any = importlib.import_module("llama_cpp")
        importlib.import_module("llama_cpp.llama_grammar")
        importlib.import_module("llama_cpp.llama_chat_format")
    except ModuleNotFoundError:
        raise Refused("llama.cpp is not installed here: the package llama-cpp-python is missing.", INSTALL) from None
    except (ImportError, OSError, RuntimeError) as error:
        raise Refused(f"llama.cpp cannot be used: {error}.", "Install llama-cpp-python again.") from None

    @bindings.llama_log_callback  # type: ignore[untyped-decorator]
    def listen(level: int, text: bytes, _: object) -> None:
        if level == _ERROR:
            _complaints.append(text.decode("utf-8", "replace").strip())

    bindings.llama_log_set(listen, ctypes.c_void_p(0))
    bindings.alain_listener = listen  # lives as long as the library
    bindings.llama_backend_init()
    return bindings


class LlamaModel:
    """A model in memory. ``trained_window`` is in tokens, ``window`` what it works with, 0 until :meth:`open`."""

    def __init__(self, path: Path) -> None:
        """Load a GGUF file; :class:`~alain_magics.errors.Refused` where llama.cpp cannot."""
        self.name = path.name
        self.window = 0
        self._lib = lib = library()
        self._context: Any = None
        self._past: list[int] = []  # what the context has read
        _complaints.clear()
        self._model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        if not self._model:
            reason = next(iter(_complaints), "no reason is given").rpartition("error loading model: ")[2].rstrip(".")
            advice = "Use another file, or a newer llama-cpp-python."
            raise Refused(f"llama.cpp cannot load {path.name}: {reason}.", advice)
        self._vocabulary = lib.llama_model_get_vocab(self._model)
        self.trained_window = int(lib.llama_model_n_ctx_train(self._model))
        self.beginning = self._special(lib.llama_vocab_bos(self._vocabulary))
        self.end = self._special(lib.llama_vocab_eos(self._vocabulary))

    def close(self) -> None:
        """Free the memory."""
        self._free_context()
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a prompt, in which the markers of templates are single tokens."""
        data = text.encode()
        begin = self._lib.llama_vocab_get_add_bos(self._vocabulary) and not text.startswith(self.beginning or "\0")
        room = len(data) + 8  # no token is shorter than a byte, but for the ones around the text
        found = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self._vocabulary, data, len(data), found, room, begin, True)
        return list(found[:count])

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; markers, which channels are parsed by, are text too."""
        room = 256
        buffer = ctypes.create_string_buffer(room)
        count = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, room, 0, True)
        if count < 0:
            buffer = ctypes.create_string_buffer(-count)
            count = self._lib.llama_token_to_piece(self._vocabulary, token, buffer, -count, 0, True)
        return buffer.raw[:count]

    def ends(self, token: int) -> bool:
        """Whether a token is the end of an answer."""
        return bool(self._lib.llama_vocab_is_eog(self._vocabulary, token))

    def open(self, wanted: int | None) -> None:
        """Make room for a window of so many tokens, at most those it was trained with; ``None``: as it is."""
        window = min(wanted or self.window or DEFAULT_WINDOW, self.trained_window)
        if window == self.window:
            return
        self._free_context()
        parameters = self._lib.llama_context_default_params()
        parameters.n_ctx = window
        parameters.n_batch = parameters.n_ubatch = min(_BATCH, window)
        parameters.n_threads = parameters.n_threads_batch = _threads()
        self._context = self._lib.llama_init_from_model(self._model, parameters)
        if not self._context:
            advice = "Ask for a smaller context, or unload other models."
            raise Refused(f"There is no memory for a window of {window:,} tokens of {self.name}.", advice)
        self.window = window

    def read(self, prompt: Sequence[int], *, reuse: bool, stopped: Callable[[], bool]) -> int | None:
        """Read a prompt, and return how many of its first tokens were still known; ``None`` when stopped.

        ``reuse`` takes over what was read before; without it the same prompt is computed in the same way each time.
        """
        known = self._keep(prompt) if reuse else 0
        if not known:
            self._forget()
        abort = self._lib.ggml_abort_callback(lambda _: stopped())
        self._lib.llama_set_abort_callback(self._context, abort, None)
        try:
            for start in range(known, len(prompt), _BATCH):
                if stopped() or not self._decode(prompt[start : start + _BATCH]):
                    self._forget()
                    return None
        finally:
            never = self._lib.ggml_abort_callback(0)
            self._lib.llama_set_abort_callback(self._context, never, None)
        return known

    def add(self, token: int) -> None:
        """Read one more token: the one that was chosen."""
        self._decode([token])

    @property
    def full(self) -> bool:
        """Whether nothing more can be read."""
        return len(self._past) >= self.window

    def sampler(self, sampling: Sampling, grammar: str = "") -> Sampler:
        """Return what chooses tokens after a prompt was read; ``grammar`` is in llama.cpp's notation."""
        return Sampler(self._lib, self._context, self._vocabulary, sampling, grammar, self._past)

    def _decode(self, tokens: Sequence[int]) -> bool:
        """Read tokens; False when that was aborted."""
        array = (self._lib.llama_token * len(tokens))(*tokens)
        status = self._lib.llama_decode(self._context, self._lib.llama_batch_get_one(array, len(tokens)))
        if status == 0:
            self._past += tokens
            return True
        self._forget()
        if status != _ABORTED:
            raise ServerFailed(f"llama.cpp failed in {self.name} with status {status}.", "Unload it and ask again.")
        return False

    def _keep(self, prompt: Sequence[int]) -> int:
        """Forget all but the beginning that a prompt shares with what was read; return its length."""
        shared = 0
        for old, new in zip(self._past, prompt[:-1], strict=False):  # the last is read anew: something must be
            if old != new:
                break
            shared += 1
        memory = self._lib.llama_get_memory(self._context)
        if not shared or not self._lib.llama_memory_seq_rm(memory, 0, shared, -1):
            return 0
        del self._past[shared:]
        return shared

    def _forget(self) -> None:
        self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)
        self._past.clear()

    def _free_context(self) -> None:
        if self._context:
            self._lib.llama_free(self._context)
        self._context, self.window = None, 0
        self._past.clear()

    def _special(self, token: int) -> str:
        return self.piece(token).decode("utf-8", "replace") if token >= 0 else ""


class Sampler:
    """Chooses the next token as :class:`~alain_magics.runtimes.base.Sampling` says; use it as a context manager.

    Where nothing is said, it samples as llama.cpp's server does. A token that a grammar forbids is chosen again among
    the allowed ones, so that the grammar is rarely held against the whole vocabulary.
    """

    def __init__(
        self, lib: Any, context: Any, vocabulary: Any, sampling: Sampling, grammar: str, past: Sequence[int]
    ) -> None:
        self._lib = lib
        self._context = context
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        for part in _samplers(lib, vocabulary, sampling):
            lib.llama_sampler_chain_add(self._chain, part)
        if memory := _memory(sampling):
            for token in past[-memory:]:
                lib.llama_sampler_accept(self._chain, token)
        self._grammar = None
        if grammar:
            self._grammar = lib.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
            self._candidates = _Candidates(lib, lib.llama_vocab_n_tokens(vocabulary))

    def __enter__(self) -> Sampler:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.llama_sampler_free(self._chain)
        if self._grammar:
            self._lib.llama_sampler_free(self._grammar)

    @property
    def constrained(self) -> bool:
        """Whether there is a grammar, and llama.cpp understood it."""
        return self._grammar is not None

    def choose(self) -> int:
        """Return the next token; :class:`~alain_magics.errors.InvalidOutput` where the grammar allows none."""
        if self._grammar is None:
            return int(self._lib.llama_sampler_sample(self._chain, self._context, -1))
        candidates = self._candidates
        candidates.fill(self._context)
        candidates.apply(self._chain)
        token = candidates.selected
        if not candidates.allowed(token, self._grammar):
            candidates.fill(self._context)
            candidates.apply(self._grammar)
            if not candidates.any_left:  # llama.cpp would end the whole process
                defect = "the model has no token that the schema allows"
                raise InvalidOutput(f"The answer cannot go on: {defect}.", "Simplify the schema.", defect=defect)
            candidates.apply(self._chain)
            token = candidates.selected
        self._lib.llama_sampler_accept(self._grammar, token)
        self._lib.llama_sampler_accept(self._chain, token)
        return token


class _Candidates:
    """All tokens with how likely each is, as llama.cpp's samplers take them."""

    def __init__(self, lib: Any, size: int) -> None:
        self._lib = lib
        self._numpy = numpy = importlib.import_module("numpy")
        self._size = size
        self._ids = numpy.arange(size)
        self._rows = numpy.zeros(size, dtype=[("id", "i4"), ("logit", "f4"), ("p", "f4")])

    def fill(self, context: Any) -> None:
        """Take over what the model has computed."""
        logits = self._lib.llama_get_logits_ith(context, -1)
        self._rows["id"] = self._ids
        self._rows["logit"] = self._numpy.ctypeslib.as_array(logits, shape=(self._size,))
        data = self._rows.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        self._array = self._lib.llama_token_data_array(data, self._size, -1, False)

    def apply(self, sampler: Any) -> None:
        """Let a sampler strike out tokens, or select one."""
        self._lib.llama_sampler_apply(sampler, ctypes.byref(self._array))

    @property
    def selected(self) -> int:
        """The token that was selected."""
        return int(self._array.data[self._array.selected].id)

    @property
    def any_left(self) -> bool:
        """Whether a grammar has left any token."""
        return bool(self._numpy.isfinite(self._rows["logit"]).any())

    def allowed(self, token: int, grammar: Any) -> bool:
        """Whether a grammar allows a token."""
        single = self._lib.llama_token_data(token, 1.0, 0.0)
        array = self._lib.llama_token_data_array(ctypes.pointer(single), 1, -1, False)
        self._lib.llama_sampler_apply(grammar, ctypes.byref(array))
        return bool(single.logit == 1.0)


def grammar_of(schema: Mapping[str, Any]) -> str:
    """Return the grammar of a JSON schema; empty where it cannot be expressed."""
    try:
        return str(library().llama_grammar.json_schema_to_gbnf(json.dumps(schema)))
    except (AssertionError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ""


def _samplers(lib: Any, vocabulary: Any, sampling: Sampling) -> list[Any]:
    """Return the steps in which a token is chosen, in llama.cpp's order."""
    steps = []
    if memory := _memory(sampling):
        repetition = _given(sampling.repetition_penalty, 1.0)
        frequency, presence = _given(sampling.frequency_penalty, 0.0), _given(sampling.presence_penalty, 0.0)
        size = lib.llama_vocab_n_tokens(vocabulary)
        steps.append(lib.llama_sampler_init_penalties(size, memory, repetition, frequency, presence))
    temperature = _given(sampling.temperature, 0.8)
    if temperature <= 0:
        return [*steps, lib.llama_sampler_init_greedy()]
    seed = lib.LLAMA_DEFAULT_SEED if sampling.seed is None else sampling.seed % lib.LLAMA_DEFAULT_SEED
    steps.append(lib.llama_sampler_init_top_k(_given(sampling.top_k, 40)))
    steps.append(lib.llama_sampler_init_top_p(_given(sampling.top_p, 0.95), 1))
    steps.append(lib.llama_sampler_init_min_p(_given(sampling.min_p, 0.05), 1))
    if sampling.xtc_probability:
        steps.append(lib.llama_sampler_init_xtc(sampling.xtc_probability, _given(sampling.xtc_threshold, 0.1), 1, seed))
    return [*steps, lib.llama_sampler_init_temp(temperature), lib.llama_sampler_init_dist(seed)]


def _memory(sampling: Sampling) -> int:
    """Return how many of the last tokens penalties look at; 0 where there are none."""
    penalties = (sampling.repetition_penalty or 1.0) - 1.0, sampling.frequency_penalty, sampling.presence_penalty
    return _given(sampling.repetition_context_size, 64) if any(penalties) else 0


def _given(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def _threads() -> int:
    """Return how many threads compute: one core stays free, since all of them wait for one whose core is busy."""
    import psutil

    cores = float(psutil.cpu_count(logical=False) or os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):  # a container may have less, or no limit: "max"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        cores = min(cores, int(quota) / int(period))
    return max(1, int(cores) - 1)
