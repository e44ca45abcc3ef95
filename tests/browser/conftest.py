"""A Chromium page, JupyterLab and Notebook servers, and a card with a stand-in model, for the browser tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import alain_magics

PACKAGE = Path(alain_magics.__file__).parent
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# JupyterLab never settles a run command given before the session is ready, and
# `evaluate` has no time limit of its own: so wait first, and bound every call.
COMMAND = """async ([command, args, limit]) => {
  const app = window.jupyterapp;
  const late = new Promise((_, no) => setTimeout(() => no(new Error(`${command}: no answer`)), limit));
  const work = async () => {
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel?.context?.ready;
    await panel?.sessionContext?.ready;
    await panel?.sessionContext?.session?.kernel?.info;
    await app.commands.execute(command, args);
  };
  await Promise.race([work(), late]);
}"""
# What anywidget gives a card, with everything that was sent kept in `window.sent`.
MOUNT = """async ([source, asked, verdict]) => {
  const state = { asked, verdict };
  const listeners = {};
  window.sent = [];
  window.model = {
    get: name => state[name],
    set: (name, value) => { state[name] = value; (listeners[`change:${name}`] || []).forEach(call => call()); },
    on: (event, call) => (listeners[event] ||= []).push(call),
    off: (event, call) => { listeners[event] = (listeners[event] || []).filter(other => other !== call); },
    send: content => window.sent.push(content),
  };
  const module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  window.mount = () => module.default.render({ model: window.model, el: document.querySelector('main') });
  window.unmount = window.mount();
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without the traffic of its own."""
    executable = os.environ.get("ALAIN_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


def theme_css(theme: str) -> str:
    """The variables of JupyterLab's own ``light`` or ``dark`` theme."""
    from jupyterlab.commands import get_app_dir

    file = Path(get_app_dir(), "themes", "@jupyterlab", f"theme-{theme}-extension", "index.css")
    return file.read_text(encoding="utf-8")


@pytest.fixture
def mount(browser: Browser) -> Iterator[Callable[..., Page]]:
    """``mount(question, verdict=None, theme="light", width=800)`` draws a card alone on a page without network."""
    contexts = []

    def draw(
        question: dict[str, Any], verdict: dict[str, Any] | None = None, theme: str = "light", width: int = 800
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 700}, offline=True)
        contexts.append(context)
        page = context.new_page()
        css = theme_css(theme) + (PACKAGE / "widgets" / "question.css").read_text(encoding="utf-8")
        page.set_content(
            '<!doctype html><html lang="en"><title>Card</title>'
            f'<body data-jp-theme-light="{str(theme == "light").lower()}" '
            'style="margin: 0; background: var(--jp-layout-color0)"><main></main>'
        )
        page.add_style_tag(content=css)
        source = (PACKAGE / "widgets" / "question.js").read_text(encoding="utf-8")
        page.evaluate(MOUNT, [source, question, verdict])
        return page

    yield draw
    for context in contexts:
        context.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
