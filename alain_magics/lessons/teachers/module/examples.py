"""Documented examples of a module: found in docstrings and README, cut down to what each needs to run."""

from __future__ import annotations

import ast
import builtins
import doctest
import io
import re
import tokenize
import warnings
from dataclasses import dataclass

from alain_magics.lessons.document import Span
from alain_magics.lessons.sources.module import ModuleDocument

MOST_SETUP_LINES = 10
LONGEST_SOURCE = 2_000
DEEPEST_SOURCE = 50
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_ARROW = re.compile(r"^[ \t]*(?P<call>[a-zA-Z_][\w.]*\(.*?\))[ \t]*-+>[ \t]*(?P<want>\S[^\n]*)$", re.MULTILINE)
_BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Example:
    """A statement with a documented outcome and the statements it needs.

    ``ref`` is the object whose documentation shows it and ``span`` where; ``calls`` are the public objects that it
    uses, the most telling first. ``want`` is the documented output, ``raises`` the documented exception.
    """

    ref: str
    span: Span
    imports: tuple[str, ...]
    setup: tuple[str, ...]
    source: str
    want: str
    raises: str
    calls: tuple[str, ...]
    loose: bool = False

    @property
    def shown(self) -> str:
        """The code without its imports."""
        return "\n".join((*self.setup, self.source))

    @property
    def program(self) -> str:
        """The whole program."""
        return join_program(self.imports, self.shown)

    def documented(self, output: str, error: str) -> bool:
        """Whether an outcome is the documented one."""
        if self.raises:
            return error == self.raises.rpartition(".")[2]
        if self.loose:
            want, got = (re.sub(r"""['"(),\[\]\s]""", "", text) for text in (self.want, output))
            endless = want.endswith("...") and len(want) > 3
            return not error and (got.startswith(want[:-3]) if endless else got == want)
        return not error and output.split() == self.want.replace("<BLANKLINE>", "").split()


def join_program(imports: tuple[str, ...], shown: str) -> str:
    """Imports, an empty line, the code."""
    return "\n".join(imports) + "\n\n" + shown if imports else shown


@dataclass(frozen=True)
class _Statement:
    source: str
    want: str
    raises: str
    start: int
    end: int


def find_examples(document: ModuleDocument) -> list[Example]:
    """All documented examples whose names can be resolved, in the order of the document."""
    names = Names(document)
    found: list[Example] = []
    for heading in document.headings:
        if heading.level == 2 and document.object(heading.title) is None:
            continue
        body = document.text[heading.span.start : heading.span.end]
        statements = parse_statements(body)
        for index, statement in enumerate(statements):
            if statement.want or statement.raises:
                found += names.cut(heading.title, heading.span.start, statements[:index], statement)
        found += names.arrows(heading.title, heading.span.start, body)
    unique: dict[str, Example] = {}
    for example in found:
        unique.setdefault(example.program, example)
    return list(unique.values())


def parse_statements(text: str) -> list[_Statement]:
    """The doctest statements of a text, with offsets; chunks that do not parse are passed over."""
    text = _FENCE.sub(lambda match: " " * len(match[0]), text)
    found = []
    for chunk in re.finditer(r"(?:^[ \t]*\S[^\n]*(?:\n|$))+", text, re.MULTILINE):
        try:
            examples = doctest.DocTestParser().get_examples(chunk[0])
        except ValueError:
            continue
        starts = [0, *(match.end() for match in re.finditer("\n", chunk[0]))]
        for example in examples:
            last = example.lineno + len(example.source.splitlines()) + len(example.want.splitlines())
            end = starts[last] if last < len(starts) else len(chunk[0])
            source = without_comments(example.source)
            inexact = doctest.ELLIPSIS in example.options or doctest.SKIP in example.options
            if inexact or not source or not parses(source):
                continue
            found.append(
                _Statement(
                    source,
                    "" if example.exc_msg else example.want.rstrip("\n"),
                    example.exc_msg.partition(":")[0].strip() if example.exc_msg else "",
                    chunk.start() + starts[example.lineno],
                    chunk.start() + end,
                )
            )
    return found


