"""What can be had from raw answers of a local model, where endless ones are cut, and what that costs.

The answers are those of a model asked for JSON: about half are cut in endless strings of "…". Then malformations one by
one beside json_repair, hostile text beside it, and the time that channels and loop detection take for a piece.

Run ``python benchmarks/salvage.py``. Exit status 1 where a promise fails: an answer that is JSON is not read; a value
is made up; a part is not the largest; a loop is not cut within 200 repeats; a piece costs 1 µs or more.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import json_repair
from pydantic_core import from_json

from alain_magics.runtimes.base import Event
from alain_magics.runtimes.parsing.channels import channel_parser
from alain_magics.runtimes.parsing.json_scanner import JsonScanner
from alain_magics.runtimes.parsing.loops import loop_detector
from alain_magics.runtimes.parsing.structured import salvage

SHARED = Path(os.environ.get("ALAIN_SHARED", Path(__file__).parent.parent.parent / "shared"))
REPEATS = 200
PIECE = 4  # characters
ROUNDS = 7
GOAL = 1.0  # µs

MALFORMED = {
    "a trailing comma": ('{"a": 1, "b": [2, 3,],}', True),
    "a missing comma": ('{"a": 1 "b": [2, 3]}', True),
    "single quotes": ("{'a': 1, 'b': [2, 3]}", True),
    "typographic quotes": ("{“a”: 1, “b”: [2, 3]}", True),
    "unquoted keys": ("{a: 1, b: [2, 3]}", True),
    "comments": ('{"a": 1, // one\n "b": [2, 3]}', True),
    "a fence and prose": ('Sure [1]:\n```json\n{"a": 1, "b": [2, 3]}\n```\nHope it helps {x}.', True),
    "thinking before it": ('<think>{"a": 0}?</think>{"a": 1, "b": [2, 3]}', True),
    "a bracket too many": ('{"a": 1, "b": [2, 3]}}', True),
    "Python's words": ('{"a": true, "b": [True, None]}', {"a": True, "b": [True, None]}),
    "a line end in a string": ('{"a": "x\ny"}', {"a": "x\ny"}),
    "quotes in a string": ('{"a": "say "hi" now"}', {"a": 'say "hi" now'}),
    "backslashes": (r'{"a": "\alpha"}', {"a": r"\alpha"}),
    "lost backslashes": (r'{"a": "\frac"}', {"a": r"\frac"}),
    "a cut string": ('{"a": 1, "b": "Par', None),
    "a cut number": ('{"a": 1, "b": 12', None),
    "a cut array": ('{"a": 1, "b": [2', None),
    "a missing value": ('{"a": , "b": [2, 3]}', None),
    "an elision": ('{"a": 1, "b": [2, ...]}', None),
    "NaN": ('{"a": 1, "b": NaN}', None),
    "a key twice": ('{"a": 1, "a": 2}', None),
    "arguments in a string": ('["print("a", "b")"]', None),
    "a lost beginning": ('"a": 1, "b": [2, 3]}', None),
}
"""What is wrong, the text, and what it means: ``True`` for the usual object, ``None`` where nobody can know."""

HOSTILE = {
    "brackets": "[" * 1_000_000,
    "open objects": '{"a" ' * 2_000,
    "strings without commas": '{"z":[' + '"x" y ' * 2_000,
    "quotes": '["' + '\\"' * 100_000,
}


def leaves(value: Any) -> Iterator[tuple[type | str, Any]]:
    """Yield keys and plain values, each with its type."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield "key", key
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield type(value), value


def stands_in(leaf: tuple[type | str, Any], text: str) -> bool:
    """Whether a key or value is written in a text."""
    kind, value = leaf
    if kind not in ("key", str):
        return json.dumps(value) in text
    return any(json.dumps(value, ensure_ascii=plain) in text for plain in (True, False))


def repeats(text: str, end: int) -> int:
    """Count the "…" before ``end`` in the first stretch of more than 200, with at most 16 characters between two."""
    for stretch in re.finditer(r"…(?:[^…]{0,16}…)*", text):
        if stretch.group().count("…") > REPEATS:
            return text[stretch.start() : end].count("…")
    return 0


def replay(text: str) -> int:
    """Stream an answer in small pieces; return after how many characters it is cut, 0 for never."""
    detector = loop_detector("cheap")
    for begin in range(0, len(text), PIECE):
        if detector and detector.feed(text[begin : begin + PIECE]):
            return begin + PIECE
    return 0


