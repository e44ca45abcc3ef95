"""Mutants: valid programs that differ from the example in one thing, and say truly in which."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.lessons.document import Span
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import ModuleDocument, assemble
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.mutants import ORDER, Mutant, Mutator, changed_line
from alain_magics.lessons.teachers.module.siblings import Siblings
from tests.lessons.modules import KIT, document_of

DOCUMENT = document_of(KIT, "kit")
MUTATOR = Mutator(DOCUMENT, Siblings(DOCUMENT))
IMPORTS = ("from kit import Tally, middle, middle_high, middle_low, shares, turn_left, turn_right",)


def sample(source: str, *setup: str, calls: tuple[str, ...] = ()) -> Example:
    return Example("kit", Span(0, 0), IMPORTS, setup, source, "", "", calls)


def made(source: str, *setup: str, calls: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """What the mutants of an example say they changed, by kind."""
    found: dict[str, list[str]] = {}
    for mutant in MUTATOR.mutants(sample(source, *setup, calls=calls)):
        found.setdefault(mutant.how, []).append(mutant.changed)
    return found


def test_another_function_on_the_same_data():
    assert made("middle_low([1, 2])")["sibling"] == ["middle([1, 2])", "middle_high([1, 2])"]


def test_another_method_on_the_same_object():
    found = made("tally.top(2)", "tally = Tally(['a'])", calls=("kit.Tally.top",))
    assert found["sibling"] == ["tally.last(2)"]


def test_arguments_and_operands_in_the_other_order():
    assert made("turn_left([1, 2], 1)")["swapped arguments"] == ["turn_left(1, [1, 2])"]
    assert made("a - b")["swapped operands"] == ["b - a"]
    assert "swapped arguments" not in made("turn_left(x, x)")
    assert "swapped arguments" not in made("turn_left(*x, y)")
    assert "swapped operands" not in made("a - a")


def test_another_operator():
    assert made("a + b")["sibling operator"] == ["a - b", "a | b"]
    assert made("a // b")["sibling operator"] == ["a / b", "a % b"]


def test_one_more_and_one_less():
    found = made("turn_left(x, 2)", calls=("kit.turn_left",))
    assert found["off by one"] == ["turn_left(x, 3)", "turn_left(x, 1)"]
    assert "off by one" not in made("round(x, 2)")
    assert made("x[1]")["off by one"] == ["x[2]", "x[0]"]
    assert "off by one" not in made("f(True)")


def test_a_flag_the_other_way_and_an_option_left_out():
    assert made("shares(x)", calls=("kit.shares",))["flipped default"] == ["shares(x, largest_first=True)"]
    assert made("shares(x, largest_first=True)", calls=("kit.shares",))["flipped default"] == [
        "shares(x, largest_first=False)",
        "shares(x)",
    ]
    assert made("sorted(x, key=len)")["flipped default"] == ["sorted(x)"]


def test_other_data():
    assert made("middle([1, 2.5, 'ABC', 'two words', 'word'])")["other data"] == [
        "middle([2, 2.5, 'ABC', 'two words', 'word'])",
        "middle([1, 3.5, 'ABC', 'two words', 'word'])",
        "middle([1, 2.5, 'CBA', 'two words', 'word'])",
        "middle([1, 2.5, 'ABC', 'words two', 'word'])",
    ]


@pytest.mark.parametrize("source", ["f('level')", "f('ab')", "f(1e300)", "f(True)", "f(None)"])
def test_data_that_would_stay_the_same_is_no_other_data(source):
    assert "other data" not in made(source)


def test_the_output_as_print_shows_it():
    assert [mutant.source for mutant in MUTATOR.mutants(sample("f(x)"))] == ["print(f(x))"]
    assert MUTATOR.mutants(sample("print(x)")) == []


def test_a_line_that_was_left_out():
    found = made("x", "x = [1]", "x.append(y)", "for each in x:\n    print(each)")
    assert found["skipped line"] == ["x.append(y)", "for each in x:\n    print(each)"]


def test_a_change_in_the_set_up_names_the_line_that_changed():
    found = made("x", "for each in range(3):\n    x.append(each)\n    x.insert(0, each)")
    assert found["swapped arguments"] == ["x.insert(each, 0)"]
    assert found["other data"] == ["for each in range(4):", "x.insert(1, each)"]


def test_a_change_that_touches_several_lines_is_the_whole_statement():
    assert changed_line("x = 1", "y = 1\nz = 1") == "y = 1\nz = 1"
    assert changed_line("x  =  1\ny = 2", "x = 1\ny = 3") == "y = 3"


def test_the_imports_are_those_of_the_changed_code():
    example = Example("kit", Span(0, 0), ("from kit import middle_low",), (), "middle_low([1, 2])", "", "", ())
    mutant = next(mutant for mutant in MUTATOR.mutants(example) if mutant.source.startswith("middle("))
    assert mutant.program == "from kit import middle\n\nmiddle([1, 2])"


def test_the_most_instructive_come_first():
    found = MUTATOR.mutants(sample("shares([1, 2]) + middle_low([1, 2])", "x = 1", "f(x)", calls=("kit.shares",)))
    places = [ORDER.index(mutant.how) for mutant in found]
    assert places == sorted(places)
    assert len(set(places)) > 4


names = st.sampled_from(["middle", "middle_low", "turn_left", "shares", "len", "tally.top", "tally.add", "other"])
constants = st.integers(0, 99) | st.text("abc", max_size=4) | st.booleans() | st.none() | st.floats(0, 9)
values = st.recursive(
    constants.map(repr) | st.just("x"),
    lambda parts: st.lists(parts, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
)


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A call of something with some arguments, perhaps within a larger expression."""
    positional = draw(st.lists(values, max_size=3))
    keywords = draw(st.dictionaries(st.sampled_from(["largest_first", "steps", "key"]), values, max_size=2))
    call = f"{draw(names)}({', '.join([*positional, *(f'{key}={value}' for key, value in keywords.items())])})"
    return draw(st.sampled_from(["{}", "{}[0]", "{} + x", "x // {}", "list({})", "{}.count(1)"])).format(call)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """An example with up to two lines of set-up."""
    setup = draw(st.lists(st.sampled_from(["x = {}", "x.append({})", "x[1] = {}", "{}"]), max_size=2))
    lines = tuple(line.format(draw(calls())) for line in setup)
    return sample(draw(calls()), *lines, calls=("kit.shares", "kit.Tally.top"))


