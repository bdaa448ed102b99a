"""The overlay file system: layers below, one directory above that takes the changes (overlayfs.rst)."""

import os

from cove.kernel import layer_images, mounts
from cove.lean import Iterator, contextmanager

ATTACHED = -1
"""What ``mount`` returns when the kernel could only mount and attach in one step."""

HAS_LAYER_PARAMETERS = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 5)
"""Whether each layer can be a parameter of its own ("lowerdir+"); an older kernel writes each try into its log."""

_MAX_PARAMETER = 255
"""Bytes of a string that fsconfig takes (fsconfig(2): 256 with the final zero)."""


def mount(lower: list[str], upper: str, work: str, target: str, label: str = "") -> int:
    """A detached overlay mount, or ATTACHED when it had to be mounted at ``target`` by the older call.

    ``lower``: layers, uppermost first, directories or images. ``label``: SELinux's, of all files. Raises OSError with
    what the kernel said.
    """
    if HAS_LAYER_PARAMETERS or any(map(layer_images.is_image, lower)):
        return _mount_by_layer(lower, upper, work, label)
    _mount_by_options(lower, upper, work, target, label)
    return ATTACHED


def mount_mapped(lower: list[str], upper: str, work: str, user_namespace: int, label: str = "") -> int:
    """A detached overlay mount whose layers and directories are seen through the mappings of a user namespace.

    ``upper`` and ``work`` are in one directory. The mappings need an id for root of the host, whose rights the overlay
    works with. Raises OSError with what the kernel said: EINVAL for a file system without idmapped mounts.
    """
    opened: list[int] = []
    try:
        with mounts.FileSystem("overlay") as file_system:
            file_system.set("source", "overlay")
            for layer in lower:
                mapped = layer_images.mapped(layer, user_namespace, opened)
                file_system.set("lowerdir+", f"/proc/self/fd/{mapped}")
            directory = mounts.open_tree(os.path.dirname(upper), mounts.OPEN_TREE_CLONE)
            opened.append(directory)
            mounts.set_attributes(directory, 0, user_namespace=user_namespace)
            file_system.set("upperdir", f"/proc/self/fd/{directory}/{os.path.basename(upper)}")
            file_system.set("workdir", f"/proc/self/fd/{directory}/{os.path.basename(work)}")
            _label(file_system, label)
            return file_system.mount()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def mount_read_only(lower: list[str], user_namespace: int | None = None) -> int:
    """A detached read-only mount of two layers or more, uppermost first. Raises OSError.

    ``user_namespace``: the layers are seen through its mappings.
    """
    if user_namespace is None and not HAS_LAYER_PARAMETERS and not any(map(layer_images.is_image, lower)):
        return _mount_read_only_by_options(lower)
    opened: list[int] = []
    try:
        with mounts.FileSystem("overlay") as file_system:
            file_system.set("source", "overlay")
            for layer in lower:
                if user_namespace is None:
                    _add_lower(file_system, layer, opened)
                else:
                    mapped = layer_images.mapped(layer, user_namespace, opened)
                    file_system.set("lowerdir+", f"/proc/self/fd/{mapped}")
            return file_system.mount(mounts.READ_ONLY)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _mount_read_only_by_options(lower: list[str]) -> int:
    """One parameter for all layers, whose 255 bytes take about 20 of ours."""
    with _in_directory(os.path.commonpath(lower)) as base, mounts.FileSystem("overlay") as file_system:
        file_system.set("source", "overlay")
        file_system.set("lowerdir", _layers(lower, base))
        return file_system.mount(mounts.READ_ONLY)


def _mount_by_layer(lower: list[str], upper: str, work: str, label: str) -> int:
    """One parameter per layer ("lowerdir+", Linux 6.5): their number and length do not have to fit into a page."""
    opened: list[int] = []
    try:
        with mounts.FileSystem("overlay") as file_system:
            file_system.set("source", "overlay")
            for layer in lower:
                _add_lower(file_system, layer, opened)
            file_system.set("upperdir", _short(upper, opened))
            file_system.set("workdir", _short(work, opened))
            _label(file_system, label)
            return file_system.mount()
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _label(file_system: mounts.FileSystem, label: str) -> None:
    if label:
        file_system.set("context", label)


def _add_lower(file_system: mounts.FileSystem, layer: str, opened: list[int]) -> None:
    if layer_images.is_image(layer):
        file_system.set_path("lowerdir+", layer_images.mounted(layer, opened))
    else:
        file_system.set("lowerdir+", _short(layer, opened))


def _short(path: str, opened: list[int]) -> str:
    if len(os.fsencode(path)) <= _MAX_PARAMETER:
        return path
    opened.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    return f"/proc/self/fd/{opened[-1]}"


def _mount_by_options(lower: list[str], upper: str, work: str, target: str, label: str) -> None:
    """One string of options, which has to fit into a page: with paths relative to what the layers have in common."""
    with _in_directory(os.path.commonpath([*lower, upper, work])) as base:
        context = f',context="{label}"' if label else ""  # quoted for its commas
        mounts.mount_with_options("overlay", target, "overlay", options(lower, upper, work, base) + context)


@contextmanager
def _in_directory(path: str) -> Iterator[str]:
    """Work in a directory, which paths of mount options may then be relative to."""
    former = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(path)
        yield path
    finally:
        os.fchdir(former)
        os.close(former)


def options(lower: list[str], upper: str, work: str, base: str) -> str:
    """The option string of an overlay, relative to the directory ``base``."""
    layers = _layers(lower, base)
    above = _escape(os.path.relpath(upper, base))
    return f"lowerdir={layers},upperdir={above},workdir={_escape(os.path.relpath(work, base))}"


def _layers(lower: list[str], base: str) -> str:
    return ":".join(_escape(os.path.relpath(directory, base)) for directory in lower)


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
