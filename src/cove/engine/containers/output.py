"""The API's requests for a container's streams: logs, attach, resize, stats."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.containers.statistics import Statistics
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle import streams
from cove.engine.logs import options as log_options
from cove.engine.logs import reader as logreader
from cove.engine.logs.formats import BlockLog, JsonLines
from cove.engine.logs.search import Search
from cove.engine.patterns import compile_pattern
from cove.engine.removing.removed import Removed
from cove.errors import Conflict, InvalidArgument, Unimplemented
from cove.wire.stats import Stats
from cove.wire.streams import STDERR, STDOUT, AttachOptions, LogEntry, LogOptions, Logs, Stream


class Output:
    """Connects clients to what programs write, and to what they read."""

    def __init__(
        self, registry: Registry, removed: Removed, announcements: Announcements, statistics: Statistics
    ) -> None:
        self._registry = registry
        self._removed = removed
        self._announcements = announcements
        self._statistics = statistics

    async def logs(self, ref: str, options: LogOptions) -> Logs:
        container = self._removed.get(ref) if options.removed else self._registry.get(ref)
        log = container.record.host_config.log_config
        if log_options.rotation(log.type, log.config or {}) is None:
            raise Unimplemented("configured logging driver does not support reading")
        if not (options.stdout or options.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        return Logs(container.record.config.tty, _batches(container, options, _search(options)))

    async def attach(self, ref: str, options: AttachOptions) -> Stream:
        container = self._attachable(ref)
        attachment = streams.attachment(
            stdin=options.stdin and container.record.config.open_stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            detach_keys=options.detach_keys,
            after_log=options.after_log,
        )
        ours, theirs = streams.socket_pair()
        border = None
        try:
            if container.running:
                with theirs:
                    border = await container.require_shim().attach(attachment, theirs)
            else:
                container.waiting.append((attachment, theirs))
        except BaseException:
            ours.close()
            raise
        self._announcements.publish(container, "attach")
        return Stream(ours, container.record.config.tty, border or time.time_ns())

    async def attach_to_log(self, ref: str) -> bool:
        container = self._attachable(ref)
        self._announcements.publish(container, "attach")
        return container.record.config.tty

    def _attachable(self, ref: str) -> Container:
        container = self._registry.get(ref)
        if container.status == "paused":
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if container.status == "restarting":
            raise Conflict(f"container {ref} is restarting, wait until the container is running")
        return container

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        container = self._registry.get(ref)
        shim = container.require_shim()
        if container.record.config.tty:
            await shim.resize(None, rows, columns)
        self._announcements.publish(container, "resize", {"height": str(rows), "width": str(columns)})

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        return await self._statistics.stream(ref, stream=stream, one_shot=one_shot)


class _Selection:
    """What a request wants of a log's entries."""

    def __init__(self, options: LogOptions, search: Search | None) -> None:
        self._wanted = {number for number, on in ((STDOUT, options.stdout), (STDERR, options.stderr)) if on}
        self._since = options.since
        self._until = options.until
        self._search = search
        self.passed = False
        """Whether what comes is too young."""

    def of(self, entries: list[LogEntry]) -> list[LogEntry]:
        if self._until:
            entries = self._until_passed(entries)
        batch = [entry for entry in entries if entry.stream in self._wanted and entry.time >= self._since]
        return batch if self._search is None else self._search.feed(batch)

    def _until_passed(self, entries: list[LogEntry]) -> list[LogEntry]:
        for number, entry in enumerate(entries):
            if entry.time > self._until:
                self.passed = True
                return entries[:number]
        return entries


async def _batches(container: Container, options: LogOptions, search: Search | None) -> AsyncIterator[list[LogEntry]]:
    follow = container.ended if options.follow and (container.running or container.status == "restarting") else None
    with _at_the_latest(follow, options.until) as last:
        async with contextlib.aclosing(_read(container, options, search, last)) as batches:
            async for batch in batches:
                yield batch


@contextlib.contextmanager
def _at_the_latest(ended: "asyncio.Future[int] | None", until: int) -> "Iterator[asyncio.Future[int] | None]":
    """Done when ``ended`` is, or once ``until`` has come (nanoseconds since the epoch, 0 for never)."""
    if ended is None or not until:
        yield ended
        return
    loop = asyncio.get_running_loop()
    either: asyncio.Future[int] = loop.create_future()

    def done(_: object = None) -> None:
        if not either.done():
            either.set_result(0)

    ended.add_done_callback(done)
    timer = loop.call_later(max(0, until - time.time_ns()) / 1e9, done)
    try:
        yield either
    finally:
        timer.cancel()
        ended.remove_done_callback(done)


async def _read(
    container: Container, options: LogOptions, search: Search | None, follow: "asyncio.Future[int] | None"
) -> AsyncGenerator[list[LogEntry], None]:
    selection = _Selection(options, search)
    kept: list[LogEntry] = []

    def caught_up() -> None:
        if search is not None:
            kept.extend(search.caught_up())

    batches = logreader.read(
        container.log,
        None if options.tail < 0 or search is not None else options.tail,
        follow,
        since=options.since,
        format_=JsonLines if container.log == container.paths.json_log else BlockLog,
        caught_up=caught_up,
    )
    async with contextlib.aclosing(batches):
        async for entries in batches:
            batch = [*kept, *selection.of(entries)]
            kept.clear()
            if batch:
                yield batch
            if selection.passed:
                break
    caught_up()
    if kept:
        yield kept


def _search(options: LogOptions) -> Search | None:
    """Raises InvalidArgument when the pattern is none."""
    wish = options.search
    if wish is None:
        return None
    pattern = compile_pattern(wish.pattern, ignore_case=wish.ignore_case)
    return Search(pattern, before=wish.before, after=wish.after, last=None if options.tail < 0 else options.tail)
