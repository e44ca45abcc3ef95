"""What a parser of channels makes of a text that comes in pieces, in a form that is easy to compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import strategies as st

from alain_magics.runtimes.base import Event, ReasoningDelta, TextDelta, ToolCallDelta
from alain_magics.runtimes.parsing.channels import channel_parser

Heard = list[tuple[str, ...]]


def pieces(text: str, cuts: Iterable[int]) -> list[str]:
    """Cut a text at the given places."""
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[begin:end] for begin, end in pairwise(places)]


def joined(events: Sequence[Event]) -> Heard:
    """Join neighbouring deltas of one kind: ``("text", …)``, ``("reasoning", …)``, ``("call", name, arguments)``."""
    heard: Heard = []
    slot = -1
    for event in events:
        if isinstance(event, ToolCallDelta):
            if event.slot != slot:
                assert event.slot > slot
                assert event.id
                slot = event.slot
                heard.append(("call", event.name, event.arguments))
            else:
                assert not event.name
                assert not event.id
                heard[-1] = (*heard[-1][:2], heard[-1][2] + event.arguments)
            continue
        assert isinstance(event, TextDelta | ReasoningDelta)
        assert event.text
        kind = "text" if isinstance(event, TextDelta) else "reasoning"
        if heard and heard[-1][0] == kind:
            heard[-1] = (kind, heard[-1][1] + event.text)
        else:
            heard.append((kind, event.text))
    return heard


def hear(
    text: str, model: str = "a-model", *, tools: bool = False, cuts: Iterable[int] = ()
) -> tuple[Heard, list[str]]:
    """Feed a text in pieces; return what was heard, and the flags."""
    parser = channel_parser(model, tools=tools)
    events = [event for piece in pieces(text, cuts) for event in parser.feed(piece)]
    return joined([*events, *parser.finish()]), parser.flags


cuts = st.lists(st.integers(0, 500), max_size=40)
