"""An installed Python module as a document: read in a sandboxed child, which alone imports it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alain_magics.errors import ImportFailed, NothingToTeach
from alain_magics.lessons.document import ApiObject, Document, Heading, Parameter, Span, text_hash
from alain_magics.lessons.schema import Provenance
from alain_magics.lessons.sources.inspection import read_inspection
from alain_magics.sandbox import Limits, Program, Sandbox

INSPECTION = Limits(seconds=20.0, memory_mb=1024, output_bytes=20_000_000)
MOST_CALLABLES = 500
INTERNAL = {
    "char",
    "compat",
    "conftest",
    "core",
    "ctypeslib",
    "distutils",
    "setup",
    "test",
    "testing",
    "tests",
    "version",
}
UNSUITABLE = {
    "windows": "antigravity idlelib tkinter turtle turtledemo curses webbrowser",
    "the network": "asyncore asynchat cgi cgitb ftplib http imaplib nntplib poplib smtpd smtplib socket socketserver "
    "ssl telnetlib urllib wsgiref xmlrpc",
    "processes": "asyncio concurrent multiprocessing pty signal subprocess threading",
    "debugging Python itself": "bdb doctest faulthandler pdb profile pstats test trace tracemalloc unittest",
}
_RULE = re.compile(r"^(?P<title>[^\n]{3,60})\n[-=~]{3,}[ \t]*$", re.MULTILINE)
_DOCTEST = re.compile(r"^[ \t]*>>>", re.MULTILINE)
_SIGNATURE_LINE = re.compile(r"^[\w.]+\([^\n]*\)[^\n]*$")


@dataclass
class ModuleDocument(Document):
    """The document of a module, with what is needed to run its examples.

    ``origins`` maps names of the module's namespace to ``module`` or ``module:qualified.name``; ``aliases`` maps a
    second name of an object to its first; ``readme`` is the span of the installed README.
    """

    name: str = ""
    origins: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    readme: Span = Span(0, 0)

    def object(self, path: str) -> ApiObject | None:
        """The public object of that path, aliases followed."""
        path = self.aliases.get(path, path)
        return next((item for item in self.objects if item.path == path), None)


async def read_module(name: str, sandbox: Sandbox, paths: Sequence[Path] = ()) -> ModuleDocument:
    """Import ``name`` in the sandbox and return its document.

    Raises :class:`ImportFailed` or :class:`UnknownSource` for what cannot be imported and :class:`NothingToTeach` for
    modules whose work cannot be shown safely (windows, network, processes) or that are too large for one lesson.
    """
    refuse_unsuitable(name)
    async with sandbox.session(imports=(name,), limits=INSPECTION, paths=paths) as session:
        (outcome,) = await session.run([Program(_inspector_source(), argv=(name,))])
    if not outcome.ok:
        raise ImportFailed(
            f"{name} could not be inspected: {outcome.error}: {outcome.message}.",
            "Try one of its submodules, or another module.",
        )
    data = read_inspection(name, outcome.stdout)
    documented = [member for member in data["members"] if member["doc"]]
    if len(documented) > MOST_CALLABLES:
        submodules = ", ".join(f"{name}.{each}" for each in data["submodules"] if each not in INTERNAL)
        first = ", ".join(submodules.split(", ")[:5])
        raise NothingToTeach(
            f"{name} has {len(documented)} documented callables, too many for one lesson.",
            f"Choose a part of it: {first}." if first else "Choose a smaller module.",
        )
    return assemble(data)


def _inspector_source() -> str:
    """The text of the program that runs inside the sandbox."""
    return (Path(__file__).parent / "inspector.py").read_text(encoding="utf-8")


def refuse_unsuitable(name: str) -> None:
    """Raise :class:`NothingToTeach` for standard modules whose work a sandbox must forbid."""
    top = name.partition(".")[0]
    for subject, names in UNSUITABLE.items():
        if top in names.split() and top in sys.stdlib_module_names:
            raise NothingToTeach(
                f"{name} works with {subject}, which cannot be shown by code that runs in a sandbox.",
                "Try statistics, collections or difflib, or another module that computes.",
            )


def assemble(data: dict[str, Any]) -> ModuleDocument:
    """Build the document from what the inspector found."""
    name = data["name"]
    parts: list[str] = []
    length = 0

    def add(text: str) -> Span:
        nonlocal length
        parts.append(text)
        start, length = length, length + len(text)
        return Span(start, length)

    add(f"# {name}\n\n")
    doc_span = add(data["doc"])
    headings = [Heading(name, 1, doc_span)] if data["doc"] else []
    headings += module_headings(data["doc"], doc_span.start)
    objects = []
    for member in data["members"]:
        add(f"\n\n## {member['path']}{_signature(member['parameters'])}\n\n")
        span = add(member["doc"])
        objects.append(_api_object(member, span))
        headings.append(Heading(member["path"], 2, span))
    readme = Span(0, 0)
    if data["distribution"]["readme"]:
        add("\n\n# README\n\n")
        readme = add(data["distribution"]["readme"])
        headings.append(Heading("README", 1, readme))
    text = "".join(parts)
    distribution = data["distribution"]
    return ModuleDocument(
        title=name,
        text=text,
        provenance=Provenance(
            kind="module",
            ref=name,
            revision=distribution["version"],
            sha256=text_hash(text),
            licence=distribution["licence"],
        ),
        headings=headings,
        objects=objects,
        name=name,
        origins=data["origins"],
        aliases=data["aliases"],
        readme=readme,
    )


def module_headings(doc: str, offset: int) -> list[Heading]:
    """The underlined headings of a module's docstring, each with the span of its body."""
    found = list(_RULE.finditer(doc))
    ends = [*(match.start() for match in found), len(doc)][1:]
    return [
        Heading(match["title"].strip(), 2, Span(offset + match.end(), offset + end))
        for match, end in zip(found, ends, strict=True)
        if not set(match["title"]) <= set("-=~ ")
    ]


