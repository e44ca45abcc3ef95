"""One true remark about an example: each kind of remark is guarded by a program that ran."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from alain_magics.lessons.proving import Prover, run_of, stable
from alain_magics.lessons.schema import Run
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, merge_imports
from alain_magics.lessons.teachers.module.items import hoist
from alain_magics.lessons.teachers.module.siblings import Siblings, words
from alain_magics.lessons.values import same_value, workable

SHORT = 60
_EMPTY = {"list": "an empty list", "tuple": "an empty tuple", "str": "an empty string", "dict": "an empty dictionary"}


@dataclass(frozen=True)
class Notice:
    """A sentence, and the programs whose outputs make it true."""

    sentence: str
    runs: list[Run]


@dataclass(frozen=True)
class _Probe:
    """A call ``function(data, ...)`` with its data named: what the predicates ask about."""

    imports: tuple[str, ...]
    setup: str
    data: str
    call: str
    function: str
    kind: str

    def call_on(self, data: str) -> str:
        """The call with other data."""
        call = ast.parse(self.call, mode="eval").body
        assert isinstance(call, ast.Call)
        given = [ast.unparse(node) for node in call.args]
        given = [data if text == self.data else text for text in given]
        return f"{self.function}({', '.join([*given, *(ast.unparse(keyword) for keyword in call.keywords)])})"

    def program(self, code: str, *extra_imports: str) -> str:
        return join_program(merge_imports((*self.imports, *extra_imports)), f"{self.setup}\n{code}")


class NoticeMaker:
    """Finds the first remark that is true of an example."""

    def __init__(self, document: ModuleDocument, prover: Prover, siblings: Siblings) -> None:
        self._document = document
        self._prover = prover
        self._siblings = siblings
        self._said: set[str] = set()

    async def notice(self, example: Example) -> Notice | None:
        """The first remark that holds and whose kind was not used for the same object before."""
        probe = self._probe(example)
        if probe is None:
            return None
        for kind in (self._sibling, self._changes, self._iterator, self._on_empty, self._flag, self._order):
            key = f"{kind.__name__} {probe.function if kind is self._sibling else ''}"
            if key in self._said and kind not in (self._sibling, self._flag):
                continue
            found = await kind(probe, example)
            if found and len(found.sentence) < 220:
                self._said.add(key)
                return found
        return None

    def _probe(self, example: Example) -> _Probe | None:
        item = self._document.object(example.calls[0]) if example.calls else None
        named = hoist(self._document, example)
        if item is None or len(named.setup) != 1 or "\n" in named.setup[0] or "`" in named.shown:
            return None
        assignment = ast.parse(named.setup[0]).body[0]
        if not (isinstance(assignment, ast.Assign) and isinstance(assignment.targets[0], ast.Name)):
            return None
        try:
            value = ast.literal_eval(assignment.value)
        except (ValueError, TypeError):
            return None
        data = assignment.targets[0].id
        for node in ast.walk(ast.parse(named.source)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == item.name):
                continue
            if any(isinstance(arg, ast.Name) and arg.id == data for arg in node.args):
                call = ast.unparse(node)
                return _Probe(named.imports, named.setup[0], data, call, item.name, type(value).__name__)
        return None

    async def _value(self, program: str) -> Run | None:
        (outcome,) = await self._prover.reproduce([program])
        return run_of(program, outcome, how="notice") if outcome is not None and stable(outcome) else None

    async def _holds(self, probe: _Probe, code: str) -> Run | None:
        run = await self._value(probe.program(code))
        return run if run and not run.error and run.output == "True" else None

    async def _sibling(self, probe: _Probe, example: Example) -> Notice | None:
        """With the same data, a sibling gives something else."""
        mine = await self._value(probe.program(probe.call))
        if mine is None or mine.error or not _short(mine.output):
            return None
        near = [item for item in self._siblings.of(example.calls[0]) if words(item.name) & words(probe.function)]
        for sibling in near[:4]:
            call = probe.call.replace(f"{probe.function}(", f"{sibling.name}(", 1)
            needed = f"from {self._document.name} import {sibling.name}"
            other = await self._value(probe.program(call, needed))
            if other and not other.error and _short(other.output) and other.output != mine.output:
                sentence = f"With `{probe.setup}`, `{call}` gives `{other.output}`, but `{probe.call}` `{mine.output}`."
                return Notice(sentence, [mine, other])
        return None

    async def _changes(self, probe: _Probe, example: Example) -> Notice | None:
        code = f"before = repr({probe.data})\n{probe.call}\nrepr({probe.data}) != before"
        run = await self._holds(probe, code)
        return Notice(f"`{probe.function}` changes the object that it is given.", [run]) if run else None

    async def _iterator(self, probe: _Probe, example: Example) -> Notice | None:
        run = await self._holds(probe, f"result = {probe.call}\niter(result) is result")
        sentence = f"`{probe.function}` returns an iterator: it can be passed through once."
        return Notice(sentence, [run]) if run else None

    async def _on_empty(self, probe: _Probe, example: Example) -> Notice | None:
        if probe.kind not in _EMPTY:
            return None
        run = await self._value(probe.program(probe.call_on(f"type({probe.data})()")))
        if run is None or not run.error or run.error in ("TypeError", "AttributeError"):
            return None
        return Notice(f"On {_EMPTY[probe.kind]}, `{probe.function}` raises `{run.error}`.", [run])

    async def _flag(self, probe: _Probe, example: Example) -> Notice | None:
        """A flag that is off by default changes the result."""
        item = self._document.object(example.calls[0])
        mine = await self._value(probe.program(probe.call))
        for parameter in item.parameters or () if item else ():
            given = parameter.name.startswith("_") or f"{parameter.name}=" in probe.call
            if parameter.default not in ("True", "False") or given:
                continue
            flag = f"{parameter.name}={parameter.default == 'False'}"
            call = f"{probe.call[:-1]}, {flag})"
            other = await self._value(probe.program(call))
            if not mine or not other or mine.error or other.error or mine.output == other.output:
                continue
            if _short(other.output):
                return Notice(f"With `{flag}` the same call gives `{other.output}`.", [mine, other])
        return None

    async def _order(self, probe: _Probe, example: Example) -> Notice | None:
        if probe.kind not in ("list", "tuple"):
            return None
        run = await self._value(probe.program(probe.call_on(f"{probe.data}[::-1]")))
        mine = await self._value(probe.program(probe.call))
        if not run or not mine or run.error or mine.error or not _short(run.output):
            return None
        if same_value(run.output, mine.output):  # says nothing about other data
            return None
        return Notice(f"The order counts: with `{probe.data}` turned around the result is `{run.output}`.", [mine, run])


def _short(output: str) -> bool:
    return 0 < len(output) <= SHORT and "\n" not in output and "`" not in output and workable(output)
