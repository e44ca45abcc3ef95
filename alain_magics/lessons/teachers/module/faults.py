"""Lines of which some raise: documented calls, and the same calls with empty or out-of-range arguments."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

from alain_magics.lessons.proving import Prover
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program

LONGEST_LINE = 64
LINES = 4
_TELLING = {"ValueError", "IndexError", "KeyError", "ZeroDivisionError", "OverflowError", "StopIteration"}


async def fault_lines(
    document: ModuleDocument, prover: Prover, examples: Sequence[Example]
) -> list[list[tuple[Example, str]]]:
    """Sets of three or four lines, at least one of which raises an exception that is worth knowing.

    A call with an edge argument that does *not* raise stands beside one that does, where there is such a pair.
    """
    known = _TELLING | {item.name for item in document.objects if item.kind == "exception"}
    known |= {name for item in document.objects for name in item.raises}
    simple = [e for e in examples if not e.setup and "\n" not in e.source and len(e.source) <= LONGEST_LINE]
    edged = [(example, line) for example in simple for line in edge_lines(example.source) if len(line) <= LONGEST_LINE]
    outcomes = await prover.reproduce([join_program(example.imports, line) for example, line in edged])
    raising: list[tuple[Example, str]] = []
    calm: list[tuple[Example, str]] = []
    seen: set[tuple[str, str]] = set()
    for (example, line), outcome in zip(edged, outcomes, strict=True):
        if outcome is None or not example.calls:
            continue
        key = (example.calls[0], outcome.error)
        if key in seen:
            continue
        if outcome.error in known and outcome.error not in ("TypeError", "AttributeError"):
            seen.add(key)
            raising.append((example, line))
        elif outcome.ok and 0 < len(outcome.output) < 40:
            seen.add(key)
            calm.append((example, line))
    plain = [(example, example.source) for example in simple if not example.raises]
    sets = []
    for number, fault in enumerate(raising):
        others = [pair for pair in calm if pair[0].calls[0] != fault[0].calls[0]]
        others += [pair for pair in plain if pair[0].calls and pair[0].calls[0] != fault[0].calls[0]]
        later = [pair for pair in raising[number + 1 :] if pair[0].calls[0] != fault[0].calls[0]][:1]
        lines = _arrange(number, fault, _distinct(others), later)
        if len(lines) >= LINES - 1:
            sets.append(lines)
    return sets


def _distinct(pairs: list[tuple[Example, str]]) -> list[tuple[Example, str]]:
    return list({pair[0].calls[0]: pair for pair in reversed(pairs)}.values())[::-1]


def _arrange(
    number: int, fault: tuple[Example, str], others: list[tuple[Example, str]], later: list[tuple[Example, str]]
) -> list[tuple[Example, str]]:
    """Put the fault first, second or third in turn; a second fault, if any, always comes after it."""
    names = {pair[0].calls[0] for pair in later}
    others = [pair for pair in others if pair[0].calls[0] not in names][: LINES - 1 - len(later)]
    place = min(number % 3 + 1, len(others)) if others else 0
    return [*others[:place], fault, *others[place:], *later]


def edge_lines(source: str) -> Iterator[str]:
    """The call with a collection emptied, or a number made 0 or -1."""
    tree = ast.parse(source)
    for index, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.List | ast.Tuple) and node.elts:
            yield _with(tree, index, type(node)([], ast.Load()))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            yield _with(tree, index, ast.Constant(""))
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            for value in (0, -1):
                if node.value != value:
                    yield _with(tree, index, ast.Constant(value))


def _with(tree: ast.Module, index: int, new: ast.expr) -> str:
    """The source of a copy in which the node of that number is another."""
    copied = copy.deepcopy(tree)
    old = list(ast.walk(copied))[index]
    for parent in ast.walk(copied):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(item is old for item in value):
                value[:] = [new if item is old else item for item in value]
    return ast.unparse(ast.fix_missing_locations(copied))