def assert_true_of(mutant: Mutant, example: Example) -> None:
    """Hold what a mutant says of itself against its code."""
    assert ast.dump(ast.parse(mutant.shown)) != ast.dump(ast.parse(example.shown))
    if mutant.how == "skipped line":
        at = next(n for n, line in enumerate((*example.setup, "")) if mutant.setup[n : n + 1] != (line,))
        assert mutant.setup == example.setup[:at] + example.setup[at + 1 :]
        assert mutant.changed == example.setup[at]
    elif mutant.how == "printed, not shown":
        assert (mutant.setup, mutant.source) == (example.setup, f"print({example.source})")
    elif mutant.setup == example.setup:
        assert mutant.changed == mutant.source
        assert_one_change(mutant.how, example.source, mutant.source)
    else:
        assert mutant.source == example.source
        ((old, new),) = [pair for pair in zip(example.setup, mutant.setup, strict=True) if pair[0] != pair[1]]
        assert mutant.changed == changed_line(old, new)
        assert_one_change(mutant.how, old, new)


def assert_one_change(how: str, old: str, new: str) -> None:
    """The two statements differ in one place, and by the kind of change that is claimed."""
    ((one, two),) = differences(ast.parse(old).body[0], ast.parse(new).body[0])
    match how:
        case "sibling":
            assert type(one) is str
            assert type(two) is str
            assert "kit" in {item.path.partition(".")[0] for item in DOCUMENT.objects if item.name == two}
        case "swapped arguments":
            assert dumps(two[:2]) == dumps(one[:2])[::-1]
            assert dumps(two[2:]) == dumps(one[2:])
        case "swapped operands":
            assert dumps(two) == dumps(one)[::-1]
        case "sibling operator":
            assert isinstance(one, ast.operator)
            assert isinstance(two, ast.operator)
        case "off by one":
            assert abs(number(two) - number(one)) == 1
        case "other data":
            assert two == (one[::-1] if isinstance(one, str) else one + 1)
        case "flipped default":
            if isinstance(one, bool):
                assert two is not one
            else:
                assert abs(len(one) - len(two)) == 1
                kept, other = sorted((dumps(one), dumps(two)), key=len)
                assert set(kept) <= set(other)
        case _:
            raise AssertionError(how)


def number(part: object) -> int:
    return ast.literal_eval(part) if isinstance(part, ast.AST) else part


def dumps(nodes: list[ast.AST]) -> list[str]:
    return [ast.dump(node) for node in nodes]


def differences(one: object, two: object) -> Iterator[tuple[object, object]]:
    """The smallest parts of two trees that differ: fields, arguments or operands as a whole."""
    if not (isinstance(one, ast.AST) and type(one) is type(two)):
        if same(one, two):
            return
        lists = isinstance(one, list) and isinstance(two, list)
        apart = [n for n, pair in enumerate(zip(one, two, strict=False)) if not same(*pair)] if lists else []
        if lists and len(one) == len(two) and len(apart) == 1:
            yield from differences(one[apart[0]], two[apart[0]])
        else:
            yield one, two
        return
    if isinstance(one, ast.BinOp) and not same(one.left, two.left) and not same(one.right, two.right):
        yield [one.left, one.right], [two.left, two.right]
        return
    for field in one._fields:
        yield from differences(getattr(one, field), getattr(two, field))


def same(one: object, two: object) -> bool:
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, ast.AST) and isinstance(two, ast.AST):
        return ast.dump(one) == ast.dump(two)
    return type(one) is type(two) and one == two


@settings(deadline=None)
@given(examples())
def test_every_mutant_is_python_differs_from_the_example_and_says_truly_in_what(example):
    found = MUTATOR.mutants(example)
    assert len({mutant.program for mutant in found}) == len(found)
    for mutant in found:
        assert mutant.program != example.program
        assert_true_of(mutant, example)


@pytest.fixture(scope="module", params=["statistics", "difflib", "collections", "itertools"])
def real(request: pytest.FixtureRequest) -> ModuleDocument:
    """The document of a standard module."""
    return assemble(inspect_module(request.param))


def test_so_is_every_mutant_of_the_examples_of_a_real_module(real):
    mutator = Mutator(real, Siblings(real))
    count = 0
    for example in find_examples(real)[:40]:
        for mutant in mutator.mutants(example):
            assert mutant.program != example.program
            ast.parse(mutant.program)
            count += 1
    assert count > 30
