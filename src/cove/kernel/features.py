"""What this kernel offers, asked without changing anything: file systems, namespaces, calls, security modules."""

import errno
import os
from pathlib import Path

from cove.kernel.libc import system_call

_MOUNT_SETATTR, _OPENAT2 = 442, 437  # the same on every architecture
_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280}.get(os.uname().machine, 280)
_NO_COMMAND = 0x7FFFFFFF


def first_line(path: str) -> str:
    """Of a file of /proc or /sys; empty when it cannot be read."""
    try:
        return Path(path).read_text(errors="replace").partition("\n")[0].strip()
    except OSError:
        return ""


def release() -> tuple[int, int]:
    """The kernel's version, without what the distribution adds."""
    major, _, rest = os.uname().release.partition(".")
    digits = "".join(character if character.isdigit() else " " for character in rest).split()
    return int(major), int(digits[0]) if digits else 0


def file_systems() -> frozenset[str]:
    """Registered ones: a module that is not loaded yet does not count."""
    try:
        lines = Path("/proc/filesystems").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(line.split()[-1] for line in lines if line.strip())


def namespaces() -> list[str]:
    """The kinds that there are (namespaces(7)), by the names of their files."""
    return sorted(name for name in os.listdir("/proc/self/ns") if not name.endswith("_for_children"))


def security_modules() -> list[str]:
    """The active ones in their order; what the files of each say where the list is not mounted."""
    listed = first_line("/sys/kernel/security/lsm")
    if listed:
        return listed.split(",")
    found = []
    if first_line("/sys/module/apparmor/parameters/enabled") == "Y":
        found.append("apparmor")
    if os.path.exists("/sys/fs/selinux/enforce"):
        found.append("selinux")
    return found


def has_mount_attributes() -> bool:
    """mount_setattr(2), which maps the owners of a mount's files (Linux 5.12)."""
    return _known("mount_setattr", _MOUNT_SETATTR, -1, b"", 0, None, 0)


def has_resolved_opens() -> bool:
    """openat2(2), which keeps a path inside a root (Linux 5.6)."""
    return _known("openat2", _OPENAT2, -1, b"", None, 0)


def has_bpf() -> bool:
    """bpf(2), asked for a command that there is not."""
    return _known("bpf", _BPF, _NO_COMMAND, None, 0)


def _known(call: str, number: int, *arguments: object) -> bool:
    """Whether a call made with arguments that it must refuse is refused for them, or for not being there."""
    try:
        system_call(call, number, *arguments)
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True