def parses(source: str) -> bool:
    """Whether this is Python that the parser does not warn of either, short and shallow enough to be worked on."""
    if len(source) > LONGEST_SOURCE:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return depth(tree) <= DEEPEST_SOURCE


def depth(tree: ast.AST) -> int:
    """How many nodes stand one within another."""
    levels, level = 0, [tree]
    while level:
        levels, level = levels + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return levels


def without_comments(source: str) -> str:
    """The source without its comments: they are directives, or tell what a question asks."""
    lines = source.splitlines()
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return source.rstrip("\n")
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


class Names:
    """Resolves the names of examples against a module's public objects and namespace."""

    def __init__(self, document: ModuleDocument) -> None:
        self._document = document
        self._public = {item.name: item.path for item in document.objects if not item.owner}
        aliases = [alias.rpartition(".") for alias in document.aliases]
        self._public |= {name: f"{home}.{name}" for home, _, name in aliases if home == document.name}
        self._methods: dict[str, list[str]] = {}
        for item in document.objects:
            if item.owner:
                self._methods.setdefault(item.name, []).append(item.path)

    def cut(self, ref: str, offset: int, before: list[_Statement], statement: _Statement) -> list[Example]:
        """The example with the earlier statements that it needs, in up to three forms, the shortest first.

        Which form is enough is found by running them; none where a name stays unknown.
        """
        sources = [item.source for item in before]
        forms = {tuple(slice_statements(sources, statement.source, doubt)): None for doubt in (0, 1, 2)}
        found = [self._cut(ref, offset, list(setup), statement) for setup in forms]
        return [example for example in found if example]

    def _cut(self, ref: str, offset: int, setup: list[str], statement: _Statement) -> Example | None:
        if sum(source.count("\n") + 1 for source in setup) > MOST_SETUP_LINES:
            return None
        setup, own_imports = split_imports(setup)
        imports = self.imports_for("\n".join((*own_imports, *setup, statement.source)))
        if imports is None:
            return None
        return Example(
            ref=ref,
            span=Span(offset + statement.start, offset + statement.end),
            imports=merge_imports((*own_imports, *imports)),
            setup=tuple(setup),
            source=statement.source,
            want=statement.want,
            raises=statement.raises,
            calls=self.calls(ref, "\n".join(setup), statement.source),
        )

    def arrows(self, ref: str, offset: int, text: str) -> list[Example]:
        """Examples written as ``call(...) --> items``, as the standard library does for iterators."""
        found = []
        for match in _ARROW.finditer(text):
            source = f"list({match['call']})"
            if not parses(source):
                continue
            tree = ast.parse(source)
            imports = self.imports_for(source)
            if imports and not any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree)):
                span = Span(offset + match.start(), offset + match.end())
                calls = self.calls(ref, "", source)
                found.append(Example(ref, span, imports, (), source, match["want"].strip(), "", calls, loose=True))
        return found

    def imports_for(self, code: str) -> tuple[str, ...] | None:
        """The imports that free names of the code need; ``None`` if one cannot be resolved."""
        imports = []
        root = self._document.name
        for name in free_names(code):
            origin = self._document.origins.get(name)
            if name in self._public:
                imports.append(f"from {root} import {name}")
            elif name == root.partition(".")[0]:
                imports.append(f"import {root}")
            elif origin is None:
                return None
            elif ":" not in origin:
                imports.append(f"import {origin}" if origin == name else f"import {origin} as {name}")
            else:
                module, _, qualified = origin.partition(":")
                if not qualified.isidentifier() or module.startswith("_") or module == "builtins":
                    module, qualified = root, name
                imports.append(f"from {module} import {qualified}" + (f" as {name}" if qualified != name else ""))
        return merge_imports(tuple(imports))

    def calls(self, ref: str, setup: str, source: str) -> tuple[str, ...]:
        """Public objects that the source uses, outermost call first; the documented one if it is among them leads."""
        found: dict[str, None] = {}
        made = {node.id for node in ast.walk(ast.parse(setup + "\n" + source)) if isinstance(node, ast.Name)}
        for node in ast.walk(ast.parse(source)):
            path = ""
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                path = self._public.get(node.func.id, "")
            elif isinstance(node, ast.Attribute):
                path = self._attribute(ref, made, node)
            if path:
                found[self._document.aliases.get(path, path)] = None
        item = self._document.object(ref)
        if not found and item and {item.name, item.owner.rpartition(".")[2]} & made:
            found[ref] = None
        return tuple(sorted(found, key=lambda path: (path != ref, list(found).index(path))))

    def _attribute(self, ref: str, made: set[str], node: ast.Attribute) -> str:
        """The path that an attribute means: of the module itself, or a method of a class that the code mentions."""
        if isinstance(node.value, ast.Name) and node.value.id in self._document.name.split("."):
            return self._public.get(node.attr, "")
        owners = [path for path in self._methods.get(node.attr, []) if path.split(".")[-2] in made]
        return next((path for path in owners if path == ref), owners[0] if owners else "")


