"""What is kept of contexts: how much, for how long, and what goes first."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cove.build.contexts import kept
from cove.build.contexts.kept import KeptContexts
from cove.errors import InvalidArgument, NotFound
from cove.layers import Worker
from harness.waiting import eventually

SIZE = 200_000
Body = Callable[[KeptContexts], Awaitable[None]]


def keys(root: Path) -> list[str]:
    """The first digits of the keys that something is kept for."""
    return sorted(path.name[0] for path in (root / "contexts").iterdir())


def run(root: Path, body: Body, *, most: int = 10 * SIZE, seconds: float = 600, slack: int = 10 * SIZE) -> None:
    async def all_of_it() -> None:
        (root / "scratch").mkdir(exist_ok=True)
        worker = Worker()
        contexts = KeptContexts(worker, root / "contexts", root / "scratch", most=most, seconds=seconds, slack=slack)
        try:
            await body(contexts)
        finally:
            contexts.close()
            await worker.close()

    asyncio.run(all_of_it())


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def offered(contexts: KeptContexts, digit: str, content: bytes) -> str:
    """Offer a context of one file, and send it where it is missing; the offer's id."""
    line = json.dumps(["file", 0o100644, 0, len(content), hashlib.sha256(content).hexdigest()])
    offer = await contexts.offer(digit * 64, stream(line.encode() + b"\n"))
    if offer.missing:
        await contexts.fill(offer.id, stream(content))
    return offer.id


async def built(contexts: KeptContexts, digit: str, content: bytes) -> None:
    async with contexts.taken(await offered(contexts, digit, content)) as context:
        assert Path(context.tar).exists()


def test_what_was_used_longest_ago_goes_first_and_nothing_that_is_in_use(tmp_path: Path) -> None:
    async def body(contexts: KeptContexts) -> None:
        for time, digit in enumerate("abc"):
            await built(contexts, digit, os.urandom(SIZE))
            os.utime(tmp_path / "contexts" / (digit * 64), (time, time))
        assert keys(tmp_path) == ["a", "b", "c"]
        held = await offered(contexts, "a", os.urandom(SIZE))  # a is the newest now, and in use
        os.utime(tmp_path / "contexts" / ("a" * 64), (0, 0))
        await built(contexts, "d", os.urandom(SIZE))
        assert "b" not in keys(tmp_path) and "a" in keys(tmp_path)
        async with contexts.taken(held) as context:
            assert Path(context.tar).stat().st_size == 2 * SIZE

    run(tmp_path, body, most=3 * SIZE + SIZE // 2)


def test_a_generation_ends_when_most_of_it_is_of_no_use(tmp_path: Path) -> None:
    async def body(contexts: KeptContexts) -> None:
        for _ in range(4):
            await built(contexts, "a", os.urandom(SIZE))
        assert [path.name for path in (tmp_path / "contexts" / ("a" * 64)).glob("*.data")] == ["1.data"]
        assert await contexts.usage() < 2 * SIZE

    run(tmp_path, body, slack=SIZE // 2)


def test_an_offer_that_no_build_takes_expires(tmp_path: Path) -> None:
    async def body(contexts: KeptContexts) -> None:
        line = json.dumps(["file", 0o100644, 0, 1, hashlib.sha256(b"x").hexdigest()])
        offer = await contexts.offer("a" * 64, stream(line.encode() + b"\n"))
        await asyncio.to_thread(eventually, lambda: not list((tmp_path / "scratch").iterdir()))
        with pytest.raises(NotFound, match="no such context"):
            await contexts.fill(offer.id, stream(b"x"))

    run(tmp_path, body, seconds=0.01)


def test_there_are_only_so_many_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_OFFERS", 2)

    async def body(contexts: KeptContexts) -> None:
        for _ in range(2):
            await offered(contexts, "a", b"content")
        with pytest.raises(InvalidArgument, match="too many contexts wait"):
            await offered(contexts, "a", b"content")

    run(tmp_path, body)
