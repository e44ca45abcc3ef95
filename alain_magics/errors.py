"""Every error a user can meet: what happened, and what to do next.

``AlainError`` is the root. Front-ends show ``what`` and ``advice`` on one line and
leave with ``exit_status``; a traceback appears only with ``--debug``.

    AlainError
    ├── UsageError            an option, verb or value that does not exist
    ├── SettingsError         a setting whose name or value is wrong
    ├── SourceError           the source cannot be read or taught
    │   ├── UnknownSource
    │   ├── UnreadableSource
    │   ├── ImportFailed
    │   └── NothingToTeach
    ├── NotebookError         a file that is no notebook, or no lesson
    ├── PayloadError          a question or exercise cell that was damaged
    ├── TargetError           the file to be written exists or cannot be written
    ├── ConsentNeeded         code of somebody else, not yet agreed to
    ├── SandboxError          no place to run code safely, or it broke
    └── StoreError            the database is missing, damaged or locked
"""

from __future__ import annotations


class AlainError(Exception):
    """A failure with a name: ``what`` happened and ``advice`` on what to do next."""

    exit_status = 2

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        """One line: what happened, then what to do."""
        return " ".join(f"{self.what} {self.advice}".split())


def of_the_system(error: OSError) -> str:
    """One line for what the system refused and no command has named."""
    place = f": {str(error.filename)[:80]}" if error.filename is not None else ""
    return f"The system refuses: {error.strerror or error}{place}. Check the name and its permissions."


class UsageError(AlainError):
    """An option, verb or value that does not exist."""


class SettingsError(AlainError):
    """A setting whose name or value is wrong; names the file, the key and the nearest valid name."""


class SourceError(AlainError):
    """The source of a lesson cannot be read or taught."""


class UnknownSource(SourceError):
    """Neither a module, nor a file, nor anything else that is understood."""


class UnreadableSource(SourceError):
    """The source exists but is empty, too large, not text, or not permitted."""


class ImportFailed(SourceError):
    """The module raised, exited, printed, hung or reached out while it was imported."""


class NothingToTeach(SourceError):
    """The source holds too little evidence for even a short tour."""


class NotebookError(AlainError):
    """A file that is not a valid notebook, or a notebook that is not a lesson."""


class PayloadError(AlainError):
    """The encoded question or exercise of a cell is damaged or too large."""


class TargetError(AlainError):
    """The file to be written exists with other content, or cannot be written."""


class ConsentNeeded(AlainError):
    """Code written by somebody else would run, and the user has not agreed to it."""


class SandboxError(AlainError):
    """There is no place to run code at the level that was asked for, or the place broke."""

    exit_status = 1


class StoreError(AlainError):
    """The database is damaged, locked, full or not there."""

    exit_status = 1
