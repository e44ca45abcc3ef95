"""An answer in JupyterLab and Notebook: streamed, folded, compared, copied, stopped, stored; and its buttons alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from conftest import AXE, Lab
from nbformat import v4
from playwright.sync_api import Page, expect

from alain_magics.display import markup

LOAD = "%load_ext alain_magics"
TEXT = "The **median** of $n$ values:\n\n```python\nimport statistics\n```\n\nIt costs $5 or $6."
THINKING = "First: what is a median?"
BAR = ".alain-answer"
ENDED = {"runtime": "a", "model": "b", "seconds": 3.0, "flags": ["cut: the token limit was reached"]}
Draw = Callable[..., Page]


def run(lab: Lab, name: str, *cells: str, place: str = "lab/tree/{}.ipynb?reset") -> None:
    """Open a notebook of these cells and run them."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(cell) for cell in (LOAD, *cells)], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, lab.jupyter.root / f"{name}.ipynb")
    lab.open(place.format(name))
    lab.run("notebook:run-all-cells", limit=90_000)


@pytest.mark.parametrize("place", ["lab/tree/{}.ipynb?reset", "notebooks/{}.ipynb"], ids=["lab", "notebook"])
def test_an_answer_is_drawn_with_formulas_code_and_buttons(lab: Lab, place: str) -> None:
    run(lab, "drawn", f"%%alain speak --think '{THINKING}'\n{TEXT}", place=place)
    text = lab.page.locator(".jp-RenderedMarkdown")
    expect(text.locator("strong")).to_have_text("median")
    expect(text.locator("mjx-container")).to_have_count(1)
    expect(text.locator("pre span").first).to_have_text("import")
    expect(text).to_contain_text("It costs $5 or $6.")
    expect(lab.page.locator(BAR)).to_contain_text("test/parrot-1 · ")
    assert lab.page.locator(BAR).get_by_role("button").all_inner_texts() == [
        "Copy answer", "curl", "Python", "JavaScript",
    ]  # fmt: skip


def test_thoughts_are_folded_until_they_are_opened_and_stay_open(lab: Lab) -> None:
    run(lab, "thoughts", "pass")
    lab.panel("panel.content.activeCell.model.sharedModel.setSource(" + repr(
        f"%%alain speak --pause 0.02 --think '{THINKING}'\n{'word ' * 100}") + ")")  # fmt: skip
    lab.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-cell'); }")
    details = lab.page.locator("details")
    expect(details).to_have_count(1)
    expect(details.get_by_text(THINKING)).to_be_hidden()
    details.locator("summary").focus()
    lab.page.keyboard.press("Enter")
    expect(details.get_by_text(THINKING)).to_be_visible()
    expect(lab.page.locator(BAR)).to_be_visible()
    expect(details.get_by_text(THINKING)).to_be_visible()


def test_the_buttons_copy_by_keyboard_and_leave_the_notebook_alone(lab: Lab) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run(lab, "copied", f"%%alain speak\n{TEXT}")
    bar = lab.page.locator(BAR)
    before = lab.panel("panel.content.widgets.length")
    for name, copied in [("Copy answer", TEXT), ("Copy as curl", "curl http://localhost")]:
        bar.get_by_role("button", name=name).focus()
        lab.page.keyboard.press("Enter")
        expect(bar.get_by_role("status")).to_have_text(f"{name}: done")
        assert lab.page.evaluate("navigator.clipboard.readText()") == copied
    assert lab.panel("panel.content.mode") == "command"
    lab.page.keyboard.press("a")
    assert lab.panel("panel.content.widgets.length") == before


def test_answers_are_compared_side_by_side_where_there_is_room(lab: Lab) -> None:
    run(lab, "compared", f"%%alain speak --slots 2 --pause 0.005\n{TEXT}")
    columns = lab.page.locator("section[aria-label^='test/parrot-']")
    expect(columns).to_have_count(2)
    expect(columns.nth(1).locator("mjx-container")).to_have_count(1)
    expect(columns.nth(1)).to_contain_text("It costs $5 or $6.")
    expect(lab.page.locator(BAR).get_by_role("button", name="Copy answer of test/parrot-2")).to_be_visible()
    first, second = columns.nth(0).bounding_box(), columns.nth(1).bounding_box()
    assert first is not None
    assert second is not None
    assert first["y"] == second["y"]
    assert first["x"] + first["width"] < second["x"]
    lab.page.set_viewport_size({"width": 440, "height": 950})
    lab.page.wait_for_function(
        "() => { const [a, b] = document.querySelectorAll('section[aria-label^=\"test/parrot-\"]');"
        " return a.getBoundingClientRect().bottom <= b.getBoundingClientRect().top; }"
    )


