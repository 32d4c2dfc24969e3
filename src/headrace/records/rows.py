"""Values to rows and back: fields that are columns of the table, and `rest` for the others."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Float, RowMapping, Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from headrace.model.value import Value

V = TypeVar("V", bound=Value)


def to_row(table: Table, value: Value) -> dict[str, Any]:
    given = value.model_dump(mode="json")
    row = {name: given.pop(name) for name in table.c.keys() if name in given}  # noqa: SIM118 - columns, not their names
    return {**row, "rest": given}


def from_row(kind: type[V], row: RowMapping) -> V:
    columns = {name: row[name] for name in kind.model_fields if name in row}
    return kind.model_validate({**row["rest"], **columns})


async def upsert(c: AsyncConnection, table: Table, row: Mapping[str, Any]) -> None:
    """
    Insert the row, or replace the one with the same primary key. Portable, and safe in a write transaction: SQLite has
    one writer, and on PostgreSQL the losing insert fails and is tried again by its caller.
    """
    keys = [column.name for column in table.primary_key]
    same = [table.c[name] == row[name] for name in keys]
    changes = {name: value for name, value in row.items() if name not in keys}
    done = await c.execute(update(table).where(*same).values(changes))
    if done.rowcount == 0:
        await c.execute(insert(table).values(dict(row)))


class seconds_now(FunctionElement[float]):  # noqa: N801 - reads as a function in queries
    """The database's clock, in seconds since 1970. All processes that share the database share this clock."""

    type = Float()
    inherit_cache = True


@compiles(seconds_now)
def _standard(_element: seconds_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "EXTRACT(EPOCH FROM CLOCK_TIMESTAMP())"


@compiles(seconds_now, "sqlite")
def _sqlite(_element: seconds_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"
