"""The side panel: what the server extension says of itself, or why it says nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from conftest import AXE, Lab
from nbformat import v4
from playwright.sync_api import Route, expect

PANEL = "#alain-panel"


@pytest.fixture(autouse=True)
def empty_notebook(lab: Lab) -> Path:
    """Notebook opens nothing without one."""
    path = lab.jupyter.root / "empty.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell()], metadata={"kernelspec": kernel}), path)
    return path


@pytest.mark.parametrize("place", ["lab/tree/empty.ipynb?reset", "notebooks/empty.ipynb"], ids=["lab", "notebook"])
def test_the_panel_shows_version_and_workspace(lab: Lab, place: str) -> None:
    lab.open(place)
    lab.run("alain:open-panel")
    panel = lab.page.locator(PANEL)
    expect(panel).to_be_visible()
    for text in [version("alain-magics"), lab.jupyter.root.name, "%alain generate"]:
        expect(panel.get_by_text(text)).to_be_visible()


def test_the_command_palette_opens_the_panel(lab: Lab) -> None:
    lab.open("lab/tree/empty.ipynb?reset")
    lab.run("apputils:activate-command-palette")
    lab.page.keyboard.type("alain panel")
    lab.page.keyboard.press("Enter")
    expect(lab.page.locator(PANEL)).to_be_visible()


ANSWERS: dict[str, Callable[[Route], None]] = {
    "jupyter server extension enable alain_magics": lambda route: route.fulfill(status=404, body="{}"),
    "alain.toml: no setting 'x'.": lambda route: route.fulfill(
        status=400, body=json.dumps({"message": "alain.toml: no setting 'x'."})
    ),
    "The server cannot be reached.": lambda route: route.abort(),
    "The server answered 502.": lambda route: route.fulfill(status=502, body="<b>Bad gateway</b>"),
}


def test_every_failure_is_said_and_can_be_tried_again(lab: Lab) -> None:
    lab.page.route("**/alain/health*", lambda route: route.abort())
    lab.open("lab/tree/empty.ipynb?reset")
    lab.run("alain:open-panel")
    panel = lab.page.locator(PANEL)
    again = panel.get_by_role("button", name="Try again")
    for words, reply in ANSWERS.items():
        lab.page.unroute("**/alain/health*")
        lab.page.route("**/alain/health*", reply)
        again.click()
        expect(panel.get_by_role("status")).to_contain_text(words)
    lab.page.unroute("**/alain/health*")
    again.click()
    expect(panel.get_by_text(version("alain-magics"))).to_be_visible()
    expect(again).to_have_count(0)


def test_the_panel_has_no_violation_in_the_light_and_in_the_dark(lab: Lab) -> None:
    lab.open("lab/tree/empty.ipynb?reset")
    lab.run("alain:open-panel")
    expect(lab.page.locator(PANEL).get_by_text("Workspace")).to_be_visible()
    lab.page.add_script_tag(path=AXE)
    lab.page.add_style_tag(content="body { height: 100vh }")  # axe takes what stands beyond the body for unseen
    for theme, light in [("JupyterLab Dark", "false"), ("JupyterLab Light", "true")]:
        lab.run("apputils:change-theme", {"theme": theme})
        lab.page.locator(f"body[data-jp-theme-light={light}]").wait_for(state="attached")
        expect(lab.page.locator("#jupyterlab-splash")).to_have_count(0)
        found = lab.page.evaluate(f"axe.run('{PANEL}')")
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]] == []
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}
