"""Models that run inside this process, by llama.cpp: the GGUF files of a folder and of the Hub's cache.

A model is loaded once and kept. llama.cpp answers one question at a time, so questions to a model queue; each is
answered in a thread of its own, which hands its tokens to the loop and stops between two of them.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from alain_magics.errors import BadProtocol, ContextExceeded, ModelMissing, Refused
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    FinishReason,
    HttpCall,
    ModelInfo,
    TextDelta,
    Usage,
)
from alain_magics.runtimes.local.chat_template import Prompt, render
from alain_magics.runtimes.local.files import ModelFile, find_models
from alain_magics.runtimes.local.llamacpp import LlamaModel, grammar_of
from alain_magics.settings import nearest

Item = TypeVar("Item")


class LocalRuntime:
    """Runs the GGUF files of ``folders`` and of the Hub's cache; needs the extra ``local``."""

    name = "local"
    local = True

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = tuple(folders)
        self._places: dict[str, _Place] = {}

    async def models(self) -> list[ModelInfo]:
        """List the models on disk, by what their headers say; nothing is loaded."""

        def read() -> list[ModelInfo]:
            """Look at the files, which takes a moment."""
            files = find_models(self._folders).values()
            return [file.info(self.name, loaded=self._loaded(file.id)) for file in files]

        return await asyncio.to_thread(read)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Answer in the model's own markup: channels are parsed by the turn.

        Raises :class:`~alain_magics.errors.Refused` and what derives from it.
        """
        place = await self._place(request.model)
        async with aclosing(place.work(lambda stopped: _answer(place.model, place.file, request, stopped))) as events:
            async for event in events:
                yield event

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """Count the tokens of a request as the model will read them; loads the model."""
        place = await self._place(request.model)
        return await place.run(lambda: len(place.model.tokens(_prompt(place.model, place.file, request).text)))

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        """Return nothing: no request leaves this process."""
        return None

    async def load(self, model: str) -> None:
        """Load a model, and make room for its window."""
        place = await self._place(model)
        await place.run(lambda: place.model.open(None))

    async def unload(self, model: str) -> None:
        """Free a model's memory, once it has answered what it was asked."""
        await (await self._place(model)).free()

    async def aclose(self) -> None:
        """Stop all answers and free all models."""
        places = list(self._places.values())
        self._places.clear()
        for place in places:
            place.stop()
            async with place.lock:  # not in a thread: none can be started while the interpreter ends
                place.close()

    @property
    def busy(self) -> bool:
        """Whether any model works."""
        return any(place.lock.locked() for place in self._places.values())

    def _loaded(self, model: str) -> bool:
        return model in self._places and self._places[model].loaded

    async def _place(self, model: str) -> _Place:
        """Return the place of a model; :class:`~alain_magics.errors.ModelMissing` where there is no such file."""
        if model not in self._places:
            files = await asyncio.to_thread(find_models, self._folders)
            if model not in files:
                advice = nearest(model, files) or "%alain models lists what is there, %alain pull fetches more."
                raise ModelMissing(f"There is no model {model!r} among the GGUF files of this machine.", advice)
            self._places.setdefault(model, _Place(files[model]))
        return self._places[model]


class _Place:
    """Where one model is kept and works, one task after the other."""

    def __init__(self, file: ModelFile) -> None:
        self.file = file
        self.lock = asyncio.Lock()
        self._model: LlamaModel | None = None
        self._stopped = threading.Event()

    @property
    def loaded(self) -> bool:
        return self._model is not None

    @property
    def model(self) -> LlamaModel:
        """The model, which is loaded at its first use."""
        if self._model is None:
            _check(self.file)
            self._model = LlamaModel(self.file.path)
        return self._model

    def close(self) -> None:
        if self._model:
            self._model.close()
            self._model = None

    async def free(self) -> None:
        """Free the model, once it has done what was asked before."""
        await self.run(self.close)

    async def run(self, function: Callable[[], Item]) -> Item:
        """Call a function in a thread, once what was asked before is done."""
        results = [result async for result in self.work(lambda _: iter([function()]))]
        return results[0]

    def stop(self) -> None:
        """End the task at hand at its next token."""
        self._stopped.set()

    async def work(self, task: Callable[[Callable[[], bool]], Iterator[Item]]) -> AsyncGenerator[Item, None]:
        """Yield what a task yields in a thread, once those before it are done.

        Closing the iterator tells the task to end, without waiting for that; the next task does.
        """
        await self.lock.acquire()
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[tuple[bool, Any]] = asyncio.Queue()
        stopped = self._stopped = threading.Event()

        def run() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                try:
                    for item in task(stopped.is_set):
                        loop.call_soon_threadsafe(items.put_nowait, (True, item))
                    end: BaseException | None = None
                except Exception as error:  # noqa: BLE001  # it is raised where the items are awaited
                    end = error
                loop.call_soon_threadsafe(items.put_nowait, (False, end))
                loop.call_soon_threadsafe(self.lock.release)

        threading.Thread(target=run, name=f"alain-{self.file.id}", daemon=True).start()
        try:
            while True:
                is_item, value = await items.get()
                if is_item:
                    yield value
                elif value is None:
                    return
                else:
                    raise value
        finally:
            stopped.set()


