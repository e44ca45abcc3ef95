"""Topics: what belongs together, the richest first chosen, what others need taught first."""

from __future__ import annotations

import pytest

from alain_magics.lessons.document import ApiObject, Span
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import ModuleDocument, assemble
from alain_magics.lessons.teachers.module.examples import Example, find_examples
from alain_magics.lessons.teachers.module.siblings import Siblings
from alain_magics.lessons.teachers.module.topics import (
    OBJECTS_A_TOPIC,
    Group,
    group_topics,
    in_order,
    merge_small,
    title_of,
)
from tests.lessons.modules import document_of


def groups(document: ModuleDocument, most: int = 9) -> list[Group]:
    return group_topics(document, find_examples(document), Siblings(document), most)


def shape(found: list[Group]) -> dict[str, list[str]]:
    return {group.title: [item.name for item in group.objects] for group in found}


def thing(name: str) -> ApiObject:
    return ApiObject(f"m.{name}", "function", "", Span(0, 0))


def group(name: str, *uses: str) -> Group:
    """A group of one object, whose example calls these others."""
    calls = tuple(f"m.{each}" for each in (name, *uses))
    return Group(name, [thing(name)], {f"m.{name}": [Example("", Span(0, 0), (), (), "", "", "", calls)]})


def test_headings_come_before_classes_and_classes_before_likeness(kit):
    assert shape(groups(kit)) == {
        "Middles": ["middle_low", "middle", "middle_high"],
        "Turning": ["turn_left", "turn_right"],
        "`Tally`": ["top", "last"],
        "`shares`": ["shares"],
    }


def test_the_object_with_most_examples_comes_first_and_all_have_some(kit):
    for found in groups(kit):
        counts = [len(found.examples[item.path]) for item in found.objects]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] > 0


def test_an_object_stands_in_one_topic():
    names = [item.path for found in groups(assemble(inspect_module("statistics"))) for item in found.objects]
    assert len(names) == len(set(names))


def test_only_the_richest_topics_are_taught_in_the_order_of_the_documentation(kit):
    assert list(shape(groups(kit, most=2))) == ["Middles", "`Tally`"]
    assert list(shape(groups(kit, most=3))) == ["Middles", "Turning", "`Tally`"]


def test_a_topic_is_not_crowded():
    source = "\n".join(
        f"def lift_{n}(x):\n    '''Lift.\n\n    >>> lift_{n}(1)\n    1\n    '''\n    return x" for n in range(9)
    )
    (found,) = groups(document_of(source))
    assert len(found.objects) == OBJECTS_A_TOPIC


def test_what_is_alike_is_one_topic_named_by_its_objects():
    functions = "push_left pop_left other".split()
    source = "\n".join(
        f"def {name}(x):\n    '''Do.\n\n    >>> {name}(1)\n    1\n    '''\n    return x" for name in functions
    )
    assert shape(groups(document_of(source.replace("def other(x)", "def other(y)")))) == {
        "`push_left` and `pop_left`": ["push_left", "pop_left"],
        "`other`": ["other"],
    }


def test_without_examples_there_are_no_topics():
    assert groups(document_of("def one(): 'First.'")) == []


def test_single_functions_share_topics_of_three():
    singles = [Group("", [thing(name)]) for name in "abcd"]
    titled = Group("`Box`", [thing("box")])
    merged = merge_small([singles[0], titled, *singles[1:]])
    assert [[item.name for item in found.objects] for found in merged] == [["box"], ["a", "b", "c"], ["d"]]


@pytest.mark.parametrize(
    ("names", "title"),
    [("a", "`a`"), ("a b", "`a` and `b`"), ("a b c", "`a`, `b` and `c`"), ("a b c d", "`a`, `b` and `c`")],
)
def test_a_title_names_at_most_three_objects(names, title):
    assert title_of([thing(name) for name in names.split()]) == title


def test_what_an_example_uses_is_taught_before():
    ordered = in_order([group("a", "b"), group("b", "c"), group("c"), group("d")])
    assert [found.title for found in ordered] == ["c", "b", "a", "d"]


def test_topics_that_use_each_other_keep_their_order():
    ordered = in_order([group("a", "b"), group("b", "a"), group("c")])
    assert sorted(found.title for found in ordered) == ["a", "b", "c"]
    assert [found.title for found in ordered if found.title != "c"] == ["a", "b"]


def test_a_topic_weighs_as_much_as_it_has_to_show():
    example = Example("", Span(0, 0), (), (), "", "", "", ())
    assert Group("", [], {"m.a": [example] * 9, "m.b": [example]}).weight == 5
