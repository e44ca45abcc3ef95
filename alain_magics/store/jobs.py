"""Long work: one row a job, and its events, which are only ever appended.

Whoever follows a job can start from any event. The process that works on a job is written in its row, so that a job
whose process died reads as ``interrupted`` and can be resumed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import psutil
import sqlalchemy as sa

from alain_magics.errors import StoreError
from alain_magics.store.engine import Store
from alain_magics.store.tables import job_events, jobs

Status = Literal["running", "finished", "failed", "cancelled", "interrupted"]

_STOPPED = ("failed", "cancelled", "interrupted")
_CLOCK_TOLERANCE = 2.0  # seconds by which a process's start may seem to move when the clock is set


@dataclass(frozen=True)
class Job:
    """A piece of long work; ``last_event`` is the number of its events so far."""

    id: str
    kind: str
    user: str
    project: str
    request: dict[str, Any]
    status: Status
    cancel_requested: bool
    last_event: int
    created: datetime
    updated: datetime
    result: dict[str, Any] | None
    error: str | None


@dataclass(frozen=True)
class JobEvent:
    """Something that happened in a job; ``sequence`` counts from 1 without gaps."""

    job_id: str
    sequence: int
    time: datetime
    data: dict[str, Any]


class Jobs:
    """The jobs of a user in a project."""

    def __init__(self, store: Store, user: str, project: str = "") -> None:
        self._store = store
        self._user = user
        self._project = project

    def start(self, kind: str, request: dict[str, Any]) -> str:
        """Begin a job that this process works on, and return its id."""
        now = datetime.now(UTC)
        job_id = uuid.uuid4().hex
        values = {
            "id": job_id,
            "kind": kind,
            "user": self._user,
            "project": self._project,
            "request": request,
            "request_hash": _request_hash(request),
            "status": "running",
            "cancel_requested": False,
            "last_event": 0,
            **_this_process(),
            "created": now,
            "updated": now,
        }
        with self._store.writing() as connection:
            connection.execute(jobs.insert().values(values))
        return job_id

    def append(self, job_id: str, data: dict[str, Any]) -> int:
        """Add an event to a job that this process works on, and return its sequence number."""
        with self._store.writing() as connection:
            _update(connection, job_id, last_event=jobs.c.last_event + 1)
            sequence = _get(connection, job_id).last_event
            event = JobEvent(job_id, sequence, datetime.now(UTC), data)
            connection.execute(job_events.insert().values(vars(event)))
        return sequence

    def finish(self, job_id: str, result: dict[str, Any]) -> None:
        """End a job well."""
        self._end(job_id, status="finished", result=result)

    def fail(self, job_id: str, error: str) -> None:
        """End a job with what went wrong."""
        self._end(job_id, status="failed", error=error)

    def cancel(self, job_id: str) -> None:
        """End a job because somebody wanted it."""
        self._end(job_id, status="cancelled")

    def request_cancel(self, job_id: str) -> None:
        """Ask whoever works on a job to stop; an ended job stays as it is."""
        with self._store.writing() as connection:
            running = (jobs.c.id == job_id) & (jobs.c.status == "running")
            connection.execute(jobs.update().where(running).values(cancel_requested=True))

    def get(self, job_id: str) -> Job:
        """Return a job as it is now, or raise :class:`~alain_magics.errors.StoreError` where there is none."""
        with self._store.reading() as connection:
            return _get(connection, job_id)

    def events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """Return the events of a job whose sequence number is above ``after``."""
        query = sa.select(job_events).where(job_events.c.job_id == job_id, job_events.c.sequence > after)
        with self._store.reading() as connection:
            return [JobEvent(**row) for row in connection.execute(query.order_by(job_events.c.sequence)).mappings()]

    def follow(self, job_id: str, after: int = 0, poll: float = 0.1) -> Iterator[JobEvent]:
        """Yield events from ``after`` on, waiting for new ones (looking every ``poll`` seconds), until the job ends."""
        while True:
            ended = self.get(job_id).status != "running"  # asked first, so that no last event is missed
            for event in self.events(job_id, after):
                after = event.sequence
                yield event
            if ended:
                return
            time.sleep(poll)

    def find_resumable(self, kind: str, request: dict[str, Any]) -> Job | None:
        """Return the latest job of the same kind and request, if it ended before it was finished."""
        query = sa.select(jobs).where(
            jobs.c.user == self._user, jobs.c.kind == kind, jobs.c.request_hash == _request_hash(request)
        )
        with self._store.reading() as connection:
            row = connection.execute(query.order_by(jobs.c.created.desc()).limit(1)).mappings().first()
        job = _job(row) if row else None
        return job if job and job.status in _STOPPED else None

    def results(self, kind: str) -> list[dict[str, Any]]:
        """Return the results of the user's finished jobs of a kind, the latest first."""
        query = sa.select(jobs.c.result).where(
            jobs.c.user == self._user, jobs.c.kind == kind, jobs.c.status == "finished"
        )
        with self._store.reading() as connection:
            return [dict(result) for result in connection.execute(query.order_by(jobs.c.created.desc())).scalars()]

    def resume(self, job_id: str) -> None:
        """Take over a job that ended before it was finished; of several that try, one succeeds."""
        with self._store.writing() as connection:
            row = _row(connection, job_id)
            status = _job(row).status
            unchanged = (jobs.c.id == job_id) & (jobs.c.updated == row["updated"]) & (jobs.c.status == row["status"])
            values = {"status": "running", "cancel_requested": False, "error": None, "updated": datetime.now(UTC)}
            take = jobs.update().where(unchanged).values(**values, **_this_process())
            if status not in _STOPPED or not connection.execute(take).rowcount:
                raise StoreError(f"The job {job_id} is {status}.", "Only a job that stopped early can be resumed.")

    def _end(self, job_id: str, **values: Any) -> None:
        with self._store.writing() as connection:
            _update(connection, job_id, **values)


def _update(connection: sa.Connection, job_id: str, **values: Any) -> None:
    """Change a running job of this process; the row stays locked until the transaction ends."""
    mine = _this_process()
    owned = (jobs.c.id == job_id) & (jobs.c.status == "running") & (jobs.c.host == mine["host"])
    owned &= jobs.c.pid == mine["pid"]
    changed = connection.execute(jobs.update().where(owned).values(updated=datetime.now(UTC), **values))
    if not changed.rowcount:
        status = _get(connection, job_id).status
        raise StoreError(f"The job {job_id} is {status} or worked on elsewhere.", "Look at it, or start a new one.")


def _get(connection: sa.Connection, job_id: str) -> Job:
    return _job(_row(connection, job_id))


def _row(connection: sa.Connection, job_id: str) -> sa.RowMapping:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).mappings().first()
    if row is None:
        raise StoreError(f"There is no job {job_id}.", "Check its name.")
    return row


def _job(row: Mapping[Any, Any]) -> Job:
    values = {name: row[name] for name in Job.__dataclass_fields__}
    if row["status"] == "running" and not _alive(row["host"], row["pid"], row["process_started"]):
        values["status"] = "interrupted"
    return Job(**values)


def _request_hash(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _this_process() -> dict[str, Any]:
    return {"host": platform.node(), "pid": os.getpid(), "process_started": psutil.Process().create_time()}


def _alive(host: str, pid: int, started: float) -> bool:
    """Whether the process still runs; one of another machine cannot be asked, and counts as running."""
    if host != platform.node():
        return True
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < _CLOCK_TOLERANCE)
    except psutil.NoSuchProcess:
        return False