def free_names(code: str) -> list[str]:
    """Names that the code reads but neither binds nor finds among the builtins, in order."""
    bound: set[str] = set()
    read: dict[str, None] = {}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                read[node.id] = None
            else:
                bound.add(node.id)
        else:
            bound |= bindings(node)
    return [name for name in read if name not in bound and name not in _BUILTINS]


def bindings(node: ast.AST) -> set[str]:
    """Names that a node binds other than by assignment: definitions, imports, arguments, handlers."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.ExceptHandler) and node.name:
        return {node.name}
    return set()


def slice_statements(before: list[str], source: str, doubt: int) -> list[str]:
    """The earlier statements that ``source`` depends on: by the names it reads, and by changes made to them.

    ``doubt`` says what is taken to change an object: 0, storing into it; 1, also a method called on it; 2, also any
    call that it is passed to.
    """
    needed = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    kept = []
    for earlier in reversed(before):
        tree = ast.parse(earlier)
        stored = stored_names(tree)
        if not needed & (stored | changed_names(tree, doubt)):
            continue
        kept.append(earlier)
        read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        if all(isinstance(node, ast.Assign) for node in tree.body):
            needed -= stored
        needed |= read
    return kept[::-1]


def stored_names(tree: ast.Module) -> set[str]:
    """Names that a statement binds."""
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    return found.union(*(bindings(node) for node in tree.body))


def changed_names(tree: ast.Module, doubt: int) -> set[str]:
    """Names whose objects a statement may change; see :func:`slice_statements`."""
    found = set()
    for node in ast.walk(tree):
        target = None
        if doubt > 0 and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target = node.func.value
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            target = node.value
        if doubt > 1 and isinstance(node, ast.Call):
            found |= {item.id for item in node.args if isinstance(item, ast.Name)}
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if isinstance(target, ast.Name):
            found.add(target.id)
    return found


def split_imports(sources: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Part statements into others and imports; star imports go, their names are resolved anew."""
    plain, imports = [], []
    for source in sources:
        tree = ast.parse(source)
        if tree.body and all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
            imports += [line for line in ast.unparse(tree).splitlines() if not line.endswith("import *")]
        else:
            plain.append(source)
    return plain, tuple(imports)


def merge_imports(imports: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted imports, one line per module that names are taken from."""
    taken: dict[str, set[str]] = {}
    plain = set()
    for line in imports:
        match = re.match(r"from (\S+) import (.+)$", line)
        if match:
            taken.setdefault(match[1], set()).update(name.strip() for name in match[2].split(","))
        else:
            plain.add(line)
    return tuple(sorted(plain)) + tuple(
        f"from {home} import {', '.join(sorted(taken[home]))}" for home in sorted(taken)
    )


def used_imports(imports: tuple[str, ...], code: str) -> tuple[str, ...]:
    """The imports without the names that the code does not mention."""
    mentioned = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    lines = []
    for line in imports:
        (node,) = ast.parse(line).body
        assert isinstance(node, ast.Import | ast.ImportFrom)
        node.names = [a for a in node.names if (a.asname or a.name).partition(".")[0] in mentioned]
        if node.names:
            lines.append(ast.unparse(node))
    return tuple(lines)
