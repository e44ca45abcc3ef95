"""Grouping the objects of a module into topics, and putting the topics in an order to learn them in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example
from alain_magics.lessons.teachers.module.siblings import Siblings

OBJECTS_A_TOPIC = 4


@dataclass
class Group:
    """Objects that belong together, with the examples of each, the objects with most examples first."""

    title: str
    objects: list[ApiObject]
    examples: dict[str, list[Example]] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How much there is to show."""
        return sum(min(len(found), 4) for found in self.examples.values())


def group_topics(document: ModuleDocument, examples: list[Example], siblings: Siblings, most: int) -> list[Group]:
    """At most ``most`` topics: by the headings of the documentation, else by class, else by likeness."""
    by_object: dict[str, list[Example]] = {}
    for example in examples:
        if example.calls:
            by_object.setdefault(example.calls[0], []).append(example)
    taught = [item for item in document.objects if item.path in by_object]
    groups: list[Group] = []
    placed: set[str] = set()

    def place(title: str, items: list[ApiObject]) -> None:
        items = [item for item in items if item.path not in placed]
        if items:
            placed.update(item.path for item in items)
            groups.append(Group(title, items))

    for heading in document.headings:
        if heading.level == 2 and document.object(heading.title) is None:
            body = document.text[heading.span.start : heading.span.end]
            named = [item for item in taught if not item.owner and re.search(rf"\b{re.escape(item.name)}\b", body)]
            place(heading.title, named)
    owners = {item.owner for item in taught if item.owner}
    for item in taught:
        owner = item.owner or (item.path if item.path in owners else "")
        if owner:
            title = owner.rpartition(".")[2]
            place(f"`{title}`", [each for each in taught if owner in (each.owner, each.path)])
    for item in taught:
        near = {other.path for other in siblings.of(item.path)}
        place("", [each for each in taught if each is item or (each.path in near and not each.owner)])
    groups = merge_small(groups)
    for group in groups:
        group.objects.sort(key=lambda item: -len(by_object[item.path]))
        group.examples = {item.path: by_object[item.path] for item in group.objects}
        group.objects = group.objects[:OBJECTS_A_TOPIC]
        group.title = group.title or title_of(group.objects)
    chosen = sorted(groups, key=lambda group: -group.weight)[:most]
    return in_order([group for group in groups if group in chosen])


def merge_small(groups: list[Group]) -> list[Group]:
    """Put single functions that are like no other together, up to three in a topic."""
    whole = [group for group in groups if len(group.objects) > 1 or group.title]
    single = [group.objects[0] for group in groups if len(group.objects) == 1 and not group.title]
    return whole + [Group("", single[start : start + 3]) for start in range(0, len(single), 3)]


def title_of(objects: list[ApiObject]) -> str:
    """A title made of the names."""
    names = [f"`{item.name}`" for item in objects[:3]]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def in_order(groups: list[Group]) -> list[Group]:
    """A topic whose objects another topic's examples use comes before it; otherwise the given order stays."""
    uses = {
        id(group): {path for found in group.examples.values() for example in found for path in example.calls}
        for group in groups
    }
    rest = list(groups)
    ordered: list[Group] = []
    while rest:
        ready = next((group for group in rest if not _needs_another(group, rest, uses)), rest[0])
        rest.remove(ready)
        ordered.append(ready)
    return ordered


def _needs_another(group: Group, rest: list[Group], uses: dict[int, set[str]]) -> bool:
    return any(other is not group and uses[id(group)] & {item.path for item in other.objects} for other in rest)
