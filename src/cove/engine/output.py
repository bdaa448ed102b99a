"""The API's requests for a container's streams: logs, attach, resize, stats."""

from collections.abc import AsyncIterator

from cove.engine import logreader, streams
from cove.engine.announcements import Announcements
from cove.engine.container import Container
from cove.engine.registry import Registry
from cove.engine.removed import Removed
from cove.engine.statistics import Statistics
from cove.errors import Conflict, InvalidArgument
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
        if container.record.host_config.log_config.type == "none":
            raise InvalidArgument("configured logging driver does not support reading")
        if not (options.stdout or options.stderr):
            raise InvalidArgument("Bad parameters: you must choose at least one stream")
        return Logs(container.record.config.tty, _batches(container, options))

    async def attach(self, ref: str, options: AttachOptions) -> Stream:
        container = self._registry.get(ref)
        if container.status == "paused":
            raise Conflict(f"Container {container.id} is paused, unpause the container before attach")
        if container.status == "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        attachment = streams.attachment(
            stdin=options.stdin and container.record.config.open_stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            detach_keys=options.detach_keys,
        )
        ours, theirs = streams.socket_pair()
        try:
            if container.running:
                with theirs:
                    await container.require_shim().attach(attachment, theirs)
            else:
                container.waiting.append((attachment, theirs))
        except BaseException:
            ours.close()
            raise
        self._announcements.publish(container, "attach")
        return Stream(ours, container.record.config.tty)

    async def tty(self, ref: str) -> bool:
        return self._registry.get(ref).record.config.tty

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        container = self._registry.get(ref)
        shim = container.require_shim()
        if container.record.config.tty:
            await shim.resize(None, rows, columns)
        self._announcements.publish(container, "resize", {"height": str(rows), "width": str(columns)})

    async def stats(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        return await self._statistics.stream(ref, stream=stream, one_shot=one_shot)


async def _batches(container: Container, options: LogOptions) -> AsyncIterator[list[LogEntry]]:
    wanted = {name for name, number in (("stdout", options.stdout), ("stderr", options.stderr)) if number}
    follow = container.ended if options.follow and (container.running or container.status == "restarting") else None
    tail = None if options.tail < 0 else options.tail
    async for lines in logreader.read(container.paths.log, tail, follow):
        batch: list[LogEntry] = []
        for line in lines:
            moment = logreader.nanoseconds(line.time)
            if options.until and moment > options.until:
                if batch:
                    yield batch
                return
            if line.stream in wanted and moment >= options.since:
                number = STDERR if line.stream == "stderr" else STDOUT
                batch.append(LogEntry(number, moment, line.log.encode(), line.attrs))
        if batch:
            yield batch
