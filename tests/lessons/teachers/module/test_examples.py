"""Documented examples: found where doctest finds them, cut to what they need, with the imports they need."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.lessons.document import Span
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import ModuleDocument, assemble
from alain_magics.lessons.teachers.module.examples import (
    MOST_SETUP_LINES,
    Example,
    changed_names,
    find_examples,
    free_names,
    join_program,
    merge_imports,
    parse_statements,
    slice_statements,
    split_imports,
    used_imports,
    without_comments,
)
from tests.lessons.modules import document_of


def documented(*lines: str, head: str = "") -> ModuleDocument:
    """A module with one function whose documentation holds these lines."""
    doc = "\n".join(f"    {line}" for line in lines)
    return document_of(f'{head}\ndef double(x):\n    r"""Double it.\n\n{doc}\n    """\n    return 2 * x\n')


def programs(*lines: str, head: str = "") -> list[str]:
    """The programs of the examples in such a module."""
    return [example.program for example in find_examples(documented(*lines, head=head))]


def statements(text: str) -> list[tuple[str, str, str]]:
    return [(found.source, found.want, found.raises) for found in parse_statements(text)]


def test_an_example_is_a_statement_with_its_documented_output():
    (example,) = find_examples(documented(">>> double(3)", "6"))
    assert (example.program, example.want) == ("from sample import double\n\ndouble(3)", "6")
    assert (example.ref, example.calls) == ("sample.double", ("sample.double",))


def test_its_span_is_where_it_stands_in_the_document():
    document = documented("Text before.", "", ">>> double(3)", "6", "", "Text after.")
    (example,) = find_examples(document)
    quote = document.cite(example.span, example.ref).quote
    assert [line.strip() for line in quote.strip().splitlines()] == [">>> double(3)", "6"]


@pytest.mark.parametrize("more", ["+1" * 900, " or 'long'" * 300, ".real" * 60, "; (" + "-" * 80 + "1)"])
def test_what_is_too_long_or_too_deep_is_no_example(more):
    assert programs(f">>> double(3){more}", "6") == []


def test_what_has_no_name_of_its_own_is_imported_by_that_of_the_module():
    head = "half = lambda x: x / 2\n__all__ = ['double']"
    assert programs(">>> half(double(3))", "3.0", head=head) == ["from sample import double, half\n\nhalf(double(3))"]


def test_statements_without_output_are_only_set_up():
    assert programs(">>> y = 4", ">>> double(y)", "8") == ["from sample import double\n\ny = 4\ndouble(y)"]


def test_what_a_statement_does_not_need_is_left_out():
    lines = (">>> y = 4", ">>> z = 5", ">>> w = z + 1", ">>> double(w)", "12")
    assert programs(*lines)[0] == "from sample import double\n\nz = 5\nw = z + 1\ndouble(w)"


def test_changes_that_may_matter_are_left_out_first_and_then_taken_in():
    lines = (">>> y = [3]", ">>> y.append(4)", ">>> print(y)", "[3, 4]", ">>> double(y)", "[3, 4, 3, 4]")
    forms = [found.rpartition("\n\n")[2] for found in programs(*lines) if found.endswith("double(y)")]
    assert forms == [
        "y = [3]\ndouble(y)",
        "y = [3]\ny.append(4)\ndouble(y)",
        "y = [3]\ny.append(4)\nprint(y)\ndouble(y)",
    ]


def test_storing_into_an_object_is_never_left_out():
    lines = (">>> y = {}", ">>> y['a'] = 1", ">>> del y['a']", ">>> y", "{}")
    assert programs(*lines)[0].splitlines() == ["y = {}", "y['a'] = 1", "del y['a']", "y"]


def test_a_name_that_is_bound_anew_hides_what_was_before():
    lines = (">>> y = 1", ">>> y = 2", ">>> double(y)", "4")
    assert programs(*lines) == ["from sample import double\n\ny = 2\ndouble(y)"]


def test_no_example_where_a_name_stays_unknown():
    assert programs(">>> double(unheard_of)", "6", ">>> double(2)", "4") == ["from sample import double\n\ndouble(2)"]


@pytest.mark.parametrize(("lines", "found"), [(MOST_SETUP_LINES, 1), (MOST_SETUP_LINES + 1, 0)])
def test_no_example_needs_a_long_set_up(lines, found):
    chain = [">>> y0 = 1", *(f">>> y{n} = y{n - 1}" for n in range(1, lines))]
    assert len(programs(*chain, f">>> double(y{lines - 1})", "2")) == found


@pytest.mark.parametrize(
    ("lines", "imports"),
    [
        ((">>> Decimal(3)", "Decimal('3')"), ["from decimal import Decimal"]),
        ((">>> D(3)", "Decimal('3')"), ["from decimal import Decimal as D"]),
        ((">>> clock.gmtime(0).tm_year", "1970"), ["import time as clock"]),
        ((">>> math.pi", "3.14"), ["import math"]),
        ((">>> sample.double(2)", "4"), ["import sample"]),
        ((">>> double(D(3))", "6"), ["from decimal import Decimal as D", "from sample import double"]),
        ((">>> from decimal import Decimal as Dec", ">>> double(Dec(3))", "6"),
         ["from decimal import Decimal as Dec", "from sample import double"]),
        ((">>> import decimal", ">>> decimal.Decimal(3)", "3"), ["import decimal"]),
        ((">>> from sample import *", ">>> double(3)", "6"), ["from sample import double"]),
        ((">>> from sample import double", ">>> double(3)", "6"), ["from sample import double"]),
        ((">>> len([3])", "1"), []),
    ],
)  # fmt: skip
def test_imports_are_those_of_the_example_and_of_the_module(lines, imports):
    head = "import math\nimport time as clock\nfrom decimal import Decimal\nfrom decimal import Decimal as D"
    (program,) = programs(*lines, head=head)
    assert [line for line in program.splitlines() if line.startswith(("import ", "from "))] == imports


def test_a_name_of_a_hidden_half_is_imported_from_the_module_itself():
    document = assemble(inspect_module("heapq"))
    assert {example.imports for example in find_examples(document)} >= {("from heapq import merge",)}


def test_an_alias_of_a_submodule_is_imported_as_it_is_called():
    source = 'def double(x):\n    """Double it.\n\n    >>> twice(2)\n    4\n    """\n\ntwice = double\n'
    (example,) = find_examples(document_of(source, "sample"))
    assert example.imports == ("from sample import twice",)
    assert example.calls == ("sample.double",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (">>> 1 + 1\n2\n", [("1 + 1", "2", "")]),
        (">>> 1 + 1\n2", [("1 + 1", "2", "")]),
        ("    >>> 1 + 1\n    2\n\n    Text.\n", [("1 + 1", "2", "")]),
        (">>> for n in (1, 2):\n...     print(n)\n1\n2\n", [("for n in (1, 2):\n    print(n)", "1\n2", "")]),
        (">>> print('a\\n\\nb')\na\n<BLANKLINE>\nb\n", [("print('a\\n\\nb')", "a\n<BLANKLINE>\nb", "")]),
        (">>> x = 1  # one\n", [("x = 1", "", "")]),
        (">>> '# no comment'\n'# no comment'\n", [("'# no comment'", "'# no comment'", "")]),
        (">>> # a remark\n", []),
        (">>> 1 / 0\nTraceback (most recent call last):\n  ...\nZeroDivisionError: division by zero\n",
         [("1 / 0", "", "ZeroDivisionError")]),
        (">>> f()\nTraceback (most recent call last):\nmodule.Lost\n", [("f()", "", "module.Lost")]),
        (">>> list(range(99))  # doctest: +ELLIPSIS\n[0, ..., 98]\n", []),
        (">>> now()  # doctest: +SKIP\n12:00\n", []),
        (">>> 1 +\n2\n", []),
        (">>> 1\n1\n  >>> broken indentation\n 2\n", []),
        (">>>no space\n", []),
        ("```python\n>>> 1 + 1\n2\n```\n>>> 3\n3\n", [("1 + 1", "2", ""), ("3", "3", "")]),
        ("~~~\n>>> 1 + 1\n2\n~~~", [("1 + 1", "2", "")]),
        (">>> 1 +\n\n>>> 2\n2\n", [("2", "2", "")]),
        ("Nothing at all.", []),
        ("", []),
    ],
)  # fmt: skip
def test_statements_are_read_as_doctest_does_chunk_by_chunk(text, found):
    assert statements(text) == found


def test_a_statement_that_python_warns_of_is_passed_over_in_silence():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert statements(">>> '\\d'\n'\\\\d'\n\n>>> 1\n1\n") == [("1", "1", "")]
    assert heard == []


@settings(deadline=None)
@given(st.text(alphabet=">.` \n#\"'()[]:x1=+~", max_size=60))
def test_any_text_can_be_searched_for_statements(text):
    for found in parse_statements(text):
        ast.parse(found.source)
        assert text[found.start :].lstrip().startswith(">>>")


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("x = 1  # one", "x = 1"),
        ("# one\nx = 1\n", "x = 1"),
        ("x = '#'\n", "x = '#'"),
        ("for x in y:  # each\n    # inner\n    print(x)", "for x in y:\n    print(x)"),
        ("x = (1,  # one\n     2)", "x = (1,\n     2)"),
        ("'''open", "'''open"),
    ],
)
def test_comments_are_removed(source, plain):
    assert without_comments(source) == plain


def test_calls_written_with_arrows_are_examples_of_lists():
    found = find_examples(documented("double([1]) --> 1 1", "double([4], [...]) --> 4", "double(4) -> integer"))
    assert [(example.source, example.want, example.loose) for example in found] == [
        ("list(double([1]))", "1 1", True),
        ("list(double(4))", "integer", True),
    ]
    assert found[0].imports == ("from sample import double",)


@pytest.mark.parametrize(
    ("want", "output", "documented"),
    [
        ("1 1", "[1, 1]", True),
        ("A B", "['A', 'B']", True),
        ("(1, 2) (3, 4)", "[(1, 2), (3, 4)]", True),
        ("1 2 ...", "[1, 2, 3, 4]", True),
        ("...", "[1, 2]", False),
        ("1 2", "[1, 3]", False),
    ],
)
def test_what_an_arrow_points_to_is_compared_by_its_items(want, output, documented):
    example = Example("m", Span(0, 0), (), (), "f()", want, "", (), loose=True)
    assert example.documented(output, "") is documented


@pytest.mark.parametrize(
    ("want", "raises", "output", "error", "documented"),
    [
        ("[1, 2]", "", "[1, 2]", "", True),
        ("[1, 2]", "", "[1,\n  2]", "", True),
        ("[1, 2]", "", "[1,2]", "", False),
        ("a\nb", "", "a\n\nb", "", True),
        ("a\n<BLANKLINE>\nb", "", "a\n\nb", "", True),
        ("1", "", "2", "", False),
        ("1", "", "1", "ValueError", False),
        ("", "kit.KitError", "", "KitError", True),
        ("", "KitError", "", "KitError", True),
        ("", "KitError", "", "ValueError", False),
        ("", "KitError", "1", "", False),
    ],
)
def test_an_outcome_is_the_documented_one_up_to_space(want, raises, output, error, documented):
    example = Example("m", Span(0, 0), (), (), "f()", want, raises, ())
    assert example.documented(output, error) is documented


def test_the_documented_object_leads_the_calls_of_its_example():
    lines = (">>> triple(double(1))", "6")
    document = documented(*lines, head="def triple(x):\n    'Triple it.'\n    return 3 * x")
    assert find_examples(document)[0].calls == ("sample.double", "sample.triple")


def test_methods_count_as_calls_where_their_class_is_mentioned(kit):
    examples = {example.source: example for example in find_examples(kit)}
    assert examples["tally.top(2)"].calls == ("kit.Tally.top",)
    assert examples["Tally(['a', 'b', 'a']).last(1)"].calls == ("kit.Tally.last", "kit.Tally")


def test_the_same_program_is_one_example():
    assert len(programs(">>> double(3)", "6", ">>> double(3)", "6")) == 1


def test_examples_of_a_readme_are_found():
    data = inspect_module("bisect")
    data["distribution"]["readme"] = "# It\n\n```python\n>>> bisect_left([1, 2], 2)\n1\n```\n"
    document = assemble(data)
    (example,) = find_examples(document)
    assert (example.ref, example.program) == ("README", "from bisect import bisect_left\n\nbisect_left([1, 2], 2)")
    assert "bisect_left([1, 2], 2)" in document.cite(example.span).quote


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("f(x)", ["f", "x"]),
        ("x = 1\nx + len('a')", []),
        ("[x for x in y]", ["y"]),
        ("lambda x: x + z", ["z"]),
        ("def g(x, *a, **k):\n    return x, a, k, z", ["z"]),
        ("class A(B): pass\nA()", ["B"]),
        ("import os.path\nos.sep", []),
        ("from a import b as c\nc, b", ["b"]),
        ("try:\n    f()\nexcept E as e:\n    e", ["E", "f"]),
        ("with f() as g:\n    g", ["f"]),
    ],
)
def test_free_names_are_read_but_never_bound(code, names):
    assert sorted(free_names(code)) == names


def test_dependencies_are_followed_backwards():
    before = ["a = 1", "b = 2", "def f(): return b", "c = a", "a = 5"]
    assert slice_statements(before, "f(c)", 0) == ["a = 1", "b = 2", "def f(): return b", "c = a"]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("x[0] = 1", [{"x"}, {"x"}, {"x"}]),
        ("x.y.z = 1", [{"x"}, {"x"}, {"x"}]),
        ("del x[0]", [{"x"}, {"x"}, {"x"}]),
        ("x.append(y)", [set(), {"x"}, {"x", "y"}]),
        ("f(x)", [set(), set(), {"x"}]),
        ("x + y", [set(), set(), set()]),
    ],
)
def test_what_a_statement_may_change_depends_on_the_doubt(statement, names):
    assert [changed_names(ast.parse(statement), doubt) for doubt in (0, 1, 2)] == names


def test_imports_are_parted_from_statements_and_stars_dropped():
    assert split_imports(["import a, b as c", "x = 1", "from d import *", "from e import f"]) == (
        ["x = 1"],
        ("import a, b as c", "from e import f"),
    )


def test_imports_of_one_module_are_merged_and_sorted():
    merged = merge_imports(("from b import y", "import z", "from b import x as w, y", "import a", "import z"))
    assert merged == ("import a", "import z", "from b import x as w, y")


def test_only_the_imports_that_are_mentioned_are_used():
    imports = ("import a.b", "import c as d", "from e import f, g as h", "from i import j")
    assert used_imports(imports, "a.b.x(d, h)") == ("import a.b", "import c as d", "from e import g as h")


def test_a_program_is_imports_an_empty_line_and_the_code():
    assert join_program(("import a", "import b"), "a.c()") == "import a\nimport b\n\na.c()"
    assert join_program((), "1") == "1"


@pytest.mark.parametrize("name", ["statistics", "difflib", "collections", "itertools", "heapq", "textwrap"])
def test_programs_of_real_modules_are_python_without_unknown_names(name):
    examples = find_examples(assemble(inspect_module(name)))
    assert examples
    for example in examples:
        assert free_names(example.program) == []
        assert example.program.endswith(example.source)
        assert example.want or example.raises
