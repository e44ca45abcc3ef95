"""The check of an exercise in the notebook."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from alain_magics.errors import PayloadError
from alain_magics.lessons.exercises import Verdict, check_exercise
from alain_magics.lessons.payload import decode
from alain_magics.lessons.schema import Exercise


@dataclass(frozen=True)
class Shown:
    """A verdict as a notebook shows it."""

    verdict: Verdict

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self.verdict.views()


def check(payload: str) -> Shown:
    """Check the exercise above: call the learner's function as the tests say, and report the first that fails.

    ``payload`` is what :func:`alain_magics.lessons.payload.encode` wrote. Never raises: a damaged payload is reported.
    """
    try:
        part = decode(payload)
    except PayloadError as error:
        return Shown(Verdict(False, f"Not checked: {error}"))
    if not isinstance(part, Exercise):
        return Shown(Verdict(False, "Not checked: this cell holds a question. Show it with `question(…)`."))
    return Shown(check_exercise(part, _user_namespace()))


def _user_namespace() -> dict[str, Any]:
    """The names of the user's cells, or of the main program where no IPython runs."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return vars(sys.modules["__main__"]) if shell is None else shell.user_ns
