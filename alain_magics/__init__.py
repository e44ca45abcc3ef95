"""Learn, run, rate and prove AI models and libraries inside Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from alain_magics.errors import AlainError
    from alain_magics.widgets.exercise import check
    from alain_magics.widgets.question import question

__all__ = ["AlainError", "__version__", "check", "load_ipython_extension", "question"]

_HOMES = {
    "AlainError": "alain_magics.errors",
    "check": "alain_magics.widgets.exercise",
    "question": "alain_magics.widgets.question",
}


def __getattr__(name: str) -> Any:
    """Import public names at their first use, so that importing the package costs next to nothing."""
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("alain-magics")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%alain`` and ``%%alain``: called by ``%load_ext alain_magics``."""
    from alain_magics.magics import register

    register(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "alain-magics"}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "alain_magics.server"}]
