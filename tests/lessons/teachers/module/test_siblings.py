"""Which objects are alike enough to be told apart."""

from __future__ import annotations

import pytest

from alain_magics.lessons.document import ApiObject, Parameter, Span
from alain_magics.lessons.sources.inspector import inspect_module
from alain_magics.lessons.sources.module import assemble
from alain_magics.lessons.teachers.module.siblings import Siblings, closeness, required, words
from tests.lessons.modules import document_of


def thing(name: str, *parameters: str, summary: str = "", kind: str = "function", owner: str = "") -> ApiObject:
    found = tuple(Parameter(name, "POSITIONAL_OR_KEYWORD") for name in parameters)
    return ApiObject(f"m.{name}", kind, "", Span(0, 0), summary=summary, parameters=found, owner=owner)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("median_low", {"median", "low"}),
        ("NormalDist", {"normal", "dist"}),
        ("Return the means of it", {"return", "the", "mean"}),
        ("a_b", set()),
    ],
)
def test_names_are_taken_apart_into_words(text, found):
    assert words(text) == found


def test_required_are_the_parameters_that_a_call_must_give():
    document = document_of("def one(a, b, /, c, d=1, *e, f, **g): pass\nclass Two:\n    def three(self): pass")
    assert required(document.object("sample.one")) == ("a", "b", "c")
    assert required(ApiObject("m.x", "function", "", Span(0, 0))) is None


@pytest.mark.parametrize(
    ("one", "two", "points"),
    [
        (thing("median_low", "data"), thing("median_high", "data"), 4),
        (thing("median_low", "data"), thing("median_high", "data", "more"), 2),
        (thing("bisect", "a", "x"), thing("bisect_left", "a", "x"), 4),
        (thing("add", "item"), thing("remove", "item"), 2),
        (thing("add"), thing("remove"), 0),
        (thing("mean", "data", summary="Return the mean."), thing("mode", "data", summary="Return the mode."), 3),
        (thing("add", "item"), thing("Adder", "item", kind="class"), 0),
        (thing("add", "item", owner="m.A"), thing("add_all", "item", owner="m.B"), 0),
    ],
)
def test_things_are_alike_by_parameters_name_and_summary(one, two, points):
    assert closeness(one, two, together=False) == points
    assert closeness(two, one, together=False) == points


def test_a_name_is_no_pattern():
    data = inspect_module("bisect")
    data |= {"doc": "Tools\n=====\nOf them a(b", "members": [{**data["members"][0], "path": "bisect.a(b"}]}
    assert Siblings(assemble(data)).of("bisect.a(b") == []


def test_standing_together_in_a_list_is_one_more_point_for_things_of_one_kind():
    assert closeness(thing("add", "item"), thing("remove", "item"), together=True) == 3
    assert closeness(thing("add"), thing("Box", kind="class"), together=True) == 0


def names(found: list[ApiObject]) -> list[str]:
    return [item.name for item in found]


def test_siblings_come_nearest_first_and_never_include_the_object_itself(kit):
    siblings = Siblings(kit)
    assert names(siblings.of("kit.middle_low")) == ["middle", "middle_high"]
    assert names(siblings.of("kit.turn_left")) == ["turn_right"]
    assert names(siblings.of("kit.Tally.top")) == ["last"]
    assert siblings.of("kit.shares") == []


def test_parameters_alone_or_a_stem_alone_make_no_siblings():
    siblings = Siblings(document_of("def add(item): pass\ndef take(item): pass\ndef add_all(items, more): pass"))
    assert [siblings.of(f"sample.{name}") for name in ("add", "take", "add_all")] == [[], [], []]


def test_an_unknown_object_has_no_siblings(kit):
    assert Siblings(kit).of("kit.nowhere") == []
    assert Siblings(kit).near("kit.nowhere") == []


def test_near_are_the_siblings_and_then_all_others_of_the_kind(kit):
    near = names(Siblings(kit).near("kit.middle_low"))
    assert near[:2] == ["middle", "middle_high"]
    assert sorted(near[2:]) == ["shares", "turn_left", "turn_right"]
    assert names(Siblings(kit).near("kit.Tally.top")) == ["last", "add"]


def test_siblings_are_found_in_a_real_module():
    siblings = Siblings(assemble(inspect_module("statistics")))
    assert {"median_low", "median_high"} <= set(names(siblings.of("statistics.median")))
    assert {"pstdev", "variance"} <= set(names(siblings.of("statistics.stdev")))
    assert "NormalDist" not in names(siblings.near("statistics.stdev"))
