"""Numbered steps that bring a database of any age to the tables of today.

A step is a module with ``upgrade(connection)``; once released it never changes. The table ``migrations`` records
which steps were taken.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from alain_magics.errors import StoreError
from alain_magics.store.migrations import step_0001_first_tables
from alain_magics.store.tables import UtcTime

STEPS = (step_0001_first_tables,)

_taken = sa.Table(
    "migrations",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("time", UtcTime, nullable=False),
)


def migrate(connection: sa.Connection) -> None:
    """Take the steps that were not taken yet, within the transaction of ``connection``."""
    _taken.create(connection, checkfirst=True)
    last = connection.scalar(sa.select(sa.func.max(_taken.c.number))) or 0
    if last > len(STEPS):
        raise StoreError("The database was written by a newer version of alain-magics.", "Upgrade alain-magics.")
    for number, step in enumerate(STEPS[last:], start=last + 1):
        step.upgrade(connection)
        connection.execute(_taken.insert().values(number=number, time=datetime.now(UTC)))
