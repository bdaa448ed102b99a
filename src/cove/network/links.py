"""A routing socket behind a thread of its own: the kernel may hold its lock on links for many milliseconds."""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cove.kernel.rtnetlink import LinkEvents, RouteSocket

T = TypeVar("T")


class Links:
    """The links of the host, one call after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "links")
        self._socket: RouteSocket | None = None
        self._deletions: set[asyncio.Task[bool]] = set()

    async def run(self, call: Callable[[RouteSocket], T]) -> T:
        """What ``call`` returns; it runs in the thread, to its end even if the caller is cancelled. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, call)

    async def delete(self, name: str) -> bool:
        """Remove a link; whether there was one. Whoever asks the kernel for it later learns that it is gone.

        The kernel begins by telling that the link is down. From then on the removal cannot fail, and its lock keeps all
        other requests waiting until it has waited for several grace periods, 10 ms each: we need not. Raises OSError.
        """
        told = asyncio.Event()
        with contextlib.closing(LinkEvents()) as events:
            loop = asyncio.get_running_loop()
            loop.add_reader(events.fileno(), lambda: _tell(events, name, told))
            try:
                work = asyncio.create_task(asyncio.to_thread(_delete, name))
                self._deletions.add(work)
                work.add_done_callback(self._deletions.discard)
                waiting = asyncio.create_task(told.wait())
                await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            finally:
                loop.remove_reader(events.fileno())
        return work.result() if work.done() else True

    async def settle(self) -> None:
        """Wait for the requests that are not waited for."""
        await asyncio.gather(*self._deletions, return_exceptions=True)

    def close(self) -> None:
        self._thread.shutdown()
        if self._socket is not None:
            self._socket.close()

    def _run(self, call: Callable[[RouteSocket], T]) -> T:
        if self._socket is None:
            self._socket = RouteSocket()
        try:
            return call(self._socket)
        except BaseException:
            self._socket.close()  # an answer that was not read must not be taken for the next one's
            self._socket = None
            raise


def _tell(events: LinkEvents, name: str, told: asyncio.Event) -> None:
    if name in (events.down() or ()):
        told.set()


def _delete(name: str) -> bool:
    with RouteSocket() as route:
        try:
            route.delete_link(name)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return False
        return True
