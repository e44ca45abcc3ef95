"""Open the database: a file of SQLite unless a URL says otherwise.

What :meth:`Store.writing` leaves without an error is on the disk. A connection serves one thread at a time. The file
can be read by its owner only. A damaged file is set aside under a new name and never overwritten.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alain_magics.errors import SettingsError, StoreError
from alain_magics.store.migrations import migrate

_PRAGMAS = (
    "busy_timeout = 30000",  # milliseconds that a writer waits for the others
    "synchronous = FULL",  # a commit waits for the disk
    "fullfsync = ON",  # on macOS too
    "foreign_keys = ON",
    "trusted_schema = OFF",  # a file out of a cloned repository cannot run functions
)

_ADVICE = {
    "SQLITE_BUSY": ("is locked by another program", "Close that program, or try again."),
    "SQLITE_FULL": ("does not fit on the disk", "Free some space and try again; what was saved before is there."),
    "SQLITE_READONLY": ("is read-only", "Change the permissions, or set ALAIN_DATA_DIR to a folder of yours."),
    "SQLITE_CANTOPEN": ("cannot be opened", "Check the folder's permissions, or set ALAIN_DATA_DIR to another."),
    "SQLITE_PERM": ("cannot be opened", "Check the folder's permissions, or set ALAIN_DATA_DIR to another."),
    "SQLITE_IOERR": ("cannot be read or written", "Check the disk and its free space, then try again."),
    "SQLITE_CORRUPT": ("is damaged", "Restart: it is then set aside and a new one begun."),
    "SQLITE_NOTADB": ("is damaged", "Restart: it is then set aside and a new one begun."),
}

_engines: weakref.WeakSet[sa.Engine] = weakref.WeakSet()


class Store:
    """A database with its tables up to date; ``notices`` are lines to show to the user."""

    def __init__(self, engine: sa.Engine, name: str, notices: list[str]) -> None:
        self._engine = engine
        self._name = name
        self.notices = notices

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the database."""
        with _explained(self._name), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection whose changes are all kept, durably, or none of them when an error is raised."""
        with _explained(self._name), self._engine.connect() as connection:
            connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_store(database: Path | str) -> Store:
    """Open the database in a file (a path) or at a URL, make it where it does not exist, and bring it up to date."""
    if isinstance(database, Path):
        return _open_file(database)
    try:
        url = sa.make_url(database)
    except sa.exc.ArgumentError:
        raise SettingsError("database_url is no database URL.", "Write it as postgresql+psycopg://host/name.") from None
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise SettingsError("database_url names no file.", "Write it as sqlite:////folder/alain.db.")
        return _open_file(Path(url.database))
    try:
        engine = sa.create_engine(url)
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise StoreError(
            f"There is no driver for {url.drivername}: {error}.", "Install it, such as psycopg for PostgreSQL."
        ) from error
    return _prepared(Store(engine, url.render_as_string(), []))


def _open_file(path: Path) -> Store:
    notices = []
    with _explained(str(path)):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _exclusive(path.with_name(path.name + ".lock")):
            if _damaged(path):
                aside = _set_aside(path)
                notices.append(f"The database {path} was damaged. It is kept as {aside.name}; a new one was begun.")
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            _use_wal(path)
            return _prepared(Store(_sqlite_engine(path), str(path), notices))


def _prepared(store: Store) -> Store:
    try:
        with store.writing() as connection:
            migrate(connection)
    except StoreError:
        store.close()
        raise
    return store


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    _engines.add(engine)
    return engine


def _forget_connections() -> None:
    """In a forked child: SQLite's connections must not cross a fork."""
    for engine in _engines:
        engine.dispose(close=False)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_connections)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Let one process at a time check, repair and migrate."""
    with path.open("ab") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _damaged(path: Path) -> bool:
    if not path.exists():
        return False
    connection = sqlite3.connect(path)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)])
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return True
        raise
    finally:
        connection.close()


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _use_wal(path: Path) -> None:
    """Let readers and a writer work side by side; the file remembers it."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say in words of the user what went wrong with the database."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _store_error(name, error.orig) from error
    except (sqlite3.Error, OSError) as error:
        raise _store_error(name, error) from error


def _store_error(name: str, error: BaseException | None) -> StoreError:
    code = getattr(error, "sqlite_errorname", "")
    for prefix, (what, advice) in _ADVICE.items():
        if code.startswith(prefix):
            return StoreError(f"The database {name} {what}.", advice)
    advice = "Check the folder's permissions, or set ALAIN_DATA_DIR to another." if isinstance(error, OSError) else ""
    return StoreError(f"The database {name} failed: {error}.", advice)
