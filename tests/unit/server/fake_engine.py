"""An engine in memory that meets the server's Protocols.

Its containers run programs that are coroutines on the far end of a socket pair, where a shim would be: ``cat``,
``echo``, ``exit``, ``sleep``, ``flood``, ``deaf``.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from cove.errors import Conflict, InvalidArgument, NotFound, NotModified, Unimplemented
from cove.filters import Filters
from cove.server.frames import frame
from cove.server.services import Services
from cove.wire.builds import BuildCachePruned
from cove.wire.config import Config
from cove.wire.containers import (
    Change,
    ContainerCreate,
    ContainerCreated,
    ContainerInspect,
    ContainersPruned,
    ContainerState,
    ContainerSummary,
    ContainerTop,
    ContainerUpdated,
    ContainerWait,
    NetworkSettings,
    PathStat,
)
from cove.wire.doctor import Diagnosis, Finding
from cove.wire.egress import EgressReport
from cove.wire.events import Actor, Event
from cove.wire.execs import ExecCreated, ExecInspect
from cove.wire.images import ImageInspect, ImageSummary, Progress, ProgressDetail
from cove.wire.networks import EndpointSettings, Network, NetworkCreated, NetworksPruned
from cove.wire.sockets import ApiSocket, SocketCreate
from cove.wire.streams import STDERR, STDOUT, LogEntry, Logs, Stream
from cove.wire.system import AuthResponse, DiskUsage, Info, Version
from cove.wire.topology import NetworkGraph, NetworkTrace
from cove.wire.trash import Restored, Trashed, TrashEmptied
from cove.wire.volumes import Volume, VolumeList, VolumesPruned
from cove.wire.why import Why

T0 = 1_767_323_045_123_456_789


@dataclass
class Process:
    """A program and its streams. ``attached``: the shim's ends."""

    command: list[str]
    tty: bool
    attached: list[socket.socket] = field(default_factory=list)
    log: list[LogEntry] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def stream(self) -> Stream:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.attached.append(ours)
        return Stream(theirs, self.tty)

    async def write(self, data: bytes, stream: int = STDOUT) -> None:
        self.log.append(LogEntry(stream, T0 + len(self.log), data, {"tag": "a b"}))
        self.wake()
        loop = asyncio.get_running_loop()
        for one in self.attached:
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(one, data if self.tty else frame(stream, data))

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    async def run(self) -> int:
        program = getattr(self, f"_{self.command[0]}", None)
        try:
            self.exit_code = 127 if program is None else await program(*self.command[1:])
        finally:
            for one in self.attached:
                one.close()
        self.wake()
        return self.exit_code

    async def _cat(self) -> int:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self.attached[0], 1 << 16):
            self.received += data
            await self.write(data)
        await self.write(b"end of input\n", STDERR)
        return 0

    async def _echo(self, *words: str) -> int:
        await self.write(" ".join(words).encode() + b"\n")
        return 0

    async def _exit(self, code: str) -> int:
        return int(code)

    async def _sleep(self, *_: str) -> int:
        await self.killed.wait()
        return 137

    async def _flood(self, chunks: str) -> int:
        for _ in range(int(chunks)):
            data = bytes(1 << 16)
            await asyncio.get_running_loop().sock_sendall(self.attached[0], data if self.tty else frame(1, data))
        return 0

    async def _deaf(self) -> int:
        """Does not read, says so, and ends when it is killed."""
        self.attached[0].shutdown(socket.SHUT_RD)
        await self.write(b"deaf\n")
        await self.killed.wait()
        await self.write(b"last words\n")
        return 0


