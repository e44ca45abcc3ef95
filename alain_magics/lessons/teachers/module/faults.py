"""Short programs of which one line raises: documented calls, and the same calls with edge arguments."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alain_magics.lessons.proving import Prover
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, merge_imports

LONGEST_LINE = 64
LINES = 4
_TELLING = {"ValueError", "IndexError", "KeyError", "ZeroDivisionError", "OverflowError", "StopIteration"}


@dataclass(frozen=True)
class Fault:
    """Lines of which one raises, and the example whose call that is."""

    example: Example
    imports: tuple[str, ...]
    lines: tuple[str, ...]


async def find_faults(document: ModuleDocument, prover: Prover, examples: Sequence[Example]) -> list[Fault]:
    """Programs of three or four lines, one of which raises an exception that is worth knowing.

    A call with an edge argument that does *not* raise stands beside one that does, where there is such a pair.
    """
    known = _TELLING | {item.name for item in document.objects if item.kind == "exception"}
    known |= {name for item in document.objects for name in item.raises} - {"TypeError", "AttributeError"}
    known |= {example.raises.rpartition(".")[2] for example in examples if example.raises}
    faulty: list[tuple[Example, str]] = []
    calm: list[tuple[Example, str]] = []
    edged = [(example, line) for example in examples for line in candidate_lines(example)]
    outcomes = await prover.reproduce([_program(example, line) for example, line in edged])
    seen: set[tuple[str, str]] = set()
    for (example, line), outcome in zip(edged, outcomes, strict=True):
        if outcome is None or not example.calls or (example.calls[0], outcome.error) in seen:
            continue
        seen.add((example.calls[0], outcome.error))
        if outcome.error in known:
            faulty.append((example, line))
        elif outcome.ok and not example.setup and outcome.output:
            calm.append((example, line))
    faults = []
    for number, (example, line) in enumerate(faulty):
        if example.setup:
            faults += _with_setup(example, line, number)
        else:
            faults += _side_by_side((example, line), calm, examples, faulty[number + 1 :], number)
    return faults


def candidate_lines(example: Example) -> Iterator[str]:
    """A documented line that raises, or the edge variants of one that does not."""
    if "\n" in example.source or any("\n" in line for line in example.setup):
        return
    lines = [example.source] if example.raises else list(edge_lines(example.source))
    yield from (line for line in lines if len(line) <= LONGEST_LINE)


def _program(example: Example, line: str) -> str:
    return join_program(example.imports, "\n".join((*example.setup, line)))


def _with_setup(example: Example, line: str, number: int) -> list[Fault]:
    """The example's own lines with the faulty one last, or before the documented one."""
    if example.raises:
        lines: tuple[str, ...] = (*example.setup, line)
    elif number % 2:
        lines = (*example.setup, line, example.source)
    else:
        lines = (*example.setup, example.source, line)
    if not LINES - 1 <= len(lines) <= LINES or any(len(each) > LONGEST_LINE for each in lines):
        return []
    return [Fault(example, example.imports, lines)]


def _side_by_side(
    fault: tuple[Example, str],
    calm: list[tuple[Example, str]],
    examples: Sequence[Example],
    later: list[tuple[Example, str]],
    number: int,
) -> list[Fault]:
    """Calls of different objects, the faulty one first, second or third in turn; a second fault comes after it."""
    subject = fault[0].calls[0]
    plain = [
        (example, example.source)
        for example in examples
        if not example.setup
        and not example.raises
        and example.calls
        and "\n" not in example.source
        and len(example.source) <= LONGEST_LINE
    ]
    second = [pair for pair in later if pair[0].calls[0] != subject and not pair[0].setup][:1]
    taken = {subject, *(pair[0].calls[0] for pair in second)}
    others: dict[str, tuple[Example, str]] = {}
    for pair in (*calm, *plain):
        if pair[0].calls[0] not in taken:
            others.setdefault(pair[0].calls[0], pair)
    chosen = list(others.values())[: LINES - 1 - len(second)]
    place = min(number % 3, len(chosen))
    pairs = [*chosen[:place], fault, *chosen[place:], *second]
    if len(pairs) < LINES - 1:
        return []
    imports = merge_imports(tuple(line for example, _ in pairs for line in example.imports))
    return [Fault(fault[0], imports, tuple(line for _, line in pairs))]


def edge_lines(source: str) -> Iterator[str]:
    """The outermost call with a literal argument emptied, or a number made 0 or -1; an index or key made unknown."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    call = next((node for node in nodes if isinstance(node, ast.Call)), None)
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)] if call else []
    keys = [node.slice for node in nodes if isinstance(node, ast.Subscript)]
    for index, node in enumerate(nodes):
        if isinstance(node, ast.Constant) and any(node is key for key in keys):
            if type(node.value) is int:
                yield _with(tree, index, ast.Constant(node.value + 10))
            elif isinstance(node.value, str):
                yield _with(tree, index, ast.Constant("?"))
        if not any(node is argument for argument in arguments):
            continue
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
