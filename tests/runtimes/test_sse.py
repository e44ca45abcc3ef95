"""Bytes that arrive in any pieces become the same events and lines."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import BadProtocol
from alain_magics.runtimes.sse import LIMIT, LineDecoder, SseDecoder

FRAGMENTS = [
    *(b"data: ", b"data:", b"data", b"data : x", b"event: delta", b"event:", b"id: 1", b"retry: 10", b"foo: bar"),
    *(b": keep-alive", b":", b"\xef\xbb\xbf", b'{"a": 1}', b"[DONE]", b" ", b"\t", b"\x0b", b"\x1c", b"\x00", b"\xff"),
    *("é".encode(), "🎉".encode(), "\u2028\x85".encode()),
    *[b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n"] * 2,
    b'data: {"choices": []}\n\n',
]
streams = st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """The stream in pieces, some of them empty."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def events(chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    """All events of a stream."""
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def feed(decoder: SseDecoder | LineDecoder, chunks: Iterable[bytes]) -> None:
    """Give chunks to a decoder."""
    for chunk in chunks:
        decoder.feed(chunk)


def by_the_standard(stream: bytes) -> list[tuple[bytes, bytes]]:
    """The events of a whole stream as the WHATWG standard interprets them, ended by an empty line."""
    found, event, data = [], b"", b""
    for line in re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf") + b"\n\n"):
        if not line:
            if data and data.strip():  # the one exception: blank data
                found.append((event, data[:-1]))
            event = data = b""
        elif line.startswith(b":"):
            continue
        else:
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"data":
                data += value + b"\n"
            elif field == b"event":
                event = value
    return found


@given(streams, st.lists(st.integers(0, 1000), max_size=12))
def test_pieces_of_any_size_give_the_events_of_the_standard(stream: bytes, places: list[int]) -> None:
    assert events(cut(stream, places)) == by_the_standard(stream)


@given(streams)
def test_single_bytes_give_the_events_of_the_whole(stream: bytes) -> None:
    assert events([stream[at : at + 1] for at in range(len(stream))]) == events([stream])


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b'data: {"a": 1}\n\n', [(b"", b'{"a": 1}')]),
        (b"data:x\r\rdata:y\r\n\r\n", [(b"", b"x"), (b"", b"y")]),
        (b"data: one\ndata: two\n\n", [(b"", b"one\ntwo")]),
        (b"data:  two spaces\n\n", [(b"", b" two spaces")]),
        (b"event: error\ndata: {}\n\ndata: x\n\n", [(b"error", b"{}"), (b"", b"x")]),
        (b"event: lost\n\ndata: x\n\n", [(b"", b"x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [(b"", b"x")]),
        (b"data: x\n\n\xef\xbb\xbfdata: y\n\n", [(b"", b"x")]),
        ('data: {"a": "\u2028\x85\x1c"}\n\n'.encode(), [(b"", '{"a": "\u2028\x85\x1c"}'.encode())]),
        (b"data: [DONE]", [(b"", b"[DONE]")]),
    ],
)
def test_events_are_what_the_standard_says(stream: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert events([stream]) == expected


@pytest.mark.parametrize(
    "stream",
    [b"", b"\n\n\n", b": ping\n\n", b"data:\n\n", b"data: \n\n", b"data\n\n", b"id: 1\n\n", b"data:\ndata: \n\n"],
)
def test_what_holds_nothing_is_no_event(stream: bytes) -> None:
    assert events([stream]) == []


def test_an_event_is_given_with_the_byte_that_ends_it() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: x\r") == []
    assert decoder.feed(b"\r") == [(b"", b"x")]
    assert decoder.feed(b"\ndata: y\n") == []
    assert decoder.feed(b"\n") == [(b"", b"y")]


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 60_000, b"data: " + b"x" * 60_000 + b"\n", b"data\n" * 10_000])
def test_an_event_without_end_is_refused_before_it_fills_the_memory(chunk: bytes) -> None:
    decoder = SseDecoder()
    tracemalloc.start()
    try:
        with pytest.raises(BadProtocol, match="16 MiB"):
            feed(decoder, [chunk] * 1000)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


def test_a_line_in_single_bytes_takes_linear_time_and_memory() -> None:
    decoder = SseDecoder()
    tracemalloc.start()
    try:
        decoder.feed(b"data: ")
        feed(decoder, repeat(b"x", 200_000))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert decoder.feed(b"\n\n") == [(b"", b"x" * 200_000)]


def lines(chunks: list[bytes]) -> list[bytes]:
    """All lines of a stream."""
    decoder = LineDecoder()
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.finish()


@given(streams, st.lists(st.integers(0, 1000), max_size=12))
def test_pieces_of_any_size_give_the_same_lines(stream: bytes, places: list[int]) -> None:
    assert lines(cut(stream, places)) == [line for line in stream.split(b"\n") if line.strip()]


def test_a_line_without_end_is_refused() -> None:
    decoder = LineDecoder()
    with pytest.raises(BadProtocol, match="16 MiB"):
        feed(decoder, [b"x" * 60_000] * 1000)
