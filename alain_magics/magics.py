"""``%alain`` and ``%%alain``: read the line, run the command, show what it does; completion; ``%config AlainMagics``.

Loading this module must cost next to nothing: whatever a command needs is imported when a command is used.
"""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import TraitError, TraitType

from alain_magics.errors import AlainError, UsageError, of_the_system
from alain_magics.settings import SETTINGS, Setting, configured, nearest

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from alain_magics.commands.base import Done
    from alain_magics.display import Result

PROGRAM = "%alain"
_LINE = re.compile(r"\s*(?:[\w.,\s]+=\s*)?%alain[ \t]+")
_CELL = re.compile(r"%%alain[ \t]+")
_NOTEBOOK = "__vsc_ipynb_file__"  # where VS Code says which notebook runs


class SettingTrait(TraitType[Any, Any]):
    """A setting as ``%config`` knows it; ``None`` leaves it to the files and the environment."""

    def __init__(self, setting: Setting) -> None:
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        super().__init__(None, allow_none=True, config=True, help=setting.description + choices)
        self._setting = setting

    def validate(self, obj: Any, value: Any) -> Any:
        """Refuse what the settings refuse, in the same words."""
        try:
            return self._setting.parse(value)
        except ValueError as error:
            what = f"{self.name} = {value!r} is not possible. It {error}. {nearest(str(value), self._setting.choices)}"
            raise TraitError(what.rstrip()) from None


@magics_class
class AlainMagics(Magics):
    """The magics of alain_magics. What is set here counts for this kernel only."""

    def __init__(self, shell: InteractiveShell) -> None:
        configured.clear()
        self.add_traits(**{name: SettingTrait(setting) for name, setting in SETTINGS.items()})
        self.observe(self._remember, list(SETTINGS))
        super().__init__(shell=shell)

    @no_var_expand
    @line_cell_magic
    def alain(self, line: str, cell: str | None = None) -> Result | None:
        """Learn a library or model from a lesson whose code ran: ``%alain`` lists the verbs."""
        debug = "--debug" in line.split()
        try:
            return self._run(line, cell)
        except AlainError as error:
            if not debug:
                _show_as(error, str(error))
            raise
        except OSError as error:
            if not debug:
                _show_as(error, of_the_system(error))
            raise
        except KeyboardInterrupt as error:
            if not debug:
                _show_as(error, "Interrupted. What was shown until now stays.")
            raise

    def _run(self, line: str, cell: str | None) -> Result | None:
        from alain_magics.commands.arguments import Help, parse, split
        from alain_magics.commands.base import Context
        from alain_magics.commands.interpolate import interpolate
        from alain_magics.display import NotebookView, Result, TerminalView, show, show_notices
        from alain_magics.workspace import open_workspace

        names = self._namespace()

        def fill(value: str) -> str:
            workspace = open_workspace()
            return interpolate(value, names, workspace.project or workspace.folder).text

        asked = parse(split(line), PROGRAM, fill)
        if isinstance(asked, Help):
            print(asked.text)
            return None
        if cell is not None and not asked.command.takes_cell:
            raise UsageError(f"%%alain {asked.command.name} takes no cell.", f"Use %alain {asked.command.name}.")
        variable = asked.request.variable
        if variable and (not variable.isidentifier() or iskeyword(variable)):
            raise UsageError(f"{variable!r} cannot be the name of a variable.", "Give one such as answer.")
        shell = self.shell
        assert shell is not None
        workspace = open_workspace()
        context = Context(workspace, cell, names, asked.consent, interactive_kernel=True)
        view = (NotebookView if hasattr(shell, "kernel") else TerminalView)(answers=not asked.json)
        results: list[Result] = []

        def keep(done: Done) -> None:
            results.append(Result(done, asked.json, shown_in=shell.execution_count if view.shown else None))
            if variable:
                shell.user_ns[variable] = results[-1]

        try:
            show(asked.command, context, asked.request, view, keep)
        finally:
            show_notices(workspace.notices)
            for name in SETTINGS:  # which the command may have changed
                setattr(self, name, configured.get(name))
        return results[-1]

    def _namespace(self) -> dict[str, Any]:
        """Return the user's own names, without those that IPython keeps among them."""
        assert self.shell is not None
        hidden = self.shell.user_ns_hidden
        return {
            name: value
            for name, value in self.shell.user_ns.items()
            if (not name.startswith("_") or name == _NOTEBOOK) and value is not hidden.get(name, hidden)
        }

    def _remember(self, change: Any) -> None:
        """Let the settings know what ``%config`` set."""
        if change["new"] is None:
            configured.pop(change["name"], None)
        else:
            configured[change["name"]] = change["new"]


@context_matcher(identifier="alain")  # type: ignore[untyped-decorator]
def match_alain(context: CompletionContext) -> SimpleMatcherResult:
    """Complete what follows ``%alain``, or ``%%alain`` in the first line of a cell."""
    before = context.text_until_cursor
    start = _LINE.match(before) or (_CELL.match(before) if context.cursor_line == 0 else None)
    if not start:
        return {"completions": []}
    from alain_magics.commands.completion import complete

    line = before[start.end() :]
    found = complete(line, len(line), Path.cwd())
    return {
        "completions": [SimpleCompletion(text, type=found.kind) for text in found.texts],
        "matched_fragment": line[found.start :],
        "ordered": True,
        "suppress": True,
    }


def register(shell: InteractiveShell) -> None:
    """Add the magics, their settings and their completion to a shell; those of an earlier load go."""
    shell.configurables[:] = [each for each in shell.configurables if type(each).__name__ != AlainMagics.__name__]
    shell.register_magics(AlainMagics(shell))
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", "") != "alain"]
    matchers.append(match_alain)


def _show_as(error: BaseException, line: str) -> None:
    """Let IPython show a line in place of the traceback."""
    from alain_magics.text import plain

    error.__dict__["_render_traceback_"] = lambda: [plain(line)]
