"""Files are written whole or not at all, and never over something else."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import TargetError
from alain_magics.store.files import atomic_write


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_new_file_holds_the_content_and_nothing_else_is_left(tmp_path: Path):
    atomic_write(tmp_path / "lesson.ipynb", "ü\n")
    assert (tmp_path / "lesson.ipynb").read_bytes() == "ü\n".encode()
    assert names(tmp_path) == ["lesson.ipynb"]


@given(content=st.binary(max_size=2000))
def test_what_is_written_is_what_is_read(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("files") / "x"
    atomic_write(path, content)
    assert path.read_bytes() == content


def test_identical_content_is_left_alone(tmp_path: Path):
    path = tmp_path / "x"
    atomic_write(path, "same")
    before = path.stat()
    atomic_write(path, "same")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_other_content_is_never_replaced_unasked(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises(TargetError, match=r"exists with other content\..*--force"):
        atomic_write(path, "theirs")
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["x"]


def test_a_private_file_is_its_owners_alone_whatever_was_there(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    atomic_write(path, "new", force=True, private=True)
    atomic_write(tmp_path / "y", "new", private=True)
    assert [file.stat().st_mode & 0o777 for file in (path, tmp_path / "y")] == [0o600, 0o600]


def test_force_replaces_and_keeps_the_permissions(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o640)
    atomic_write(path, "new", force=True)
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_permissions_that_the_user_chose(tmp_path: Path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_a_link_is_followed_not_replaced(tmp_path: Path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    atomic_write(tmp_path / "link", "new", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_of_many_writers_of_one_new_name_exactly_one_wins(tmp_path: Path):
    path = tmp_path / "x"
    refused = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        try:
            atomic_write(path, str(number))
        except TargetError:
            refused.append(str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert path.read_text() not in refused


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("missing/x", "create it"),
        ("file/x", "A part of the path is a file"),
        ("folder", "It is a folder"),
        ("n" * 300, "shorter name"),
    ],
)
def test_a_place_that_cannot_be_written_says_what_to_do(tmp_path: Path, name: str, advice: str):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TargetError) as caught:
        atomic_write(tmp_path / name, "x", force=True)
    assert advice in caught.value.advice


def test_a_circle_of_links_cannot_be_written(tmp_path: Path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(TargetError, match="exists"):
        atomic_write(tmp_path / "a", "x")


def test_a_full_disk_keeps_the_old_content(tmp_path: Path, on_disk):
    script = """
from alain_magics.errors import TargetError
from alain_magics.store.files import atomic_write
path = disk / "x"
path.write_text("old")
try:
    atomic_write(path, "x" * 100_000, force=True)
except TargetError as error:
    assert "disk is full" in str(error)
else:
    raise AssertionError("it fitted")
assert path.read_text() == "old"
assert [file.name for file in disk.iterdir()] == ["x"]
"""
    on_disk(["--size", "65536", "--tmpfs", str(tmp_path)], script)


def test_a_kill_at_any_moment_leaves_the_old_content_or_the_new(tmp_path: Path):
    path = tmp_path / "x"
    old, new = "old" * 50_000, "new" * 50_000
    script = (
        "import sys; from pathlib import Path; from alain_magics.store.files import atomic_write\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for text in sys.argv[2:]: atomic_write(Path(sys.argv[1]), text * 50_000, force=True)"
    )
    for _ in range(int(os.environ.get("ALAIN_SOAK_KILLS", "20")) // 4):
        process = subprocess.Popen([sys.executable, "-c", script, path, "old", "new"], stdout=subprocess.PIPE)
        with process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.kill()
        assert not path.exists() or path.read_text() in (old, new)
