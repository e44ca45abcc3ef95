"""The database: private, durable, shared by processes, and never lost."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from alain_magics.errors import SettingsError, StoreError
from alain_magics.store import migrations
from alain_magics.store.attempts import Attempt, Attempts
from alain_magics.store.engine import open_store
from alain_magics.store.tables import attempts, metadata
from tests.conftest import require

RECORD = """
import sys
from pathlib import Path
from alain_magics.store.attempts import Attempt, Attempts
from alain_magics.store.engine import open_store
recorder = Attempts(open_store(Path(sys.argv[1])))
for number in range(int(sys.argv[3])):
    attempt = recorder.record(Attempt("ada", "lesson", "Lesson", sys.argv[2], number, True))
    print("acknowledged", number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".alain" / "alain.db"


def recorder(path: Path, question: str, count: int) -> subprocess.Popen[str]:
    """Start a process that records ``count`` answers to a question and says so after each."""
    command = [sys.executable, "-c", RECORD, path, question, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def recorded(path: Path, question: str) -> list[int]:
    """Return the answers to a question that are in the database."""
    store = open_store(path)
    try:
        assert store.notices == []
        return [attempt.answer for attempt in Attempts(store).all("ada", question)]
    finally:
        store.close()


def test_the_file_and_its_folder_are_for_the_owner_alone(path: Path):
    store = open_store(path)
    Attempts(store).record(Attempt("ada", "l", "L", "q", 1, True))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = [file for file in path.parent.iterdir() if file.suffix != ".lock"]
    assert {file.name for file in files} == {"alain.db", "alain.db-wal", "alain.db-shm"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    store.close()


def test_every_connection_waits_for_the_disk_and_for_others(path: Path):
    store = open_store(path)
    with store.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "trusted_schema")
        }
    store.close()
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "foreign_keys": 1, "trusted_schema": 0
    }  # fmt: skip


def test_the_disk_has_the_answer_before_it_is_acknowledged(path: Path):
    strace = shutil.which("strace")
    require(strace, "reason: strace is not installed")
    open_store(path).close()
    log = path.parent / "trace"
    command = [strace, "-f", "-y", "-e", "trace=write,pwrite64,fsync,fdatasync", "-o", log, sys.executable, "-c"]
    traced = subprocess.run([*command, RECORD, path, "q", "3"], capture_output=True, text=True, check=False)
    require("ptrace" not in traced.stderr, "reason: processes may not be traced here")
    assert traced.returncode == 0, traced.stderr
    synced, order = False, []
    for line in log.read_text().splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*alain\.db-wal>", line):
            synced = False
        elif re.search(r"f(data)?sync\(\d+<[^>]*alain\.db-wal>", line):
            synced = True
        elif "acknowledged" in line and "write(1" in line:
            order.append(synced)
            synced = False
    assert order == [True] * 3


def test_eight_processes_that_start_and_write_at_once_lose_nothing(path: Path):
    count = int(os.environ.get("ALAIN_SOAK_WRITES", "25"))
    processes = [recorder(path, f"q{number}", count) for number in range(8)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, "")
    for number in range(8):
        assert recorded(path, f"q{number}") == list(range(count))


def test_a_killed_process_loses_nothing_that_was_acknowledged(path: Path):
    for number in range(int(os.environ.get("ALAIN_SOAK_KILLS", "20"))):
        with recorder(path, f"q{number}", 1_000_000) as process:
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.05))
            process.kill()
            rest = process.stdout.read()
            process.stderr.close()
        acknowledged = 1 + rest.count("\n")
        found = recorded(path, f"q{number}")
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged


def test_threads_share_a_store(path: Path):
    store = open_store(path)
    keeper = Attempts(store)

    def work(number: int) -> None:
        for answer in range(10):
            keeper.record(Attempt("ada", "l", "L", f"q{number}", answer, True))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        assert [attempt.answer for attempt in keeper.all("ada", f"q{number}")] == list(range(10))
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="reason: this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_connections_of_its_own(path: Path):
    store = open_store(path)
    keeper = Attempts(store)
    keeper.record(Attempt("ada", "l", "L", "q", "parent", True))
    if (child := os.fork()) == 0:
        try:
            keeper.record(Attempt("ada", "l", "L", "q", "child", True))
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [attempt.answer for attempt in keeper.all("ada", "q")] == ["parent", "child"]
    store.close()


