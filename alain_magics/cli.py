"""``alain``: the same verbs in a shell.

Leaves with 0; 1 where something did not hold; 2 for an error of the user; 130 when interrupted. Results go to the
standard output, everything else to the standard error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alain_magics.errors import AlainError, ConsentNeeded, UsageError, of_the_system

if TYPE_CHECKING:
    from alain_magics.commands.arguments import Invocation

PROGRAM = "alain"
INTERRUPTED = 130

_SCRIPTS = {
    "bash": """\
_alain() {
    local before="${COMP_LINE:0:COMP_POINT}"
    mapfile -t COMPREPLY < <(alain --complete "$before" 2>/dev/null)
    before="${before##*[[:space:]]}"
    [[ $COMP_WORDBREAKS != *:* ]] || COMPREPLY=("${COMPREPLY[@]#"${before%"${before##*:}"}"}")
    [[ ${COMPREPLY[0]-} != */ ]] || compopt -o nospace 2>/dev/null
}
complete -F _alain alain
""",
    "zsh": """\
#compdef alain
_alain() {
    local -a found
    found=("${(@f)$(alain --complete "${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)}")
    [[ $PREFIX != --*=* ]] || compset -P '*='
    compadd -Q -S '' -- ${(M)found:#*/}
    compadd -Q -- ${found:#*/}
}
compdef _alain alain
""",
    "fish": """\
complete -c alain -f -a '(alain --complete (commandline -cp) 2>/dev/null)'
""",
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``alain`` with these arguments (by default those of the process) and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    _open_streams()
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
        _leave_output()
        return 1
    except OSError as error:
        if "--debug" in words:
            raise
        _say(_of_writing(error) or of_the_system(error))
        return AlainError.exit_status
    return status


def _open_streams() -> None:
    """Put the null device where the shell has closed a stream (``<&-``)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # it stays open


def _of_writing(error: OSError) -> str:
    """Return what to say of an error in writing, which names no file; empty for others."""
    try:
        sys.stdout.flush()
    except OSError:  # it would be tried once more when Python ends
        _leave_output()
    full = error.filename is None and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EIO)
    return f"The output cannot be written: {error.strerror}." if full else ""


def _leave_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    from alain_magics.commands.arguments import Help, parse

    match words:
        case ["--version"]:
            from alain_magics import __version__

            print(__version__)
            return 0
        case ["--completions", shell]:
            print(_script(shell), end="")
            return 0
        case ["--complete", line]:
            _complete(line)
            return 0
    asked = parse(words, PROGRAM)
    if isinstance(asked, Help):
        print(asked.text)
        return 0
    if asked.request.variable:
        raise UsageError("A shell has no variables.", "Send the output to a file: > FILE.")
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if asked.command.name == "chat" and asked.request.wants_text and on_terminal and not asked.json:
        from alain_magics.prompt import converse

        return converse(asked)
    try:
        return _invoke(asked, asked.consent)
    except ConsentNeeded as error:
        from alain_magics.commands.arguments import CONSENT
        from alain_magics.display.terminal import ask

        if not ask(f"{error.what} Run it?"):
            raise
        return _invoke(asked, CONSENT)


def _invoke(asked: Invocation, consent: frozenset[str]) -> int:
    """Run a command and print its result."""
    from alain_magics.commands.base import Context
    from alain_magics.display import Result, TerminalView, show, show_notices
    from alain_magics.workspace import open_workspace

    workspace = open_workspace()
    alone = asked.words == ["-"]
    reads = alone or ((asked.request.wants_text or asked.words) and not sys.stdin.isatty())
    piped = sys.stdin.read() if reads else None
    context = Context(workspace, piped, consent=consent)
    view = TerminalView(answers=not asked.json)
    try:
        done = show(asked.command, context, asked.request, view)
    finally:
        show_notices(workspace.notices)
    if not view.shown:
        print(Result(done, asked.json))
    return done.exit_status


def _complete(line: str) -> None:
    """Print what could stand at the end of a line that begins with the name of this program."""
    from alain_magics.commands.completion import complete
    from alain_magics.text import plain

    rest = line.lstrip().partition(" ")[2]
    for text in complete(rest, len(rest), Path.cwd()).texts:
        print(plain(text))


def _script(shell: str) -> str:
    if shell not in _SCRIPTS:
        raise UsageError(f"There is no completion for {shell!r}.", f"Shells: {', '.join(_SCRIPTS)}.")
    return _SCRIPTS[shell]


def _say(text: str) -> None:
    from alain_magics.text import plain

    print(plain(text), file=sys.stderr)
