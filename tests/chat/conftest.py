"""What tests of conversations share: the earlier formats, and the servers that tests of runtimes start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtimes.conftest import llama, pool, run, weights

__all__ = ["llama", "pool", "run", "weights"]


@pytest.fixture
def harmony(shared: Path) -> Path:
    """The folder of configurations and chats of mlx-harmony."""
    return shared / "fixtures" / "mlx_harmony"
