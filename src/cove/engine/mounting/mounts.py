"""What a request mounts: ``-v``, ``--mount``, ``--tmpfs``, ``--volumes-from`` and the image's VOLUMEs. Pure."""

import posixpath
from collections.abc import Iterable

from cove.engine.containers.record import MountPoint
from cove.errors import InvalidArgument
from cove.oci.idmaps import IDS
from cove.wire.config import Config
from cove.wire.host_config import BindOptions, DriverConfig, HostConfig, Mount, VolumeOptions

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_ACCESS = ("ro", "rw")
_KINDS = (_ACCESS, PROPAGATIONS, ("z", "Z"), ("nocopy",), ("consistent", "cached", "delegated"))
"""The words of a mode, of which one of each kind may be given."""

TMPFS_DEFAULTS = ["noexec", "nosuid", "nodev"]


LOCAL = "local"


def points(config: Config, host: HostConfig) -> list[MountPoint]:
    """All mounts but those of ``--volumes-from``, one per destination. Raises InvalidArgument in Docker's words."""
    made: dict[str, MountPoint] = {}
    driver = host.volume_driver or LOCAL
    binds = (_bind(text, driver) for text in host.binds or [])
    for point in (*binds, *(_mount(mount, driver) for mount in host.mounts or []), *_tmpfs(host)):
        if point.destination in made:
            raise InvalidArgument(f"Duplicate mount point: {point.destination}")
        made[point.destination] = point
    for path in config.volumes or {}:
        destination = _destination(path, "")
        made.setdefault(destination, MountPoint("volume", destination, driver=driver, anonymous=True))
    return list(made.values())


def volumes_from(reference: str) -> tuple[str, str]:
    """The container and the mode that ``--volumes-from`` names. Raises InvalidArgument in Docker's words."""
    name, _, mode = reference.partition(":")
    if not reference:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    if not name:
        raise InvalidArgument('invalid name or ID supplied: ""')
    if mode not in ("", *_ACCESS, "z", "Z"):
        raise InvalidArgument(f"invalid mode: {mode}")
    return name, mode


def inherited(mode: str, others: Iterable[MountPoint], taken: Iterable[str]) -> list[MountPoint]:
    """The mounts of another container that ``--volumes-from`` brings; as with Docker they show no mode."""
    occupied = set(taken)
    found = []
    for point in others:
        if point.kind in ("volume", "bind") and point.destination not in occupied:
            found.append(
                MountPoint(
                    point.kind,
                    point.destination,
                    source=point.source,
                    name=point.name,
                    driver=point.driver,
                    writable=point.writable and mode != "ro",
                    propagation=point.propagation,
                    no_copy=True,
                    subpath=point.subpath,
                    idmap=point.idmap,
                    recursion=point.recursion,
                )
            )
    return found


