"""What an answer that comes costs the kernel, the wire and the page, and how fast the stop button is.

    python benchmarks/answer_view.py [--trials 30] [--tokens 20000] [--no-browser]

In real kernels, against a local server: messages and bytes for 500 tokens 5 ms apart, the time from the first token to
the first text, the kernel's work a token, and the time from an interrupt to idle. In JupyterLab in Chromium: the work
of the page a thousand tokens, beside that of one output drawn anew as a whole. Needs Chromium for the last.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel
from support import stream_server

ROOT = Path(__file__).parent.parent
LIMITS = {"messages": 40, "kB": 150, "first text, ms": 30, "interrupt, median ms": 50, "interrupt, p95 ms": 500}

# A command that speaks as a model does, at a pace of its own, and the way that redraws everything.
SPEAKERS = '''
import asyncio, time
from IPython.display import Markdown, display
from alain_magics.commands.base import Command, Context, Done, Partial, Request
from alain_magics.display import NotebookView, show
from alain_magics.workspace import open_workspace

SECTION = """## Section {0}

A few sentences about something: the *mean* of $n$ values is `sum(values) / n`, and **{0}** is a number.
Another line of the same paragraph, long enough to be wrapped where the page is narrow.

- one item
- another item with `code`

```python
def function_{0}(values):
    return sum(values) / len(values) + {0}
```

"""

def pieces(tokens):
    text = "".join(SECTION.format(number) for number in range(tokens // 60 + 1))
    return [text[start : start + 5] for start in range(0, 5 * tokens, 5)]

def stream(tokens, pause):
    async def run(context, request):
        about = {"slot": 0, "runtime": "bench", "model": "speaker"}
        yield Partial("answer", about)
        begun = time.perf_counter()
        for number, piece in enumerate(pieces(tokens)):
            yield Partial("delta", {"slot": 0, "text": piece, "reasoning": ""})
            if (early := begun + number * pause - time.perf_counter()) > 0:
                await asyncio.sleep(early)
        end = {**about, "text": "", "seconds": 1.0, "snippets": {}}
        yield Partial("end", end)
        yield Done(end, "")
    show(Command("speak", "", Request, run), Context(open_workspace()), Request(), NotebookView())

def redraw(tokens, pause):
    handle, text, drawn, begun = display(Markdown(""), display_id=True), "", 0.0, time.perf_counter()
    for number, piece in enumerate(pieces(tokens)):
        text += piece
        if time.perf_counter() - drawn >= 0.1:
            handle.update(Markdown(text))
            drawn = time.perf_counter()
        if (early := begun + number * pause - time.perf_counter()) > 0:
            time.sleep(early)
    handle.update(Markdown(text))
'''


class Kernel:
    """A kernel with the extension loaded."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.process = psutil.Process(manager.provisioner.pid)  # type: ignore[union-attr]

    def messages(self, code: str) -> Iterator[dict[str, Any]]:
        """Run a cell and yield what it sends, ``received`` with the time, up to its end."""
        request = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            message["received"] = time.time()
            if message["parent_header"].get("msg_id") == request:
                yield message
                if message["content"].get("execution_state") == "idle":
                    return

    def run(self, code: str) -> list[dict[str, Any]]:
        """Run a cell; what it sends, which must be no error."""
        found = list(self.messages(code))
        errors = [message["content"] for message in found if message["msg_type"] == "error"]
        assert not errors, errors
        return found

    def cpu(self) -> float:
        """Seconds of work so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """Start a kernel with data of its own."""
    os.environ |= {"ALAIN_DATA_DIR": str(folder / "data"), "JUPYTER_CONFIG_DIR": str(folder / "config")}
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    manager, client = start_new_kernel()
    try:
        started = Kernel(manager, client)
        started.run("%load_ext alain_magics")
        yield started
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def on_the_wire(notebook: Kernel) -> dict[str, float]:
    """Messages and bytes of an answer of 500 tokens, 5 ms apart."""
    notebook.run("%%alain ask -m bench/tokens-20-5\nwarm")
    sent = notebook.run("%%alain ask -m bench/tokens-500-5\nHello")
    size = sum(len(json.dumps({name: message[name] for name in PARTS}, default=str)) for message in sent)
    return {"messages": len(sent), "kB": size / 1000}


PARTS = ("header", "parent_header", "metadata", "content")


def first_text(notebook: Kernel, trials: int) -> dict[str, float]:
    """Milliseconds from when the server sends the first token to when the page has its text."""
    found = []
    for _ in range(trials):
        for message in notebook.run("%%alain ask -m bench/clock-100\nHello"):
            text = message["content"].get("data", {})
            if "text/markdown" in text:
                found.append((message["received"] - float(text["text/plain"])) * 1000)
                break
    return {"first text, ms": statistics.median(found), "first text, worst ms": max(found)}


def work(notebook: Kernel) -> None:
    """The kernel's work a token, for short and long answers."""
    print("\n| tokens, 1 ms apart | kernel, ms a token | kB to the page, a token |\n|---:|---:|---:|")
    notebook.run("stream(200, 0.001)")
    for tokens in (1_000, 5_000, 20_000):
        before = notebook.cpu()
        sent = notebook.run(f"stream({tokens}, 0.001)")
        spent = (notebook.cpu() - before) * 1000 / tokens
        size = sum(len(json.dumps(message["content"])) for message in sent) / 1000 / tokens
        print(f"| {tokens:,} | {spent:.3f} | {size:.3f} |", flush=True)