def test_a_long_answer_is_whole_and_in_few_outputs(lab: Lab) -> None:
    text = "".join(f"## Part {number}\n\nSome words about {number}.\n\n" for number in range(2000))
    run(lab, "long", f"%%alain speak --size 200\n{text}")
    expect(lab.page.locator(BAR)).to_be_visible()
    headings = lab.page.locator(".jp-OutputArea-output h2")
    expect(headings).to_have_count(2000)
    assert lab.page.locator(".jp-OutputArea-output").count() < 25
    assert headings.last.inner_text().startswith("Part 1999")


def test_what_was_stored_is_shown_when_the_kernel_is_gone(lab: Lab) -> None:
    run(lab, "stored", f"%%alain speak\n{TEXT}", f"%%alain speak --slots 2\n{TEXT}")
    expect(lab.page.locator(BAR)).to_have_count(2)
    lab.run("docmanager:save")
    lab.panel("await panel.sessionContext.shutdown()")
    lab.page.evaluate("jupyterapp.shell.currentWidget.dispose()")
    lab.run("docmanager:open", {"path": "stored.ipynb"})
    expect(lab.page.get_by_text("test/parrot-1 · ").first).to_be_visible()
    expect(lab.page.locator(".jp-RenderedMarkdown strong")).to_have_text("median")
    expect(lab.page.locator("section[aria-label^='test/parrot-']")).to_have_count(2)
    expect(lab.page.locator(BAR)).to_have_count(0)
    for trouble in ["model not found", "Loading widget", "Error displaying widget"]:
        expect(lab.page.get_by_text(trouble)).to_have_count(0)
    assert lab.panel("panel.context.model.dirty") is False


@pytest.mark.parametrize("theme", ["light", "dark", "dark-high-contrast"])
def test_what_surrounds_an_answer_can_be_read(draw: Draw, theme: str) -> None:
    page = draw("answer", {"answers": []}, theme)
    content = markup.folded("Thought for 3 s", "Let me see.") + markup.badge(ENDED)
    content += markup.grid([markup.column("a/b", markup.quiet("waiting"), "<p>Text</p>"), markup.column("c/d")])
    page.evaluate(
        "content => { document.querySelector('main').innerHTML = "
        "`<div class='jp-RenderedHTMLCommon' style='color: var(--jp-content-font-color1)'>${content}</div>`; }",
        content,
    )
    page.locator("summary").click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run('main')")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}


ROW: dict[str, Any] = {
    "name": "ollama/<b>gpt-oss</b>:20b",
    "figures": "12 s · <img src=x onerror=alert(1)> · 42 tokens/s",
    "remarks": ["⚠ cut: the token limit was reached", "<script>alert(1)</script>"],
    "text": "An <i>answer</i>\nin two lines",
    "snippets": {"curl": "curl <x>", "python": "import httpx", "javascript": "fetch()"},
}


def test_all_text_is_only_text(draw: Draw) -> None:
    page = draw("answer", {"answers": [ROW]})
    bar = page.locator(BAR)
    for text in [ROW["name"], ROW["figures"], *ROW["remarks"]]:
        expect(bar).to_contain_text(text)
    assert bar.locator("b, i, img, script").count() == 0
    expect(bar.get_by_role("group", name=f"Answer of {ROW['name']}")).to_be_visible()


def test_where_the_clipboard_is_out_of_reach_the_text_is_there_to_be_copied(draw: Draw) -> None:
    page = draw("answer", {"answers": [ROW]})
    page.get_by_role("button", name="Copy answer").click()
    field = page.get_by_role("textbox", name="Text to copy")
    expect(field).to_have_value(ROW["text"])
    expect(field).to_be_focused()
    assert page.evaluate("getSelection().toString()") == ROW["text"]
    expect(page.get_by_role("status")).to_have_text("Selected: copy it with Ctrl+C or ⌘C.")
    page.get_by_role("button", name="Copy as curl").click()
    expect(field).to_have_value("curl <x>")


def test_only_what_there_is_can_be_copied(draw: Draw) -> None:
    page = draw("answer", {"answers": [{**ROW, "text": "", "snippets": {}}]})
    assert page.get_by_role("button").count() == 0
    expect(page.get_by_text("Copy as")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark", "dark-high-contrast"])
@pytest.mark.parametrize("rows", [[ROW], [ROW, {**ROW, "name": "a", "figures": "", "remarks": []}]], ids=["one", "two"])
def test_the_buttons_have_no_violation(draw: Draw, rows: list[dict[str, Any]], theme: str) -> None:
    page = draw("answer", {"answers": rows}, theme)
    page.get_by_role("button", name="Copy as Python").first.click()
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run('main')")
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
    assert {"color-contrast", "button-name"} <= {rule["id"] for rule in found["passes"]}
