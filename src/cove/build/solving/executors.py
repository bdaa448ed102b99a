"""How each operation is keyed and carried out."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from cove.build.cache.cache import Cache, Parts
from cove.build.planning.graph import (
    Context,
    CopyFiles,
    Given,
    LayerRef,
    MakeDirectory,
    MountOption,
    Promised,
    Remote,
    Result,
    Root,
    Run,
    Vertex,
)
from cove.build.solving.mounts import Mounts, Prepared
from cove.build.solving.remotes import Remotes
from cove.build.solving.running import Command, Limits, Ran, Runner
from cove.build.solving.steps import StepLayers
from cove.errors import InvalidArgument
from cove.layers.tree import split
from cove.layers.worker.build_jobs import Rule, Selection, Source, TreePlace

Log = Callable[[int, bytes], None]
_MODES = "2"
"""Of what ``--chmod`` means: 1 left new directories out, 2 has their modes too."""


@dataclass(frozen=True)
class LeftMount:
    """What a step that failed had mounted: a directory of the host's, files of other layers, or memory for neither."""

    option: MountOption
    directory: str = ""
    root: Root | None = None


@dataclass(frozen=True)
class Left:
    """What a step that failed has left: its files, and how it was run."""

    root: Root
    run: Run
    mounts: tuple[LeftMount, ...] = ()


@dataclass(frozen=True)
class KeptMount:
    """A mount for a shell over what a step left. ``type``: image, bind or tmpfs. ``size``: bytes of a tmpfs, or 0."""

    type: str
    target: str
    source: str = ""
    subpath: str = ""
    size: int = 0


@dataclass(frozen=True)
class KeptLeft:
    """Images, without names, of what a step left: the files, and what it had mounted."""

    image: str
    mounts: tuple[KeptMount, ...] = ()


