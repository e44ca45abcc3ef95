"""Whether a model finds room: on the disk before it is fetched, in memory before it is chosen."""

from __future__ import annotations

import shutil
from pathlib import Path

from alain_magics.errors import DownloadError

SPARE = 1.05
"""How much more than the files themselves must be free on the disk."""

HEADROOM = 1.2
"""How much more memory than its files a model takes, with a context of usual length."""


def check_disk(size: int, folder: Path) -> None:
    """Raise :class:`~alain_magics.errors.DownloadError` where ``size`` more bytes do not fit on a folder's disk."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free
    if size * SPARE > free:
        what = f"{size / 1e9:,.1f} GB are to be fetched, and the disk of {folder} has {free / 1e9:,.1f} GB left."
        raise DownloadError(what, "Free some space, or choose a smaller variant.")


def fits_memory(size: int) -> bool:
    """Whether a model of that many bytes finds room in this machine's memory."""
    import psutil

    return bool(size * HEADROOM <= psutil.virtual_memory().total)
