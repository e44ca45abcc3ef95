"""Whatever a model answers: in JupyterLab nothing of it runs, and nothing is fetched, at no time while it comes."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from conftest import PACKAGE, Lab
from nbformat import v4
from playwright.sync_api import expect

from tests.payloads import PAYLOADS

WAYS = {"answer": 40, "comparison": 100}  # how many in a cell: JupyterLab shows fifty outputs of one

# Draws payloads in each way there is, from pieces that come slowly; ends with a line that says so.
SPEAKER = f"""
import sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from IPython.display import HTML, Markdown, display
from alain_magics.commands.base import Partial
from alain_magics.display import NotebookView, panel
from tests.payloads import PAYLOADS

panel.PERIOD, panel.SHARE, panel.BYTES = 0.0, 1e9, 1e12
COLUMNS = 10

def about(slot, payload):
    return dict(slot=slot, runtime="x", model=payload)

def answer(payloads):
    for payload in payloads:
        view = NotebookView()
        view.partial(Partial("answer", about(0, "m")))
        text = "Some words. " + payload
        third = len(text) // 3
        for piece in (text[:third], text[third : 2 * third], text[2 * third :]):
            view.partial(Partial("delta", dict(slot=0, text=piece, reasoning="")))

def comparison(payloads):
    for start in range(0, len(payloads), COLUMNS):
        compare(payloads[start : start + COLUMNS])

def compare(payloads):
    view = NotebookView()
    for slot, payload in enumerate(payloads):
        view.partial(Partial("answer", about(slot, payload)))
    for slot, payload in enumerate(payloads):
        half = len(payload) // 2
        view.partial(Partial("delta", dict(slot=slot, text="", reasoning=payload)))
        for piece in (payload[:half], payload[half:]):
            view.partial(Partial("delta", dict(slot=slot, text=piece, reasoning="")))
    for slot, payload in enumerate(payloads):
        calls = [dict(name=payload, arguments=payload)]
        known = dict(text=payload, snippets=dict(curl=payload), seconds=1.0, flags=[payload], error=payload)
        view.partial(Partial("end", about(slot, payload) | known | dict(tool_calls=calls)))
    view._answer.offer(dict())
    view.partial(Partial("tool", dict(name=payload, arguments=payload, result=payload)))

def unguarded(payloads):
    for payload in payloads:
        display(Markdown(payload))
        display(HTML(payload))

def show(way, start, size):
    globals()[way](PAYLOADS[start : start + size])
    display(Markdown(f"shown {{way}} {{start}}"))
"""
# What no answer may put on the page, beyond what JupyterLab, MathJax and our buttons draw themselves.
ACTIVE = """() => {
  const names = new Set(`applet audio base button embed form frame iframe image img input link marquee math meta
    noscript object picture script source style svg template textarea video`.split(/\\s+/));
  const attributes = /^(on.*|data-command.*|srcdoc|src|srcset|background|formaction|poster)$/;
  const found = [];
  for (const element of document.querySelectorAll('.jp-OutputArea-output *')) {
    const name = element.localName;
    if (element.closest('mjx-container')) {
      if (/[^#]/.test(element.getAttribute('href') ?? '')) found.push(`formula: ${element.outerHTML}`);
      continue;
    }
    if (names.has(name) && !element.closest('.alain-copy')) found.push(name);
    for (const { name: attribute, value } of element.attributes) {
      if (attributes.test(attribute)) found.push(`${name} ${attribute}=${value}`);
      if (attribute === 'style' && /url\\(|@import/i.test(value)) found.push(`${name} style=${value}`);
      if (attribute === 'href' && !/^(https?:|mailto:|#)/i.test(value)) found.push(`${name} href=${value}`);
    }
  }
  return found;
}"""


@pytest.fixture
def page(lab: Lab) -> Lab:
    """A notebook that can show payloads."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = v4.new_notebook(cells=[v4.new_code_cell(SPEAKER), v4.new_code_cell("")], metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab.jupyter.root / "payloads.ipynb")
    lab.open("lab/tree/payloads.ipynb?reset")
    lab.run("notebook:run-cell-and-select-next")
    return lab


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
    lab.panel(f"panel.content.activeCell.model.sharedModel.setSource(\"show('{way}', {start}, {size})\")")
    lab.run("notebook:run-cell", limit=120_000)
    expect(lab.page.get_by_text(f"shown {way} {start}", exact=True)).to_be_attached(timeout=60_000)
    lab.page.wait_for_timeout(100)  # what loads late


def test_there_are_many_payloads() -> None:
    assert len(set(PAYLOADS)) >= 1500


def test_unguarded_they_run_and_fetch(page: Lab) -> None:
    trouble = Trouble(page)
    for start in (0, 580):  # links, elements
        show(page, "unguarded", start, 20)
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
        assert page.page.locator(".jp-OutputArea-output").count() > min(size, len(PAYLOADS) - start) // 10
        assert page.page.evaluate(ACTIVE) == [], f"payloads {start} to {start + size}"
        assert (trouble.alerts, page.blocked, trouble.fetched) == ([], [], []), f"payloads {start} to {start + size}"