def _signature(parameters: list[dict[str, Any]] | None) -> str:
    if parameters is None:
        return ""
    return "(" + ", ".join(p["name"] + (f"={p['default']}" if p["default"] else "") for p in parameters) + ")"


def _api_object(member: dict[str, Any], span: Span) -> ApiObject:
    start, end = summary_bounds(member["doc"])
    return ApiObject(
        path=member["path"],
        kind=member["kind"],
        doc=member["doc"],
        span=span,
        summary=plain_markup(member["doc"][start:end]),
        summary_span=Span(span.start + start, span.start + end),
        parameters=None if member["parameters"] is None else tuple(Parameter(**p) for p in member["parameters"]),
        owner=member["owner"],
        raises=documented_raises(member["doc"]),
    )


def plain_markup(text: str) -> str:
    """One line of text in which reStructuredText's roles and double backticks have become `backticks`."""
    text = re.sub(r":[a-z:]{1,40}:`~?([^`<]+)(?:<[^<>`]*>)?`", r"`\1`", " ".join(text.split()))
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def summary_bounds(doc: str) -> tuple[int, int]:
    """Where the first sentence of a docstring stands, if one does before its first example.

    A leading line that repeats the signature is passed over.
    """
    example = _DOCTEST.search(doc)
    doc = doc[: example.start()] if example else doc
    start = 0
    while start < len(doc):
        stop = doc.find("\n\n", start)
        stop = len(doc) if stop < 0 else stop
        paragraph = doc[start:stop]
        first, _, rest = paragraph.partition("\n")
        if _SIGNATURE_LINE.match(first) and not first.rstrip().endswith("."):
            start = start + len(first) + 1 if rest else stop + 2
            continue
        sentence = re.match(r".+?(?<!e\.g)(?<!i\.e)[.!?](?=\s+[^a-z\s]|\s*$)", paragraph, re.DOTALL)
        if sentence is None and len(paragraph.split()) <= 4 and doc[stop:].strip():
            start = stop + 2
            continue
        return start, start + (sentence.end() if sentence else len(paragraph.rstrip()))
    return 0, 0


def documented_raises(doc: str) -> tuple[str, ...]:
    """Exceptions that a Google- or NumPy-style docstring lists, and those that prose says are raised."""
    found = {match[1]: None for match in re.finditer(r"\b(\w*(?:Error|Exception|Warning))\b", doc)}
    if "Raises" in doc:
        import griffe

        logging.getLogger("griffe").setLevel(logging.CRITICAL)
        style: Any = "numpy" if re.search(r"Raises\n-+", doc) else "google"
        for section in griffe.Docstring(doc).parse(style):
            if section.kind is griffe.DocstringSectionKind.raises:
                found |= {str(item.annotation): None for item in section.value}
    return tuple(found)
