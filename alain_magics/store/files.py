"""Write a file whole or not at all.

Promises: a reader sees the old content or the new, never a part; once :func:`atomic_write` returns, the content
survives a crash of the machine; different content that is already there is replaced only with ``force``; two writers
of the same new name cannot both win.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from alain_magics.errors import TargetError

_ADVICE = {
    errno.ENOENT: "The folder does not exist: create it, or choose another name.",
    errno.ENOTDIR: "A part of the path is a file: choose another name.",
    errno.EISDIR: "It is a folder: give the name of a file.",
    errno.EACCES: "Its folder does not let you write: choose another, or change the permissions.",
    errno.EPERM: "Its folder does not let you write: choose another, or change the permissions.",
    errno.EROFS: "The disk is read-only: choose another folder.",
    errno.ENOSPC: "The disk is full: free some space and try again.",
    errno.EDQUOT: "Your quota is used up: free some space and try again.",
    errno.EFBIG: "The file would be larger than the system allows.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def atomic_write(path: Path, content: str | bytes, *, force: bool = False, private: bool = False) -> None:
    """Write ``content`` (text as UTF-8) to ``path``; identical content that is already there is left alone.

    A ``private`` file is readable by its owner alone. Raises :class:`~alain_magics.errors.TargetError` where other
    content stands and ``force`` is not given, and where the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(path))  # unlike resolve(), it never raises
    temporary = target.with_name(f".alain-{secrets.token_hex(6)}.tmp")
    try:
        if _holds(target, data):
            return
        try:
            _write_synced(temporary, data, 0o600 if private else 0o666)
            if force:
                _replace(temporary, target, private)
            else:
                _rename_new(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except FileExistsError as error:
        if not _holds(target, data):
            advice = "Choose another name, or add --force to replace it."
            raise TargetError(f"{path} exists with other content.", advice) from error
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror}.", _ADVICE.get(error.errno or 0, "")) from error


def _holds(target: Path, data: bytes) -> bool:
    return target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(temporary: Path, target: Path, private: bool) -> None:
    if target.exists() and not private:
        temporary.chmod(target.stat().st_mode)
    temporary.replace(target)


def _rename_new(temporary: Path, target: Path) -> None:
    """Give the file its name unless somebody else has it; a link, unlike a rename, never replaces."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
        temporary.rename(target)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system lets a folder be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
