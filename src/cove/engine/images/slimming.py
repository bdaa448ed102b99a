"""``image slim``: an image of what some commands were seen to read, and no more.

What was read is told by access times. The root lies in a container's own layer with all of them in 1970; a command
runs; what is newer then was read: by ``execve``, ``mmap``, ``read`` or ``readlink`` alike, by whichever process, and
nothing of it can be missed for want of room in a queue. It needs a file system that keeps access times, as ``relatime``
does.
"""

import os
import shlex
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.images.transfer_progress import told
from cove.engine.images.workshop import ContainerWorkshop
from cove.errors import Conflict, InvalidArgument, NotFound
from cove.images import Image, slim
from cove.images import Images as ImageStore
from cove.images.bootstrap.tree import Tree, Written
from cove.oci import image as oci
from cove.reference import Reference
from cove.registry.client.progress import Step, Tell
from cove.store import in_thread
from cove.wire.bootstrap import SlimOptions
from cove.wire.containers import ContainerCreate
from cove.wire.images import Progress

MAX_PROBES = 100
PREFIX = "slim-"


class Slimming:
    """``work_dir``: where files that are not whole yet may lie."""

    def __init__(
        self, store: ImageStore, registry: Registry, events: Events, workshop: ContainerWorkshop, work_dir: Path
    ) -> None:
        self._store = store
        self._registry = registry
        self._events = events
        self._workshop = workshop
        self._work_dir = work_dir

    async def slim(self, name: str, options: SlimOptions) -> AsyncIterator[Progress]:
        image = self._store.resolve(name)
        probes = _parsed(options.probe)
        reference = Reference.parse(options.tag or f"{Reference.parse(name).familiar_name}:slim").with_default_tag()
        async for line in told(lambda tell: self._slim(image, probes, options, reference, tell)):
            yield line

    async def _slim(
        self, image: Image, probes: list[list[str]], options: SlimOptions, reference: Reference, tell: Tell
    ) -> None:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=self._work_dir) as directory:
            tar = Path(directory, "root.tar")
            with self._store.hold(image.id):
                async with self._workshop.container(image.id, ContainerCreate(cmd=["none"])) as container:
                    await self._workshop.save(container, tar)
            root = await in_thread(slim.entries, tar)
            read: set[str] = set()
            for probe in probes:
                tell(Step(f"Probing {shlex.join(probe)}"))
                found = await self._probed(image, tar, probe, options.seconds)
                read |= found & root.keys()
            kept = await in_thread(_kept, tar, root, read, options)
            made = await self._made(image, tar, kept, reference, Path(directory))
        self._events.publish("image", "tag", made.id, {"name": reference.familiar})
        tell(Step(_report(slim.saving(root, kept), image, made, reference)))
        tell(Step(aux={"ID": made.id}))

    async def _probed(self, image: Image, tar: Path, argv: list[str], seconds: float) -> set[str]:
        """The paths that a command read. Raises Conflict when it fails, or when nobody could have seen it read."""
        config = image.config.config or oci.Config()
        request = ContainerCreate(
            cmd=argv, entrypoint=[], env=config.env, user=config.user, working_dir=config.working_dir
        )
        async with self._workshop.filled(tar, request) as container:
            upper = self._registry.get(container).paths.upper
            await in_thread(_forget_access, upper)
            code = await self._workshop.ended(container, seconds)
            if code > 0:
                raise Conflict(f"the probe {shlex.join(argv)} ended with {code}: nothing is known of what it needs")
            read = await in_thread(_accessed, upper)
        if not read:
            raise Conflict("the file system of the data root keeps no access times (noatime), which slim looks at")
        return read

    async def _made(self, image: Image, tar: Path, kept: set[str], reference: Reference, work: Path) -> Image:
        written = await in_thread(_write, tar, kept, work)
        layer = oci.Descriptor(oci.LAYER, written.diff_id, written.size)
        step = oci.History(created=image.config.created, created_by="cove image slim", comment=image.id)
        config = msgspec.structs.replace(image.config, rootfs=oci.RootFS(diff_ids=[layer.digest]), history=[step])
        file = self._store.blobs.temporary()
        os.rename(work / "slim.tar", file)
        try:
            return await self._store.derive(config, [layer], file, [reference])
        finally:
            file.unlink(missing_ok=True)


def _parsed(probes: Iterable[str]) -> list[list[str]]:
    """The probes' words. Raises InvalidArgument without any, and for quotes that do not end."""
    try:
        parsed = [shlex.split(probe) for probe in probes]
    except ValueError as error:
        raise InvalidArgument(f"invalid probe: {error}") from None
    if not parsed or not all(parsed):
        raise InvalidArgument("probe is needed: a command that uses what the image is for")
    if len(parsed) > MAX_PROBES:
        raise InvalidArgument(f"more than {MAX_PROBES} probes")
    return parsed


def _kept(tar: Path, root: Mapping[str, slim.Entry], read: set[str], options: SlimOptions) -> set[str]:
    named = list(options.keep)
    with tempfile.TemporaryFile() as spool:
        lists = {name: slim.package_lists(root, name) for name in options.keep_package}
        for name, paths in lists.items():
            if not paths:
                raise NotFound(f"the image has no package {name}")
        wanted = {path for paths in lists.values() for path in paths}
        tree = Tree(spool)
        tree.take(tar, "the image", lambda path: path in wanted)
        files = [path for each in wanted for path in slim.listed(tree.read(each).decode(errors="replace"))]
    there = (path for path in map(slim.clean, files) if slim.resolve(root, path) in root)
    return slim.needed(root, [*read, *there], named)


def _write(tar: Path, kept: set[str], work: Path) -> Written:
    with tempfile.TemporaryFile(dir=work) as spool:
        tree = Tree(spool)
        tree.newest = 1 << 40
        tree.take(tar, "the image", kept.__contains__)
        return tree.write(work / "slim.tar", 0)


def _forget_access(upper: Path) -> None:
    """Set every access time to 1970."""
    for _, name, directory in _each(upper):
        mtime = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime_ns
        os.utime(name, ns=(0, mtime), dir_fd=directory, follow_symlinks=False)


def _accessed(upper: Path) -> set[str]:
    """The paths that were read since."""
    return {
        path
        for path, name, directory in _each(upper)
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_atime_ns
    }


def _each(upper: Path) -> Iterator[tuple[str, str, int]]:
    """All below a directory: the path, the name, and the directory that it is in. Looking changes no access time."""
    waiting = [""]
    while waiting:
        place = waiting.pop()
        directory = os.open(upper / place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NOATIME | os.O_CLOEXEC)
        try:
            with os.scandir(directory) as found:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
            for name, is_directory in listed:
                path = f"{place}/{name}" if place else name
                yield path, name, directory
                if is_directory:
                    waiting.append(path)
        finally:
            os.close(directory)


def _report(saving: slim.Saving, image: Image, made: Image, reference: Reference) -> str:
    less = 100 - round(100 * made.size / image.size) if image.size else 0
    return (
        f"{reference.familiar}: {_megabytes(image.size)} in {saving.files} files became {_megabytes(made.size)} in "
        f"{saving.kept_files}: {less} % less"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
