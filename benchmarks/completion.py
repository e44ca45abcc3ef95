"""What a press of the tab key costs: through the matcher that IPython asks, line by line.

The first press of a process imports the verb's module; the others are what a user feels. Run
``python benchmarks/completion.py``. Exit status 1 where a later press takes more than 5 ms at the median.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 5.0  # milliseconds
LINES = {
    "verbs": "%alain ",
    "a verb begun": "%alain gen",
    "options": "%alain ask --",
    "models": "%alain ask --model oll",
    "choices": "%alain ask --effort ",
    "runtimes": "%alain runtimes test ",
    "modules": "%alain generate stat",
    "files": "%alain verify ",
}
MODELS = [f"ollama/model-{number}:8b" for number in range(200)]


def main() -> int:
    """Measure and print a Markdown table."""
    folder = Path(tempfile.mkdtemp())
    os.environ |= {"ALAIN_DATA_DIR": str(folder / "data"), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    os.chdir(folder)
    for number in range(200):
        (folder / f"lesson-{number}.ipynb").write_text("{}")
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "alain_magics")
    from IPython.core.completer import provisionalcompleter

    from alain_magics.workspace import MODELS_FILE

    (folder / "data").mkdir()
    (folder / "data" / MODELS_FILE).write_text(json.dumps(MODELS))
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}\n")
    print("| completing | found | first, ms | median, ms | slowest, ms |\n|---|---:|---:|---:|---:|")
    worst = 0.0
    for what, line in LINES.items():
        times = []
        for _ in range(101):
            begun = time.perf_counter()
            with provisionalcompleter():
                found = list(shell.Completer.completions(line, len(line)))
            times.append((time.perf_counter() - begun) * 1e3)
        median = statistics.median(times[1:])
        worst = max(worst, median)
        print(f"| {what} | {len(found)} | {times[0]:.1f} | {median:.2f} | {max(times[1:]):.1f} |")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
