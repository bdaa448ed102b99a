"""The connection to the SQLite file, owned by one thread.

coved is the only writer. Changes are queued to the thread; all that are waiting when it turns to the queue share one
transaction and so one fsync (group commit), each in a savepoint of its own, so that one that fails undoes only itself.
Notes, which nobody waits for, join them, and wait for no fsync when they are alone.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cove.errors import Conflict, Internal, NoSpace
from cove.store.schema import MIGRATIONS

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]

log = logging.getLogger(__name__)

MAX_BATCH = 64
"""Changes that share one transaction: bounds how long the first of them waits for the last."""


class _Queued:
    """``loop`` is None for a note: nobody waits for it."""

    __slots__ = ("change", "error", "future", "loop", "result")

    def __init__(self, change: Change, loop: asyncio.AbstractEventLoop | None) -> None:
        self.change = change
        self.loop = loop
        self.future: asyncio.Future[Any] | None = loop.create_future() if loop is not None else None
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future is None or self.future.cancelled():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Database:
    """The database of one data root. Open with ``Database(path)``, use from one event loop, ``close`` at the end."""

    def __init__(self, path: Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        """Open or create the file and bring its schema up to date: ``migrations``, the data root's by default.

        Raises Conflict when the file comes from a newer version, Internal when it is no database or out of reach.
        """
        self._path = path
        self._connection = _opened(path, migrations)
        self._closed = False
        self._queue: queue.SimpleQueue[list[_Queued] | None] = queue.SimpleQueue()
        self._notes: list[_Queued] = []
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._thread.start()

    async def run(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``change`` in a transaction and return its result once it is on disk.

        The change runs on the database's thread: it may use the connection and must not touch other state. When it
        raises, its statements are undone and the error is raised here (a violated UNIQUE: sqlite3.IntegrityError; a
        full or broken disk: Internal). A caller that is cancelled does not cancel the change.
        """
        if self._closed:
            raise Internal("the database is closed")
        queued = _Queued(change, asyncio.get_running_loop())
        assert queued.future is not None
        self._push(queued)
        result: T = await queued.future
        return result

    def note(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Run ``change`` after all that was asked for before, and let nobody wait for it. That it failed is logged.

        It is in the same transaction as the next ``run`` of this turn of the event loop. Without one it is written at
        the end of the turn, whatever becomes of the daemon then, but does not wait for the disk: on a machine that
        loses power the last notes may be missing.
        """
        if self._closed:
            return
        self._notes.append(_Queued(change, None))
        if len(self._notes) == 1:
            asyncio.get_running_loop().call_soon(self._push)

    def _push(self, *queued: _Queued) -> None:
        """Hand what was noted, and ``queued``, to the thread: in one piece, for one transaction."""
        notes, self._notes = self._notes, []
        if notes or queued:
            self._queue.put([*notes, *queued])

    def load(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query at once on the caller's thread; only for start-up, before the first ``run``.

        Raises Internal that names the file when it is damaged.
        """
        try:
            return query(self._connection)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise Internal(f"cannot read the database {self._path}: {error}") from error

    def close(self) -> None:
        """Finish what is queued and close the file. Does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        self._push()
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch: list[_Queued] = []
            piece = self._queue.get()
            while piece is not None:
                batch += piece
                if len(batch) >= MAX_BATCH or self._queue.empty():
                    break
                piece = self._queue.get_nowait()
            open_ = piece is not None
            self._commit(batch)

    def _commit(self, batch: list[_Queued]) -> None:
        if not batch:
            return
        try:
            with self._waiting_for_disk(any(queued.loop is not None for queued in batch)):
                self._connection.execute("BEGIN IMMEDIATE")
                for queued in batch:
                    self._apply(queued)
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.error("database: cannot commit: %s", error)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for queued in batch:
                queued.error = queued.error or _failure(error)
        for queued in batch:
            if queued.loop is None:
                if queued.error is not None:
                    log.error("database: a note was not written: %s", queued.error)
                continue
            with contextlib.suppress(RuntimeError):  # its loop was closed: nobody waits
                queued.loop.call_soon_threadsafe(queued.settle)

    @contextlib.contextmanager
    def _waiting_for_disk(self, wanted: bool) -> Iterator[None]:
        """A commit inside it is synced, or (in WAL mode safe as well, but not at once on disk) is not."""
        if wanted:
            yield
            return
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            if self._connection.in_transaction:  # the setting cannot change inside a transaction
                self._connection.execute("ROLLBACK")
            self._connection.execute("PRAGMA synchronous = FULL")

    def _apply(self, queued: _Queued) -> None:
        """Run one change. Raises sqlite3.Error when SQLite gave up the whole transaction, as on a full disk."""
        self._connection.execute("SAVEPOINT change")
        try:
            queued.result = queued.change(self._connection)
        except BaseException as error:
            broken = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError)
            queued.error = _failure(error) if broken else error
            if not self._connection.in_transaction:  # what followed would be committed one by one, and called failed
                raise sqlite3.OperationalError(str(error)) from error
            self._connection.execute("ROLLBACK TO change")
        self._connection.execute("RELEASE change")


def _failure(error: BaseException) -> Internal:
    full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    return (NoSpace if full else Internal)(f"cannot write the database: {error}")


def _opened(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    connection = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, migrations)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise Internal(f"cannot open the database {path}: {error}") from error
        raise
    return connection


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    (seen,) = connection.execute("PRAGMA user_version").fetchone()
    if seen > len(migrations):
        raise Conflict(f"the database has schema {seen}; this version of Cove knows {len(migrations)}")
    for number, migration in enumerate(migrations[seen:], start=seen + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {migration}; PRAGMA user_version = {number}; COMMIT;")
