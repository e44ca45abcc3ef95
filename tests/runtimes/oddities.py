"""What tests of parsers share: reading that keeps what came before an error, and JSON with odd values in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from hypothesis import strategies as st

from alain_magics.runtimes.base import Event
from tests.runtimes.contract import Collected

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Any JSON."""


class Parser(Protocol):
    """What turns the bytes of an answer into events."""

    def feed(self, chunk: bytes) -> Iterator[Event]: ...

    def finish(self) -> Iterator[Event]: ...


def parse(parser: Parser, data: bytes, kept: list[Event]) -> None:
    """Keep the events of an answer, also when it ends with an error."""
    kept.extend(parser.feed(data))
    kept.extend(parser.finish())


async def read(events: AsyncIterator[Event], kept: Collected) -> None:
    """Read an answer, keeping what comes also when it ends with an error."""
    async for event in events:
        kept.events.append(event)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from places(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The document with something else at a place."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@st.composite
def misshapen(draw: st.DrawFn, documents: list[Any]) -> list[Any]:
    """The documents, with up to three odd values somewhere in them."""
    documents = list(documents)
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(documents) - 1))
        path = draw(st.sampled_from(list(places(documents[number]))))
        documents[number] = changed(documents[number], path, draw(VALUES))
    return documents


def texts(events: list[Event]) -> Iterator[Any]:
    """What stands in events where text belongs."""
    for event in events:
        yield from (
            getattr(event, name) for name in ("text", "id", "name", "arguments", "model") if hasattr(event, name)
        )
