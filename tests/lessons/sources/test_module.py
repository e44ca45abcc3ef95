"""A module as a document: read in the sandbox, every span in its place, unfit modules refused in one line."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import ImportFailed, NothingToTeach, SourceError, UnknownSource
from alain_magics.lessons.document import text_hash
from alain_magics.lessons.sources.module import (
    MOST_CALLABLES,
    ModuleDocument,
    documented_raises,
    plain_markup,
    read_module,
    refuse_unsuitable,
    summary_bounds,
)
from alain_magics.sandbox import Sandbox
from tests.lessons.modules import document_of

Read = Callable[..., ModuleDocument]


@pytest.fixture
def read(finish: Any) -> Read:
    """Reads a module, at once."""
    return lambda name, *paths, sandbox=None: finish(read_module(name, sandbox or Sandbox(), paths))


@pytest.fixture(scope="module")
def statistics(finish: Any) -> ModuleDocument:
    """The document of a standard module."""
    return finish(read_module("statistics", Sandbox()))


def test_a_standard_module_becomes_a_document_with_its_provenance(statistics):
    source = statistics.provenance
    assert (source.kind, source.ref, source.licence) == ("module", "statistics", "PSF-2.0")
    assert source.sha256 == text_hash(statistics.text)
    assert source.revision.count(".") == 1


def test_reading_in_the_sandbox_finds_what_reading_here_finds(read, kit, folder):
    assert read("kit", folder) == kit


def test_every_object_has_its_documentation_at_its_span(statistics):
    assert len(statistics.objects) > 20
    for item in statistics.objects:
        assert statistics.text[item.span.start : item.span.end] == item.doc
        summary = statistics.text[item.summary_span.start : item.summary_span.end]
        assert plain_markup(summary) == item.summary


def test_objects_carry_the_documentation_that_python_has(statistics):
    module = importlib.import_module("statistics")
    item = statistics.object("statistics.median_low")
    assert item.doc == inspect.getdoc(module.median_low)
    assert item.summary == "Return the low median of numeric data."
    assert [parameter.name for parameter in item.parameters] == ["data"]


def test_a_class_owns_its_methods(statistics):
    item = statistics.object("statistics.NormalDist.cdf")
    assert (item.name, item.owner) == ("cdf", "statistics.NormalDist")


def test_underlined_titles_of_the_documentation_head_what_stands_below_them(statistics):
    bodies = {heading.title: statistics.text[heading.span.start : heading.span.end] for heading in statistics.headings}
    assert "harmonic_mean" in bodies["Calculating averages"]
    assert "pstdev" not in bodies["Calculating averages"]
    assert "pstdev" in bodies["Calculating variability or spread"]


def test_rows_of_signs_are_no_titles():
    document = document_of(
        '"""Words.\n\n=====  =====\nName   Use\n=====  =====\n-----\n-----\n\nPart\n----\nText.\n"""'
    )
    assert [heading.title for heading in document.headings] == ["sample", "Part"]


def test_an_alias_leads_to_the_object():
    document = document_of("def one(): 'First.'\nuno = one\n")
    assert document.object("sample.uno") is document.object("sample.one")
    assert document.object("sample.two") is None


def test_a_package_brings_its_readme(read):
    document = read("more_itertools")
    readme = document.text[document.readme.start : document.readme.end]
    assert "more-itertools" in readme.lower()
    assert document.provenance.licence


def test_a_module_that_says_nothing_is_a_document_without_headings():
    document = document_of("three = 3")
    assert (document.headings, document.objects, document.text) == ([], [], "# sample\n\n")


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("tkinter", "windows"),
        ("curses.textpad", "windows"),
        ("socket", "the network"),
        ("urllib.request", "the network"),
        ("subprocess", "processes"),
        ("asyncio.queues", "processes"),
        ("multiprocessing", "processes"),
        ("pdb", "debugging"),
    ],
)
def test_modules_whose_work_a_sandbox_forbids_are_refused_before_they_are_imported(name, subject):
    with pytest.raises(NothingToTeach, match=rf"{name} works with {subject}.*Try statistics"):
        refuse_unsuitable(name)


@pytest.mark.parametrize("name", ["statistics", "json", "sockets", "requests"])
def test_other_modules_are_not(name):
    refuse_unsuitable(name)


def test_a_package_with_too_many_functions_offers_five_of_its_modules(read, tmp_path):
    package = tmp_path / "crowd"
    (package / "tests").mkdir(parents=True)
    (package / "tests" / "__init__.py").touch()
    for name in ("birds", "cats", "dogs", "eels", "fish", "goats"):
        (package / f"{name}.py").touch()
    functions = "\n".join(f"def number_{n}(): 'Number {n}.'" for n in range(MOST_CALLABLES + 1))
    (package / "__init__.py").write_text(functions)
    offer = r"501 documented callables.*crowd\.birds, crowd\.cats, crowd\.dogs, crowd\.eels, crowd\.fish\.$"
    with pytest.raises(NothingToTeach, match=offer):
        read("crowd", tmp_path)


def test_undocumented_functions_do_not_make_a_package_large(read, tmp_path):
    (tmp_path / "quiet.py").write_text("\n".join(f"def number_{n}(): pass" for n in range(MOST_CALLABLES + 1)))
    assert len(read("quiet", tmp_path).objects) == MOST_CALLABLES + 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import not_installed_anywhere", "ModuleNotFoundError"),
        ("this is no Python", "SyntaxError"),
        ("raise SystemExit", "ended Python"),
        ("print('hello')", "prints"),
        ("while True: pass", "not imported within"),
        ("import socket; socket.socket()", "using the network"),
        ("__all__ = ['lazy']\ndef __getattr__(name): raise RuntimeError('not today')", "could not be inspected"),
    ],
)
def test_a_module_that_does_more_than_define_names_is_refused_in_one_line(read, tmp_path: Path, source, reason):
    (tmp_path / "broken.py").write_text(source)
    with pytest.raises(ImportFailed) as caught:
        read("broken", tmp_path, sandbox=Sandbox(import_seconds=0.7 if "while" in source else 20))
    assert reason in str(caught.value)
    assert "broken" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "__all__ = ['f']\ndef __getattr__(name):\n    print('noise')\n    raise AttributeError(name)",
        "import json\ntrue = json.dumps\n"
        "json.dumps = lambda value, *a, **k: '{}' if 'members' in value else true(value, *a, **k)",
    ],
    ids=["prints", "changes what is printed"],
)
def test_a_module_that_spoils_its_inspection_is_refused_in_one_line(read, tmp_path, source):
    (tmp_path / "noisy.py").write_text(source)
    with pytest.raises(ImportFailed, match=r"^noisy could not be inspected: it prints, or changes[^\n]*$"):
        read("noisy", tmp_path)


def test_half_a_character_in_the_documentation_is_replaced(read, tmp_path):
    (tmp_path / "halved.py").write_text("def one():\n    'One \\ud800.'\n")
    assert read("halved", tmp_path).object("halved.one").doc == "One ?."


def test_a_module_that_is_not_there_is_unknown(read):
    with pytest.raises(UnknownSource, match="no module named nowhere_at_all"):
        read("nowhere_at_all")


def test_refusals_are_errors_of_the_source():
    assert issubclass(ImportFailed, SourceError)
    assert issubclass(NothingToTeach, SourceError)


@pytest.mark.parametrize(
    ("doc", "summary"),
    [
        ("Return the mean.", "Return the mean."),
        ("Return the mean. Then more.", "Return the mean."),
        ("Return the mean of the\ndata, e.g. of grades.\n\nMore.", "Return the mean of the\ndata, e.g. of grades."),
        ("Return e.g. 3.5 at most.  It varies.", "Return e.g. 3.5 at most."),
        ("mean(data) -> float\n\nReturn the mean.", "Return the mean."),
        ("mean(data)\nReturn the mean.", "Return the mean."),
        ("mean(data) returns the mean.", "mean(data) returns the mean."),
        ("A Title\n\nReturn the mean.", "Return the mean."),
        ("No full stop here at all\n\nMore.", "No full stop here at all"),
        ("Add two numbers\n>>> add(1, 2)\n3", "Add two numbers"),
        ("Add:\n\n>>> add(1, 2)\n3\n\nMore of it.", "Add:"),
        ("add(a, b)\n>>> add(1, 2)\n3", ""),
        (">>> add(1, 2)\n3", ""),
        ("Counter", "Counter"),
        ("", ""),
    ],
)
def test_the_summary_is_the_first_sentence_before_any_example(doc, summary):
    start, end = summary_bounds(doc)
    assert doc[start:end].strip() == summary


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Like :func:`len` of :class:`~os.path`.", "Like `len` of `os.path`."),
        ("Takes ``None``\n   too.", "Takes `None` too."),
        ("See :ref:`the page <page>`.", "See `the page `."),
        ("Plain `code`.", "Plain `code`."),
    ],
)
def test_markup_of_documentation_becomes_backticks(text, plain):
    assert plain_markup(text) == plain


@pytest.mark.parametrize("text", [":a" * 20_000, ":a:`x<" * 7_000, ":a:`" * 10_000])
def test_markup_that_never_ends_takes_no_time(text):
    began = time.perf_counter()
    plain_markup(text)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("doc", "errors"),
    [
        ("Nothing is raised.", ()),
        ("If it is empty, ValueError will be raised.", ("ValueError",)),
        ("Find it.\n\nRaises:\n    Missing: If it is not there.\n", ("Missing",)),
        ("Find it.\n\nRaises\n------\nLostError\n    If it is not there.\n", ("LostError",)),
    ],
)
def test_documented_exceptions_are_found_in_prose_and_in_lists(doc, errors):
    assert documented_raises(doc) == errors
