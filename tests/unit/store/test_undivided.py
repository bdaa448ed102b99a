"""Work that goes on though nobody waits for it any more."""

import asyncio

import pytest

from cove.store import undivided


def test_it_is_done_before_its_caller_is_told_of_being_cancelled() -> None:
    done = []

    @undivided
    async def work() -> None:
        for number in range(5):
            await asyncio.sleep(0)
            done.append(number)

    async def body() -> None:
        task = asyncio.ensure_future(work())
        for _ in range(3):  # more than once
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == [0, 1, 2, 3, 4]

    asyncio.run(body())


def test_what_it_gives_and_raises_is_its_caller_s() -> None:
    @undivided
    async def halved(number: int) -> int:
        await asyncio.sleep(0)
        if number % 2:
            raise ValueError(number)
        return number // 2

    async def body() -> None:
        assert await halved(4) == 2
        with pytest.raises(ValueError, match="5"):
            await halved(5)

    asyncio.run(body())