def interrupts(notebook: Kernel, trials: int) -> dict[str, float]:
    """Milliseconds from the stop button to idle; what was shown stays, and says that it was stopped."""
    found = []
    for _ in range(trials):
        pressed, shown = 0.0, []
        wanted = random.randint(20, 150)
        for message in notebook.messages("%%alain ask -m bench/tokens-100000-5\nHello"):
            data = message["content"].get("data", {})
            shown.append(data)
            if not pressed and len(data.get("text/plain", "").split()) >= wanted and "text/markdown" in data:
                notebook.manager.interrupt_kernel()
                pressed = time.time()
        found.append((message["received"] - pressed) * 1000)
        texts = [data["text/plain"] for data in shown if "text/markdown" in data]
        assert len(texts[-1].split()) >= wanted
        assert any("stopped by you" in data.get("text/plain", "") for data in shown)
    found.sort()
    return {"interrupt, median ms": statistics.median(found), "interrupt, p95 ms": found[int(0.95 * len(found))]}


def harness() -> ModuleType:
    """The servers and pages of the browser tests."""
    spec = importlib.util.spec_from_file_location("harness", ROOT / "tests" / "browser" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def in_the_browser(tokens: int, folder: Path) -> None:
    """The work of the page for each quarter of a long answer."""
    import nbformat
    from nbformat import v4
    from playwright.sync_api import sync_playwright

    tests = harness()
    print(f"\n| {tokens:,} tokens, 2 ms apart, in JupyterLab | 1st quarter | 2nd | 3rd | 4th | longest task, ms |")
    print("|---|---:|---:|---:|---:|---:|")
    folders = folder / "root", folder / "jupyter"
    for each in folders:
        each.mkdir()
    with tests.serving(*folders) as place, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("ALAIN_CHROMIUM", "/usr/bin/chromium"), args=tests.CHROMIUM_ARGS
        )
        for title, call in {"parts (this package)": "stream", "one output, drawn anew": "redraw"}.items():
            cells = [SPEAKERS, f"{call}(200, 0.002)", f"{call}({tokens}, 0.002)"]
            kind = {"name": "python3", "display_name": "Python 3"}
            notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kind})
            nbformat.write(notebook, place.root / f"{call}.ipynb")
            page = browser.new_context(viewport={"width": 1300, "height": 950}).new_page()
            lab = tests.Lab(page, place)
            lab.open(f"lab/tree/{call}.ipynb?reset")
            for _ in cells[:-1]:
                lab.run("notebook:run-cell-and-select-next")
            quarters, longest = watch(page, lab, tokens)
            each = " | ".join(f"{spent:.0f}" for spent in quarters)
            print(f"| {title}: ms of work a 1,000 tokens | {each} | {longest:.0f} |", flush=True)
            page.context.close()
        browser.close()


def watch(page: Any, lab: Any, tokens: int) -> tuple[list[float], float]:
    """Run the last cell; milliseconds of work a 1,000 tokens in each quarter, and the longest task."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.evaluate(
        "() => { window.longest = 0; new PerformanceObserver(list => list.getEntries().forEach("
        "entry => { window.longest = Math.max(window.longest, entry.duration); })).observe({ type: 'longtask' }); }"
    )
    page.evaluate("() => { window.ended = false; jupyterapp.commands.execute('notebook:run-cell')"
                  ".then(() => { window.ended = true; }); }")  # fmt: skip

    def spent() -> float:
        metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    marks = [spent()]
    begun = time.monotonic()
    for quarter in range(1, 4):
        time.sleep(max(0.0, begun + quarter * tokens * 0.002 / 4 - time.monotonic()))
        marks.append(spent())
    page.wait_for_function("window.ended", timeout=600_000)
    marks.append(spent())
    quarters = [(after - before) * 1e6 / (tokens / 4) for before, after in pairwise(marks)]
    return quarters, float(page.evaluate("window.longest"))


def main() -> int:
    """Measure and print Markdown tables; the exit status is 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--tokens", type=int, default=20_000, help="length of the answer in the browser")
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with stream_server.running() as url, kernel(folder) as notebook:
            notebook.run(f"%alain runtimes add bench {url}")
            notebook.run(SPEAKERS)
            found = on_the_wire(notebook) | first_text(notebook, options.trials) | interrupts(notebook, options.trials)
            print("| figure | value | limit |\n|---|---:|---:|")
            for figure, value in found.items():
                print(f"| {figure} | {value:.1f} | {LIMITS.get(figure, '')} |")
            work(notebook)
        if not options.no_browser:
            in_the_browser(options.tokens, folder)
    return int(any(found[figure] > limit for figure, limit in LIMITS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
