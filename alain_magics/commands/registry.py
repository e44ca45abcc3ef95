"""Which verbs there are: those of this package, and those of entry points ``alain_magics.commands``.

A verb's module is imported when the verb is used; it defines ``command = Command(...)``, which is also what an entry
point leads to. A verb of this package cannot be replaced from outside.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from alain_magics.errors import UsageError
from alain_magics.settings import nearest

if TYPE_CHECKING:
    from alain_magics.commands.base import Command

BUILT_IN = ("generate", "verify", "progress", "ask", "chat", "models", "use", "pull", "runtimes")
GROUP = "alain_magics.commands"


def verbs() -> list[str]:
    """Every verb's name, in the order in which help lists them."""
    return [*BUILT_IN, *sorted(_foreign())]


@cache
def find(verb: str) -> Command:
    """Import a verb's command, or raise :class:`~alain_magics.errors.UsageError`."""
    if verb in BUILT_IN:
        return _checked(verb, import_module(f"alain_magics.commands.{verb}").command)
    if verb not in _foreign():
        raise UsageError(f"There is no verb {verb!r}.", nearest(verb, verbs()) or f"Verbs: {', '.join(verbs())}.")
    entry = _foreign()[verb]
    try:
        return _checked(verb, entry.load())
    except Exception as error:  # whatever a foreign module may raise
        what = f"The verb {verb!r} of {entry.value} does not load: {error!r}."
        raise UsageError(what, "Upgrade or remove the package that it comes from.") from error


@cache
def _foreign() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in BUILT_IN}


def _checked(verb: str, found: object) -> Command:
    from alain_magics.commands.base import Command

    if not isinstance(found, Command) or found.name != verb:
        raise TypeError(f"{found!r} is not the command {verb!r}")
    return found
