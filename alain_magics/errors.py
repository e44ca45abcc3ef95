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
    ├── StoreError            the database is missing, damaged or locked
    ├── NoRuntime             no model server runs, and none was chosen
    ├── UnknownModel          a runtime or model that nobody knows
    ├── KeyMissing            a hosted runtime without its key
    ├── KeyMisused            a key where none may be: in a prompt, for another host
    ├── ProfileError          a prompt profile that cannot be read or used
    ├── ConversationError     a stored conversation that cannot be read
    ├── DownloadError         a model that cannot be fetched
    └── ModelError            a model or its runtime did not answer as it should
        ├── Unreachable       nothing listens, or the network fails
        ├── TimedOut          no connection, no first token or silence for too long
        ├── Refused           the request was refused
        │   ├── KeyRefused
        │   ├── QuotaExceeded
        │   ├── RateLimited
        │   ├── ModelMissing
        │   └── ContextExceeded
        ├── ServerFailed      the server broke, is overloaded or still loading
        ├── BadProtocol       what came is not what the protocol promises
        ├── StreamTruncated   the answer was cut
        └── InvalidOutput     the answer is not the structure that was asked for
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


class NoRuntime(AlainError):
    """No model server runs on this machine and none was chosen; the advice gives the steps to take."""


class UnknownModel(AlainError):
    """A runtime or model that nobody knows; names the nearest."""


class KeyMissing(AlainError):
    """A hosted runtime whose key is in neither the environment, ``.env`` nor the keyring."""


class KeyMisused(AlainError):
    """A key would have gone where none may be: into a prompt, or to another host than its own."""


class ProfileError(AlainError):
    """A prompt profile that cannot be read, or a placeholder without a value."""


class ConversationError(AlainError):
    """A stored conversation that cannot be read or written."""


class DownloadError(AlainError):
    """A model that cannot be fetched: not found, no space, no network, or no way to ask the server for it."""

    exit_status = 1


class ModelError(AlainError):
    """A model or its runtime did not answer as it should.

    ``retryable`` says whether the same request may succeed later, ``retry_after`` (seconds) when the server named a
    time, ``status`` is the HTTP status where there is one.
    """

    exit_status = 1
    retryable = False

    def __init__(
        self, what: str, advice: str = "", *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(what, advice)
        self.status = status
        self.retry_after = retry_after


class Unreachable(ModelError):
    """Nothing listens at the address, its name is unknown, or the connection broke before an answer."""

    retryable = True


class TimedOut(ModelError):
    """No connection, no first token, or silence in the middle of an answer, for longer than allowed."""


class Refused(ModelError):
    """The runtime refused the request as it is: sending it again changes nothing."""


class KeyRefused(Refused):
    """The key is wrong, expired or may not use this model."""


class QuotaExceeded(Refused):
    """The account has no credit left."""


class RateLimited(Refused):
    """Too many requests for now."""

    retryable = True


class ModelMissing(Refused):
    """The runtime does not have the model."""


class ContextExceeded(Refused):
    """The prompt is longer than what the model can read."""


class ServerFailed(ModelError):
    """The server broke, is overloaded, or still loads the model."""

    retryable = True


class BadProtocol(ModelError):
    """What came is not what the protocol promises: no JSON, an empty body, a redirect."""


class StreamTruncated(ModelError):
    """The answer ended before its end; what came is kept."""


class InvalidOutput(ModelError):
    """The answer is not the structure that was asked for.

    ``defect`` names what is wrong, ``partial`` is the largest part that is valid (``None`` where nothing is).
    """

    def __init__(self, what: str, advice: str = "", *, defect: str, partial: object = None) -> None:
        super().__init__(what, advice)
        self.defect = defect
        self.partial = partial
