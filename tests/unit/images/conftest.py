"""A real image store on a real database, with a real worker."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cove.images import Images
from cove.images.leases import Keeper
from cove.layers import Worker, wait_for_workers
from cove.store import Database

Body = Callable[[Images], Awaitable[None]]


@asynccontextmanager
async def opened(root: Path, keeper: Keeper = lambda: ()) -> AsyncIterator[Images]:
    """An image store on the data root ``root``, as a daemon has it, once the workers of a killed one are gone."""
    lock = root / "worker.lock"
    wait_for_workers(lock)
    database, worker = Database(root / "db"), Worker(lock)
    images = Images(database, root, worker)
    images.ask(keeper)
    try:
        await images.open()
        yield images
        await images.close()
    finally:
        await worker.close()
        database.close()


@pytest.fixture
def with_images(tmp_path: Path) -> Callable[[Body], None]:
    """Runs a body with a store; may be called again, like a daemon that is started again."""

    async def run(body: Body) -> None:
        async with opened(tmp_path) as images:
            await body(images)

    return lambda body: asyncio.run(run(body))
