"""
Values to rows and back: fields that are columns of the table, and `rest` for the others.

Most rows are small and there are many of them, so `rest` holds no field with its default value, and no `created_at` that the
id says already.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Float, RowMapping, Table, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from headrace.model.ids import is_id, made_at
from headrace.model.value import Value
from headrace.tree.canonical import plain

V = TypeVar("V", bound=Value)


def to_row(table: Table, value: Value) -> dict[str, Any]:
    given = value.model_dump(mode="json", include=set(table.c.keys()))
    rest = {name: field for name, field in plain(value).items() if name not in given}
    if "created_at" in rest and _from_id(given["id"]) == rest["created_at"]:
        del rest["created_at"]
    return {**given, "rest": rest}


def from_row(kind: type[V], row: RowMapping) -> V:
    columns = {name: row[name] for name in kind.model_fields if name in row}
    if "created_at" in kind.model_fields and "created_at" not in row["rest"]:
        columns["created_at"] = _from_id(row["id"])
    return kind.model_validate({**row["rest"], **columns})


def _from_id(identifier: str) -> str | None:
    # A ULID has 128 bits, its text room for 130.
    return made_at(identifier) if is_id(identifier) and identifier.partition("_")[2] < "8" else None


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
