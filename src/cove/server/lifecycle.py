"""Routes that change a container's state or wait for it: start, stop, restart, kill, pause, unpause, wait."""

from collections.abc import Awaitable, Sequence
from typing import Literal, Protocol, get_args

from aiohttp import web

from cove.errors import CoveError, InvalidArgument
from cove.server.reply import JSON_HEADERS, empty_reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import begin
from cove.wire.coding import encode
from cove.wire.containers import ContainerWait, WaitError

FAILED = 125
"""The exit code that clients give when the engine failed, and not the program."""

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


class LifecycleRoutes:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/containers/{id}/start", self.start),
            Route("POST", "/containers/{id}/stop", self.stop),
            Route("POST", "/containers/{id}/restart", self.restart),
            Route("POST", "/containers/{id}/kill", self.kill),
            Route("POST", "/containers/{id}/pause", self.pause),
            Route("POST", "/containers/{id}/unpause", self.unpause),
            Route("POST", "/containers/{id}/wait", self.wait, stream=True),
        )

    async def start(self, request: Request) -> web.Response:
        await self._lifecycle.start(request.variable("id"), detach_keys=request.text("detachKeys"))
        return empty_reply()

    async def stop(self, request: Request) -> web.Response:
        await self._lifecycle.stop(
            request.variable("id"), timeout=request.optional_integer("t"), signal=request.text("signal")
        )
        return empty_reply()

    async def restart(self, request: Request) -> web.Response:
        await self._lifecycle.restart(
            request.variable("id"), timeout=request.optional_integer("t"), signal=request.text("signal")
        )
        return empty_reply()

    async def kill(self, request: Request) -> web.Response:
        await self._lifecycle.kill(request.variable("id"), request.text("signal"))
        return empty_reply()

    async def pause(self, request: Request) -> web.Response:
        await self._lifecycle.pause(request.variable("id"))
        return empty_reply()

    async def unpause(self, request: Request) -> web.Response:
        await self._lifecycle.unpause(request.variable("id"))
        return empty_reply()

    async def wait(self, request: Request) -> web.StreamResponse:
        """The head is sent once no exit can be missed: ``docker run`` starts the container only after it."""
        waiting = await self._lifecycle.wait(request.variable("id"), _condition(request.text("condition")))
        response = await begin(request, JSON_HEADERS)
        with request.lifespan.stream():
            await response.write(encode(await _outcome(waiting), request.version))
        return response


async def _outcome(waiting: Awaitable[ContainerWait]) -> ContainerWait:
    """The head is out: what goes wrong now is told in the body."""
    try:
        return await waiting
    except CoveError as error:
        return ContainerWait(status_code=FAILED, error=WaitError(message=error.message))


def _condition(text: str) -> WaitCondition:
    for condition in get_args(WaitCondition):
        if text == condition:
            return condition  # type: ignore[no-any-return]
    if not text:
        return "not-running"
    raise InvalidArgument(f'invalid condition: "{text}"')
