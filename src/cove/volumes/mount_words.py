"""The option ``o`` of a local volume: mount(8)'s words as flags, and what the file system itself is told. Pure."""

from cove.kernel import mounts

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _SYNCHRONOUS = 0x1, 0x2, 0x4, 0x8, 0x10
_MANDLOCK, _DIRSYNC, _NOATIME, _NODIRATIME = 0x40, 0x80, 0x400, 0x800
_UNBINDABLE, _PRIVATE, _SLAVE, _SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
_RELATIME, _STRICTATIME = 1 << 21, 1 << 24

_SET = {
    "defaults": 0,
    "ro": _RDONLY,
    "nosuid": _NOSUID,
    "nodev": _NODEV,
    "noexec": _NOEXEC,
    "sync": _SYNCHRONOUS,
    "mand": _MANDLOCK,
    "dirsync": _DIRSYNC,
    "noatime": _NOATIME,
    "nodiratime": _NODIRATIME,
    "relatime": _RELATIME,
    "strictatime": _STRICTATIME,
    "bind": mounts.MS_BIND,
    "rbind": mounts.MS_BIND | mounts.MS_REC,
    "unbindable": _UNBINDABLE,
    "runbindable": _UNBINDABLE | mounts.MS_REC,
    "private": _PRIVATE,
    "rprivate": _PRIVATE | mounts.MS_REC,
    "slave": _SLAVE,
    "rslave": _SLAVE | mounts.MS_REC,
    "shared": _SHARED,
    "rshared": _SHARED | mounts.MS_REC,
}
_CLEARED = {
    "rw": _RDONLY,
    "suid": _NOSUID,
    "dev": _NODEV,
    "exec": _NOEXEC,
    "async": _SYNCHRONOUS,
    "nomand": _MANDLOCK,
    "atime": _NOATIME,
    "diratime": _NODIRATIME,
    "norelatime": _RELATIME,
    "nostrictatime": _STRICTATIME,
}


def parse(words: str) -> tuple[int, str]:
    """The flags of mount(2), and its data. ``words``: with commas between them; later ones win."""
    flags, data = 0, []
    for word in words.split(",") if words else ():
        if word in _SET:
            flags |= _SET[word]
        elif word in _CLEARED:
            flags &= ~_CLEARED[word]
        else:
            data.append(word)
    return flags, ",".join(data)
