"""Show what a command does: in a notebook, in a terminal, or not at all."""

from alain_magics.display.notebook import NotebookView
from alain_magics.display.terminal import TerminalView
from alain_magics.display.views import Result, View, show, show_notices

__all__ = ["NotebookView", "Result", "TerminalView", "View", "show", "show_notices"]
