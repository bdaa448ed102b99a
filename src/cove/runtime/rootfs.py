"""The root file system of a container, as a plan of operations that can be read, tested and applied.

All of it happens in the container's own mount namespace, before pivot_root, so that the sources of binds are still the
host's. What is below the root is the image's, and not trusted: every destination is resolved inside the root
(``kernel.paths``), opened once, and mounted on by descriptor.
"""

import errno
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from cove.kernel import mounts, overlay, paths
from cove.kernel.cgroups import Layout
from cove.oci.runtime import Mount, Spec
from cove.runtime import devices, mount_options
from cove.runtime.messages import OverlayRoot
from cove.runtime.mount_options import Options

_PLAIN_DIRECTORIES = frozenset({"proc", "sysfs"})


class Operation(Protocol):
    """One step. ``apply`` gets a descriptor of the container's root directory and raises OSError or ValueError."""

    def apply(self, root: int) -> None: ...


class NewFileSystem(NamedTuple):
    """A file system of its own, such as proc, tmpfs or devpts."""

    kind: str
    source: str
    destination: str
    options: Options

    def apply(self, root: int) -> None:
        place = _directory(root, self.destination, links=self.kind not in _PLAIN_DIRECTORIES)
        try:
            mount = self._mount(place)
            try:
                _set_rest(mount, self.options)
                mounts.attach(mount, place)
            finally:
                os.close(mount)
        finally:
            os.close(place)

    def _mount(self, place: int) -> int:
        with mounts.FileSystem(self.kind) as file_system:
            file_system.set("source", self.source)
            if self.kind == "tmpfs" and not any(key == "mode" for key, _ in self.options.parameters):
                file_system.set("mode", f"{os.fstat(place).st_mode & 0o7777:o}")
            for key, value in self.options.parameters:
                file_system.set(key, value)
            return file_system.mount(self.options.set)


class BindMount(NamedTuple):
    """A file or directory of the host, and with ``options.recursive`` what is mounted below it."""

    source: str
    destination: str
    options: Options

    def apply(self, root: int) -> None:
        flags = mounts.OPEN_TREE_CLONE | (mounts.AT_RECURSIVE if self.options.recursive else 0)
        mount = mounts.open_tree(self.source, flags)
        try:
            is_directory = stat.S_ISDIR(os.fstat(mount).st_mode)
            place = _directory(root, self.destination) if is_directory else paths.make_file(root, self.destination)
            try:
                _refuse_procfs(place, self.destination)
                if self.options.set or self.options.clear:
                    mounts.set_attributes(mount, self.options.set, self.options.clear)
                _set_rest(mount, self.options)
                mounts.attach(mount, place)
            finally:
                os.close(place)
        finally:
            os.close(mount)


class CgroupMount(NamedTuple):
    """The container's own control groups: one directory (version 2), or a tmpfs with one for each hierarchy.

    They are binds of the container's directories, so that it sees no others, with a cgroup namespace or without.
    """

    layout: Layout
    path: str
    destination: str
    options: Options

    def apply(self, root: int) -> None:
        if self.layout.unified:
            self._bind(root, self.layout.hierarchies[0].mount_point + self.path, self.destination)
            return
        attributes = mounts.NO_SETUID | mounts.NO_DEVICES | mounts.NO_EXECUTE | (self.options.set & ~mounts.READ_ONLY)
        parameters = (("mode", "755"),)
        plain = self.options._replace(set=attributes, parameters=parameters, recursive_set=0)
        NewFileSystem("tmpfs", "tmpfs", self.destination, plain).apply(root)
        for hierarchy in self.layout.hierarchies:
            name = os.path.basename(hierarchy.mount_point)
            self._bind(root, hierarchy.mount_point + self.path, f"{self.destination}/{name}")
            self._link(root, name, hierarchy.controllers)
        if self.options.set & mounts.READ_ONLY:
            self._make_read_only(root)

    def _bind(self, root: int, source: str, destination: str) -> None:
        BindMount(source, destination, self.options._replace(recursive=False)).apply(root)

    def _link(self, root: int, name: str, controllers: Sequence[str]) -> None:
        """Hierarchies of several controllers are known by each of their names."""
        for controller in controllers:
            if controller != name and len(controllers) > 1:
                devices.Link(name, f"{self.destination}/{controller}").apply(root)

    def _make_read_only(self, root: int) -> None:
        directory = paths.open_in_root(root, self.destination, os.O_PATH | os.O_DIRECTORY)
        try:
            mounts.set_attributes(directory, mounts.READ_ONLY)
        finally:
            os.close(directory)


