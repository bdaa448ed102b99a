"""A table whose rows are msgspec structs: JSON in ``record``, beside the columns that are looked up."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


class Table(Generic[R]):
    """Typed access to one table of the schema, for use inside ``Database.run`` and ``Database.load``.

    ``columns``: for each column except ``record``, how to get its value from a record. ``key``: the primary key;
    () when SQLite numbers the rows.
    """

    def __init__(
        self, name: str, kind: type[R], key: tuple[str, ...], columns: Mapping[str, Callable[[R], Any]]
    ) -> None:
        self._columns = columns
        self._decode = msgspec.json.Decoder(kind).decode
        names = [*columns, "record"]
        marks = ", ".join("?" * len(names))
        others = ", ".join(f"{column} = excluded.{column}" for column in names if column not in key)
        self._insert = f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})"
        self._put = f"{self._insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {others}" if key else self._insert
        self._select = f"SELECT record FROM {name}"
        self._delete = f"DELETE FROM {name}"

    def insert(self, connection: sqlite3.Connection, record: R) -> None:
        """Add a row. Raises sqlite3.IntegrityError when its key or a unique column is taken."""
        connection.execute(self._insert, self._row(record))

    def put(self, connection: sqlite3.Connection, record: R) -> None:
        """Add a row, or replace the one with the same key."""
        connection.execute(self._put, self._row(record))

    def inserting(self, record: R) -> Callable[[sqlite3.Connection], None]:
        """``insert`` as a change for ``Database.run``, with the record as it is now, whatever happens to it later."""
        row = self._row(record)
        return lambda connection: _execute(connection, self._insert, row)

    def putting(self, record: R) -> Callable[[sqlite3.Connection], None]:
        """``put`` as a change for ``Database.run``, with the record as it is now, whatever happens to it later."""
        row = self._row(record)
        return lambda connection: _execute(connection, self._put, row)

    def delete(self, connection: sqlite3.Connection, **where: Any) -> int:
        """Remove the rows whose columns have these values; how many they were."""
        return connection.execute(self._delete + _clause(where), tuple(where.values())).rowcount

    def select(self, connection: sqlite3.Connection, **where: Any) -> list[R]:
        """The records whose columns have these values; all of them when none is given."""
        rows = connection.execute(self._select + _clause(where), tuple(where.values()))
        return [self._decode(record) for (record,) in rows]

    def _row(self, record: R) -> tuple[Any, ...]:
        return (*(get(record) for get in self._columns.values()), msgspec.json.encode(record))


def _clause(where: Mapping[str, Any]) -> str:
    return " WHERE " + " AND ".join(f"{column} = ?" for column in where) if where else ""


def _execute(connection: sqlite3.Connection, statement: str, row: tuple[Any, ...]) -> None:
    connection.execute(statement, row)
