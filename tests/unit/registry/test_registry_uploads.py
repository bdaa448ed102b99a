"""How the registry takes a body: in batches, and not from a client that has fallen silent."""

import asyncio

import pytest

from cove.registry.server import uploads


class Arriving:
    """A body whose pieces come at once, and then nothing; ``ends``: whether it is told that this was all."""

    def __init__(self, pieces: list[bytes], ends: bool) -> None:
        self._pieces = pieces
        self._ends = ends

    async def readany(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if not self._ends:
            await asyncio.Event().wait()
        return b""


async def taken(body: Arriving) -> list[bytes]:
    return [b"".join(batch) async for batch in uploads._batches(body)]


def test_pieces_are_put_together() -> None:
    assert asyncio.run(taken(Arriving([b"a", b"b" * uploads.BATCH, b"c"], ends=True))) == [
        b"a" + b"b" * uploads.BATCH,
        b"c",
    ]


def test_a_client_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SILENCE_SECONDS", 0.01)
    seen: list[bytes] = []

    async def take() -> None:
        async for batch in uploads._batches(Arriving([b"a"], ends=False)):
            seen.extend(batch)

    with pytest.raises(ConnectionAbortedError, match="fell silent"):
        asyncio.run(take())
    assert seen == [b"a"]
