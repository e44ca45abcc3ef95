"""Verbs of another package, installed."""

from __future__ import annotations

import pytest

from tests.plugins import PLUGIN, forget_verbs


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch):
    """Put the package with more verbs on the path."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    forget_verbs()
    yield
    forget_verbs()
