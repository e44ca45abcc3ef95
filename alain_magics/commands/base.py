"""What a command is: a request, and a run that yields progress and ends with plain data.

The argument parser of the magic and of the shell, the JSON body of the server and the completion are
all derived from the request's fields.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from alain_magics.workspace import Workspace


class Request(BaseModel):
    """The options of a verb.

    Every field has a description (its help). ``Field(json_schema_extra={...})`` may hold ``positional`` (bool),
    ``short`` (one letter), ``complete`` (``file``, ``module``, ``source``, ``model`` or ``runtime``: what completion
    offers) and ``variable`` (bool: it names a variable of the notebook).
    """

    model_config = ConfigDict(extra="forbid")

    @property
    def variable(self) -> str:
        """The variable of the notebook that keeps the result; empty where there is none."""
        for name, info in type(self).model_fields.items():
            if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("variable"):
                return getattr(self, name) or ""
        return ""

    @property
    def wants_text(self) -> bool:
        """Whether there is nothing to say yet, so that a shell's standard input should be read."""
        return False


@dataclass(frozen=True)
class Progress:
    """Work is going on: what is being done, and how much of it is done (``total`` 0: unknown)."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Partial:
    """A piece of the result that can be shown at once."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """The end: plain data, the same as text for people, and the status for a shell (1: something did not hold).

    A command that fails or is cancelled may still say what there was until then, and then raise.
    """

    data: dict[str, Any]
    text: str
    exit_status: int = 0


@dataclass(frozen=True)
class Permission:
    """Something that happens only if the user allows it, and then in the thread that called.

    The front-end shows ``question`` (plain text, with all that would be done). It puts what ``action`` returns or
    raises into ``outcome``, or, where the user does not allow it, a :class:`~alain_magics.errors.ConsentNeeded`.
    """

    question: str
    action: Callable[[], Any]
    outcome: Future[Any]


Event = Progress | Partial | Permission | Done


@dataclass
class Context:
    """What a command may use: the workspace, the text of the cell, the user's names, and consent given.

    ``interactive_kernel``: this process goes on afterwards, so that what is set in it counts for the next command.
    """

    workspace: Workspace
    cell: str | None = None
    namespace: Mapping[str, Any] = field(default_factory=dict)
    consent: frozenset[str] = frozenset()
    interactive_kernel: bool = False

    @property
    def origin(self) -> Literal["cell", "shell"]:
        """Where the command was typed, as records say it."""
        return "cell" if self.interactive_kernel else "shell"


@dataclass(frozen=True)
class Command:
    """A verb: its name, one line of help, its request and its run.

    ``exposed``: the server may run it. ``takes_cell``: it does something with the text of a cell.
    """

    name: str
    summary: str
    request: type[Request]
    run: Callable[[Context, Any], AsyncIterator[Event]]
    exposed: bool = False
    takes_cell: bool = False
    examples: tuple[str, ...] = ()
