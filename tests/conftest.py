"""What all tests share: requirements, shared inputs, a network guard, private data folders, a shell."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

collect_ignore = ["browser"]  # in a process of its own: see test_browser.py
pytest_plugins = ["pytest_jupyter.jupyter_server"]

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("ALAIN_SHARED", ROOT.parent / "shared"))


def require(available: object, reason: str) -> None:
    """Skip with the reason where something is missing; fail instead when ``ALAIN_REQUIRE=all``."""
    if available:
        return
    if os.environ.get("ALAIN_REQUIRE") == "all":
        pytest.fail(f"required, but {reason}")
    pytest.skip(reason)


@pytest.fixture
def shared() -> Path:
    """The folder of real inputs that lies beside a checkout; tests that need it skip without it."""
    require(SHARED.is_dir(), "reason: the folder of shared inputs is not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True)
def local_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any connection beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
                pytest.fail(f"a test reached out to {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def private_data(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a data folder of its own."""
    folder = tmp_path_factory.mktemp("alain-data")
    monkeypatch.setenv("ALAIN_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    """A server with this extension only, that refuses unauthenticated routes."""
    return {
        "ServerApp": {
            "jpserver_extensions": {"alain_magics": True},
            "allow_unauthenticated_access": False,
            "reraise_server_extension_failures": True,
        }
    }


@pytest.fixture
def shell() -> Iterator[Any]:
    """A fresh IPython shell with the magics loaded."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    instance = InteractiveShell.instance()
    instance.run_line_magic("load_ext", "alain_magics")
    yield instance
    InteractiveShell.clear_instance()


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an installed package that brings verbs of its own, here and in child processes."""
    from alain_magics.commands import registry

    folder = Path(__file__).parent / "plugin"
    caches = (registry.find, registry._foreign)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    for cache in caches:
        cache.cache_clear()
    yield folder
    for cache in caches:
        cache.cache_clear()
