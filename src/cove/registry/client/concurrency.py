"""Several things at once that stand or fall together."""

import asyncio
from collections.abc import Awaitable, Sequence


async def all_or_none(work: Sequence[Awaitable[None]]) -> None:
    """Wait for all; when one fails the others are given up, and gone when this raises."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
