"""The root file system of a container, as a plan of operations that can be read, tested and applied.

All of it happens in the container's own mount namespace, before pivot_root, so that the sources of binds are still the
host's. What is below the root is the image's, and not trusted: every destination is resolved inside the root
(``kernel.paths``), opened once, and mounted on by descriptor.
"""

from __future__ import annotations

import errno
import os
import stat

from cove.kernel import foreign_mounts, mounts, overlay, paths
from cove.kernel.cgroups import Layout
from cove.lean import TYPE_CHECKING, NamedTuple, Protocol, Sequence
from cove.oci.runtime import IdMapping, Mount, Spec
from cove.runtime import devices, layer_mounts, mount_options
from cove.runtime.mount_options import Options

if TYPE_CHECKING:
    from cove.runtime.messages import OverlayRoot

_PLAIN_DIRECTORIES = frozenset({"proc", "sysfs"})


class Operation(Protocol):
    """One step. ``apply`` gets a descriptor of the container's root directory and raises OSError or ValueError."""

    def apply(self, root: int) -> None: ...


class NewFileSystem(NamedTuple):
    """A file system of its own, such as proc, tmpfs or devpts. ``label``: of its root, where that is no option."""

    kind: str
    source: str
    destination: str
    options: Options
    label: str = ""

    def apply(self, root: int) -> None:
        place = _directory(root, self.destination, links=self.kind not in _PLAIN_DIRECTORIES)
        try:
            mount = self._mount(place)
            try:
                if self.options.copy_up:
                    _copy_up(place, mount)
                if self.label:
                    os.setxattr(f"/proc/self/fd/{mount}", "security.selinux", self.label.encode())
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
    """A file or directory of the host, and with ``options.recursive`` what is mounted below it.

    ``opened``: its detached copy, where that had to be made in the host's namespaces. ``mappings``: of
    users and of groups, by which the owners of its files are mapped. ``namespace``: the file of another mount
    namespace, a container's, that the source is in.
    """

    source: str
    destination: str
    options: Options
    opened: int | None = None
    mappings: tuple[list[IdMapping], list[IdMapping]] | None = None
    namespace: str = ""

    def apply(self, root: int) -> None:
        mount = self.open() if self.opened is None else self.opened
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

    def open(self) -> int:
        """A detached copy of the source, with its mapping."""
        if self.namespace:
            return foreign_mounts.copy(self.namespace, self.source)
        flags = mounts.OPEN_TREE_CLONE | (mounts.AT_RECURSIVE if self.options.recursive else 0)
        mount = mounts.open_tree(self.source, flags)
        if self.mappings is not None:
            try:
                self._map(mount, *self.mappings)
            except BaseException:
                os.close(mount)
                raise
        return mount

    def _map(self, mount: int, uids: list[IdMapping], gids: list[IdMapping]) -> None:
        from cove.runtime import mappings

        recursive = self.options.mapped == "ridmap"
        if mappings.is_kept((uids, gids)):
            mounts.set_attributes(mount, 0, recursive=recursive, user_namespace=mappings.for_mounts((uids, gids)))
            return
        namespace = mappings.create(uids, gids)
        try:
            mounts.set_attributes(mount, 0, recursive=recursive, user_namespace=namespace)
        finally:
            os.close(namespace)


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
            raise _named(error, self.source, self.destination) from error


def _named(error: Exception, source: str, destination: str) -> OSError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
    return OSError(number, f'error mounting "{source}" to rootfs at "{destination}": {reason}')


def mount_mapped(overlay_root: OverlayRoot) -> int:
    """The root of a container in a user namespace, detached: mounted with the rights of the host. Raises OSError."""
    from cove.runtime import mappings

    assert "mappings" in overlay_root
    namespace = mappings.for_mounts(overlay_root["mappings"])
    directories = overlay_root["lower"], overlay_root["upper"], overlay_root["work"]
    return overlay.mount_mapped(*directories, namespace, overlay_root.get("label", ""))


def attach_mapped(mount: int) -> int:
    """Attach it in this mount namespace. Returns it.

    At "/", since the container's root may not be let through to its directory; it covers the host's until pivot_root.
    """
    place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mounts.attach(mount, place)
    finally:
        os.close(place)
    return mount


def mount_root(overlay_root: OverlayRoot | None, path: str) -> int:
    """Mount the root at ``path`` (which exists) in this mount namespace; a descriptor of the mounted root (O_PATH).

    Without an overlay the directory itself becomes the root. Raises OSError.
    """
    if overlay_root is None:
        mount = mounts.open_tree(path, mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
    else:
        directories = overlay_root["lower"], overlay_root["upper"], overlay_root["work"]
        mount = overlay.mount(*directories, path, overlay_root.get("label", ""))
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if mount != overlay.ATTACHED:
            mounts.attach(mount, place)
        else:
            mount = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)
    return mount


