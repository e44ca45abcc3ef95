"""An exercise from a documented example: one call is blanked in a function, and two more inputs test it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.proving import Prover, run_of
from alain_magics.lessons.schema import Difficulty, Exercise, Test, content_hash
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, merge_imports
from alain_magics.lessons.teachers.module.items import hoist
from alain_magics.lessons.teachers.module.mutants import Mutator
from alain_magics.lessons.teachers.module.siblings import Siblings
from alain_magics.lessons.values import workable

NAME = "answer"
TESTS = 3
KILLED = 0.8


class ExerciseMaker:
    """Makes exercises whose solution passes and whose starter, identity, constants and mutants fail."""

    def __init__(self, document: ModuleDocument, prover: Prover, siblings: Siblings, difficulty: Difficulty) -> None:
        self._document = document
        self._prover = prover
        self._siblings = siblings
        self._mutator = Mutator(document, siblings)
        self._difficulty = difficulty

    async def exercise(self, example: Example) -> Exercise | None:
        """The exercise of an example, or ``None`` where its tests would not tell right from wrong."""
        item = self._document.object(example.calls[0]) if example.calls else None
        parts = self._parts(hoist(self._document, example))
        if item is None or not item.summary or parts is None:
            return None
        argument, value, body, result = parts
        other = other_arguments(result, item.name, argument)
        if other is None:
            return None
        imports = self._imports(example, item)
        solution = function_source(imports, argument, body, result)
        inputs = [repr(value), *variations(value)]
        programs = [f"{solution}\n\n{NAME}({text})" for text in inputs]
        outcomes = await self._prover.reproduce(programs)
        tests: list[Test] = []
        runs = []
        for text, program, outcome in zip(inputs, programs, outcomes, strict=True):
            if outcome is None or not outcome.ok or not 0 < len(outcome.output) <= 80 or "\n" in outcome.output:
                continue
            if outcome.output != text and all(test.output != outcome.output for test in tests):
                tests.append(Test(call=f"{NAME}({text})", output=outcome.output))
                runs.append(run_of(program, outcome, how="solution"))
        if len(tests) < TESTS or tests[0].call != f"{NAME}({value!r})":
            return None
        best = sorted(range(len(tests)), key=lambda n: (n > 0, not workable(tests[n].output)))[:TESTS]
        tests, runs = [tests[n] for n in best], [runs[n] for n in best]
        if not await self._mutants_fail(example, argument, body, result, tests):
            return None
        starter = function_source(imports, argument, body, "...")
        (stub,) = await self._prover.reproduce([f"{starter}\n\n{tests[0].call}"])
        if stub is None:
            return None
        runs.append(run_of(f"{starter}\n\n{tests[0].call}", stub, how="starter"))
        return Exercise(
            id="e-" + content_hash([solution, [test.call for test in tests]])[:12],
            task=self._task(item, argument, other, tests),
            starter=starter,
            solution=solution,
            tests=tests,
            hint=f"One call of `{item.name}` is enough.",
            difficulty=self._difficulty,
            objective=item.path,
            citations=[self._document.cite(item.summary_span, item.path)],
            proof=self._prover.proof(runs),
        )

    def _imports(self, example: Example, item: ApiObject) -> tuple[str, ...]:
        """The imports of the example and of near objects, so that they do not give the answer away."""
        near = [other.name for other in self._siblings.of(item.path)[:3] if not other.owner]
        return merge_imports((*example.imports, *(f"from {self._document.name} import {name}" for name in near)))

    def _task(self, item: ApiObject, argument: str, other: str, tests: list[Test]) -> str:
        shown = "\n".join(f"- `{test.call}` gives `{test.output}`" for test in tests[:2])
        more = f" Pass it `{other}` as well." if other else ""
        return (
            f"In `{NAME}({argument})` replace the `...` by an expression that uses `{self._document.name}`. "
            f"What is needed is documented with “{item.summary.rstrip('.')}”.{more} For example:\n\n{shown}\n\n"
            "Run your cell, then the check below it."
        )

    def _parts(self, example: Example) -> tuple[str, Any, tuple[str, ...], str] | None:
        """Argument, its value, the statements between, and the expression that is blanked."""
        if not example.setup or "\n" in example.source or example.source.startswith("print("):
            return None
        first = ast.parse(example.setup[0]).body[0]
        if not (isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Name)):
            return None
        try:
            value = ast.literal_eval(first.value)
        except (ValueError, TypeError):
            return None
        if not isinstance(value, list | tuple | str | dict) or len(value) < 2 or len(repr(value)) > 90:
            return None
        last = ast.parse(example.source).body[0]
        if not isinstance(last, ast.Expr) or not any(isinstance(n, ast.Call) for n in ast.walk(last)):
            return None
        return first.targets[0].id, value, example.setup[1:], example.source

    async def _mutants_fail(
        self, example: Example, argument: str, body: tuple[str, ...], result: str, tests: list[Test]
    ) -> bool:
        """Identity fails, and so do four fifths of the mutants of the blanked expression."""
        named = hoist(self._document, example)
        wrong = [argument]
        mutants = [mutant for mutant in self._mutator.mutants(named) if mutant.setup == named.setup]
        wrong += [mutant.source for mutant in mutants if mutant.how not in ("other data", "printed, not shown")]
        imports = {mutant.source: mutant.imports for mutant in mutants}
        killed = 0
        for expression in wrong[:12]:
            head = function_source(imports.get(expression, example.imports), argument, body, expression)
            outcomes = await self._prover.run_spread([f"{head}\n\n{test.call}" for test in tests])
            failed = any(o.error or o.output != t.output for o, t in zip(outcomes, tests, strict=True))
            if expression == argument and not failed:
                return False
            killed += failed
        return killed >= KILLED * len(wrong[:12])


def function_source(imports: tuple[str, ...], argument: str, body: tuple[str, ...], result: str) -> str:
    """A function of one argument that runs the statements and returns the result."""
    lines = "\n".join((*body, f"return {result}")).splitlines()
    return join_program(imports, f"def {NAME}({argument}):\n" + "\n".join("    " + line for line in lines))


def other_arguments(expression: str, name: str, argument: str) -> str | None:
    """What the call of ``name`` is given beside the argument; ``None`` if constants stand elsewhere, unknowable."""
    tree = ast.parse(expression, mode="eval")
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    ]
    if len(calls) != 1:
        return None
    (call,) = calls
    inside = {id(node) for node in ast.walk(call)}
    if any(isinstance(node, ast.Constant) and id(node) not in inside for node in ast.walk(tree)):
        return None
    others = [node for node in call.args if ast.unparse(node) != argument] + list(call.keywords)
    return ", ".join(ast.unparse(node) for node in others)


def variations(value: Any) -> Iterator[str]:
    """Other inputs of the same type, written as code: cut, turned around, rotated, doubled, the last number larger.

    ``value`` is a list, tuple, string or dictionary with at least two items.
    """
    if isinstance(value, dict):
        items = list(value.items())
        yield repr(dict(items[:-1]))
        yield repr(dict(items[::-1]))
        yield repr({key: new + 1 for key, new in items if isinstance(new, int)} or dict(items[1:]))
        return
    yield repr(value[:-1])
    yield repr(value[1:])
    yield repr(value[::-1])
    yield repr(value + value[:2])
    yield repr(value[2:] + value[:2])
    yield repr(value + value)
    if isinstance(value[-1], int | float):
        yield repr(type(value)([*value[:-1], value[-1] + 5]))
