"""Work that changes the disk, the database and memory together, and so is done whole or not at all."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def undivided(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have every call go on to its end: to a caller that is cancelled meanwhile that is said afterwards."""

    @functools.wraps(work)
    async def whole(*args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.ensure_future(work(*args, **kwargs))
        await ended(task)
        return task.result()

    return whole


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``asyncio.to_thread``; when this has returned or raised, the thread no longer works on it in any case."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    await ended(task)
    return task.result()


async def ended(task: asyncio.Future[T]) -> None:
    """Wait until a task has ended, however often the caller is cancelled meanwhile. Raises CancelledError then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # nobody will ask
        raise cancelled
