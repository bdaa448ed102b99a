"""Namespaces: leaving them, entering them, opening those of a process, and their host names."""

import fcntl
import os

from cove.kernel.libc import check, libc
from cove.lean import Iterator, contextmanager, ctypes

FLAGS = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
    "time": 0x00000080,
}
"""The runtime specification's names of namespaces, and the kernel's CLONE_NEW* flags."""

FILES = {
    "mount": "mnt",
    "cgroup": "cgroup",
    "uts": "uts",
    "ipc": "ipc",
    "user": "user",
    "pid": "pid",
    "network": "net",
    "time": "time",
}
"""The specification's names of namespaces, and the files of /proc/<pid>/ns."""

_NS_GET_USERNS = 0xB701

_unshare = libc.unshare
_unshare.argtypes = [ctypes.c_int]
_setns = libc.setns
_setns.argtypes = [ctypes.c_int, ctypes.c_int]
_sethostname = libc.sethostname
_sethostname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_setdomainname = libc.setdomainname
_setdomainname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def unshare(kinds: list[str]) -> None:
    """Move to new namespaces of the kinds in ``FLAGS``; a new pid namespace is for children that are forked next."""
    flags = 0
    for kind in kinds:
        flags |= FLAGS[kind]
    if flags:
        check(_unshare(ctypes.c_int(flags).value), "unshare", " ".join(kinds))


def enter(descriptor: int, kind: str) -> None:
    """Enter the namespace of a descriptor (setns); the kernel refuses one that is not of this kind."""
    check(_setns(descriptor, FLAGS[kind]), "setns", kind)


def enter_path(path: str, kind: str) -> None:
    """Enter the namespace that is bound at a path, or is a file of /proc/<pid>/ns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(_setns(descriptor, FLAGS[kind]), "setns", path)
    finally:
        os.close(descriptor)


def open_namespace(pid: int, kind: str) -> int:
    """A close-on-exec descriptor of a process's namespace. Raises OSError when the process is gone."""
    return os.open(f"/proc/{pid}/ns/{FILES[kind]}", os.O_RDONLY | os.O_CLOEXEC)


def user_of(descriptor: int) -> int:
    """A descriptor of the user namespace that a namespace belongs to (ioctl_ns(2))."""
    return fcntl.ioctl(descriptor, _NS_GET_USERNS)


def is_own_user(descriptor: int) -> bool:
    """Whether a descriptor is of the user namespace of this process."""
    own, other = os.stat("/proc/self/ns/user"), os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino)


def set_hostname(name: str) -> None:
    """The host name of this UTS namespace, up to 64 bytes."""
    encoded = name.encode()
    check(_sethostname(encoded, len(encoded)), "sethostname", name)


def set_domainname(name: str) -> None:
    """The NIS domain name of this UTS namespace, up to 64 bytes."""
    encoded = name.encode()
    check(_setdomainname(encoded, len(encoded)), "setdomainname", name)


def set_time_offsets(offsets: list[tuple[str, int, int]]) -> None:
    """Clocks (``monotonic``, ``boottime``), seconds and nanoseconds, of a time namespace that this process has made

    for its children and that has none yet (time_namespaces(7)). Raises OSError (EPERM, ERANGE).
    """
    text = "".join(f"{clock} {seconds} {nanoseconds}\n" for clock, seconds, nanoseconds in offsets)
    descriptor = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


@contextmanager
def children_beside() -> Iterator[None]:
    """Meanwhile children are forked into this process's own pid namespace, not into the one made for them."""
    if os.stat("/proc/self/ns/pid").st_ino == os.stat("/proc/self/ns/pid_for_children").st_ino:
        yield
        return
    own, theirs = (os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("pid", "pid_for_children"))
    try:
        enter(own, "pid")
        try:
            yield
        finally:
            enter(theirs, "pid")
    finally:
        os.close(own)
        os.close(theirs)
