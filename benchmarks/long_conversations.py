"""Conversations far longer than the model's window, through the whole command ``chat``, on the real llama-server.

For each window the conversation goes on for so many turns after the first that was left out, and three promises must
hold: the tokens a second of the last quarter are at least 90 % of those of the first (its answers over all its time,
with counting, fitting, sending and storing), the memory of this process stays within 5 %, and no prompt is longer than
the window less the answer and the margin, as the server counts it.

The server runs tiny weights that know nothing and answer fast. Other work of the machine slows some turns down, so a
window whose speed disappoints is measured again, up to three times in all; every measurement is printed.

Run ``python benchmarks/long_conversations.py --weights MODEL.gguf``. Exit status 1 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests know how to run the server

from alain_magics.commands.base import Context, Done
from alain_magics.commands.chat import ConversationRequest, run
from alain_magics.workspace import Workspace, close_workspaces, open_workspace
from tests.peers.llama_server import Peer, llama_server

WEIGHTS = Path(__file__).parent.parent.parent / "shared" / "fixtures" / "models" / "tiny-random.gguf"
WINDOWS = (512, 1024, 2048)
TURNS = 200
ATTEMPTS = 3
ANSWER, MARGIN = 48, 32
COLUMNS = (
    "window", "turns until it is full", "tokens/s by quarter", "last / first", "memory", "longest prompt (limit)",
    "cached", "CPU here", "CPU server",
)  # fmt: skip
SLOWER, LARGER = 0.9, 1.05
WORDS = "the model reads this again and says what it thinks of numbers letters and other things".split()


@dataclass(frozen=True)
class Turn:
    """What one turn has taken: seconds, tokens of prompt and answer, CPU seconds here and of the server, bytes."""

    seconds: float
    prompt: int
    cached: int
    answer: int
    cpu: float
    server_cpu: float
    memory: int


@dataclass(frozen=True)
class Figures:
    """What a conversation has shown. ``turns`` are those after the first one that was left out."""

    window: int
    before: int
    turns: list[Turn]

    @property
    def limit(self) -> int:
        """Tokens that a prompt may have."""
        return self.window - ANSWER - MARGIN

    @property
    def quarters(self) -> list[list[Turn]]:
        """The turns in four parts."""
        size = len(self.turns) // 4
        return [self.turns[start : start + size] for start in range(0, 4 * size, size)]

    @property
    def speeds(self) -> list[float]:
        """Tokens a second of each quarter."""
        return [sum(turn.answer for turn in part) / sum(turn.seconds for turn in part) for part in self.quarters]

    @property
    def growth(self) -> float:
        """The memory at the end over that at the beginning, each the least of some turns."""
        first, last = (min(turn.memory for turn in part) for part in (self.quarters[0], self.quarters[-1]))
        return last / first

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(turn.prompt for turn in self.turns)

    def share(self, name: str) -> float:
        """CPU seconds for each second, here (``cpu``) or of the server."""
        return sum(getattr(turn, name) for turn in self.turns) / sum(turn.seconds for turn in self.turns)

    @property
    def slowed(self) -> bool:
        """Whether the last quarter was slower than promised."""
        return self.speeds[-1] < SLOWER * self.speeds[0]

    def row(self) -> str:
        """All of it as a row of a table."""
        cached = sum(turn.cached for turn in self.turns) / sum(turn.prompt for turn in self.turns)
        speeds = ", ".join(f"{speed:.0f}" for speed in self.speeds)
        ratio = self.speeds[-1] / self.speeds[0]
        cells = [
            f"{self.window:,}", str(self.before), speeds, f"{ratio:.0%}", f"{self.growth:.1%}",
            f"{self.longest:,} ({self.limit:,})", f"{cached:.0%}", f"{self.share('cpu'):.0%}",
            f"{self.share('server_cpu'):.0%}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"

    def broken(self) -> list[str]:
        """The promises that are not kept."""
        found = []
        if self.longest > self.limit:
            found.append(f"a prompt of {self.longest} tokens, where {self.limit} are allowed")
        if self.slowed:
            found.append(f"{self.speeds[-1]:.0f} tokens/s in the last quarter, {self.speeds[0]:.0f} in the first")
        if self.growth > LARGER:
            found.append(f"the memory has grown to {self.growth:.1%}")
        return found


async def converse(workspace: Workspace, peer: Peer, window: int, turns: int, seed: int = 0) -> Figures:
    """Talk until so many turns are beyond the window."""
    words, here, server = random.Random(seed), psutil.Process(), psutil.Process(peer.pid)
    options = {"model": "llamacpp/tiny-random", "system": "Be brief.", "max_tokens": ANSWER, "temperature": 1.0}
    options["set"] = [f"context_margin={MARGIN}", "loop_detection=off"]
    before, measured = 0, []
    while len(measured) < turns:
        message = " ".join(words.choices(WORDS, k=12))
        request = ConversationRequest.model_validate({**options, "message": [message], "seed": words.randrange(1000)})
        cpu, server_cpu, began = time.process_time(), sum(server.cpu_times()[:2]), time.perf_counter()
        async for event in run(Context(workspace), request):
            if isinstance(event, Done):
                done = event.data
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        gc.collect()
        if not done["dropped"]:
            before += 1
            continue
        usage, server_cpu = done["usage"], sum(server.cpu_times()[:2]) - server_cpu
        memory = here.memory_info().rss
        measured.append(Turn(seconds, usage["input"], usage["cached"], usage["output"], cpu, server_cpu, memory))
    await workspace.runtimes.aclose()
    return Figures(window, before, measured)


@contextmanager
def private_workspace(peer: Peer) -> Iterator[Workspace]:
    """A project of its own in which ``llamacpp`` is the server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"ALAIN_DATA_DIR": name, "JUPYTER_CONFIG_DIR": name}
        (folder / "alain-runtimes.toml").write_text(f'[llamacpp]\nbase_url = "{peer.url}/v1"\n')
        yield open_workspace(folder)
        close_workspaces()


def measure(weights: Path, window: int, turns: int) -> Figures:
    """Start a server with such a window, and talk with it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with llama_server(weights, log, slots=1, context=window) as peer, private_workspace(peer) as workspace:
            return asyncio.run(converse(workspace, peer, window, turns))


def main() -> None:
    """Print a table, and what was promised but is not so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="a GGUF file")
    parser.add_argument("--turns", type=int, default=TURNS, help="turns beyond the window")
    parser.add_argument("--windows", type=int, nargs="+", default=WINDOWS, help="tokens of the windows")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()} on {platform.machine()}, {options.weights.stem}, {options.turns} turns\n"
    )
    print(f"| {' | '.join(COLUMNS)} |\n|{'---:|' * len(COLUMNS)}")
    broken: list[str] = []
    for window in options.windows:
        for _ in range(ATTEMPTS):
            figures = measure(options.weights, window, options.turns)
            print(figures.row(), flush=True)
            if not figures.slowed:
                break
        broken += [f"window {window}: {each}" for each in figures.broken()]
    for each in broken:
        print(f"BROKEN: {each}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
