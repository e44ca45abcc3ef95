"""How long and how much memory `alain generate` takes, and whether time grows in line with the number of programs.

    python benchmarks/generate.py [--source statistics] [--runs 3]

Every run is a fresh process with an empty data folder. Memory is the sum of the private memory (USS) of the process
and all its children, sampled every 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time

import psutil

from alain_magics.lessons.proving import Prover
from alain_magics.sandbox import Sandbox

COUNTS = (250, 500, 1000, 2000)


def memory_of(process: psutil.Process) -> int:
    """Private memory of a process and its children, in bytes; those that just ended count nothing."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += each.memory_full_info().uss
    return total


def measure(source: str) -> tuple[float, float]:
    """Seconds and MB of one run in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ALAIN_DATA_DIR": folder}
        started = time.perf_counter()
        command = [sys.executable, "-m", "alain_magics", "generate", source, "-o", "lesson.ipynb"]
        process = psutil.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, memory_of(process))
            time.sleep(0.02)
        seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"alain generate {source} failed with status {process.returncode}")
    return seconds, peak / 1e6


async def per_program(count: int) -> float:
    """Milliseconds a program, under both hash seeds, for so many different programs."""
    codes = [f"import statistics\nstatistics.median([1, 2, {number}])" for number in range(count)]
    async with Prover(Sandbox(), ("statistics",)) as prover:
        started = time.perf_counter()
        await prover.reproduce(codes)
        return (time.perf_counter() - started) / count * 1000


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="statistics")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    runs = [measure(options.source) for _ in range(options.runs)]
    print(f"| `alain generate {options.source}` | median | highest |\n|---|---|---|")
    for name, values in zip(("seconds", "peak MB, all processes"), zip(*runs, strict=True), strict=True):
        print(f"| {name} | {statistics.median(values):.1f} | {max(values):.1f} |")
    print("\n| programs | ms a program, run under two hash seeds |\n|---|---|")
    for count in COUNTS:
        print(f"| {count} | {asyncio.run(per_program(count)):.2f} |")


if __name__ == "__main__":
    main()
