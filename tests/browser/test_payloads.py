"""Whatever a model answers: in JupyterLab nothing of it runs, and nothing is fetched, at no time while it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nbformat
import pytest
from conftest import PACKAGE, Lab
from nbformat import v4
from playwright.sync_api import expect

from tests.payloads import PAYLOADS

BATCH = 40  # JupyterLab shows fifty outputs of a cell
WAYS = {"answer": BATCH, "comparison": 100}

# Draws every piece of a payload, as if pieces came slowly, in each way there is; ends with a line that says so.
SPEAKER = f"""
import sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from IPython.display import HTML, Markdown, display
from alain_magics.commands.base import Partial
from alain_magics.display import NotebookView, panel
from tests.payloads import PAYLOADS

panel.PERIOD, panel.SHARE, panel.BYTES = 0.0, 1e9, 1e12

def about(slot, payload):
    return {{"slot": slot, "runtime": "x", "model": payload}}

def pieces(payload):
    third = max(1, len(payload) // 3)
    return [payload[start : start + third] for start in range(0, len(payload), third)]

def answer(payloads):
    for payload in payloads:
        view = NotebookView()
        view.partial(Partial("answer", about(0, "m")))
        for piece in pieces("Some words. " + payload):
            view.partial(Partial("delta", {{"slot": 0, "text": piece, "reasoning": ""}}))

def comparison(payloads):
    view = NotebookView()
    for slot, payload in enumerate(payloads):
        view.partial(Partial("answer", about(slot, payload)))
    for kind in ("reasoning", "text"):
        for number in range(4):
            for slot, payload in enumerate(payloads):
                piece = "".join(pieces(payload)[number : number + 1])
                view.partial(Partial("delta", {{"slot": slot, "text": "", "reasoning": "", kind: piece}}))
    for slot, payload in enumerate(payloads):
        calls = [{{"name": payload, "arguments": payload}}]
        known = {{"text": payload, "snippets": {{"curl": payload}}, "seconds": 1.0, "flags": [payload], "error": payload}}
        view.partial(Partial("end", {{**about(slot, payload), **known, "tool_calls": calls}}))
    view._answer.offer({{}})
    view.partial(Partial("tool", {{"name": payload, "arguments": payload, "result": payload}}))

def unguarded(payloads):
    for payload in payloads:
        display(Markdown(payload))
        display(HTML(payload))

batches = {{}}
def show(way, size):
    start = batches.get(way, 0)
    batches[way] = start + size
    globals()[way](PAYLOADS[start : start + size])
    display(Markdown(f"shown {{way}} {{start}}"))
"""
# What no answer may put on the page, beyond what JupyterLab and MathJax draw themselves.
ACTIVE = """() => {
  const found = [];
  for (const output of document.querySelectorAll('.jp-OutputArea-output')) {
    for (const element of output.querySelectorAll('*')) {
      if (element.closest('mjx-container') || element.closest('.alain-answer')) continue;
      const name = element.localName;
      if (/^(script|style|link|meta|base|iframe|frame|object|embed|applet|form|input|button|img|image|video|audio|source|svg|math|template|marquee|noscript)$/.test(name)) found.push(name);
      for (const { name: attribute, value } of element.attributes) {
        if (/^on|^data-command|^srcdoc$|^src$|^srcset$|^background$|^formaction$/.test(attribute)) found.push(`${name} ${attribute}=${value}`);
        if (attribute === 'style' && /url\\(|expression|@import/i.test(value)) found.push(`${name} style=${value}`);
        if (attribute === 'href' && !/^(https?:\\/\\/|mailto:|#)/i.test(value)) found.push(`${name} href=${value}`);
      }
    }
    for (const link of output.querySelectorAll('mjx-container a, mjx-container [href]')) {
      if (!/^#?$/.test(link.getAttribute('href') ?? '')) found.push(`formula ${link.outerHTML.slice(0, 200)}`);
    }
  }
  return found;
}"""


@pytest.fixture
def page(lab: Lab) -> Iterator[Lab]:
    """A notebook that can show payloads; ``lab.alerts`` and ``lab.asked`` list what ran and what was requested."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = v4.new_notebook(cells=[v4.new_code_cell(SPEAKER), v4.new_code_cell("")], metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab.jupyter.root / "payloads.ipynb")
    lab.open("lab/tree/payloads.ipynb?reset")
    lab.run("notebook:run-cell-and-select-next")
    yield lab


class Trouble:
    """What ran, and which of the page's requests a payload caused."""

    def __init__(self, lab: Lab) -> None:
        self.alerts: list[str] = []
        self.asked: list[str] = []
        self._lab = lab
        lab.page.on("dialog", self._dialog)
        lab.page.on("request", lambda request: self.asked.append(request.url))

    @property
    def fetched(self) -> list[str]:
        """Requests that are none of JupyterLab's own."""
        own = (f"{self._lab.jupyter.url}/{part}" for part in ("api/", "lab/api/", "static/", "lab/extensions/", "lsp/"))
        prefixes = (*own, "blob:", "data:application/", "data:font/", "data:image/svg+xml,%3csvg")
        return [url for url in self.asked if not url.startswith(prefixes)]

    def _dialog(self, dialog: Any) -> None:
        self.alerts.append(dialog.message)
        dialog.dismiss()


def show(lab: Lab, way: str, start: int, size: int) -> None:
    """Show a batch of payloads and wait until it is drawn."""
    lab.panel(f"panel.content.activeCell.model.sharedModel.setSource(\"show('{way}', {size})\")")
    lab.run("notebook:run-cell", limit=120_000)
    expect(lab.page.get_by_text(f"shown {way} {start}", exact=True)).to_be_attached(timeout=60_000)
    lab.page.wait_for_timeout(200)  # what loads late


def test_there_are_many_payloads() -> None:
    assert len(set(PAYLOADS)) >= 1500


def test_unguarded_they_run_and_fetch(page: Lab) -> None:
    trouble = Trouble(page)
    show(page, "unguarded", 0, 20)
    page.panel("panel.content.activeCell.model.sharedModel.setSource('batches[\"unguarded\"] = 580')")
    page.run("notebook:run-cell")
    show(page, "unguarded", 580, 24)
    assert page.blocked
    assert trouble.alerts
    assert page.page.evaluate(ACTIVE)
    page.blocked.clear()


@pytest.mark.parametrize("way", WAYS)
def test_shown_as_answers_they_neither_run_nor_fetch(page: Lab, way: str) -> None:
    size = WAYS[way]
    trouble = Trouble(page)
    for start in range(0, len(PAYLOADS), size):
        show(page, way, start, size)
        assert page.page.evaluate(ACTIVE) == [], f"payloads {start} to {start + size}"
        assert (trouble.alerts, page.blocked, trouble.fetched) == ([], [], []), f"payloads {start} to {start + size}"
