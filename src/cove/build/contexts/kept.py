"""Contents of contexts that stay from build to build, so that an unchanged file is not sent again.

::

    client                                     daemon
      │  POST /cove/contexts?key=…  the list     │
      │◀── id, which contents are missing ───────┤
      │  POST /cove/contexts/{id}/files          │   (if there are any)
      │  POST /build?remote=cove-context:{id}    │

A key stands for one directory of one client. Its contents lie one after the other in ``<key>/<generation>.data``; when
most of them is of no use any more, the next generation begins empty. All of it is a cache: what is lost is sent again.
Uploads have places of their own in the file, and so do not wait for each other.
"""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cove.build.planning.graph import Context
from cove.errors import InvalidArgument, NotFound
from cove.layers import Worker
from cove.layers.worker.build_jobs import FillContext, ListContext, ListContextDone, ReceiveContextDone

SCHEME = "cove-context:"
"""What ``remote`` begins with for a context that was offered."""

MOST_BYTES = 10 << 30
"""What all kept contexts may take; the ones that were used longest ago go first."""

MOST_OFFERS = 256
SECONDS = 600
"""How long an offer waits for its build."""

SLACK = 256 << 20
"""Bytes of no use that are never a reason to begin anew."""

_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Offer:
    """A context that a client has listed. ``missing``: which of its files, counted from 0, are to be sent."""

    id: str
    missing: list[int]


@dataclass(frozen=True)
class KeptContext:
    """What is kept for one key. ``size``: bytes on the disk. ``used``: when last, in seconds since the epoch."""

    key: str
    size: int
    used: float
    in_use: bool


@dataclass
class _Ticket:
    """``place``: the directory of this offer's list and index. ``data``: the kept contents that it points into.

    ``size``, ``missing``: bytes of the context, and of what is to be sent.
    """

    key: str
    place: Path
    data: Path
    complete: bool
    size: int = 0
    missing: int = 0
    expiry: asyncio.TimerHandle | None = None


@dataclass
class _Kept:
    """One key. ``users``: builds and offers that read a generation. ``ends``: where its next upload begins."""

    users: dict[Path, int] = field(default_factory=dict)
    ends: dict[Path, int] = field(default_factory=dict)

    def reserved(self, data: Path, size: int) -> int:
        """Where an upload of so many bytes may be written."""
        begin = max(self.ends.get(data, 0), data.stat().st_size if data.exists() else 0)
        self.ends[data] = begin + size
        return begin


