"""What the record of a container says of a volume that has another name now. Pure."""

import msgspec

from cove.engine.containers.record import MountPoint, Record


def renamed(record: Record, old: str, new: str, path: str) -> Record:
    """A copy. ``path``: where the volume's files are now, on the host."""
    host = record.host_config
    binds = [_bind(text, old, new) for text in host.binds] if host.binds else host.binds
    wanted = host.mounts and [
        msgspec.structs.replace(mount, source=new) if (mount.type, mount.source) == ("volume", old) else mount
        for mount in host.mounts
    ]
    return msgspec.structs.replace(
        record,
        host_config=msgspec.structs.replace(host, binds=binds, mounts=wanted),
        mounts=[_mount(mount, old, new, path) for mount in record.mounts],
    )


def _bind(text: str, old: str, new: str) -> str:
    name, colon, rest = text.partition(":")
    return f"{new}:{rest}" if colon and name == old else text


def _mount(mount: MountPoint, old: str, new: str, path: str) -> MountPoint:
    if (mount.kind, mount.name) != ("volume", old):
        return mount
    return msgspec.structs.replace(mount, name=new, source=path if mount.source else "", anonymous=False)
