"""Records in a table: what goes in comes out, and columns are looked up."""

import sqlite3
from collections.abc import Iterator

import msgspec
import pytest

from cove.store import Table


class Boat(msgspec.Struct):
    name: str
    port: str
    crew: list[str] = msgspec.field(default_factory=list)


BOATS: Table[Boat] = Table("boats", Boat, ("name",), {"name": lambda boat: boat.name, "port": lambda boat: boat.port})


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE boats (name TEXT PRIMARY KEY, port TEXT UNIQUE, record BLOB NOT NULL) STRICT")
    yield made
    made.close()


def test_records_come_back_whole(connection: sqlite3.Connection) -> None:
    boats = [Boat("ada", "kiel", ["jo", "é\0"]), Boat("bo", "bari")]
    for boat in boats:
        BOATS.insert(connection, boat)
    assert BOATS.select(connection) == boats
    assert BOATS.select(connection, port="bari") == boats[1:]
    assert BOATS.select(connection, port="bari", name="ada") == []


@pytest.mark.parametrize("other", [Boat("ada", "cork"), Boat("bo", "kiel")])
def test_an_insertion_respects_what_must_be_unique(connection: sqlite3.Connection, other: Boat) -> None:
    BOATS.insert(connection, Boat("ada", "kiel"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        BOATS.insert(connection, other)
    assert BOATS.select(connection) == [Boat("ada", "kiel")]


def test_a_put_replaces_the_row_of_its_key_and_no_other(connection: sqlite3.Connection) -> None:
    for boat in (Boat("ada", "kiel"), Boat("bo", "bari")):
        BOATS.put(connection, boat)
    BOATS.put(connection, Boat("ada", "cork", ["new"]))
    assert BOATS.select(connection, port="cork") == [Boat("ada", "cork", ["new"])]
    assert BOATS.select(connection, port="kiel") == []
    with pytest.raises(sqlite3.IntegrityError):
        BOATS.put(connection, Boat("ada", "bari"))
    assert len(BOATS.select(connection)) == 2


def test_a_deletion_counts(connection: sqlite3.Connection) -> None:
    for name in "abc":
        BOATS.insert(connection, Boat(name, name))
    assert BOATS.delete(connection, name="nobody") == 0
    assert BOATS.delete(connection, name="a") == 1
    assert BOATS.delete(connection) == 2


@pytest.mark.parametrize("change", [BOATS.putting, BOATS.inserting])
def test_a_change_holds_the_record_as_it_was(connection: sqlite3.Connection, change: object) -> None:
    boat = Boat("ada", "kiel", ["jo"])
    apply = BOATS.putting(boat) if change == BOATS.putting else BOATS.inserting(boat)
    boat.port = "cork"
    boat.crew.append("late")
    apply(connection)
    assert BOATS.select(connection) == [Boat("ada", "kiel", ["jo"])]


def test_a_value_is_never_a_statement(connection: sqlite3.Connection) -> None:
    nasty = "x'; DROP TABLE boats; --"
    BOATS.insert(connection, Boat(nasty, nasty))
    assert BOATS.select(connection, name=nasty) == [Boat(nasty, nasty)]
    assert BOATS.delete(connection, name=nasty) == 1