class StepFailed(InvalidArgument):
    """A RUN ended with another code than 0. ``exit_code``: 1 to 255. ``kept``: of what it left, if it is wanted."""

    def __init__(self, message: str, exit_code: int, left: Left | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.left = left
        self.kept: KeptLeft | None = None


class Execution(Protocol):
    """What a step tells while it runs."""

    def container(self, container_id: str) -> None:
        """The container of a RUN is going to be started."""

    def log(self, stream: int, data: bytes) -> None:
        """What it writes."""


class Executors:
    """Carries operations out, for one build."""

    def __init__(
        self,
        steps: StepLayers,
        cache: Cache,
        runner: Runner,
        mounts: Mounts,
        programs: asyncio.Semaphore,
        scratch: Path,
        debug: bool = False,
        now: int | None = None,
        *,
        remotes: Remotes,
    ) -> None:
        """``programs``: how many may run at once, of all builds. ``scratch``: a directory of this build's.

        ``debug``: keep what a step that fails has left. ``now``: seconds since 1970, of directories that are made.
        """
        self.remotes = remotes
        self._steps = steps
        self._cache = cache
        self._runner = runner
        self._mounts = mounts
        self._programs = programs
        self._scratch = scratch
        self._debug = debug
        self._now = now
        self._images: dict[str, asyncio.Future[str]] = {}

    async def parts(self, vertex: Vertex, inputs: Sequence[Result]) -> Parts:
        """What the result of a vertex depends on. Raises NotFound for files that are not there."""
        return msgspec.structs.replace(await self._parts(vertex, inputs), base=_base_image(vertex.inputs[0]))

    async def _parts(self, vertex: Vertex, inputs: Sequence[Result]) -> Parts:
        operation = vertex.operation
        base = {"platform": vertex.platform, "parent": _root(inputs[0]).chain_id}
        if self._steps.epoch >= 0:
            base["option rewrite-timestamp"] = str(self._steps.epoch)
        if isinstance(operation, Run):
            return Parts({"kind": "run", **base, **await self._run_parts(operation, inputs)})
        if isinstance(operation, MakeDirectory):
            return Parts({"kind": "directory", **base, "path": operation.path, "owner": operation.owner})
        assert isinstance(operation, CopyFiles)
        if operation.link:
            del base["parent"]
        whole = _whole(operation, base, inputs)
        known = self._cache.selected(whole) if whole else None
        if known is None:
            known = await self._copy_parts(operation, base, inputs)
            if whole:
                fetched = any(isinstance(vertex.operation, Remote) for vertex in vertex.inputs)
                self._cache.note_selected(whole, known, lasting=fetched)
        return known

    async def execute(self, vertex: Vertex, inputs: Sequence[Result], execution: Execution) -> LayerRef | None:
        """The step's own layer, None when it changes nothing. Raises StepFailed, CoveError."""
        operation, parent = vertex.operation, _root(inputs[0])
        if isinstance(operation, Run):
            async with self._programs:
                return await self._run(operation, parent, inputs, execution, vertex.platform)
        now = int(time.time()) if self._now is None else self._now
        if isinstance(operation, MakeDirectory):
            selection = Selection([], operation.path, True, operation.owner)
            return await self._steps.copy(selection, parent, now)
        assert isinstance(operation, CopyFiles)
        selection = await self._selection(operation, inputs)
        return await self._steps.copy(selection, Root() if operation.link else parent, now)

    async def _copy_parts(self, copy: CopyFiles, base: dict[str, str], inputs: Sequence[Result]) -> Parts:
        selection = await self._selection(copy, inputs)
        lower = [] if copy.link else await self._steps.lower(_root(inputs[0]))
        listing = self._scratch / f"listing-{secrets.token_hex(8)}"
        done = await self._steps.select(selection, lower, str(listing))
        digest = done.digest.removeprefix("sha256:")
        place = self._cache.listings / digest
        if not place.exists():
            listing.rename(place)
        options = {
            "destination": copy.destination + ("/" if copy.directory else ""),
            "option --chown": copy.owner,
            "option --chmod": copy.mode,
            "option --link": "yes" if copy.link else "",
            "owners": "kept" if copy.keep_owner else "",
            "files": digest,
            **({"modes": _MODES} if copy.mode else {}),
            **({"matched": "nothing"} if done.nothing else {}),
            **({"in the way": "replaced"} if copy.replaces else {}),
        }
        return Parts({"kind": "copy", **base, **options}, digest)

    async def _run_parts(self, run: Run, inputs: Sequence[Result]) -> dict[str, str]:
        found = {
            "command": msgspec.json.encode(run.arguments).decode(),
            "directory": run.directory,
            "user": run.user,
            "option --network": run.network if run.network != "default" else run.limits.network,
            "option --security": "insecure" if run.insecure else "",
            **_limits_parts(run.limits),
        }
        for entry in run.environment:
            name, _, value = entry.partition("=")
            if name not in run.unkeyed:
                found[f"{'argument' if name in run.arguments_used else 'variable'} {name}"] = value
        for device in run.devices:
            found[f"option --device {device.name}"] = "required" if device.required else "if it is there"
        for path, content in run.extra_files:
            found[f"file {path}"] = hashlib.sha256(content).hexdigest()
        for number, mount in enumerate(run.mounts):
            found[f"mount {number}"] = await self._mount_part(mount, inputs)
        return found

    async def _mount_part(self, mount: MountOption, inputs: Sequence[Result]) -> str:
        files = await self._content(inputs[mount.input], mount.source) if mount.input >= 0 else ""
        return f"{_mount_words(mount)} {files}".rstrip()

    async def _content(self, result: Result, path: str) -> str:
        """Names what is at a path by its content, and a whole root by its layers. Raises NotFound."""
        parts = split(path.encode("utf-8", "surrogateescape"))
        if isinstance(result, Root) and not parts:
            return result.chain_id
        name = f"{_name(result)} {path}" if _name(result) else ""
        known = self._cache.selected(name) if name else None
        if known is None:
            source = Source(await self._tree(result), path, parents=True, pivot=max(len(parts) - 1, 0))
            done = await self._steps.select(Selection([source], "/", True, keep_owner=True), [], "")
            known = Parts({"files": done.digest})
            if name:
                self._cache.note_selected(name, known)
        return known.parts["files"]

    async def _selection(self, copy: CopyFiles, inputs: Sequence[Result]) -> Selection:
        sources = []
        for source in copy.sources:
            tree = TreePlace() if source.content is not None else await self._tree(inputs[source.input])
            made = Source(
                tree,
                source.path,
                source.expression,
                [Rule(expression, negated) for expression, negated in copy.excludes],
                copy.parents,
                source.pivot,
                source.unpack,
                source.name,
                source.content,
                optional=source.optional,
            )
            sources.append(made)
        place, directory, replaces = copy.destination, copy.directory, copy.replaces
        return Selection(sources, place, directory, copy.owner, copy.mode, copy.keep_owner, replaces)

    async def _tree(self, result: Result) -> TreePlace:
        if isinstance(result, Promised):
            result = await self.remotes.files(result)
        if isinstance(result, Context):
            return TreePlace(tar=result.tar, index=result.index)
        return TreePlace(lower=await self._steps.lower(result))

    async def _mountable(self, result: Result) -> list[str]:
        """The layers of a tree, for a mount; of a context there is one, made when it is first wanted."""
        if isinstance(result, Root):
            return await self._steps.lower(result)
        assert isinstance(result, Context)
        if result.tar not in self._images:
            self._images[result.tar] = asyncio.ensure_future(self._steps.context_image(result, self._scratch))
        return [await asyncio.shield(self._images[result.tar])]

    async def _run(
        self, run: Run, parent: Root, inputs: Sequence[Result], execution: Execution, platform: str
    ) -> LayerRef | None:
        container = secrets.token_hex(32)
        execution.container(container)
        lower = await self._steps.lower(parent)
        trees = {
            number: await self._mountable(inputs[mount.input])
            for number, mount in enumerate(run.mounts)
            if mount.input >= 0
        }
        async with self._mounts.prepared(run, container, trees) as prepared:
            command = Command(
                platform=platform,
                id=container,
                arguments=run.arguments,
                environment=[*run.environment, *prepared.environment],
                directory=run.directory,
                user=run.user,
                lower=lower,
                limits=run.limits,
                network=run.network,
                insecure=run.insecure,
                mounts=prepared.mounts,
                devices=run.devices,
            )
            async with self._runner.run(command, execution.log) as ran:
                if ran.exit_code:
                    message = f"The command '{' '.join(run.arguments)}' returned a non-zero code: {ran.exit_code}"
                    left = await self._left(run, ran, parent, inputs, prepared) if self._debug else None
                    raise StepFailed(message, ran.exit_code, left)
                return await self._steps.pack(ran.upper, ran.stubs, parent)

    async def _left(self, run: Run, ran: Ran, parent: Root, inputs: Sequence[Result], prepared: Prepared) -> Left:
        """For a shell in the step. What it was lent, secrets and agents, is not part of it."""
        layer = await self._steps.pack(ran.upper, ran.stubs, parent)
        directories = {mount.destination: mount.source for mount in prepared.mounts if mount.kind == "bind"}
        mounts: list[LeftMount] = []
        for option in run.mounts:
            if option.type == "bind":
                mounts.append(LeftMount(option, root=await self._as_root(inputs[option.input])))
            elif option.type == "cache":
                mounts.append(LeftMount(option, directory=directories[option.target]))
            elif option.type == "tmpfs":
                mounts.append(LeftMount(option))
        return Left(Root((*parent.layers, *([layer] if layer else []))), run, tuple(mounts))

    async def _as_root(self, result: Result) -> Root:
        """A context as a layer that an image can have."""
        if isinstance(result, Root):
            return result
        everything = Selection([Source(await self._tree(result), "")], "/", True)
        layer = await self._steps.copy(everything, Root(), 0)
        return Root((layer,) if layer else ())


def _root(result: Result) -> Root:
    assert isinstance(result, Root)
    return result


def _base_image(vertex: Vertex) -> str:
    """An image that is built on, as ``name@digest``; nothing for a step."""
    given = vertex.operation
    return f"{vertex.name.removeprefix('FROM ')}@{given.identity}" if isinstance(given, Given) else ""


def _name(result: Result) -> str:
    """Names a result as a whole; empty when it has no name."""
    return result.chain_id if isinstance(result, Root) else result.digest


def _limits_parts(limits: Limits) -> dict[str, str]:
    """What of the limits a result depends on, as of BuildKit's steps: of hosts the names; not memory and processors."""
    return {
        "option --add-host": " ".join(host.partition(":")[0] for host in limits.extra_hosts),
        "option --shm-size": str(limits.shm_size or ""),
        "option --ulimit": " ".join(f"{name}={soft}:{hard}" for name, soft, hard in limits.ulimits),
        "option --cgroup-parent": limits.cgroup_parent,
    }


def _mount_words(mount: MountOption) -> str:
    """What of a mount's options a result depends on, as of BuildKit's steps: of a cache neither id nor sharing."""
    said = {
        "type": mount.type,
        "target": mount.target,
        "id": mount.id if mount.type in ("secret", "ssh") else "",
        "env": mount.env,
        "readonly": str(mount.readonly or ""),
        "required": str(mount.required or ""),
        "mode": "" if mount.mode is None else f"{mount.mode:o}",
        "uid": str(mount.uid or ""),
        "gid": str(mount.gid or ""),
        "size": str(mount.size or ""),
    }
    return ",".join(f"{name}={value}" for name, value in said.items() if value)


def _whole(copy: CopyFiles, base: Mapping[str, str], inputs: Sequence[Result]) -> str:
    """Names a copy by the inputs that it reads, as wholes; empty when one of them has no name."""
    names = [_name(inputs[place]) for place in sorted({0, *(each.input for each in copy.sources if each.input > 0)})]
    if not all(names):
        return ""
    return hashlib.sha256(repr((copy, sorted(base.items()), names)).encode()).hexdigest()
