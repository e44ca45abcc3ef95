"""A model must find room on the disk and in memory."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from alain_magics.errors import DownloadError
from alain_magics.runtimes.room import HEADROOM, SPARE, check_disk, fits_memory


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A disk with a gigabyte left; the folders that it was asked for."""
    asked: list[Path] = []

    def usage(path: Path) -> object:
        asked.append(path)
        return namedtuple("Usage", "total used free")(10**12, 10**12 - 10**9, 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return asked


def test_what_fits_with_some_room_to_spare_passes(free: list[Path], tmp_path: Path) -> None:
    check_disk(int(10**9 / SPARE), tmp_path)


def test_what_does_not_fit_is_told_with_figures(free: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        check_disk(10**9, tmp_path)
    what = f"1.0 GB are to be fetched, and the disk of {tmp_path} has 1.0 GB left."
    assert str(caught.value) == f"{what} Free some space, or choose a smaller variant."


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_of_the_nearest_that_is(
    free: list[Path], tmp_path: Path
) -> None:
    check_disk(1, tmp_path / "not" / "yet")
    assert free == [tmp_path]


def test_a_model_needs_more_memory_than_its_files_take() -> None:
    total = psutil.virtual_memory().total
    assert fits_memory(int(total / HEADROOM) - 1)
    assert not fits_memory(total)
