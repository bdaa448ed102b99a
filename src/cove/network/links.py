"""A routing socket behind a thread of its own: the kernel may hold its lock on links for many milliseconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cove.kernel.rtnetlink import RouteSocket

T = TypeVar("T")


class Links:
    """The links of the host, one call after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "links")
        self._socket: RouteSocket | None = None

    async def run(self, call: Callable[[RouteSocket], T]) -> T:
        """What ``call`` returns; it runs in the thread, to its end even if the caller is cancelled. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, call)

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