@dataclass
class Container:
    id: str
    name: str
    config: ContainerCreate
    process: Process
    status: str = "created"
    done: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    removed: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Store:
    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.execs: dict[str, tuple[Container, Process]] = {}
        self.numbers = itertools.count(1)
        self.calls: list[tuple[object, ...]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.hold = asyncio.Event()
        self.held = asyncio.Event()
        self.abandoned = 0

    def find(self, ref: str) -> Container:
        for container in self.containers.values():
            if ref and (container.id.startswith(ref) or container.name == ref.removeprefix("/")):
                return container
        raise NotFound(f"No such container: {ref}")

    def spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Part:
    def __init__(self, store: Store) -> None:
        self.store = store


class FakeContainers(Part):
    async def create(self, request: ContainerCreate, *, name: str, platform: str) -> ContainerCreated:
        self.store.calls.append(("create", request, name, platform))
        if any(container.name == name for container in self.store.containers.values()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        number = next(self.store.numbers)
        container_id = f"{number:064x}"[::-1]
        process = Process(request.cmd or ["sleep"], request.tty)
        self.store.containers[container_id] = Container(container_id, name or f"c{number}", request, process)
        return ContainerCreated(id=container_id)

    async def list(self, *, all: bool, limit: int, size: bool, filters: Filters):
        filters.check({"status", "name", "label"})
        self.store.calls.append(("list", all, limit, size, dict(filters)))
        shown = [c for c in self.store.containers.values() if all or limit or c.status == "running"]
        return [
            ContainerSummary(id=c.id, names=[f"/{c.name}"], image=c.config.image, state=c.status, status="Up")
            for c in shown
        ]

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect:
        if ref == "bug":
            raise ZeroDivisionError("a secret of ours")
        found = self.store.find(ref)
        return ContainerInspect(
            id=found.id,
            created="2026-01-02T03:04:05Z",
            name=f"/{found.name}",
            size_rw=5 if size else None,
            state=ContainerState(status=found.status, running=found.status == "running"),
            config=Config(tty=found.config.tty, image=found.config.image, cmd=found.config.cmd),
            host_config=found.config.host_config,
            network_settings=NetworkSettings(networks={"bridge": EndpointSettings(ip_address="172.17.0.2")}),
        )

    async def rename(self, ref: str, name: str) -> None:
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        self.store.find(ref).name = name

    async def update(self, ref: str, request) -> ContainerUpdated:
        self.store.calls.append(("update", request))
        return ContainerUpdated(warnings=[])

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool, now: bool) -> None:
        found = self.store.find(ref)
        if found.status == "running" and not force:
            raise Conflict(f"You cannot remove a running container {found.id}")
        found.process.killed.set()
        del self.store.containers[found.id]
        if not found.removed.done():
            found.removed.set_result(0)

    async def prune(self, filters: Filters, *, now: bool) -> ContainersPruned:
        return ContainersPruned(containers_deleted=["a"], space_reclaimed=7)

    async def top(self, ref: str, ps_args: str) -> ContainerTop:
        return ContainerTop(titles=["PID"], processes=[["1"]])

    async def changes(self, ref: str):
        return _parts([Change(path="/a", kind=1)], [Change(path="/b", kind=0), Change(path="/c", kind=2)])

    async def commit(self, options) -> str:
        self.store.calls.append(("commit", options))
        return "sha256:1"


async def _parts(*parts: list[Change]) -> AsyncIterator[list[Change]]:
    for part in parts:
        yield part


class FakeLifecycle(Part):
    async def start(self, ref: str, *, detach_keys: str) -> None:
        found = self.store.find(ref)
        if found.status == "running":
            raise NotModified(f"Container {ref} is already running")
        found.status = "running"
        self.store.spawn(self._run(found))

    async def _run(self, found: Container) -> None:
        code = await found.process.run()
        found.status = "exited"
        found.done.set_result(code)
        if found.config.host_config.auto_remove:
            self.store.containers.pop(found.id, None)
            found.removed.set_result(code)

    async def stop(self, ref: str, *, timeout: int | None, signal: str) -> None:
        """Waits to be let go, so that a test can look at a change that is under way."""
        self.store.calls.append(("stop", ref, timeout, signal))
        if ref == "held":
            self.store.held.set()
            await self.store.hold.wait()
            self.store.calls.append(("stopped",))
            return
        self.store.find(ref).process.killed.set()

    async def restart(self, ref: str, *, timeout: int | None, signal: str) -> None:
        self.store.calls.append(("restart", ref, timeout, signal))

    async def kill(self, ref: str, signal: str) -> None:
        found = self.store.find(ref)
        if found.status != "running":
            raise Conflict(f"Cannot kill container: {ref}: container {found.id} is not running")
        found.process.killed.set()

    async def pause(self, ref: str) -> None:
        raise Unimplemented("pausing is not supported yet")

    async def unpause(self, ref: str) -> None:
        raise Unimplemented("pausing is not supported yet")

    async def wait(self, ref: str, condition) -> Awaitable[ContainerWait]:
        found = self.store.find(ref)
        if found.name == "lost":
            found.done.set_exception(Conflict("the shim was lost"))
        return self._wait(found, condition)

    async def _wait(self, found: Container, condition: str) -> ContainerWait:
        try:
            return ContainerWait(
                status_code=await asyncio.shield(found.removed if condition == "removed" else found.done)
            )
        except asyncio.CancelledError:
            self.store.abandoned += 1
            raise


class FakeOutput(Part):
    async def logs(self, ref: str, options) -> Logs:
        found = self.store.find(ref)
        self.store.calls.append(("logs", options))
        return Logs(found.process.tty, self._batches(found.process, options))

    async def _batches(self, process: Process, options) -> AsyncIterator[list[LogEntry]]:
        shown = 0
        try:
            while True:
                changed = process.changed
                batch, shown = process.log[shown:], len(process.log)
                if batch:
                    yield [e for e in batch if (options.stdout if e.stream == STDOUT else options.stderr)]
                if not options.follow or process.exit_code is not None:
                    return
                await changed.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.store.abandoned += 1
            raise

    async def attach(self, ref: str, options) -> Stream:
        self.store.calls.append(("attach", options))
        found = self.store.find(ref)
        if found.status == "paused":
            raise Conflict(f"container {ref} is paused. Unpause the container before attach")
        return found.process.stream()

    async def attach_to_log(self, ref: str) -> bool:
        return self.store.find(ref).process.tty

    async def resize(self, ref: str, *, rows: int, columns: int) -> None:
        self.store.calls.append(("resize", ref, rows, columns))

    async def stats(self, ref: str, *, stream: bool, one_shot: bool):
        raise Unimplemented("statistics are not supported yet")


class FakeArchives(Part):
    async def stat(self, ref: str, path: str) -> PathStat:
        return PathStat(name=path, size=3, mode=0o644, mtime="2026-01-02T03:04:05Z")

    async def get(self, ref: str, path: str, name: str = ""):
        return await self.stat(ref, path), self._tar()

    async def _tar(self) -> AsyncIterator[bytes]:
        yield b"tar"
        yield b"ball"

    async def put(self, ref: str, path: str, chunks, *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool) -> None:
        self.store.calls.append(("put", path, b"".join([chunk async for chunk in chunks])))

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        return self._broken() if ref == "broken" else self._tar()

    async def _broken(self) -> AsyncIterator[bytes]:
        yield b"half"
        raise Conflict("the disk is gone")


class FakeExecs(Part):
    async def create(self, ref: str, request) -> ExecCreated:
        found = self.store.find(ref)
        if not request.cmd:
            raise InvalidArgument("No exec command specified")
        exec_id = f"e{next(self.store.numbers):063x}"
        self.store.execs[exec_id] = found, Process(request.cmd, request.tty)
        return ExecCreated(id=exec_id)

    def _find(self, exec_id: str) -> Process:
        if exec_id not in self.store.execs:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self.store.execs[exec_id][1]

    async def start(self, exec_id: str, request) -> Stream | None:
        process = self._find(exec_id)
        if process.command[0] == "missing":
            process.exit_code = 127
            raise InvalidArgument('OCI runtime exec failed: exec: "missing": executable file not found in $PATH')
        stream = None if request.detach else process.stream()
        self.store.spawn(self._run(process))
        return stream

    async def _run(self, process: Process) -> None:
        await process.run()

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        self.store.calls.append(("resize", exec_id, rows, columns))

    async def inspect(self, exec_id: str) -> ExecInspect:
        process = self._find(exec_id)
        return ExecInspect(id=exec_id, running=process.exit_code is None, exit_code=process.exit_code)


class FakeImages(Part):
    async def list(self, *, all: bool, filters: Filters, shared_size: bool, manifests: bool, identity: bool):
        return [ImageSummary(id="sha256:1", repo_tags=["a/b:1"], size=5)]

    async def inspect(self, name: str, *, platform: str, manifests: bool) -> ImageInspect:
        self.store.calls.append(("image", name))
        if name == "nope":
            raise NotFound("No such image: nope:latest")
        return ImageInspect(id="sha256:1", repo_tags=[name], size=5)

    async def history(self, name: str):
        return []

    async def tag(self, name: str, *, repo: str, tag: str) -> None:
        self.store.calls.append(("tag", name, repo, tag))

    async def remove(self, name: str, *, force: bool, prune: bool):
        self.store.calls.append(("rmi", name, force, prune))
        return []

    async def prune(self, filters: Filters):
        raise Unimplemented("no")


class FakeRegistries(Part):
    async def search(self, term: str, *, limit: int, filters: Filters, auth):
        return []

    async def look(self, name: str, *, auth):
        raise NotFound("manifest unknown: manifest unknown")

    async def manifest(self, name: str, *, auth):
        raise NotFound("manifest unknown: manifest unknown")

    async def put_manifest(self, name: str, manifest, *, auth) -> None:
        self.store.calls.append(("put_manifest", name, manifest.media_type))

    async def referrers(self, name: str, *, artifact_type: str, auth):
        return {"manifests": []}

    async def copy(self, source: str, target: str, *, platform: str, auth, target_auth) -> AsyncIterator[Progress]:
        yield Progress(status=f"{source} to {target}")


class FakeImageContents:
    """No test here looks into images."""


class FakeTransfers(Part):
    async def load(self, chunks, *, quiet: bool, platforms: list[str]) -> AsyncIterator[Progress]:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
        if not size:
            raise InvalidArgument("the archive is empty")
        yield Progress(status="Loading layer", id="abc", progress_detail=ProgressDetail(current=size, total=size))
        if size == 3:
            raise InvalidArgument("the archive is cut off")
        yield Progress(stream="Loaded image: a/b:1\n")

    async def save(self, names: list[str], *, platforms: list[str], called: list[str]) -> AsyncIterator[bytes]:
        self.store.calls.append(("save", names))
        return self._tar()

    async def _tar(self) -> AsyncIterator[bytes]:
        yield b"tar"

    async def import_(self, chunks, *, source, repo, tag, message, changes, platform) -> AsyncIterator[Progress]:
        body = b"".join([chunk async for chunk in chunks])
        self.store.calls.append(("import", body, source, repo, tag, message, changes))
        yield Progress(status="sha256:2")

    async def pull(self, image: str, *, tag: str, platform: str, auth) -> AsyncIterator[Progress]:
        self.store.calls.append(("pull", image, tag, auth))
        if image == "nope":
            raise NotFound("pull access denied for nope")
        yield Progress(status="Pulling from library/a", id="latest")

    async def push(self, name: str, *, tag: str, platform: str, auth) -> AsyncIterator[Progress]:
        raise Unimplemented("push is not supported yet")
        yield


class FakeBootstraps(Part):
    async def bootstrap(self, recipe, options) -> AsyncIterator[Progress]:
        self.store.calls.append(("bootstrap", recipe, options))
        yield Progress(status="Verified")


class FakeBuilds(Part):
    async def build(self, chunks, options):
        async for _ in chunks:
            pass
        self.store.calls.append(("build", options))
        yield Progress(stream="Successfully built 0123456789ab\n")

    async def prune(self, *, all, reserved, filters):
        self.store.calls.append(("build prune", all, reserved, filters))
        return BuildCachePruned()

    async def cancel(self, build):
        self.store.calls.append(("build cancel", build))


class FakeSlimming(Part):
    async def slim(self, name, options) -> AsyncIterator[Progress]:
        self.store.calls.append(("slim", name, options))
        yield Progress(status="Smaller")


class FakeContexts(Part):
    async def offer(self, key, chunks):
        self.store.calls.append(("context", key, [chunk async for chunk in chunks]))
        return SimpleNamespace(id="0" * 32, missing=[0])

    async def fill(self, id, chunks):
        self.store.calls.append(("context files", id, [chunk async for chunk in chunks]))

    async def usage(self):
        return 7


class FakeNetworks(Part):
    async def list(self, filters: Filters):
        return [Network(name="bridge", id="f" * 64, created="2026-01-02T03:04:05Z")]

    async def inspect(self, ref: str, *, verbose: bool, scope: str) -> Network:
        return (await self.list(Filters()))[0]

    async def create(self, request) -> NetworkCreated:
        self.store.calls.append(("network", request))
        return NetworkCreated(id="e" * 64)

    async def remove(self, ref: str) -> None: ...

    async def connect(self, ref: str, request) -> None: ...

    async def disconnect(self, ref: str, request) -> None: ...

    async def prune(self, filters: Filters) -> NetworksPruned:
        return NetworksPruned()


class FakeVolumes(Part):
    async def list(self, filters: Filters) -> VolumeList:
        return VolumeList(volumes=[Volume(name="v")])

    async def inspect(self, name: str) -> Volume:
        return Volume(name=name)

    async def create(self, request) -> Volume:
        return Volume(name=request.name, driver=request.driver)

    async def remove(self, name: str, *, force: bool) -> None: ...

    async def prune(self, filters: Filters) -> VolumesPruned:
        return VolumesPruned()


class FakeReasons(Part):
    async def why(self, ref: str) -> Why:
        return Why(id="c1", name=ref, image="busybox", status="created", removed=False, summary="it was created")


class FakePolicies(Part):
    async def report(self, ref: str) -> EgressReport:
        return EgressReport(policy="none", learned=[], allow="deny")


class FakeTopology:
    async def graph(self) -> NetworkGraph:
        return NetworkGraph(networks=[], containers=[])

    async def trace(self, origin: str, target: str) -> NetworkTrace:
        return NetworkTrace(origin=origin, target=target, reached=True, reason="", steps=[])


class FakeSockets:
    """No scoped sockets."""

    async def create(self, wish: SocketCreate) -> ApiSocket:
        raise Conflict("no sockets here")

    async def list(self) -> list[ApiSocket]:
        return []

    async def inspect(self, name: str) -> ApiSocket:
        raise NotFound(f"No such socket: {name}")

    async def remove(self, name: str) -> None:
        raise NotFound(f"No such socket: {name}")


class FakeDoctor:
    """All is well, but for what is named."""

    async def diagnose(self, references: Sequence[str]) -> Diagnosis:
        return Diagnosis(
            findings=[
                Finding(id="privileged", severity="high", subject=f"container {name}", evidence="", why="", remedy="")
                for name in references
            ],
            containers=len(references),
        )


class FakeTrash(Part):
    async def list(self) -> list[Trashed]:
        return [Trashed(id="c1", kind="container", name="web")]

    async def restore(self, reference: str, name: str) -> Restored:
        self.store.calls.append(("restore", reference, name))
        return Restored(id="c1", name=name or "web")

    async def delete(self, reference: str) -> None:
        self.store.calls.append(("trash rm", reference))

    async def empty(self) -> TrashEmptied:
        return TrashEmptied(deleted=["c1"], space_reclaimed=7)


class FakeSystem(Part):
    async def version(self) -> Version:
        return Version(version="0.1.0", arch="amd64")

    async def info(self) -> Info:
        return Info(id="I", name="here", server_version="0.1.0")

    async def disk_usage(self, types: frozenset[str], *, verbose: bool) -> DiskUsage:
        return DiskUsage(layers_size=5)

    async def events(self, *, since: int, until: int, filters: Filters) -> AsyncIterator[Event]:
        self.store.calls.append(("events", since, until, dict(filters)))
        return self._events()

    async def _events(self) -> AsyncIterator[Event]:
        try:
            yield Event(type="container", action="start", actor=Actor(id="x"), time=1, time_nano=1_000_000_000)
            await asyncio.Event().wait()
        finally:
            self.store.abandoned += 1

    async def auth(self, credentials) -> AuthResponse:
        self.store.calls.append(("auth", credentials))
        return AuthResponse(status="Login Succeeded")


class FakeVolumeCopies:
    pass


class FakePruning:
    pass


class FakeVolumeFiles:
    pass


def fake_services(store: Store) -> Services:
    return Services(
        containers=FakeContainers(store),
        lifecycle=FakeLifecycle(store),
        output=FakeOutput(store),
        archives=FakeArchives(store),
        builds=FakeBuilds(store),
        contexts=FakeContexts(store),
        execs=FakeExecs(store),
        images=FakeImages(store),
        image_contents=FakeImageContents(),
        transfers=FakeTransfers(store),
        bootstraps=FakeBootstraps(store),
        slimming=FakeSlimming(store),
        registries=FakeRegistries(store),
        networks=FakeNetworks(store),
        volumes=FakeVolumes(store),
        volume_copies=FakeVolumeCopies(),
        volume_files=FakeVolumeFiles(),
        pruning=FakePruning(),
        system=FakeSystem(store),
        trash=FakeTrash(store),
        reasons=FakeReasons(store),
        egress=FakePolicies(store),
        topology=FakeTopology(),
        sockets=FakeSockets(),
        doctor=FakeDoctor(),
    )