class KeptContexts:
    """``root``: where contents are kept. ``scratch``: for what belongs to one build.

    ``most``: bytes that are kept. ``seconds``, ``slack``: see ``SECONDS`` and ``SLACK``.
    """

    def __init__(
        self,
        worker: Worker,
        root: Path,
        scratch: Path,
        *,
        most: int = MOST_BYTES,
        seconds: float = SECONDS,
        slack: int = SLACK,
    ) -> None:
        self._worker = worker
        self._root = root
        self._scratch = scratch
        self._most = most
        self._seconds = seconds
        self._slack = slack
        self._kept: dict[str, _Kept] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._drops: set[asyncio.Task[None]] = set()

    async def offer(self, key: str, chunks: AsyncIterator[bytes]) -> Offer:
        """Take a list in. Raises InvalidArgument for a bad key or list, and when too many wait."""
        if not _KEY.fullmatch(key):
            raise InvalidArgument("invalid value for key: it is to be 64 hexadecimal digits")
        if len(self._tickets) >= MOST_OFFERS:
            raise InvalidArgument("too many contexts wait for their builds")
        id = secrets.token_hex(16)
        place = self._scratch / f"context-{id}"
        place.mkdir(mode=0o700)
        data = await asyncio.to_thread(self._begin, key)
        self._pin(key, data)
        try:
            job = ListContext(str(data.with_suffix(".known")), str(place / "listing"), str(place / "index"))
            listed = await self._worker.run_stream(job, ListContextDone, chunks)
        except BaseException:
            await asyncio.shield(self._drop(_Ticket(key, place, data, complete=False)))
            raise
        self._tickets[id] = ticket = _Ticket(key, place, data, not listed.missing, listed.size, listed.missing_size)
        self._wait(id, ticket)
        return Offer(id, listed.missing)

    async def fill(self, id: str, chunks: AsyncIterator[bytes]) -> None:
        """Take the missing contents in, once. Raises NotFound, and InvalidArgument for what the list did not say."""
        ticket = self._ticket(id)
        known, place = str(ticket.data.with_suffix(".known")), ticket.place
        _stop(ticket)  # however long it takes
        begin = self._kept[ticket.key].reserved(ticket.data, ticket.missing)
        job = FillContext(known, str(place / "listing"), str(place / "index"), str(ticket.data), begin)
        try:
            await self._worker.run_stream(job, ReceiveContextDone, chunks)
        except BaseException:
            if self._tickets.pop(id, None) is not None:
                await asyncio.shield(self._drop(ticket))
            raise
        ticket.complete = True
        self._wait(id, ticket)

    @contextlib.asynccontextmanager
    async def taken(self, id: str) -> AsyncIterator[Context]:
        """The context of an offer, for one build; the offer is gone after it. Raises NotFound, InvalidArgument."""
        ticket = self._ticket(id)
        if not ticket.complete:
            raise InvalidArgument("the contents of the context were not sent")
        del self._tickets[id]
        _stop(ticket)
        try:
            if not ticket.data.exists():  # a context of empty files alone
                ticket.data.touch()
            yield Context(str(ticket.data), str(ticket.place / "index"))
        finally:
            await asyncio.shield(self._drop(ticket))

    async def kept(self) -> list[KeptContext]:
        """What there is."""
        sizes = await asyncio.to_thread(self._sizes)
        return [KeptContext(path.name, size, used, self._in_use(path.name)) for size, used, path in sizes]

    async def usage(self) -> int:
        """Bytes on the disk."""
        return sum(each.size for each in await self.kept())

    async def forget(self, keys: Iterable[str]) -> None:
        """Remove what is kept for these keys, but for what a build uses."""
        await asyncio.to_thread(self._remove, [key for key in keys if not self._in_use(key)])

    def close(self) -> None:
        """Let no offer expire any more."""
        for ticket in self._tickets.values():
            _stop(ticket)

    def _wait(self, id: str, ticket: _Ticket) -> None:
        """Give the client time for its next request."""
        ticket.expiry = asyncio.get_running_loop().call_later(self._seconds, self._expire, id)

    def _ticket(self, id: str) -> _Ticket:
        ticket = self._tickets.get(id)
        if ticket is None:
            raise NotFound(f"no such context: {id[:64]}")
        return ticket

    def _begin(self, key: str) -> Path:
        """The newest generation of a key, or a new one where most of it is of no use."""
        directory = self._root / key
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(directory)
        self._prune(self._most)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = sorted(int(path.stem) for path in directory.glob("*.data") if path.stem.isdecimal())
        newest = directory / f"{numbers[-1] if numbers else 0}.data"
        return directory / f"{int(newest.stem) + 1}.data" if _is_spent(newest, self._slack) else newest

    def _prune(self, keep: int) -> None:
        freed, found = 0, sorted(self._sizes(), key=lambda each: each[1])
        total = sum(size for size, _, _ in found)
        for size, _, directory in found:
            if total - freed <= keep:
                break
            if not self._in_use(directory.name):
                shutil.rmtree(directory, ignore_errors=True)
                freed += size

    def _remove(self, keys: list[str]) -> None:
        for key in keys:
            shutil.rmtree(self._root / key, ignore_errors=True)

    def _in_use(self, key: str) -> bool:
        return key in self._kept and bool(self._kept[key].users)

    def _sizes(self) -> list[tuple[int, float, Path]]:
        """Bytes, time of last use, and directory of each key."""
        with contextlib.suppress(FileNotFoundError):
            directories = [path for path in self._root.iterdir() if path.is_dir()]
            return [(sum(_size(each) for each in path.iterdir()), path.stat().st_mtime, path) for path in directories]
        return []

    def _pin(self, key: str, data: Path) -> None:
        kept = self._kept.setdefault(key, _Kept())
        kept.users[data] = kept.users.get(data, 0) + 1

    async def _drop(self, ticket: _Ticket) -> None:
        """Let go of an offer; older generations that nobody reads any more go."""
        kept = self._kept[ticket.key]
        users = kept.users
        users[ticket.data] -= 1
        if not users[ticket.data]:
            del users[ticket.data]
            kept.ends.pop(ticket.data, None)
        note = ticket.data.with_suffix(".live")
        await asyncio.to_thread(self._clean, ticket, note, set(users))

    def _clean(self, ticket: _Ticket, note: Path, used: set[Path]) -> None:
        shutil.rmtree(ticket.place, ignore_errors=True)
        with contextlib.suppress(OSError):
            if ticket.complete:
                note.write_text(str(ticket.size))
            generations = sorted(ticket.data.parent.glob("*.data"), key=lambda path: int(path.stem))
            for old in generations[:-1]:
                if old not in used:
                    for suffix in (".data", ".known", ".known.lock", ".live"):
                        old.with_suffix(suffix).unlink(missing_ok=True)

    def _expire(self, id: str) -> None:
        ticket = self._tickets.pop(id, None)
        if ticket is not None:
            task = asyncio.ensure_future(self._drop(ticket))
            self._drops.add(task)
            task.add_done_callback(self._drops.discard)


def _stop(ticket: _Ticket) -> None:
    """Have it not expire."""
    if ticket.expiry is not None:
        ticket.expiry.cancel()


def _is_spent(data: Path, slack: int) -> bool:
    """Whether more of the contents is of no use than of use: what the last build used is beside them."""
    with contextlib.suppress(OSError, ValueError):
        live = int(data.with_suffix(".live").read_text())
        return data.stat().st_size > 2 * live + slack
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_blocks * 512
    return 0
