"""Make the tables of answers, jobs and events."""

from __future__ import annotations

import sqlalchemy as sa

_metadata = sa.MetaData()

sa.Table(
    "attempts",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.DateTime, nullable=False),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("lesson_id", sa.String(255), nullable=False),
    sa.Column("lesson_title", sa.Text, nullable=False),
    sa.Column("question_id", sa.String(255), nullable=False),
    sa.Column("answer", sa.JSON, nullable=False),
    sa.Column("correct", sa.Boolean, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Index("attempts_by_question", "user", "lesson_id", "question_id"),
)
sa.Table(
    "jobs",
    _metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("request_hash", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("last_event", sa.Integer, nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("process_started", sa.Float, nullable=False),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("updated", sa.DateTime, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.Text),
    sa.Index("jobs_by_request", "user", "kind", "request_hash"),
)
sa.Table(
    "job_events",
    _metadata,
    sa.Column("job_id", sa.String(32), sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", sa.DateTime, nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
)


def upgrade(connection: sa.Connection) -> None:
    """Create them."""
    _metadata.create_all(connection, checkfirst=False)
