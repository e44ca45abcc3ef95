"""What tests of commands about models share: a folder on a machine of which they know what runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alain_magics.commands.base import Context, Done, Event
from alain_magics.commands.registry import find
from alain_magics.commands.runner import background_loop, events
from alain_magics.settings import configured
from alain_magics.workspace import Workspace, close_workspaces, open_workspace
from tests.runtimes.machine import write_places


@contextmanager
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch, **urls: str) -> Iterator[Workspace]:
    """Work in ``folder`` on a machine where presets run at the ``urls``, or nowhere, and no model lies on the disk."""
    for variable in ("ALAIN_MODEL", "ALAIN_REPLAY", "OLLAMA_HOST", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.chdir(folder)
    write_places(folder / "config" / "alain-runtimes.toml", **urls)
    workspace = open_workspace(folder)
    try:
        yield workspace
    finally:
        asyncio.run_coroutine_threadsafe(workspace.runtimes.aclose(), background_loop()).result(10)
        close_workspaces()
        configured.clear()


def invoke(workspace: Workspace, verb: str, *, interactive_kernel: bool = False, **values: Any) -> list[Event]:
    """Run a verb with the values of its request, and return its events."""
    command = find(verb)
    context = Context(workspace, interactive_kernel=interactive_kernel)
    return list(events(command, context, command.request(**values)))


def done(workspace: Workspace, verb: str, **values: Any) -> Done:
    """The same, and return its end."""
    last = invoke(workspace, verb, **values)[-1]
    assert isinstance(last, Done)
    return last
