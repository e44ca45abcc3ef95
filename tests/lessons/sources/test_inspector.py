"""What is found in a module: its public names, their documentation, signatures, aliases and origins."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from alain_magics.lessons.sources.inspector import document, entry, inspect_module, kind_of, parameters


@pytest.fixture
def inspected() -> Iterator[Callable[[str], dict[str, Any]]]:
    """What the inspector says of a module with this source."""
    name = "inspected_sample"

    def run(source: str) -> dict[str, Any]:
        sys.modules[name] = types.ModuleType(name)
        exec(source, sys.modules[name].__dict__)
        return inspect_module(name)

    yield run
    sys.modules.pop(name, None)


def paths(data: dict[str, Any]) -> list[str]:
    return [member["path"].partition(".")[2] for member in data["members"]]


def test_without_a_list_of_names_what_the_module_defines_is_public(inspected):
    data = inspected("from math import sqrt\ndef one(): pass\ndef _two(): pass\nclass Three: pass\nfour = 4")
    assert paths(data) == ["one", "Three"]


def test_the_modules_own_list_decides_even_about_names_from_elsewhere(inspected):
    data = inspected("from textwrap import dedent\ndef one(): pass\n__all__ = ['dedent', 'missing']")
    assert paths(data) == ["dedent"]


def test_what_no_code_can_name_is_not_public(inspected):
    data = inspected(
        "__all__ = ['one', 'a(b', 'class', 3]\ndef one(): pass\nglobals()['a(b'] = globals()['class'] = len\n"
        "class Box: pass\nsetattr(Box, 'a b', one)\n"
    )
    assert paths(data) == ["one"]


@pytest.mark.parametrize(("name", "function"), [("bisect", "insort_left"), ("heapq", "heappush"), ("math", "gcd")])
def test_what_is_written_in_c_belongs_to_its_module(name, function):
    assert f"{name}.{function}" in {member["path"] for member in inspect_module(name)["members"]}


def test_a_second_name_of_an_object_is_an_alias_and_no_member(inspected):
    data = inspected("def one(): pass\nuno = one\nclass Box:\n    def put(self): pass\n    add = put")
    assert data["aliases"] == {
        "inspected_sample.uno": "inspected_sample.one",
        "inspected_sample.Box.add": "inspected_sample.Box.put",
    }
    assert paths(data) == ["one", "Box", "Box.put"]


def test_methods_are_members_special_ones_only_with_an_example(inspected):
    data = inspected('''
class Box:
    size = 3
    def open(self): "Open it."
    def _hidden(self): "Not to be called."
    def __len__(self): "How many."
    def __add__(self, other):
        """Put together.

        >>> Box() + Box()
        """
    @classmethod
    def empty(cls): "An empty one."
    @staticmethod
    def count(): "How many there are."
    @property
    def lid(self): "The lid."
''')
    kinds = {member["path"].rpartition(".")[2]: (member["kind"], member["owner"]) for member in data["members"]}
    owner = "inspected_sample.Box"
    assert kinds == {
        "Box": ("class", ""),
        "open": ("function", owner),
        "__add__": ("function", owner),
        "empty": ("function", owner),
        "count": ("function", owner),
        "lid": ("property", owner),
    }


def test_an_object_without_documentation_does_not_show_that_of_its_type():
    assert document(partial(print)) == ""
    assert document(3) == ""
    assert document(type("Bare", (), {})) == ""
    assert document(int).startswith("int(")


def test_documentation_is_freed_of_its_indentation(inspected):
    data = inspected('def one():\n    """First.\n\n    Use:\n        >>> one()\n    """')
    assert data["members"][0]["doc"] == "First.\n\nUse:\n    >>> one()"


def test_parameters_have_names_kinds_and_defaults_as_code():
    def sample(first, /, second: int = 3, *rest, flag=False, **more): ...

    found = parameters(sample)
    assert found is not None
    assert [(p["name"], p["kind"], p["default"]) for p in found] == [
        ("first", "POSITIONAL_ONLY", None),
        ("second", "POSITIONAL_OR_KEYWORD", "3"),
        ("rest", "VAR_POSITIONAL", None),
        ("flag", "KEYWORD_ONLY", "False"),
        ("more", "VAR_KEYWORD", None),
    ]


def test_a_default_that_differs_from_process_to_process_is_not_shown():
    def sample(key=object(), words=tuple(range(99))): ...  # noqa: B008

    assert [p["default"] for p in parameters(sample) or []] == ["...", "..."]


def test_a_callable_without_a_readable_signature_has_no_parameters():
    assert parameters(type) is None
    assert entry("sample.kind", type, "")["parameters"] is None


@pytest.mark.parametrize(
    ("value", "kind"),
    [(KeyError, "exception"), (dict, "class"), (len, "function"), (partial(len), "function"), (property(), "property")],
)
def test_everything_is_of_some_kind(value, kind):
    assert kind_of(value) == kind


def test_origins_say_how_to_import_the_names_of_a_module(inspected):
    data = inspected("import collections.abc as shapes\nfrom decimal import Decimal as D\ndef one(): pass")
    assert data["origins"]["shapes"] == "collections.abc"
    assert data["origins"]["D"] == "decimal:Decimal"
    assert data["origins"]["one"].endswith(":one")


def test_the_standard_library_has_the_version_and_the_licence_of_python():
    found = inspect_module("bisect")["distribution"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (found["name"], found["version"], found["licence"]) == ("python", version, "PSF-2.0")


def test_an_installed_package_has_the_version_licence_and_readme_of_its_distribution():
    from importlib.metadata import version

    found = inspect_module("more_itertools")["distribution"]
    assert (found["name"], found["version"]) == ("more-itertools", version("more-itertools"))
    assert found["licence"]
    assert "more-itertools" in found["readme"].lower()


def test_a_module_of_nobody_has_none(inspected):
    assert set(inspected("")["distribution"].values()) == {""}


def test_submodules_are_named_without_importing_them():
    data = inspect_module("importlib")
    assert {"metadata", "resources"} <= set(data["submodules"])
    assert not any(name.startswith("_") for name in data["submodules"])
