"""What becomes of mutated streams: ten operators, seeded; nothing may hang, and no error may be untyped.

Run ``python benchmarks/fuzz_streams.py``; ``--streams``, ``--served`` (through a real
socket) and ``--seed`` choose others. Leaves with status 1 where something was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the mutations are those of the tests

from tests.peers.fuzzing import HANG, Outcomes, fuzz
from tests.peers.mutations import OPERATORS


def table(outcomes: dict[str, Outcomes]) -> str:
    """The outcomes as Markdown."""
    lines = ["| operator | streams | answerable | exact | wrong | ended with |", "|---|---|---|---|---|---|"]
    for operator in OPERATORS:
        name = operator.__name__.replace("_", " ")
        entry = outcomes.get(name, Outcomes())
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in entry.kinds.most_common())
        figures = (entry.streams, entry.answerable, entry.exact, len(entry.wrong))
        lines.append(f"| {name} | {' | '.join(f'{figure:,}' for figure in figures)} | {kinds} |")
    return "\n".join(lines)


def report(title: str, count: int, seed: int, served: bool) -> bool:
    """Run so many streams, print what became of them, and return whether nothing was wrong."""
    began = time.perf_counter()
    outcomes = asyncio.run(fuzz(range(count), seed=seed, served=served))
    seconds = time.perf_counter() - began
    answerable = sum(entry.answerable for entry in outcomes.values())
    wrong = [each for entry in outcomes.values() for each in entry.wrong]
    kinds = Counter("hangs" if "hang" in each else "untyped" if "untyped" in each else "other" for each in wrong)
    print(f"\n{title}: {count:,} streams in {seconds:.0f} s, seed {seed}\n\n{table(outcomes)}\n")
    print(
        f"Answerable {answerable / count:.0%}; hangs over {HANG:g} s: {kinds['hangs']}; "
        f"untyped errors: {kinds['untyped']}; otherwise wrong: {kinds['other']}."
    )
    for each in wrong[:20]:
        print("  ", each[:300])
    return not wrong


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--served", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"Python {platform.python_version()} on {platform.machine()}")
    good = report("In this process", options.streams, options.seed, served=False)
    good &= report("Through a socket", options.served, options.seed + 1, served=True)
    sys.exit(not good)


if __name__ == "__main__":
    main()
