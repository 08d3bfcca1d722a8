"""Copy all rows of one database into another, empty one, whatever the kinds of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.store.database import place_of, refusal
from muscle_core.store.migrate import prepare
from muscle_core.store.tables import Table

_BATCH = 1000  # rows written at once
Row = dict[str, Any]
Counts = dict[str, int]


def copy_database(source: sa.Engine, target: sa.Engine) -> Counts:
    """Copy every row, as it is at one moment, in one transaction.

    Args:
        source: a database with this code's tables.
        target: a database without rows; the tables are made where there are none.

    Returns:
        Rows of each table.

    Raises:
        StoreError: the target holds rows or has the tables of another version, or takes a row not as it is; it then
            holds no more than before.
    """
    with snapshot(source) as rows, receiving(target) as connection:
        return copy_rows(rows, connection)


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that reads one moment of a database, while others go on writing."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def receiving(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction on an empty database; its tables are made first.

    Raises:
        StoreError: it holds rows, has the tables of another version, or refuses what is written to it.
    """
    prepare(engine)
    try:
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            counts = count_rows(connection)
            held = [f"{name} {count:,}" for name, count in counts.items() if count]
            if held:
                raise StoreError(
                    f"the database {place_of(engine)} holds rows already ({', '.join(held)}); nothing was copied. Name "
                    "an empty database."
                )
            yield connection
    except sa.exc.DBAPIError as error:
        raise refusal(error, engine) or StoreError(
            f"the database {place_of(engine)} does not take the rows: {error.orig}. It holds no more than before."
        ) from error


def count_rows(connection: sa.Connection) -> Counts:
    """Rows of each table."""
    return {
        table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        for table in Table.metadata.sorted_tables
    }


def copy_rows(source: sa.Connection, target: sa.Connection) -> Counts:
    """Copy every row of every table; what is referred to comes before what refers to it.

    Returns:
        Rows of each table.
    """
    counts = {}
    for table in _tables_to_copy():
        rows: Iterable[Row] = (dict(row) for row in source.execute(sa.select(table)).mappings())
        if own := _references_to_itself(table):
            rows = _referred_first(list(rows), own)
        counts[table.name] = 0
        remaining = iter(rows)
        while batch := list(islice(remaining, _BATCH)):
            target.execute(table.insert(), batch)
            counts[table.name] += len(batch)
        _go_on_counting(target, table)
    return counts


def _go_on_counting(target: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL number the next row after the copied ones; SQLite looks at the rows themselves."""
    numbered = table.autoincrement_column
    if numbered is None or target.dialect.name != "postgresql":
        return
    last = sa.select(sa.func.max(numbered)).scalar_subquery()
    place = sa.func.pg_get_serial_sequence(table.name, numbered.name)
    target.execute(sa.select(sa.func.setval(place, sa.func.coalesce(last, 1), last.is_not(None))))


def _tables_to_copy() -> list[sa.Table]:
    """All tables in the order in which they can be filled; a missing JSON value stays missing, not JSON's null."""
    metadata = sa.MetaData()
    for table in Table.metadata.sorted_tables:
        copy = table.to_metadata(metadata)
        for column in copy.columns:
            if isinstance(column.type, sa.JSON) and column.nullable:
                column.type = sa.JSON(none_as_null=True)
    return metadata.sorted_tables


def _references_to_itself(table: sa.Table) -> list[tuple[str, str]]:
    """Column and referred column of each reference within one table."""
    return [
        (key.parent.name, key.column.name)
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if key.column.table is table
    ]


def _referred_first(rows: list[Row], references: list[tuple[str, str]]) -> list[Row]:
    """Rows of a table in an order in which none refers to a later one, as far as there is such an order."""
    ordered: list[Row] = []
    waiting = rows
    while waiting:
        missing = {(other, row[other]) for row in waiting for _, other in references}
        ready: list[Row] = []
        blocked: list[Row] = []
        for row in waiting:
            # A row may refer to itself.
            free = all(row[own] == row[other] or (other, row[own]) not in missing for own, other in references)
            (ready if free else blocked).append(row)
        if not ready:
            return ordered + blocked
        ordered += ready
        waiting = blocked
    return ordered