def propagate(root: int, spec: Spec) -> None:
    """Give the root its propagation: after pivot_root, which refuses a shared one. Raises ValueError, OSError."""
    if word := spec.get("linux", {}).get("rootfsPropagation"):
        propagation, recursive = mount_options.propagation_of(word)
        mounts.set_attributes(root, 0, propagation=propagation, recursive=recursive)


def isolate(spec: Spec) -> None:
    """Cut the propagation from this mount namespace to the host's; by default the other direction stays."""
    word = spec.get("linux", {}).get("rootfsPropagation", "") or "rslave"
    propagation, _recursive = mount_options.propagation_of(word)
    mounts.set_propagation("/", propagation)
    if propagation == mounts.SHARED:
        mounts.make_parent_private(spec["root"]["path"])


def plan(spec: Spec, layout: Layout, cgroup_path: str, opened: dict[int, int] | None = None) -> list[Operation]:
    """The operations that furnish the mounted root: the mounts in their order, then devices and links in /dev.

    ``opened``: what ``open_sources`` returned. Raises ValueError naming the field.
    """
    opened = opened or {}
    operations: list[Operation] = []
    for number, entry in enumerate(spec.get("mounts", [])):
        operation: Operation
        if entry.get("type") == layer_mounts.TYPE:
            operation = layer_mounts.parse(entry.get("source", ""), entry["destination"], entry.get("options") or [])
            operations.append(Mounting(entry.get("source", ""), entry["destination"], operation))
            continue
        source, destination, options = _understand(entry)
        if options.bind:
            operation = _bind(entry, spec, opened.get(number))
        elif entry.get("type") in ("cgroup", "cgroup2"):
            operation = CgroupMount(layout, cgroup_path, destination, options)
        else:
            operation = _labelled(NewFileSystem(entry.get("type") or "none", source, destination, options), spec)
        operations.append(Mounting(source, destination, operation))
    return operations + devices.plan(spec)


def open_sources(spec: Spec) -> dict[int, int]:
    """Of every bind, by its number, a detached copy: before a user namespace is entered, which may not reach it."""
    opened: dict[int, int] = {}
    for number, entry in enumerate(spec.get("mounts", [])):
        if entry.get("type") == layer_mounts.TYPE:
            continue
        source, destination, options = _understand(entry)
        if options.bind:
            try:
                opened[number] = _bind(entry, spec, None).open()
            except (OSError, ValueError) as error:
                raise _named(error, source, destination) from error
    return opened


def _understand(entry: Mount) -> tuple[str, str, Options]:
    """The source, the destination in normal form, and the options of a mount."""
    destination = os.path.normpath("/" + entry["destination"].lstrip("/"))
    if destination == "/":
        raise ValueError(f"mounts: {entry['destination']!r} is no place for a mount")
    options = mount_options.parse(entry.get("options") or [])
    kind = entry.get("type") or "none"
    if kind == "bind":
        options = options._replace(bind=True)
    if not options.bind and (options.mapped or entry.get("uidMappings")):
        raise ValueError(f"mounts: {destination}: only a bind mount can be idmapped")
    return entry.get("source") or kind, destination, options


def _bind(entry: Mount, spec: Spec, opened: int | None) -> BindMount:
    _source, destination, options = _understand(entry)
    linux = spec.get("linux", {})
    uids, gids = entry.get("uidMappings") or [], entry.get("gidMappings") or []
    if options.mapped and not (uids or gids):
        uids, gids = linux.get("uidMappings") or [], linux.get("gidMappings") or []
    mappings = (uids, gids) if uids or gids or options.mapped else None
    return BindMount(entry.get("source", ""), destination, options, opened, mappings, entry.get("namespace", ""))


def _labelled(made: NewFileSystem, spec: Spec) -> NewFileSystem:
    """With SELinux's context, which proc and sysfs do not take, and queues not as an option."""
    label = spec.get("linux", {}).get("mountLabel")
    if not label or made.kind in ("proc", "sysfs"):
        return made
    if made.kind == "mqueue":
        return made._replace(label=label)
    return made._replace(options=made.options._replace(parameters=(*made.options.parameters, ("context", label))))


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


def _copy_up(place: int, mount: int) -> None:
    from cove.runtime import copyup

    target = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mount)
    try:
        copyup.copy(place, target)
    finally:
        os.close(target)


def _set_rest(mount: int, options: Options) -> None:
    if options.recursive_set or options.recursive_clear:
        mounts.set_attributes(mount, options.recursive_set, options.recursive_clear, recursive=True)
    if options.propagation:
        mounts.set_attributes(mount, 0, propagation=options.propagation, recursive=options.recursive_propagation)
