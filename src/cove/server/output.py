"""Routes of a container's streams: logs, attach (hijacked and WebSocket), resize, stats."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.server import hijack, websocket
from cove.server.frames import log_bytes
from cove.server.reply import HEADERS, empty_reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import begin, closing, json_lines
from cove.wire.stats import Stats
from cove.wire.streams import AttachOptions, LogOptions, Logs, LogSearch, Stream

MAX_PATTERN = 4096
MAX_CONTEXT = 10_000
"""Lines that may be asked for before and after what a search finds."""


class Output(Protocol):
    async def logs(self, ref: str, options: LogOptions) -> Logs:
        """Raises Unimplemented when the log driver keeps nothing to be read, InvalidArgument (a pattern), NotFound."""

    async def attach(self, ref: str, options: AttachOptions) -> Stream:
        """Connect to a container that runs, or that is yet to be started. Raises Conflict in Docker's words."""

    async def attach_to_log(self, ref: str) -> bool:
        """Connect to what was written, and no more; whether the container has a terminal. Raises as ``attach``."""

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        """Raises Conflict when it does not run."""

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """A sample a second; a single one unless ``stream``, at once (without a previous one) when ``one_shot``."""


class OutputRoutes:
    def __init__(self, output: Output) -> None:
        self._output = output

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/containers/{id}/logs", self.logs),
            Route("GET", "/containers/{id}/stats", self.stats),
            Route("GET", "/containers/{id}/attach/ws", self.attach_websocket),
            Route("POST", "/containers/{id}/attach", self.attach, stream=True),
            Route("POST", "/containers/{id}/resize", self.resize),
        )

    async def logs(self, request: Request) -> web.StreamResponse:
        options = _log_options(request)
        logs = await self._output.logs(request.variable("id"), options)
        headers = {**HEADERS, "Content-Type": hijack.media_type(request.version, logs.tty)}
        if options.search is not None:
            headers["Cove-Search"] = "1"
        response = await begin(request, headers)
        with request.lifespan.stream():
            async with closing(_formatted(request, logs)) as pieces:
                async for piece in pieces:
                    await response.write(piece)
        return response

    async def attach(self, request: Request) -> web.StreamResponse:
        ref = request.variable("id")
        if not request.flag("stream"):
            tty = await self._output.attach_to_log(ref)
            before = await self._earlier_output(request)
            hijack.begin(request, tty)
            return await hijack.send_all(request, before or _nothing())
        stream = await self._attached(request)
        try:
            before = await self._earlier_output(request, stream.border)
            hijack.begin(request, stream.tty)
        except BaseException:
            stream.socket.close()
            raise
        return await hijack.connect(request, stream, before)

    async def _attached(self, request: Request) -> Stream:
        """Before the log is read, which then ends where the stream begins: nothing comes twice, or is lost."""
        return await self._output.attach(request.variable("id"), _attach_options(request))

    async def _earlier_output(self, request: Request, until: int = 0) -> AsyncIterator[bytes] | None:
        """What the log holds, for ``logs=1``."""
        if not request.flag("logs"):
            return None
        options = LogOptions(request.flag("stdout"), request.flag("stderr"), False, 0, until, -1)
        return _formatted(request, await self._output.logs(request.variable("id"), options))

    async def attach_websocket(self, request: Request) -> web.StreamResponse:
        websocket.check(request)
        ref = request.variable("id")
        if not request.flag("stream"):
            tty = await self._output.attach_to_log(ref)
            return await websocket.send_all(request, await self._earlier_output(request) or _nothing(), tty)
        stream = await self._attached(request)
        try:
            before = await self._earlier_output(request, stream.border)
        except BaseException:
            stream.socket.close()
            raise
        return await websocket.connect(request, stream, before)

    async def resize(self, request: Request) -> web.Response:
        rows, columns = terminal_size(request)
        await self._output.resize(request.variable("id"), rows=rows, columns=columns)
        return empty_reply(200)

    async def stats(self, request: Request) -> web.StreamResponse:
        samples = await self._output.stats(
            request.variable("id"), stream=request.flag("stream", True), one_shot=request.flag("one-shot")
        )
        return await json_lines(request, samples)


def terminal_size(request: Request) -> tuple[int, int]:
    """Rows and columns of a resize. Raises InvalidArgument."""
    rows, columns = request.optional_integer("h"), request.optional_integer("w")
    for name, value in (("h", rows), ("w", columns)):
        if value is None or not 0 <= value <= 0xFFFF:
            raise InvalidArgument(f'invalid value for {name}: "{request.text(name)}" is not a number of characters')
    return rows or 0, columns or 0


def _log_options(request: Request) -> LogOptions:
    stdout, stderr = request.flag("stdout"), request.flag("stderr")
    if not stdout and not stderr:
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    tail = request.text("tail", "all")
    return LogOptions(
        stdout=stdout,
        stderr=stderr,
        follow=request.flag("follow"),
        since=request.moment("since"),
        until=request.moment("until"),
        tail=int(tail) if tail.isascii() and tail.isdigit() else -1,
        removed=request.flag("removed"),
        search=_log_search(request),
    )


def _log_search(request: Request) -> LogSearch | None:
    """What only Cove has: ``grep``, a pattern, with ``ignore-case`` and lines of context."""
    pattern = request.text("grep")
    if not pattern:
        return None
    if len(pattern) > MAX_PATTERN:
        raise InvalidArgument(f"the pattern of grep is longer than {MAX_PATTERN} characters")
    lines = {name: request.integer(name) for name in ("before", "after")}
    for name, count in lines.items():
        if not 0 <= count <= MAX_CONTEXT:
            raise InvalidArgument(f'invalid value for {name}: "{count}" is not a number of lines up to {MAX_CONTEXT}')
    return LogSearch(pattern, request.flag("ignore-case"), lines["before"], lines["after"])


def _attach_options(request: Request) -> AttachOptions:
    return AttachOptions(
        stdin=request.flag("stdin"),
        stdout=request.flag("stdout"),
        stderr=request.flag("stderr"),
        detach_keys=request.text("detachKeys"),
        after_log=request.flag("logs"),
    )


async def _formatted(request: Request, logs: Logs) -> AsyncIterator[bytes]:
    timestamps, details = request.flag("timestamps"), request.flag("details")
    async with closing(logs.batches) as batches:
        async for batch in batches:
            yield log_bytes(batch, framed=not logs.tty, timestamps=timestamps, details=details)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
