"""A lesson answered by keyboard in JupyterLab and Notebook, saved, closed and opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import Lab
from playwright.sync_api import Locator, expect

from alain_magics.lessons.notebook import dumps, to_notebook
from alain_magics.lessons.schema import Lesson, Option, Provenance, Question, Section

CARD = ".alain-question"


def questions(topic: str) -> list[Question]:
    """Three questions that no other test asks."""
    return [
        Question(
            form="predict",
            stem=f"What does `median([1, 2, 3, 4])` print in {topic}?",
            options=[
                Option(text="2", feedback="That is what `median_low` gives here.", call="median_low([1, 2, 3, 4])"),
                Option(text="2.5", correct=True, feedback="The mean of the two middle values."),
                Option(text="3", feedback="That is what `median_high` gives here."),
            ],
            literal=True,
            hint="The number of values is even.",
        ),
        Question(
            form="single",
            stem=f"What is raised for no data in {topic}?",
            options=[Option(text="`StatisticsError`", correct=True, feedback="Yes."), Option(text="Nothing")],
        ),
        Question(form="numeric", stem=f"How many layers has {topic}?", answer=24.0, unit="layers"),
    ]


def write(path: Path, asked: list[Question]) -> None:
    """Write the notebook of a lesson that asks these questions."""
    source = Provenance(kind="module", ref="statistics")
    lesson = Lesson(title=path.stem, source=source, sections=[Section(title="Medians", steps=asked)])
    path.write_text(dumps(to_notebook(lesson)), encoding="utf-8")


def tab_to(lab: Lab, target: Locator) -> None:
    """Press the tab key until the focus is in the target."""
    for _ in range(40):
        lab.page.keyboard.press("Tab")
        if target.evaluate("node => node.contains(document.activeElement)"):
            return
    pytest.fail("the tab key does not lead there")


def answer_three(lab: Lab) -> None:
    """Answer the three questions by keyboard alone: wrong, right, right."""
    keyboard, cards = lab.page.keyboard, lab.page.locator(CARD)
    expect(cards).to_have_count(3, timeout=60_000)
    tab_to(lab, cards.nth(0))
    keyboard.press("1")
    keyboard.press("Enter")
    expect(cards.nth(0).get_by_role("status")).to_contain_text("That is what median_low gives here.")
    tab_to(lab, cards.nth(1))
    keyboard.press("1")
    keyboard.press("Enter")
    expect(cards.nth(1).get_by_role("status")).to_contain_text("Right")
    tab_to(lab, cards.nth(2))
    keyboard.type("24")
    keyboard.press("Enter")
    expect(cards.nth(2).get_by_role("status")).to_contain_text("Right")


def expect_earlier_answers(lab: Lab) -> None:
    """The cards show what was answered before."""
    status = lab.page.locator(CARD).get_by_role("status")
    expect(status).to_have_count(3, timeout=60_000)
    expect(status.nth(0)).to_contain_text("You answered: 2 – not right")
    expect(status.nth(1)).to_contain_text("You answered: StatisticsError – right")
    expect(status.nth(2)).to_contain_text("You answered: 24 layers – right")


def expect_stored_questions(lab: Lab) -> None:
    """No card and no error stand below the questions, but the stored lists."""
    output = lab.page.locator(".jp-OutputArea-output")
    expect(output.locator("li").first).to_contain_text("2")
    expect(output).to_have_count(3)
    expect(lab.page.locator(CARD)).to_have_count(0)
    expect(lab.page.get_by_text("model not found")).to_have_count(0)
    expect(lab.page.get_by_text("Loading widget")).to_have_count(0)


def close(lab: Lab, *, kernel: str) -> None:
    """Save and close the notebook; let its kernel be ``kept``, ``restarted`` or ``ended``."""
    lab.run("docmanager:save")
    if kernel == "restarted":
        lab.panel("await panel.sessionContext.session.kernel.restart()")
    if kernel == "ended":
        lab.panel("await panel.sessionContext.shutdown()")
    lab.page.evaluate("jupyterapp.shell.currentWidget.dispose()")
    expect(lab.page.locator(".jp-Notebook")).to_have_count(0)


def reopen(lab: Lab, name: str) -> None:
    """Open a notebook in the same page."""
    lab.run("docmanager:open", {"path": name})
    lab.page.locator(".jp-Notebook .jp-Cell").first.wait_for()


def stored_views(path: Path) -> list[Any]:
    """The references to widgets in a file."""
    found = [output.data for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", [])]
    return [data for data in found if "application/vnd.jupyter.widget-view+json" in data]


@pytest.mark.parametrize("kernel", ["restarted", "ended"])
def test_answers_by_keyboard_survive_a_reopened_lab(lab: Lab, kernel: str) -> None:
    name = f"{kernel}.ipynb"
    write(lab.jupyter.root / name, questions(kernel))
    lab.open(f"lab/tree/{name}?reset")
    expect_stored_questions(lab)
    lab.run("notebook:run-all-cells")
    before = lab.panel("panel.content.widgets.length")
    answer_three(lab)
    assert lab.panel("panel.content.widgets.length") == before

    close(lab, kernel=kernel)
    assert len(stored_views(lab.jupyter.root / name)) == 3
    reopen(lab, name)
    expect_stored_questions(lab)
    assert lab.panel("panel.context.model.dirty") is False

    lab.run("notebook:run-all-cells")
    expect_earlier_answers(lab)
    lab.run("docmanager:save")
    expect_earlier_answers(lab)
    assert len(stored_views(lab.jupyter.root / name)) == 3


def test_a_card_whose_kernel_still_lives_is_left_alone(lab: Lab) -> None:
    write(lab.jupyter.root / "alive.ipynb", questions("alive"))
    lab.open("lab/tree/alive.ipynb?reset")
    lab.run("notebook:run-all-cells")
    answer_three(lab)
    close(lab, kernel="kept")
    reopen(lab, "alive.ipynb")
    card = lab.page.locator(CARD).first
    expect(card.get_by_role("status")).to_contain_text("Not right", timeout=30_000)
    card.get_by_role("radio").nth(1).click()
    card.get_by_role("button", name="Check").click()
    expect(card.get_by_role("status")).to_contain_text("Right")

    lab.run("docmanager:save")
    lab.page.reload()
    expect(lab.page.locator(CARD).first.get_by_role("status")).to_contain_text("Right", timeout=60_000)


def test_answers_by_keyboard_survive_in_notebook(lab: Lab) -> None:
    write(lab.jupyter.root / "seven.ipynb", questions("seven"))
    lab.open("notebooks/seven.ipynb")
    expect_stored_questions(lab)
    lab.run("notebook:run-all-cells")
    answer_three(lab)
    lab.run("docmanager:save")
    lab.panel("await panel.sessionContext.shutdown()")
    lab.page.reload()
    expect_stored_questions(lab)
    lab.run("notebook:run-all-cells")
    expect_earlier_answers(lab)


def test_keys_of_a_card_do_not_reach_the_notebook(lab: Lab) -> None:
    write(lab.jupyter.root / "keys.ipynb", questions("keys"))
    lab.open("lab/tree/keys.ipynb?reset")
    lab.run("notebook:run-all-cells")
    card = lab.page.locator(CARD).first
    expect(card).to_be_visible(timeout=60_000)
    before = lab.panel("panel.content.model.toJSON().cells.map(cell => cell.cell_type)")
    card.get_by_role("radio").first.click()
    for key in ["a", "b", "d", "d", "m", "x", "1", "2", "Delete", "Enter"]:
        lab.page.keyboard.press(key)
    assert lab.panel("panel.content.model.toJSON().cells.map(cell => cell.cell_type)") == before
    expect(card.get_by_role("radio").nth(1)).to_be_focused()


def test_ctrl_s_in_a_card_saves_the_notebook(lab: Lab) -> None:
    write(lab.jupyter.root / "save.ipynb", questions("save"))
    lab.open("lab/tree/save.ipynb?reset")
    lab.run("notebook:run-all-cells")
    lab.page.locator(CARD).first.get_by_role("radio").first.click(timeout=60_000)
    assert lab.panel("panel.context.model.dirty") is True
    lab.page.evaluate("document.addEventListener('keydown', event => { if (event.isTrusted) window.last = event; })")
    lab.page.keyboard.press("Control+s")
    lab.page.wait_for_function("jupyterapp.shell.currentWidget.context.model.dirty === false")
    assert lab.page.evaluate("window.last.defaultPrevented") is True
