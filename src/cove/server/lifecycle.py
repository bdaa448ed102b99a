"""Routes that change a container's state or wait for it: start, stop, restart, kill, pause, unpause, wait."""

from collections.abc import Awaitable
from typing import Literal, Protocol

from cove.wire.containers import ContainerWait

WaitCondition = Literal["not-running", "next-exit", "removed"]


class Lifecycle(Protocol):
    async def start(self, ref: str, *, detach_keys: str) -> None:
        """Raises NotModified when it runs already, Conflict when it cannot (paused, being removed)."""

    async def stop(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Signal it, and kill it after ``timeout`` seconds (None: the container's; -1: never).

        ``signal``: name or number, empty is the container's. Raises NotModified when it does not run.
        """

    async def restart(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Stop it if it runs, and start it."""

    async def kill(self, ref: str, signal: str) -> None:
        """Send a signal (empty is KILL). Raises Conflict when it does not run, InvalidArgument for a bad signal."""

    async def pause(self, ref: str) -> None: ...

    async def unpause(self, ref: str) -> None: ...

    async def wait(self, ref: str, condition: WaitCondition) -> Awaitable[ContainerWait]:
        """Begin to wait, and give what ends with the container.

        From the moment this returns no exit is missed; the client is told so. Awaiting the result may be cancelled.
        """