def answers(folder: Path) -> list[str]:
    """Print what becomes of each answer; return the promises that fail."""
    broken = []
    outcomes: Counter[str] = Counter()
    print("| answer | characters | outcome | values | defect | cut at | repeats of … by then |")
    print("|---|---:|---|---:|---|---:|---:|")
    for file in sorted(folder.iterdir()):
        text = file.read_text(encoding="utf-8")
        found = salvage(text)
        outcome = "repaired" if found.repaired else "whole" if found.complete else "part" if found.value else "nothing"
        outcomes[outcome] += 1
        have = Counter(leaves(found.value)) if found.value else Counter()
        broken += [f"{file.name}: {leaf} is made up" for leaf in have if not stands_in(leaf, text)]
        try:
            if found.value != from_json(text) or outcome != "whole" or not isinstance(found.value, dict):
                broken.append(f"{file.name}: it is JSON, but was not read so")
        except ValueError:
            lost = Counter(leaves(from_json(text, allow_partial=True))) - have
            if found.complete or {kind for kind, _ in lost} - {"key"}:
                broken.append(f"{file.name}: {sum(lost.values())} values were lost")
        cut = replay(text)
        if repeats(text, len(text)) and (not cut or repeats(text, cut) > REPEATS):
            broken.append(f"{file.name}: its loop was not cut within {REPEATS} repeats")
        print(
            f"| {file.name[:40]} | {len(text)} | {outcome} | {sum(kind != 'key' for kind, _ in have.elements())}"
            f" | {found.defect} | {cut or ''} | {repeats(text, cut) if cut else ''} |"
        )
    print(f"\n{sum(outcomes.values())} answers: {', '.join(f'{count} {name}' for name, count in outcomes.items())}\n")
    return broken


def malformations() -> list[str]:
    """Print what becomes of each malformation here and with json_repair; return the promises that fail."""
    broken = []
    print("| malformation | here | json_repair |")
    print("|---|---|---|")
    for name, (text, meaning) in MALFORMED.items():
        meant = {"a": 1, "b": [2, 3]} if meaning is True else meaning
        found, other = salvage(text), json_repair.loads(text)
        right = found.complete and found.value == meant if meant is not None else not found.complete
        if not right:
            broken.append(f"{name}: {found}")
        said = "right" if found.complete else f"{json.dumps(found.value)}: {found.defect}"
        peer = "right" if meant is not None and other == meant else f"`{other!r}`"
        print(f"| {name} | {said if right else 'WRONG'} | {peer} |")
    print()
    return broken


def seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor that some work takes."""
    begun = time.process_time()
    with suppress(ValueError, RecursionError):
        work()
    return time.process_time() - begun


def hostile() -> None:
    """Print how long hostile texts take."""
    print("| hostile text | characters | here, ms | json_repair, ms |")
    print("|---|---:|---:|---:|")
    for name, text in HOSTILE.items():
        here, other = seconds(lambda text=text: salvage(text)), seconds(lambda text=text: json_repair.loads(text))
        print(f"| {name} | {len(text)} | {here * 1e3:.1f} | {other * 1e3:.1f} |")
    print()


def pieces() -> list[str]:
    """Print what a piece of a stream costs; return the promises that fail."""
    words = "the mean of a sample is its sum divided by its size while median means middle value".split()
    prose = " ".join(random.Random(1).choices(words, k=4000))
    stream = [prose[begin : begin + PIECE] for begin in range(0, len(prose), PIECE)]
    lesson = json.dumps({"title": "Means", "sections": [{"title": "One", "text": prose[:400]}] * 40})
    streamed_json = [lesson[begin : begin + PIECE] for begin in range(0, len(lesson), PIECE)]

    def through(*steps: Callable[[str], object]) -> None:
        for piece in stream:
            for step in steps:
                step(piece)

    def channels() -> Callable[[str], list[Event]]:
        return channel_parser("llama-3", tools=True).feed  # type: ignore[return-value]

    subjects: dict[str, tuple[int, Callable[[], object]]] = {
        "nothing": (len(stream), lambda: through(len)),
        "channels": (len(stream), lambda: through(channels())),
        "loops, cheap": (len(stream), lambda: through(loop_detector("cheap").feed)),
        "channels and loops, cheap": (len(stream), lambda: through(channels(), loop_detector("cheap").feed)),
        "loops, full": (len(stream), lambda: through(loop_detector("full").feed)),
        "JsonScanner": (len(streamed_json), lambda: [*map(JsonScanner(("sections",)).feed, streamed_json)]),
    }
    figures: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, (count, work) in subjects.items():
            figures[name].append(seconds(work) / count * 1e6)
    print(f"| a piece of {PIECE} characters | µs (median of {ROUNDS}) |")
    print("|---|---:|")
    for name, times in figures.items():
        print(f"| {name} | {statistics.median(times):.2f} |")
    print()
    both = statistics.median(figures["channels and loops, cheap"])
    return [f"a piece costs {both:.2f} µs"] if both >= GOAL else []


def main() -> int:
    """Print the tables; 1 where a promise fails."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    folder = SHARED / "fixtures" / "llm_outputs"
    if not folder.is_dir():
        print(f"The raw answers are not at {folder}; set ALAIN_SHARED.")
        return 1
    broken = answers(folder) + malformations()
    hostile()
    broken += pieces()
    print("\n".join(f"BROKEN {each}" for each in broken) or "Every promise holds.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
