"""What ``%load_ext`` costs: time and memory over bare IPython, beside jupyter-ai-magics.

Each figure is the median of several fresh processes, taken in turn. The time is that of ``%load_ext`` alone; the
memory is the resident set that the process gained meanwhile.

Run ``python benchmarks/load_extension.py``. jupyter-ai-magics is measured where ``--peer`` names the Python of an
environment that has it, or where this one has it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys

PROBE = """
import gc, json, sys, time
import psutil
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "storemagic")
gc.collect()
memory, begun = psutil.Process().memory_info().rss, time.perf_counter()
shell.run_line_magic("load_ext", sys.argv[1])
seconds = time.perf_counter() - begun
print(json.dumps([seconds, psutil.Process().memory_info().rss - memory, sys.argv[1] in shell.extension_manager.loaded]))
"""


def probe(python: str, extension: str) -> tuple[float, float] | None:
    """Load an extension in a fresh process; return milliseconds and MB, or nothing where it is not installed."""
    done = subprocess.run([python, "-c", PROBE, extension], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    seconds, size, loaded = json.loads(done.stdout.splitlines()[-1])
    return (seconds * 1e3, size / 1e6) if loaded else None


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11, help="processes for each extension")
    parser.add_argument("--peer", default=sys.executable, help="Python of an environment with jupyter-ai-magics")
    options = parser.parse_args()
    subjects = {"alain_magics": sys.executable, "jupyter_ai_magics": options.peer}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for turn in range(options.runs + 1):
        for name, python in subjects.items():
            figures = probe(python, name)
            if figures and turn:  # the first turn fills the caches of the disk
                found[name].append(figures)
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}; {options.runs} processes each\n"
    )
    print("| `%load_ext` | ms (median) | ms (slowest) | MB (median) | times slower |")
    print("|---|---:|---:|---:|---:|")
    ours = statistics.median(milliseconds for milliseconds, _ in found["alain_magics"])
    for name, figures in found.items():
        if not figures:
            print(f"| {name} | not installed | | | |")
            continue
        times, sizes = zip(*figures, strict=True)
        middle = statistics.median(times)
        print(f"| {name} | {middle:.1f} | {max(times):.1f} | {statistics.median(sizes):.2f} | {middle / ours:.1f} |")


if __name__ == "__main__":
    main()
