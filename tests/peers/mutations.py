"""Streams of chat completions, well-formed and then mutated by one of ten operators: the same for the same seed.

Half of the operators leave an answer that a good client must give exactly; the other half break it, and then the part
before the damage must be kept where the damage is at a known place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

WORDS = [
    *(
        "the",
        "model",
        "answers",
        "with",
        "words",
        "like",
        "Grüße",
        "世界",
        "🌍",
        "naïve",
        "\u2028",
        "\u00a0",
        "\x85",
        "\t",
    ),
    *('"quoted"', "\\frac{1}{2}", '{"json": [1]}', "data:", "event: x", "[DONE]", "\n\n", "\r\n", "1e999", "null", ":"),
    *("👩\u200d👩\u200d👧", "]}'", "\\u0041", "%s"),
]
ARGUMENTS = '{"city": "Zürich \\u2028", "days": [1, 2]}'


@dataclass
class Stream:
    """One mutated stream: ``chunks`` arrive, then it ends as ``ending`` says.

    ``text``, ``reasoning`` and ``arguments`` are what a good client gives where ``answerable``. Elsewhere ``kept`` is
    the text that must be there at least; ``None``: nothing can be said.
    """

    operator: str
    events: list[bytes]
    pieces: list[str]
    """The text that each event brings."""
    reasoning: str
    arguments: str
    finish: int
    """The index of the event that ends the answer."""
    ending: Literal["closed", "broken", "silent"] = "closed"
    answerable: bool = True
    kept: str | None = None
    chunks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.text = "".join(self.pieces)


def event(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """One event of a stream."""
    body = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}\n\n'


def well_formed(random: Random) -> Stream:
    """A stream as servers should send it: perhaps some reasoning, some text, perhaps a tool call."""
    events, pieces = [event({"role": "assistant", "content": ""})], [""]
    thought = ""
    if random.random() < 0.3:
        name = random.choice(("reasoning_content", "reasoning"))
        thoughts = [f"{random.choice(WORDS)} " for _ in range(random.randint(1, 4))]
        events += [event({name: each}) for each in thoughts]
        pieces += [""] * len(thoughts)
        thought = "".join(thoughts)
    for _ in range(random.randint(1, 15)):
        pieces.append(f"{random.choice(WORDS)} {random.randint(0, 99)} ")
        events.append(event({"content": pieces[-1]}))
    arguments = ARGUMENTS if random.random() < 0.2 else ""
    if arguments:
        function: dict[str, Any] = {"name": "weather", "arguments": ""}
        events.append(event({"tool_calls": [{"index": 0, "id": "call_1", "function": function}]}))
        middle = random.randrange(len(arguments))
        for part in (arguments[:middle], arguments[middle:]):
            events.append(event({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
    events.append(event({}, "tool_calls" if arguments else "stop"))
    finish = len(events) - 1
    events += [USAGE, DONE]
    pieces += [""] * (len(events) - len(pieces))
    return Stream("", events, pieces, thought, arguments, finish)


# Operators that leave the answer as it is.


def rechunk(stream: Stream, random: Random) -> None:
    """The stream comes in pieces of a few bytes."""
    stream.chunks = pieces_of(b"".join(stream.events), random, 9)


def change_line_ends(stream: Stream, random: Random) -> None:
    """Lines end in CR, LF or CRLF, fields have no space, a byte order mark comes first."""
    for index, each in enumerate(stream.events):
        end = random.choice((b"\n", b"\r", b"\r\n"))
        colon = random.choice((b"data: ", b"data:"))
        stream.events[index] = each.replace(b"data: ", colon, 1).replace(b"\n", end)
    if random.random() < 0.3:
        stream.events[0] = b"\xef\xbb\xbf" + stream.events[0]


def interject(stream: Stream, random: Random) -> None:
    """Comments, blank data, ids and other fields come between events."""
    noise = [
        b": ping\n\n",
        b":\n",
        b"data:\n\n",
        b"data: \n\n",
        b"id: 7\n\n",
        b"retry: 1\n",
        b"event: ping\n\n",
        b"\n\n",
    ]
    noise += [b"foo: bar\n", b"id\n\n", b"data\n\n", b": data: {}\n\n", b"event:\n"]
    for index, each in enumerate(stream.events):
        stream.events[index] = b"".join(random.choices(noise, k=random.randint(0, 3))) + each


def pad(stream: Stream, random: Random) -> None:
    """Chunks with nothing in them, and fields that nobody knows, come between events."""
    noise = [
        b'data: {"choices": []}\n\n',
        b'data: {"choices": null}\n\n',
        b'data: {"id": "c"}\n\n',
        event(None),
        event({}),
        event({"content": None, "reasoning_content": None, "tool_calls": None}),
        event({"content": ""}, None, timings={}, usage=None),
        event({"audio": {}, "annotations": [], "tool_calls": []}, None, x_groq={"id": 1}),
    ]
    for index, each in enumerate(stream.events):
        stream.events[index] = b"".join(random.choices(noise, k=random.randint(0, 3))) + each


def change_tail(stream: Stream, random: Random) -> None:
    """The end comes differently: no usage, no ``[DONE]``, no finish_reason, more after the end, an open connection."""
    match random.randrange(6):
        case 0:
            stream.events.remove(USAGE)
        case 1:
            stream.events.remove(DONE)
        case 2:
            del stream.events[stream.finish]
        case 3:
            stream.events += random.choices([DONE, event({"content": "late"}), b"\xff\xfe\n\n", b"<html>"], k=2)
        case 4:
            stream.ending = "silent"
        case 5:
            stream.events[-1] = stream.events[-1].rstrip(b"\n")


# Operators that break it.


def cut(stream: Stream, random: Random) -> None:
    """The connection ends, properly or not, at some byte."""
    stream.ending = random.choice(("closed", "broken"))
    shorten(stream, random)


def stall(stream: Stream, random: Random) -> None:
    """Nothing more comes from some byte on."""
    stream.ending = "silent"
    shorten(stream, random)


def shorten(stream: Stream, random: Random) -> None:
    """Keep the stream up to some byte."""
    whole = b"".join(stream.events)
    place = random.randrange(len(whole))
    ends = [len(b"".join(stream.events[: index + 1])) for index in range(len(stream.events))]
    complete = sum(end <= place for end in ends)
    stream.answerable = complete > stream.finish
    stream.kept = "".join(stream.pieces[:complete])
    stream.events = [whole[:place]]


def change_bytes(stream: Stream, random: Random) -> None:
    """Some bytes become others."""
    raw = bytearray(b"".join(stream.events))
    for _ in range(random.randint(1, 6)):
        raw[random.randrange(len(raw))] = random.choice((random.randrange(256), *b'\n\r\0"{}[]:,\\0\xff'))
    stream.events, stream.answerable = [bytes(raw)], False


def move(stream: Stream, random: Random) -> None:
    """Parts are lost, come twice, or come in another order."""
    stream.answerable = False
    parts = stream.events
    if random.random() < 0.5:
        whole = b"".join(stream.events)
        places = sorted(random.sample(range(1, len(whole)), 3))
        parts = [whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)]
    match random.randrange(3):
        case 0:
            del parts[random.randrange(len(parts))]
        case 1:
            parts.insert(random.randrange(len(parts)), random.choice(parts))
        case 2:
            random.shuffle(parts)
    stream.events = parts


POISON = [
    *(b"data: 42\n\n", b"data: null\n\n", b'data: "text"\n\n', b"data: [1, 2]\n\n", b"data: {\n\n", b"data: NaN\n\n"),
    *(b"data: " + b"[" * 5000 + b"\n\n", b'data: {"a":' * 2000 + b"\n\n", b"data: " + b"9" * 6000 + b"\n\n"),
    *(b"\xff\xfe\x00\n\n", b"data: \xff\n\n", b"\0" * 99, b"x" * 5000, b"<!doctype html><title>Sign in</title>\n\n"),
    *(
        b'data: {"error": {}}\n\n',
        b'data: {"error": "overloaded"}\n\n',
        b'data: {"error": null}\n\n',
        b"event: error\n\n",
    ),
    b'data: {"error": {"message": "x\\ny\\u0007", "code": 429, "type": ["rate"]}}\n\n',
    *(b"event: error\ndata: overloaded\n\n", b'event: error\ndata: {"type": "overloaded_error"}\n\n'),
    *(b'data: {"choices": {"0": 1}}\n\n', b'data: {"choices": [null]}\n\n', b'data: {"choices": ["a"]}\n\n'),
    *(b'data: {"choices": [{"delta": "a"}]}\n\n', b'data: {"choices": [{"delta": {"content": 7}}]}\n\n'),
    *(b'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n', b'data: {"choices": [{"finish_reason": 7}]}\n\n'),
    b'data: {"choices": [{"delta": {"tool_calls": {"index": "x"}}}]}\n\n',
    b'data: {"choices": [{"delta": {"tool_calls": [null, 7, {"index": 1e99, "function": null}]}}]}\n\n',
    b'data: {"choices": [{"delta": {"tool_calls": [{"index": -5, "id": 7, "function": {"arguments": [1]}}]}}]}\n\n',
    b'data: {"choices": [], "usage": {"prompt_tokens": "x", "completion_tokens": -1}, "model": 5}\n\n',
    b'data: {"choices": [], "usage": [1], "timings": {"prompt_ms": "x", "predicted_n": null}}\n\n',
    b'data: {"choices": [{"delta": {"content": "\\ud800"}}]}\n\n',
    b'data: {"choices": [{"delta": {"reasoning_content": ["a"], "content": [{"text": 1}, {"type": "text"}]}}]}\n\n',
]


def poison(stream: Stream, random: Random) -> None:
    """Something that should never come comes between two events."""
    place = random.randrange(len(stream.events))
    stream.events.insert(place, random.choice(POISON))
    stream.answerable = False
    stream.kept = "".join(stream.pieces[:place])


OPERATORS: tuple[Callable[[Stream, Random], None], ...] = (
    *(rechunk, change_line_ends, interject, pad, change_tail),
    *(cut, stall, change_bytes, move, poison),
)


def mutated(number: int, seed: int = 0) -> Stream:
    """The stream of a number, mutated by the operator whose turn it is."""
    random = Random(f"{seed}/{number}")
    stream = well_formed(random)
    operator = OPERATORS[number % len(OPERATORS)]
    stream.operator = operator.__name__.replace("_", " ")
    operator(stream, random)
    if not stream.chunks:
        events = stream.events
        stream.chunks = events if random.random() < 0.7 else pieces_of(b"".join(events), random, 300)
    return stream


def pieces_of(whole: bytes, random: Random, longest: int) -> list[bytes]:
    """The bytes in pieces of random lengths."""
    pieces, place = [], 0
    while place < len(whole):
        size = random.randint(1, longest)
        pieces.append(whole[place : place + size])
        place += size
    return pieces
