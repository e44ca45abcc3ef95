"""Small changes to an example: each is a mistake that a learner could make, with what it would mean."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program, merge_imports, used_imports
from alain_magics.lessons.teachers.module.siblings import Siblings

ORDER = (
    "sibling",
    "swapped arguments",
    "swapped operands",
    "skipped line",
    "flipped default",
    "sibling operator",
    "off by one",
    "printed, not shown",
    "other data",
)
_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.BitOr),
    ast.Sub: (ast.Add, ast.BitAnd),
    ast.BitAnd: (ast.BitOr, ast.Sub),
    ast.BitOr: (ast.BitAnd, ast.Add),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv,),
    ast.Div: (ast.FloorDiv,),
}


@dataclass(frozen=True)
class Mutant:
    """A changed example. ``how`` is one of ``ORDER``; ``changed`` the statement that differs."""

    how: str
    imports: tuple[str, ...]
    setup: tuple[str, ...]
    source: str
    changed: str

    @property
    def shown(self) -> str:
        """The changed code without its imports."""
        return "\n".join((*self.setup, self.source))

    @property
    def program(self) -> str:
        """The whole changed program."""
        return join_program(self.imports, self.shown)


class Mutator:
    """Makes the mutants of examples of one module."""

    def __init__(self, document: ModuleDocument, siblings: Siblings) -> None:
        self._document = document
        self._siblings = siblings
        self._public = {item.name: item for item in document.objects if not item.owner}

    def mutants(self, example: Example) -> list[Mutant]:
        """All mutants of an example, the most instructive first; no two with the same code."""
        found: list[Mutant] = []
        for how, source in self._of_source(example):
            imports = self._imports(example, source)
            found.append(Mutant(how, imports, example.setup, source, source))
        if "\n" not in example.source and not example.source.startswith("print("):
            found.append(Mutant("printed, not shown", example.imports, example.setup, f"print({example.source})", ""))
        for index, statement in enumerate(example.setup):
            if not isinstance(ast.parse(statement).body[0], ast.Assign | ast.FunctionDef | ast.ClassDef):
                setup = example.setup[:index] + example.setup[index + 1 :]
                found.append(Mutant("skipped line", example.imports, setup, example.source, statement))
            for how, changed in self._of_statement(statement):
                setup = (*example.setup[:index], changed, *example.setup[index + 1 :])
                found.append(Mutant(how, example.imports, setup, example.source, changed_line(statement, changed)))
        unique: dict[str, Mutant] = {}
        for mutant in found:
            if mutant.program != example.program:
                unique.setdefault(mutant.program, mutant)
        return sorted(unique.values(), key=lambda mutant: ORDER.index(mutant.how))

    def _imports(self, example: Example, source: str) -> tuple[str, ...]:
        """The imports of the example and those for public names that only the changed source uses."""
        used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        known = {node.id for node in ast.walk(ast.parse(example.shown)) if isinstance(node, ast.Name)}
        new = [f"from {self._document.name} import {name}" for name in sorted((used - known) & set(self._public))]
        code = "\n".join((*example.setup, source))
        return used_imports(merge_imports((*example.imports, *new)), code)

    def _of_source(self, example: Example) -> Iterator[tuple[str, str]]:
        tree = ast.parse(example.source)
        for index, node in enumerate(ast.walk(tree)):
            if isinstance(node, ast.Call):
                yield from self._of_call(tree, index, node, example)
            elif isinstance(node, ast.BinOp):
                yield from _of_operator(tree, index, node)
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                yield from _of_constant(tree, index, "slice", node.slice, "off by one")
        yield from _other_data(tree)

    def _of_statement(self, statement: str) -> Iterator[tuple[str, str]]:
        tree = ast.parse(statement)
        for index, node in enumerate(ast.walk(tree)):
            if isinstance(node, ast.Call):
                yield from _flags_and_order(tree, index, node)
        yield from _other_data(tree)

    def _of_call(self, tree: ast.Module, index: int, node: ast.Call, example: Example) -> Iterator[tuple[str, str]]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in self._public:
            for sibling in self._siblings.of(self._public[name].path):
                yield "sibling", _changed(tree, index, lambda call, to=sibling.name: _rename(call, to))
        elif method:
            path = next((call for call in example.calls if call.endswith("." + method)), "")
            for sibling in self._siblings.of(path):
                yield "sibling", _changed(tree, index, lambda call, to=sibling.name: _rename(call, to))
        path = next((call for call in example.calls if call.rpartition(".")[2] == (name or method)), "")
        item = self._document.object(path) if path else None
        for parameter in item.parameters or () if item else ():
            given = {keyword.arg for keyword in node.keywords}
            public = not parameter.name.startswith("_") and parameter.name not in given
            if parameter.default in ("True", "False") and public:
                keyword = ast.keyword(parameter.name, ast.Constant(parameter.default == "False"))
                yield "flipped default", _changed(tree, index, lambda call, new=keyword: call.keywords.append(new))
        yield from _flags_and_order(tree, index, node)
        if item is None:
            return  # counts given to other functions, such as round, only change how the result looks
        for position, argument in enumerate(node.args):
            if isinstance(argument, ast.Constant) and type(argument.value) is int:
                for step in (1, -1):
                    new = ast.Constant(argument.value + step)
                    yield (
                        "off by one",
                        _changed(tree, index, lambda call, at=position, to=new: call.args.__setitem__(at, to)),
                    )


def changed_line(before: str, after: str) -> str:
    """The one line that differs, or the whole statement."""
    known = {line.strip() for line in ast.unparse(ast.parse(before)).splitlines()}
    new = [line.strip() for line in after.splitlines() if line.strip() not in known]
    return new[0] if len(new) == 1 else after


def _rename(call: ast.Call, name: str) -> None:
    if isinstance(call.func, ast.Name):
        call.func.id = name
    elif isinstance(call.func, ast.Attribute):
        call.func.attr = name


def _flags_and_order(tree: ast.Module, index: int, node: ast.Call) -> Iterator[tuple[str, str]]:
    """Swap the first two arguments; leave out a keyword; turn a flag around."""
    first = node.args[:2]
    differ = len(first) == 2 and ast.dump(first[0]) != ast.dump(first[1])
    if differ and not any(isinstance(argument, ast.Starred) for argument in first):
        yield "swapped arguments", _changed(tree, index, _swap_arguments)
    for position, keyword in enumerate(node.keywords):
        if keyword.arg is None:
            continue
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
            yield (
                "flipped default",
                _changed(
                    tree, index, lambda call, at=position: _set_keyword(call, at, not call.keywords[at].value.value)
                ),
            )
        yield "flipped default", _changed(tree, index, lambda call, at=position: call.keywords.pop(at))


def _set_keyword(call: ast.Call, at: int, value: bool) -> None:
    call.keywords[at].value = ast.Constant(value)


def _swap_arguments(call: ast.Call) -> None:
    call.args[0], call.args[1] = call.args[1], call.args[0]


def _of_operator(tree: ast.Module, index: int, node: ast.BinOp) -> Iterator[tuple[str, str]]:
    if ast.dump(node.left) != ast.dump(node.right):
        yield "swapped operands", _changed(tree, index, _swap_operands)
    for other in _OPERATORS.get(type(node.op), ()):
        yield "sibling operator", _changed(tree, index, lambda found, op=other: setattr(found, "op", op()))


def _swap_operands(node: ast.BinOp) -> None:
    node.left, node.right = node.right, node.left


def _of_constant(
    tree: ast.Module, index: int, attribute: str, constant: ast.Constant, how: str
) -> Iterator[tuple[str, str]]:
    if type(constant.value) is int:
        for step in (1, -1):
            new = ast.Constant(constant.value + step)
            yield how, _changed(tree, index, lambda node, to=new: setattr(node, attribute, to))


def _other_data(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Change one element of a literal: a number by one, a text as :func:`other_text` does."""
    for index, node in enumerate(ast.walk(tree)):
        if not isinstance(node, ast.Constant):
            continue
        old: Any = node.value
        new = old + 1 if type(old) in (int, float) else other_text(old) if isinstance(old, str) else old
        if new != old:
            yield "other data", _changed(tree, index, lambda found, to=new: setattr(found, "value", to))


def other_text(text: str) -> str:
    """Another text that does not look odd: words in another order, capitals turned around, else the same text."""
    words = text.split(" ")
    if len(words) > 1 and words[0] and words[1]:
        return " ".join([words[1], words[0], *words[2:]])
    return text[::-1] if text.isupper() and len(text) > 2 else text


def _changed(tree: ast.Module, index: int, change: object) -> str:
    """The source of a copy of the tree in which ``change`` was applied to the node of that number."""
    new = copy.deepcopy(tree)
    for number, node in enumerate(ast.walk(new)):
        if number == index:
            change(node)  # type: ignore[operator]
            break
    return ast.unparse(ast.fix_missing_locations(new))