def _check(file: ModelFile) -> None:
    """Refuse what llama.cpp would load but could not answer with, which would end the whole process."""
    try:
        header = file.header()
    except BadProtocol as error:
        raise Refused(error.what, error.advice) from None
    if not header.generates:
        raise Refused(f"{file.id} is no model that writes text.", "Choose another one: %alain models lists them.")


def _prompt(model: LlamaModel, file: ModelFile, request: ChatRequest) -> Prompt:
    header = file.header()
    template = (request.tools and header.chat_template("tool_use")) or header.chat_template()
    return render(template, request, beginning=model.beginning, end=model.end)


def _answer(model: LlamaModel, file: ModelFile, request: ChatRequest, stopped: Callable[[], bool]) -> Iterator[Event]:
    """Read the prompt and write the answer, token by token."""
    prompt = _prompt(model, file, request)
    flags = list(prompt.flags)
    tokens = model.tokens(prompt.text)
    if not tokens:
        raise Refused(f"The chat template of {request.model} makes an empty prompt.", "Use another file.")
    model.open(request.context_tokens)
    if (request.context_tokens or 0) > model.window:
        flags.append(f"context: {model.window} tokens are the most")
    if len(tokens) >= model.window:
        what = f"The prompt is {len(tokens):,} tokens long; {request.model} reads {model.window:,} at most."
        raise ContextExceeded(what, "Shorten it, or ask for a larger context.")
    begun = time.perf_counter()
    cached = model.read(tokens, reuse=request.sampling.seed is None, stopped=stopped)
    if cached is None:
        return
    prefilled = time.perf_counter()
    grammar = grammar_of(request.schema) if request.schema is not None else ""
    with model.sampler(request.sampling, grammar) as sampler:
        if request.schema is not None and not sampler.constrained:
            flags.append("ignored:schema")
        text = _Text(request.sampling.stop)
        if prompt.begun:
            yield TextDelta(prompt.begun)
        output = 0
        reason: FinishReason = "length"
        while not model.full and (request.max_tokens is None or output < request.max_tokens):
            token = sampler.choose()
            output += 1
            if model.ends(token):
                reason = "stop"
                break
            if piece := text.feed(model.piece(token)):
                yield TextDelta(piece)
            if text.stopped:
                reason = "stop"
                break
            if stopped():
                return
            model.add(token)
        if piece := text.finish():
            yield TextDelta(piece)
    seconds = time.perf_counter() - prefilled
    yield Usage(len(tokens), output, cached=cached, prefill_seconds=prefilled - begun, generation_seconds=seconds)
    yield Finished(reason, request.model, tuple(flags))


class _Text:
    """Bytes become text: half a character, and what may be the beginning of a stop sequence, is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped = False
        self._stops = [stop for stop in stops if stop]
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""

    def feed(self, data: bytes) -> str:
        """Return the text that is certain by now."""
        return self._release(self._decode(data))

    def finish(self) -> str:
        """Return what was held back, at the end of an answer."""
        rest = self._release(self._decode(b"", final=True)) + self._held
        self._held = ""
        return rest

    def _release(self, text: str) -> str:
        text = self._held + text
        self._held = ""
        if self.stopped or not self._stops:
            return "" if self.stopped else text
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            return text[: min(found)]
        held = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are the beginning of a stop sequence."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