def test_an_error_undoes_the_whole_transaction(path: Path):
    store = open_store(path)
    Attempts(store).record(Attempt("ada", "l", "L", "q", 1, True))

    def delete_and_fail() -> None:
        with store.writing() as connection:
            connection.execute(attempts.delete())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete_and_fail()
    assert len(Attempts(store).all("ada", "q")) == 1
    store.close()


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_damaged_file_is_set_aside_and_never_overwritten(path: Path, damage: str):
    store = open_store(path)
    for number in range(200):
        Attempts(store).record(Attempt("ada", "l", "L", f"q{number}", "x" * 50, True))
    store.close()
    content = bytearray(path.read_bytes())
    start, length = {"header": (0, 16), "middle": (len(content) // 2, 8192), "text": (0, len(content))}[damage]
    content[start : start + length] = random.Random(1).randbytes(length)
    path.write_bytes(content)

    store = open_store(path)
    (notice,) = store.notices
    aside = next(file for file in path.parent.iterdir() if ".damaged-" in file.name)
    assert aside.name in notice
    assert aside.read_bytes() == content
    Attempts(store).record(Attempt("ada", "l", "L", "q", 1, True))
    assert len(Attempts(store).all("ada", "q")) == 1
    store.close()
    assert recorded(path, "q") == [1]


def test_damage_that_shows_during_work_says_what_to_do(path: Path):
    store = open_store(path)
    Attempts(store).record(Attempt("ada", "l", "L", "q", 1, True))
    store.close()
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(StoreError, match=r"is damaged\. Restart"):
        Attempts(store).all("ada", "q")


def test_a_full_disk_is_an_error_with_advice_and_keeps_what_was_there(tmp_path: Path, on_disk):
    script = """
from alain_magics.errors import StoreError
from alain_magics.store.attempts import Attempt, Attempts
from alain_magics.store.engine import open_store
keeper = Attempts(open_store(disk / ".alain" / "alain.db"))
keeper.record(Attempt("ada", "l", "L", "q", 1, True))
try:
    keeper.record(Attempt("ada", "l", "L", "q", "x" * 400_000, True))
except StoreError as error:
    assert "ree space" in error.advice or "ree some space" in error.advice, error
else:
    raise AssertionError("it fitted")
assert [attempt.answer for attempt in keeper.all("ada", "q")] == [1]
"""
    on_disk(["--size", "262144", "--tmpfs", str(tmp_path)], script)


def test_a_read_only_folder_is_an_error_with_advice(tmp_path: Path, on_disk):
    script = """
from alain_magics.errors import StoreError
from alain_magics.store.engine import open_store
try:
    open_store(disk / ".alain" / "alain.db")
except StoreError as error:
    assert "set ALAIN_DATA_DIR" in error.advice
else:
    raise AssertionError("it was written")
"""
    on_disk(["--ro-bind", str(tmp_path), str(tmp_path)], script)


def test_a_locked_database_is_an_error_with_advice(path: Path):
    open_store(path).close()
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")
    try:
        with pytest.raises(StoreError, match=r"is locked by another program\. Close"):
            Attempts(store).record(Attempt("ada", "l", "L", "q", 1, True))
    finally:
        other.close()
        store.close()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_names_no_database_is_a_wrong_setting(url: str):
    with pytest.raises(SettingsError, match="Write it as"):
        open_store(url)


def test_a_url_without_a_driver_says_what_to_install():
    with pytest.raises(StoreError, match="Install it"):
        open_store("nosuchdatabase://host/name")


def test_a_sqlite_url_opens_its_file(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path}/team.db")
    store.close()
    assert (tmp_path / "team.db").exists()


def test_the_migrated_tables_are_those_of_today(path: Path):
    store = open_store(path)
    today = sa.create_engine("sqlite://")
    metadata.create_all(today)

    def shape(connection: sa.Connection) -> dict[str, object]:
        inspector = sa.inspect(connection)
        return {
            name: (
                [{key: str(value) for key, value in column.items()} for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name)["constrained_columns"],
                [key["referred_table"] for key in inspector.get_foreign_keys(name)],
                inspector.get_indexes(name),
            )
            for name in inspector.get_table_names()
            if name != "migrations"
        }

    with store.reading() as migrated, today.connect() as fresh:
        assert shape(migrated) == shape(fresh)
    store.close()
    today.dispose()


def test_steps_are_taken_once(path: Path):
    for _ in range(3):
        open_store(path).close()
    store = open_store(path)
    with store.reading() as connection:
        taken = connection.exec_driver_sql("SELECT number FROM migrations").scalars().all()
    store.close()
    assert taken == list(range(1, len(migrations.STEPS) + 1))


def test_a_database_of_a_newer_version_is_left_alone(path: Path):
    store = open_store(path)
    with store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO migrations VALUES (999, '2100-01-01')")
    store.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        open_store(path)
    assert path.read_bytes() == before
