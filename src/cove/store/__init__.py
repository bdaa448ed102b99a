"""The SQLite file that holds every record: connection, migrations, typed tables.

Imports only ``cove.errors``. ``schema`` documents the tables and their migration rule, ``database`` owns the
connection and its one writer thread, ``table`` stores a msgspec struct as JSON beside the columns that are looked up,
``undivided`` is for work that is not only on the database and yet must not stop half way.
"""

from cove.store.database import Database
from cove.store.table import Table
from cove.store.undivided import ended, in_thread, undivided

__all__ = ["Database", "Table", "ended", "in_thread", "undivided"]
