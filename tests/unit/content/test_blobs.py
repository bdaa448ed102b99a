import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cove.content import Blob, Blobs
from cove.digest import Digest
from cove.errors import InvalidArgument, NotFound
from cove.store import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db")
    yield database
    database.close()


def opened(database: Database, root: Path) -> Blobs:
    blobs = Blobs(database, root)
    blobs.open()
    return blobs


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def files(root: Path) -> list[str]:
    return sorted(path.name for part in ("blobs/sha256", "tmp") for path in (root / part).iterdir())


def test_receive_keeps_what_was_announced(database: Database, tmp_path: Path) -> None:
    blobs = opened(database, tmp_path)
    expected = Blob(str(Digest.of(b"abcdef")), 6)
    asyncio.run(blobs.receive(stream(b"abc", b"", b"def"), expected))
    assert blobs.path(expected.digest).read_bytes() == b"abcdef"
    assert Blobs.get(opened(database, tmp_path), expected.digest) == expected


@pytest.mark.parametrize(
    ("announced", "size"), [(b"abcdef", 5), (b"abcdef", 7), (b"abcdeF", 6)], ids=["more", "less", "other"]
)
def test_receive_refuses_anything_else(database: Database, tmp_path: Path, announced: bytes, size: int) -> None:
    blobs = opened(database, tmp_path)
    with pytest.raises(InvalidArgument):
        asyncio.run(blobs.receive(stream(b"abc", b"def"), Blob(str(Digest.of(announced)), size)))
    assert files(tmp_path) == []
    with pytest.raises(NotFound):
        blobs.path(str(Digest.of(announced)))


def test_put_twice_is_one_blob(database: Database, tmp_path: Path) -> None:
    blobs = opened(database, tmp_path)

    async def twice() -> tuple[Blob, Blob]:
        first, second = await asyncio.gather(blobs.put(b"x"), blobs.put(b"x"))
        return first, second

    first, second = asyncio.run(twice())
    assert first == second == Blob(str(Digest.of(b"x")), 1)
    assert files(tmp_path) == [Digest.of(b"x").hex]


def test_removed_is_gone_and_may_come_back(database: Database, tmp_path: Path) -> None:
    blobs = opened(database, tmp_path)

    async def cycle() -> None:
        blob = await blobs.put(b"x")
        await asyncio.gather(blobs.remove([blob.digest, "sha256:unknown"]), blobs.put(b"x"))
        assert b"".join([piece async for piece in blobs.stream(blob.digest)]) == b"x"
        await blobs.remove([blob.digest])

    asyncio.run(cycle())
    assert files(tmp_path) == [] and blobs.all() == []


def test_new_directories_are_synced_once(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), sorted(os.listdir(descriptor))))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    (tmp_path / "blobs/sha256").mkdir(parents=True)  # as older versions left it
    for _ in range(2):
        opened(database, tmp_path)
    assert synced == [(str(tmp_path / "blobs"), ["sha256", "sha512"])]


def test_open_collects_what_has_no_row(database: Database, tmp_path: Path) -> None:
    blobs = opened(database, tmp_path)
    kept = asyncio.run(blobs.put(b"kept"))
    (tmp_path / "blobs/sha256" / ("0" * 64)).write_bytes(b"renamed, and then the machine stopped")
    blobs.temporary().write_bytes(b"half")
    again = opened(database, tmp_path)
    assert again.all() == [kept]
    assert files(tmp_path) == [Digest.parse(kept.digest).hex]


def test_read_is_bounded(database: Database, tmp_path: Path) -> None:
    blobs = opened(database, tmp_path)

    async def read(limit: int) -> bytes:
        return await blobs.read((await blobs.put(b"abc")).digest, limit)

    assert asyncio.run(read(3)) == b"abc"
    with pytest.raises(InvalidArgument, match="3 bytes"):
        asyncio.run(read(2))


@pytest.mark.parametrize("turns", range(8))
def test_one_that_is_given_up_is_there_or_not(database: Database, tmp_path: Path, turns: int) -> None:
    """A file without a row would be garbage until the next start."""
    blobs = opened(database, tmp_path)
    digest = str(Digest.of(b"x"))

    async def given_up() -> None:
        task = asyncio.ensure_future(blobs.put(b"x"))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(given_up())
    there = blobs.get(digest) is not None
    assert files(tmp_path) == ([digest.removeprefix("sha256:")] if there else [])
    assert (Blobs.get(opened(database, tmp_path), digest) is not None) == there
