"""``alain``: the same verbs in a shell.

Leaves with 0; 1 where something did not hold; 2 for an error of the user; 130 when interrupted. Results go to the
standard output, everything else to the standard error.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alain_magics.errors import AlainError, ConsentNeeded, UsageError

if TYPE_CHECKING:
    from alain_magics.commands.arguments import Invocation

PROGRAM = "alain"
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run ``alain`` with these arguments (by default those of the process) and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        status = _run(words)
        sys.stdout.flush()
    except AlainError as error:
        if "--debug" in words:
            raise
        _say(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader left; nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(words: list[str]) -> int:
    from alain_magics.commands.arguments import Help, parse

    match words:
        case ["--version"]:
            from alain_magics import __version__

            print(__version__)
            return 0
        case ["--completions", shell]:
            print(_completions(shell), end="")
            return 0
        case ["--complete", cursor, line]:
            _complete(line, int(cursor))
            return 0
        case ["--debug"]:
            words = []
    asked = parse(words, PROGRAM)
    if isinstance(asked, Help):
        print(asked.text)
        return 0
    return _invoke(asked, asked.consent)