class Mounting(NamedTuple):
    """A mount of the configuration; its errors name both sides, in the words that users of Docker search for."""

    source: str
    destination: str
    operation: Operation

    def apply(self, root: int) -> None:
        try:
            self.operation.apply(root)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
            words = f'error mounting "{self.source}" to rootfs at "{self.destination}": {reason}'
            raise OSError(number, words) from error


def mount_root(overlay_root: OverlayRoot | None, path: str) -> int:
    """Mount the root at ``path`` (which exists) in this mount namespace; a descriptor of the mounted root (O_PATH).

    Without an overlay the directory itself becomes the root. Raises OSError.
    """
    if overlay_root is None:
        mount = mounts.open_tree(path, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
    else:
        mount = overlay.mount(overlay_root["lower"], overlay_root["upper"], overlay_root["work"], path)
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if mount != overlay.ATTACHED:
            mounts.attach(mount, place)
            return mount
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)


def isolate(spec: Spec) -> None:
    """Cut the propagation from this mount namespace to the host's; by default the other direction stays."""
    word = spec.get("linux", {}).get("rootfsPropagation", "") or "rslave"
    propagation, _recursive = mount_options.propagation_of(word)
    mounts.set_propagation("/", propagation)
    if propagation == mounts.SHARED:
        mounts.make_parent_private(spec["root"]["path"])


def plan(spec: Spec, layout: Layout, cgroup_path: str) -> list[Operation]:
    """The operations that furnish the mounted root: the mounts in their order, then devices and links in /dev."""
    entries = spec.get("mounts", [])
    operations: list[Operation] = [_mount_operation(entry, layout, cgroup_path) for entry in entries]
    return operations + devices.plan(spec)


def _mount_operation(entry: Mount, layout: Layout, cgroup_path: str) -> Operation:
    destination = os.path.normpath("/" + entry["destination"].lstrip("/"))
    if destination == "/":
        raise ValueError(f"mounts: {entry['destination']!r} is no place for a mount")
    kind, source = entry.get("type", "") or "none", entry.get("source", "")
    options = mount_options.parse(entry.get("options", []))
    operation: Operation
    if options.bind or kind == "bind":
        operation = BindMount(source, destination, options)
    elif kind in ("cgroup", "cgroup2"):
        operation = CgroupMount(layout, cgroup_path, destination, options)
    else:
        operation = NewFileSystem(kind, source or kind, destination, options)
    return Mounting(source or kind, destination, operation)


def _directory(root: int, path: str, *, links: bool = True) -> int:
    """The directory to mount on, made when it is missing. Without ``links`` it must be where its name says."""
    os.close(paths.make_directories(root, path))
    try:
        return paths.open_in_root(root, path, os.O_PATH | os.O_DIRECTORY, links=links)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"{path} must be an ordinary directory, and is a symbolic link") from None
        raise


def _refuse_procfs(place: int, destination: str) -> None:
    """A bind below /proc would let an image choose what the kernel seems to say."""
    if destination != "/proc" and mounts.file_system_magic(place) == mounts.PROC_MAGIC:
        raise ValueError(f"{destination} cannot be mounted because it is inside /proc")


def _set_rest(mount: int, options: Options) -> None:
    if options.recursive_set:
        mounts.set_attributes(mount, options.recursive_set, recursive=True)
    if options.propagation:
        mounts.set_attributes(mount, 0, propagation=options.propagation, recursive=options.recursive_propagation)
