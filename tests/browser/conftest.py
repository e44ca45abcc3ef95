"""A Chromium page, JupyterLab and Notebook servers, and a card with a stand-in model, for the browser tests."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

import alain_magics

expect.set_options(timeout=30_000)  # milliseconds: machines that run tests may be busy

PACKAGE = Path(alain_magics.__file__).parent
AXE = PACKAGE.parent / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
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
# What anywidget gives a widget, with everything that was sent kept in `window.sent`.
MOUNT = """async ([source, state]) => {
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
def draw(browser: Browser) -> Iterator[Callable[..., Page]]:
    """``draw(widget, state, theme="light", width=800)`` draws a widget alone on a page without network."""
    contexts = []

    def draw(widget: str, state: dict[str, Any], theme: str = "light", width: int = 800) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 700}, offline=True)
        contexts.append(context)
        page = context.new_page()
        css = theme_css(theme) + (PACKAGE / "widgets" / f"{widget}.css").read_text(encoding="utf-8")
        page.set_content(
            '<!doctype html><html lang="en"><title>Card</title>'
            f'<body data-jp-theme-light="{str(theme == "light").lower()}" '
            'style="margin: 0; background: var(--jp-layout-color0)"><main></main>'
        )
        page.add_style_tag(content=css)
        source = (PACKAGE / "widgets" / f"{widget}.js").read_text(encoding="utf-8")
        page.evaluate(MOUNT, [source, state])
        return page

    yield draw
    for context in contexts:
        context.close()


@pytest.fixture
def mount(draw: Callable[..., Page]) -> Callable[..., Page]:
    """``mount(question, verdict=None, theme="light", width=800)`` draws the card of a question."""

    def mount(question: dict[str, Any], verdict: dict[str, Any] | None = None, *look: Any, **looks: Any) -> Page:
        return draw("question", {"asked": question, "verdict": verdict}, *look, **looks)

    return mount


@dataclass(frozen=True)
class Jupyter:
    """A running server that has JupyterLab at ``/lab`` and Notebook at ``/notebooks``; ``root`` is its folder."""

    url: str
    token: str
    root: Path


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A server with folders of its own."""
    with serving(tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("jupyter")) as place:
        yield place


@contextmanager
def serving(root: Path, private: Path) -> Iterator[Jupyter]:
    """Run a server with its folders in ``private``, the extension of this checkout and the verbs of tests in them."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "IPYTHONDIR": "ipython",
        "ALAIN_DATA_DIR": "alain",
    }
    env = os.environ | {name: str(private / folder) for name, folder in folders.items()}
    env["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), str(PACKAGE.parent / "tests" / "plugin")])
    env["JUPYTER_PREFER_ENV_PATH"] = "0"  # else an installed extension goes before this one
    extensions = private / "data" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "alain-magics").symlink_to(PACKAGE / "labextension")
    shutil.copytree(PACKAGE.parent / "jupyter-config" / "server-config", private / "config" / "jupyter_server_config.d")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    place = Jupyter(f"http://127.0.0.1:{port}", secrets.token_hex(), root)
    log = private / "server.log"
    options = {
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": root,
        "IdentityProvider.token": place.token,
        "LabApp.news_url": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.expose_app_in_browser": True,
        "JupyterNotebookApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with log.open("w") as output:
        server = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while not _answers(f"{place.url}/api"):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    try:
        yield place
    finally:
        server.terminate()
        server.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


class Lab:
    """A page of JupyterLab or Notebook; ``blocked`` lists what it asked of anybody but the test server."""

    def __init__(self, page: Page, jupyter: Jupyter) -> None:
        self.page = page
        self.jupyter = jupyter
        self.blocked: list[str] = []
        page.route("**/*", self._guard)

    def open(self, path: str) -> None:
        """Go to a path of the server, logged in."""
        separator = "&" if "?" in path else "?"
        self.page.goto(f"{self.jupyter.url}/{path}{separator}token={self.jupyter.token}")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)

    def run(self, command: str, args: dict[str, Any] | None = None, limit: int = 30_000) -> None:
        """Run a command of the application, within ``limit`` milliseconds."""
        self.page.evaluate(COMMAND, [command, args or {}, limit])

    def panel(self, expression: str) -> Any:
        """The value of an expression about ``panel``, the notebook in front."""
        return self.page.evaluate(
            f"async () => {{ const panel = jupyterapp.shell.currentWidget; return {expression}; }}"
        )

    def _guard(self, route: Route) -> None:
        if route.request.url.startswith((self.jupyter.url, "data:", "blob:")):
            route.continue_()
        else:
            self.blocked.append(route.request.url)
            route.abort()


@pytest.fixture
def lab(browser: Browser, jupyter: Jupyter) -> Iterator[Lab]:
    """A page that may talk to the test server only."""
    context = browser.new_context(viewport={"width": 1300, "height": 950})
    lab = Lab(context.new_page(), jupyter)
    yield lab
    context.close()
    assert lab.blocked == []
