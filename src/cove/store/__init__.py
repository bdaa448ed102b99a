"""The SQLite file that holds every record: connection, migrations, typed tables.

Imports only ``cove.errors``. ``schema`` documents the tables and their migration rule, ``database`` owns the
connection and its one writer thread, ``table`` stores a msgspec struct as JSON beside the columns that are looked up.
"""

from cove.store.database import Database
from cove.store.table import Table

__all__ = ["Database", "Table"]