def _bind(text: str, driver: str) -> MountPoint:
    """``source:destination[:mode]``, or a destination alone for an anonymous volume."""
    parts = text.split(":")
    if len(parts) > 3 or not all(parts[:2]):
        raise InvalidArgument(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        destination = _destination(parts[0], f"{_spec(text)}{_config('volume')}")
        return MountPoint("volume", destination, driver=driver, anonymous=True)
    source, mode = parts[0], parts[2] if len(parts) == 3 else ""
    words = _mode_words(mode)
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    if source.startswith("/"):
        if "nocopy" in words:
            raise _invalid(text, "bind", "field VolumeOptions must not be specified")
        return MountPoint(
            "bind",
            _destination(parts[1], f"{_spec(text)}{_config('bind')}"),
            source=posixpath.normpath(source),
            mode=mode,
            writable="ro" not in words,
            propagation=propagation or "rprivate",
            create_source=True,
        )
    if "/" in source:
        raise InvalidArgument(
            f'create {source}: "{source}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if propagation:
        raise _invalid(text, "volume", "field BindOptions must not be specified")
    destination = _destination(parts[1], f"{_spec(text)}{_config('volume')}")
    return MountPoint(
        "volume",
        destination,
        name=source,
        driver=driver,
        mode=mode or "z",
        writable="ro" not in words,
        no_copy="nocopy" in words,
    )


def _mode_words(mode: str) -> list[str]:
    words = mode.split(",") if mode else []
    kinds = [kind for word in words for kind in _KINDS if word in kind]
    if len(kinds) != len(words) or len(set(kinds)) != len(kinds):
        raise InvalidArgument(f"invalid mode: {mode}")
    return words


def _invalid(text: str, kind: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"{_spec(text)}{_config(kind)}{reason}")


def _spec(text: str) -> str:
    return f"invalid volume specification: '{text}': "


def _config(kind: str) -> str:
    return f'invalid mount config for type "{kind}": '


def _mount(mount: Mount, driver: str) -> MountPoint:
    if mount.type not in ("bind", "volume", "tmpfs", "image"):
        raise InvalidArgument(f"{_config(mount.type)}mount type unknown")
    if not mount.target:
        raise InvalidArgument(f"{_config(mount.type)}field Target must not be empty")
    destination = _destination(mount.target, _config(mount.type))
    _check_fields(mount)
    if mount.type == "bind":
        if not mount.source.startswith("/"):
            raise InvalidArgument(f"{_config('bind')}invalid mount path: '{mount.source}' mount path must be absolute")
        options = mount.bind_options
        return MountPoint(
            "bind",
            destination,
            source=posixpath.normpath(mount.source),
            writable=not mount.read_only,
            propagation=(options.propagation if options else "") or "rprivate",
            create_source=bool(options and options.create_mountpoint),
            idmap=_idmap(options.idmap) if options else "",
            recursion=_recursion(options) if options else "",
        )
    if mount.type == "image":
        return _image(mount, destination)
    if mount.type == "volume":
        return _volume(mount, destination, driver)
    return MountPoint("tmpfs", destination, writable=not mount.read_only, options=_mount_tmpfs_options(mount))


_OWN_OPTIONS = {"bind": "BindOptions", "volume": "VolumeOptions", "image": "ImageOptions", "tmpfs": "TmpfsOptions"}


def _check_fields(mount: Mount) -> None:
    """Raises InvalidArgument, in Docker's words, for fields that a mount of this type must or must not have."""
    given = {
        "BindOptions": mount.bind_options,
        "VolumeOptions": mount.volume_options,
        "ImageOptions": mount.image_options,
        "TmpfsOptions": mount.tmpfs_options,
    }
    for field, options in given.items():
        if options is not None and field != _OWN_OPTIONS[mount.type]:
            raise InvalidArgument(f"{_config(mount.type)}field {field} must not be specified")
    if mount.type == "bind" and not mount.source:
        raise InvalidArgument(f"{_config('bind')}field Source must not be empty")
    if mount.type == "tmpfs" and mount.source:
        raise InvalidArgument(f"{_config('tmpfs')}field Source must not be specified")
    propagation = mount.bind_options.propagation if mount.bind_options else ""
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidArgument(f"{_config('bind')}invalid propagation mode: {propagation}")


def _image(mount: Mount, destination: str) -> MountPoint:
    if not mount.source:
        raise InvalidArgument(f"{_config('image')}field Source must not be empty")
    subpath = mount.image_options.subpath if mount.image_options else ""
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidArgument(f"{_config('image')}image subpath must be a relative path within the image")
    return MountPoint("image", destination, source=mount.source, writable=False, subpath=subpath)


def _volume(mount: Mount, destination: str, driver: str) -> MountPoint:
    options = mount.volume_options or VolumeOptions()
    config = options.driver_config or DriverConfig()
    if options.subpath.startswith("/") or ".." in options.subpath.split("/"):
        raise InvalidArgument(f"{_config('volume')}volume subpath must be a relative path within the volume")
    return MountPoint(
        "volume",
        destination,
        name=mount.source,
        driver=config.name or driver,
        mode="z",
        writable=not mount.read_only,
        anonymous=not mount.source,
        labels=options.labels or {},
        driver_options=config.options or {},
        no_copy=options.no_copy,
        subpath=options.subpath,
    )


def _recursion(options: BindOptions) -> str:
    if options.non_recursive:
        return "disabled"
    if options.read_only_non_recursive:
        return "writable"
    return "readonly" if options.read_only_force_recursive else ""


def _idmap(words: str) -> str:
    """``match-user``, or ``HOST:CONTAINER:COUNT``. Raises InvalidArgument."""
    if words in ("", "match-user"):
        return words
    parts = words.split(":")
    if len(parts) == 3 and all(part.isascii() and part.isdecimal() and len(part) < 11 for part in parts):
        disk, shown, count = map(int, parts)
        if count > 0 and max(disk, shown) + count <= IDS:
            return words
    raise InvalidArgument(f"{_config('bind')}invalid IDMap: {words!r} is neither match-user nor HOST:CONTAINER:COUNT")


def _mount_tmpfs_options(mount: Mount) -> list[str]:
    options = list(TMPFS_DEFAULTS)
    given = mount.tmpfs_options
    if given and given.size_bytes:
        options.append(f"size={given.size_bytes}")
    if given and given.mode:
        options.append(f"mode={given.mode:o}")
    return options + (["ro"] if mount.read_only else [])


def _tmpfs(host: HostConfig) -> Iterable[MountPoint]:
    for path, options in (host.tmpfs or {}).items():
        words = options.split(",") if options else []
        defaults = [word for word in TMPFS_DEFAULTS if word.removeprefix("no") not in words and word not in words]
        yield MountPoint("tmpfs", _destination(path, ""), mode=options, options=[*defaults, *words])


def _destination(path: str, context: str) -> str:
    """The normal form of a path in the container. ``context``: what an error begins with."""
    if not path.startswith("/"):
        raise InvalidArgument(f"{context}invalid mount path: '{path}' mount path must be absolute")
    normal = "/" + posixpath.normpath(path).lstrip("/")
    if normal == "/":
        raise InvalidArgument(f"{context}invalid specification: destination can't be '/'")
    return normal
