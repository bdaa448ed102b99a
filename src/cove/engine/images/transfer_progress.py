"""Work that tells of itself while it goes on, as a stream of the API's progress messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from cove.registry.client.progress import Step, Tell
from cove.units import human_size
from cove.wire.images import Progress, ProgressDetail

WIDTH = 50
"""Characters of a bar."""


async def told(work: Callable[[Tell], Awaitable[None]]) -> AsyncIterator[Progress]:
    """The messages of ``work``, in order, to its end; raises what it raises. Closed early, the work is given up, and
    gone when this returns.
    """
    steps: asyncio.Queue[Step | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(steps.put_nowait))
    task.add_done_callback(lambda _: steps.put_nowait(None))
    try:
        while (step := await steps.get()) is not None:
            yield message(step)
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


def message(step: Step) -> Progress:
    """A step as the API has it."""
    if step.current is None and step.aux is None:
        return Progress(status=step.status, id=step.id)
    detail = ProgressDetail(current=step.current or 0, total=step.total)
    return Progress(
        status=step.status,
        id=step.id,
        progress_detail=detail,
        progress=_bar(detail.current, detail.total),
        aux=step.aux,
    )


def _bar(current: int, total: int) -> str:
    """What Docker's own clients once drew of so many bytes, for those that still show it (moby's JSONProgress)."""
    if not total:
        return f"{human_size(current):>8}" if current else ""
    done = min(current * 100 // total // 2, WIDTH)
    numbers = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * done}>{' ' * (WIDTH - done)}] {numbers}"
