"""What is unsafe on this host: facts that are gathered once, and a table of checks on them."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cove.engine.doctor.check import Check
from cove.kernel import features, filesystems

OLDEST_KEPT = (6, 1)
"""The oldest series of the kernel that the distributions which this engine is tested on still mend."""

_GOOD = ("extfs", "xfs", "btrfs", "zfs", "f2fs")
_VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")


class Facts(NamedTuple):
    """``file_system``: of the data root, by ``info``'s name. ``open_paths``: that others than root can replace.

    ``own_disk``: the data root is on a file system of its own. ``sockets``: path and mode of each of the API's.
    ``members``: of the sockets' groups, beside root. ``obstacles``: rules of others that drop what containers send.
    """

    release: tuple[int, int] = OLDEST_KEPT
    file_system: str = "extfs"
    own_disk: bool = True
    open_paths: Sequence[str] = ()
    sockets: Sequence[tuple[str, int]] = ()
    members: Sequence[str] = ()
    forwards: bool = True
    bpf_for_all: bool = False
    pointers_for_all: bool = False
    weak_processor: Sequence[str] = ()
    readable_database: str = ""
    obstacles: Sequence[str] = ()


def gather(data_root: Path, run_root: Path, sockets: Sequence[str], obstacles: Sequence[str] = ()) -> Facts:
    """Look at the host. Nothing that cannot be read counts as unsafe."""
    modes = list(_socket_modes(sockets))
    return Facts(
        release=features.release(),
        file_system=filesystems.name(data_root),
        own_disk=data_root.stat().st_dev != os.stat("/").st_dev,
        open_paths=[str(path) for root in (data_root, run_root) for path in _replaceable(root)],
        sockets=[(path, stat.S_IMODE(mode.st_mode)) for path, mode in modes],
        members=sorted({name for _, mode in modes for name in _members(mode.st_gid)}),
        forwards=features.first_line("/proc/sys/net/ipv4/ip_forward") != "0",
        bpf_for_all=features.first_line("/proc/sys/kernel/unprivileged_bpf_disabled") == "0",
        pointers_for_all=features.first_line("/proc/sys/kernel/kptr_restrict") == "0",
        weak_processor=list(_weaknesses()),
        readable_database=_read_by_others(data_root / "cove.db"),
        obstacles=obstacles,
    )


def _replaceable(root: Path) -> Iterator[Path]:
    """A directory on the way to a root in which somebody but root can make, or replace, entries."""
    for path in (root, *root.parents):
        state = path.stat()
        others = state.st_mode & stat.S_IWOTH or (state.st_mode & stat.S_IWGRP and state.st_gid != 0)
        held = state.st_mode & stat.S_ISVTX and path != root  # in a sticky directory others' entries stay
        if state.st_uid != 0 or (others and not held):
            yield path


def _socket_modes(sockets: Sequence[str]) -> Iterator[tuple[str, os.stat_result]]:
    for path in sockets:
        try:
            yield path, os.stat(path)
        except OSError:
            continue


def _members(gid: int) -> set[str]:
    """Users of a group, those who have it as their own among them; nobody for root's."""
    if gid == 0:
        return set()
    try:
        named = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        named = set()
    return (named | {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid}) - {"root"}


def _weaknesses() -> Iterator[str]:
    if _VULNERABILITIES.is_dir():
        for file in sorted(_VULNERABILITIES.iterdir()):
            if features.first_line(str(file)).startswith("Vulnerable"):
                yield file.name


def _read_by_others(path: Path) -> str:
    """A file with its directory: nobody reads a file of a directory that they may not enter."""
    try:
        way, mode = path.parent.stat().st_mode, path.stat().st_mode
    except OSError:
        return ""
    return f"{path} has mode {stat.S_IMODE(mode):o}" if way & stat.S_IXOTH and mode & stat.S_IROTH else ""


def _open_sockets(facts: Facts) -> str:
    return ", ".join(f"{path} has mode {mode:o}" for path, mode in facts.sockets if mode & 0o007)


CHECKS: tuple[Check[Facts], ...] = (
    Check(
        "socket-for-all",
        "high",
        _open_sockets,
        "every user of the machine can be root by way of the API",
        "chmod 660 the socket, and let a group have it",
    ),
    Check(
        "replaceable-root",
        "high",
        lambda facts: ", ".join(dict.fromkeys(facts.open_paths)),
        "somebody but root can put directories of their own in the place of the daemon's",
        "chown root, and chmod go-w, each of them",
    ),
    Check(
        "socket-group",
        "medium",
        lambda facts: ", ".join(facts.members),
        "each member of the socket's group is root on this machine",
        "keep the group small, or give scoped sockets: cove socket create NAME --group GROUP …",
    ),
    Check(
        "old-kernel",
        "medium",
        lambda facts: ".".join(map(str, facts.release)) if facts.release < OLDEST_KEPT else "",
        "containers share the kernel, and this series may get no fixes",
        "boot a kernel that your distribution still mends",
    ),
    Check(
        "data-root-file-system",
        "medium",
        lambda facts: "" if facts.file_system in _GOOD else facts.file_system,
        "it is not known to keep what overlays and the database need: extended attributes, or data after a crash",
        "put --data-root on ext4, xfs or btrfs",
    ),
    Check(
        "database-readable",
        "medium",
        lambda facts: facts.readable_database,
        "users can read the settings of all containers, their environment among them",
        "chmod 710 the data root, or 600 the file",
    ),
    Check(
        "ip-forward-off",
        "medium",
        lambda facts: "" if facts.forwards else "net.ipv4.ip_forward is 0",
        "containers on bridges reach nothing outside, and published ports only the host",
        "sysctl -w net.ipv4.ip_forward=1",
    ),
    Check(
        "forward-dropped",
        "medium",
        lambda facts: "; ".join(facts.obstacles),
        "a firewall of this host drops what it forwards: containers reach nothing outside, whatever our own rules say",
        "let it accept what the bridges send and get; docs/networks.md has commands for ufw, firewalld and iptables",
    ),
    Check(
        "data-root-shared-disk",
        "low",
        lambda facts: "" if facts.own_disk else "on the root file system",
        "images and containers can fill the disk that the host needs",
        "put --data-root on a file system of its own",
    ),
    Check(
        "bpf-for-all",
        "low",
        lambda facts: "unprivileged_bpf_disabled is 0" if facts.bpf_for_all else "",
        "every user can load programs into the kernel; containers with seccomp=unconfined too",
        "sysctl -w kernel.unprivileged_bpf_disabled=2",
    ),
    Check(
        "kernel-pointers",
        "low",
        lambda facts: "kptr_restrict is 0" if facts.pointers_for_all else "",
        "addresses of the kernel, which attacks need, are easier to learn",
        "sysctl -w kernel.kptr_restrict=1",
    ),
    Check(
        "processor",
        "low",
        lambda facts: ", ".join(facts.weak_processor),
        "the kernel says that it does not mitigate these weaknesses: containers may read each other's memory",
        "update kernel and microcode, or boot without mitigations=off",
    ),
)
