"""What a test may need beyond Python: declared by ``@pytest.mark.needs("name", …)``, looked for once, never silent."""

import ctypes.util
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cove.kernel import capabilities
from cove.kernel.rtnetlink import RouteSocket
from cove.layers import storage_driver

TESTING_THE_TESTS = os.environ.get("COVE_TEST_PEER") == "1"
"""Docker's engine stands in for ours, to show that the tests ask for what Docker does."""


COMPARED_HOST = os.environ.get("COVE_TEST_HOST", "")
"""The engine that both command lines are compared on; ours when it is empty."""


class Need(NamedTuple):
    """``what`` completes the sentence "this test needs …"; ``met`` says whether this machine has it."""

    what: str
    met: Callable[[], bool]


def _file_system(name: str) -> Callable[[], bool]:
    return lambda: name in Path("/proc/filesystems").read_text().split()


def _erofs_from_files() -> bool:
    with tempfile.TemporaryDirectory() as place:
        return storage_driver.choose("", Path(place)) == "erofs"


def _program(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def _both(*names: str) -> bool:
    return all(_program(name)() for name in names)


def _docker_20() -> bool:
    if not Path("/usr/bin/docker").exists():
        return False
    said = subprocess.run(["/usr/bin/docker", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.startswith("Docker version 20.")


def _cgroup_v1(controller: str) -> Callable[[], bool]:
    return lambda: any(
        controller in line.rsplit(" - ", 1)[1].split()[-1].split(",")
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if " - cgroup " in line
    )


def _cgroup_v2(controller: str) -> Callable[[], bool]:
    def met() -> bool:
        controllers = Path("/sys/fs/cgroup/cgroup.controllers")
        return controllers.exists() and controller in controllers.read_text().split()

    return met


def _controller(name: str) -> Callable[[], bool]:
    return lambda: _cgroup_v1(name)() or _cgroup_v2(name)()


def _links(kind: str) -> Callable[[], bool]:
    def met() -> bool:
        with RouteSocket() as route:
            return route.knows(kind)

    return met


def _protocol(number: int) -> Callable[[], bool]:
    def met() -> bool:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, number).close()
        except OSError:
            return False
        return True

    return met


def _apparmor() -> bool:
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    return enabled.exists() and enabled.read_text().startswith("Y") and _program("apparmor_parser")()


def _selinux() -> bool:
    """Whether the kernel knows a type that no other policy has."""
    access = Path("/sys/fs/selinux/context")
    try:
        access.write_text("system_u:object_r:shared_t:s0")
    except OSError:
        return False
    return True


def _quotas(kind: str) -> Callable[[], bool]:
    """Whether a file system of this kind can be mounted with project quotas, by doing that."""
    words = {"ext4": ["mkfs.ext4", "-O", "quota,project", "-E", "quotatype=prjquota"], "xfs": ["mkfs.xfs"]}[kind]

    def met() -> bool:
        if os.geteuid() != 0 or not _program(words[0])():
            return False
        with tempfile.TemporaryDirectory() as place:
            image, mounted = Path(place, "image"), Path(place, "mounted")
            mounted.mkdir()
            with image.open("wb") as file:
                file.truncate(300 << 20)
            subprocess.run([*words, "-q", str(image)], check=True)
            mount = subprocess.run(["mount", "-o", "loop,prjquota", str(image), str(mounted)], capture_output=True)
            if mount.returncode == 0:
                subprocess.run(["umount", str(mounted)], check=True)
            return mount.returncode == 0

    return met


def _slow_disk() -> bool:
    scheduler = Path("/sys/block/vde/queue/scheduler")
    return scheduler.exists() and "[bfq]" in scheduler.read_text() and Path("/modules").exists()


def _on_a_disk() -> bool:
    device = os.stat(tempfile.gettempdir()).st_dev
    return Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").exists()


NEEDS = {
    "root": Need("to run as root", lambda: os.geteuid() == 0),
    "overlay": Need("a kernel with overlayfs", _file_system("overlay")),
    "erofs": Need("a kernel that mounts EROFS images from files (Linux 6.12)", _erofs_from_files),
    "mqueue": Need("a kernel with POSIX message queues", _file_system("mqueue")),
    "cgroup-v1": Need("the first version's cgroup hierarchies", _cgroup_v1("memory")),
    "cgroup-v2": Need("the second version's cgroup hierarchy", _cgroup_v2("memory")),
    "cgroup2-mount": Need(
        "a mounted cgroup hierarchy of the second version, with controllers or without",
        lambda: " - cgroup2 " in Path("/proc/self/mountinfo").read_text(),
    ),
    "cgroup-pids": Need("the pids cgroup controller", _controller("pids")),
    "cgroup-memory": Need("the memory cgroup controller", _controller("memory")),
    "systemd": Need("systemd's program, which need not run", Path("/lib/systemd/systemd").exists),
    "systemd-manager": Need("systemd as the first process", Path("/run/systemd/system").is_dir),
    "apparmor": Need("a kernel with AppArmor on, and apparmor_parser", _apparmor),
    "selinux": Need("a kernel with SELinux on, and the policy of tests/vm/policy.cil", _selinux),
    "vlan-links": Need("a kernel with VLAN sub-interfaces", _links("vlan")),
    "ipvlan-links": Need("a kernel with ipvlan links", _links("ipvlan")),
    "sctp": Need("a kernel with SCTP sockets", _protocol(socket.IPPROTO_SCTP)),
    "nftables": Need("libnftables", lambda: ctypes.util.find_library("nftables") is not None),
    "libseccomp": Need(
        "libseccomp, as a peer to compare with", lambda: ctypes.util.find_library("seccomp") is not None
    ),
    "host-python": Need(
        "the distribution's Python, for probes in containers", lambda: Path("/usr/bin/python3").exists()
    ),
    "cove": Need("Cove's own engine, not Docker's in its place", lambda: not TESTING_THE_TESTS),
    "growing-disks": Need(
        "file systems in files that grow while they are mounted: CAP_SYS_RESOURCE for ext4, else mkfs.xfs",
        lambda: bool(capabilities.bounding() & capabilities.mask(["CAP_SYS_RESOURCE"])) or _program("mkfs.xfs")(),
    ),
    "ext4-quotas": Need("a kernel with project quotas on ext4", _quotas("ext4")),
    "xfs-quotas": Need("a kernel with project quotas on XFS, and mkfs.xfs", _quotas("xfs")),
    "crun": Need("the OCI runtime crun", _program("crun")),
    "runc": Need("the OCI runtime runc", _program("runc")),
    "containerd": Need("containerd and ctr, which call our runtime", _program("ctr")),
    "podman": Need("Podman, which calls our runtime", _program("podman")),
    "skopeo": Need("skopeo", _program("skopeo")),
    "iptables": Need("iptables, whose rules are nftables'", _program("iptables")),
    "ufw": Need("the firewall ufw", _program("ufw")),
    "firewalld": Need("the firewall firewalld, and a D-Bus for it", lambda: _both("firewalld", "dbus-daemon")),
    "docker-registry": Need("Debian's docker-registry, as a peer", _program("docker-registry")),
    "docker-cli": Need("the stock docker command line", _program("docker")),
    "buildkit": Need(
        "Debian's docker command line, which asks Docker's engine for BuildKit without a plug-in", _docker_20
    ),
    "dockerd": Need("Docker's own engine, as a peer to compare with", _program("dockerd")),
    "emulator": Need(
        "qemu-user-static, and a kernel with binfmt_misc that nobody has mounted: registrations are the machine's",
        lambda: (
            _program("qemu-ppc64le-static")()
            and _file_system("binfmt_misc")()
            and not Path("/proc/sys/fs/binfmt_misc/register").exists()
        ),
    ),
    "ssh-agent": Need("OpenSSH's ssh-agent, ssh-add and ssh-keygen", _program("ssh-agent")),
    "git": Need("the program git, for repositories as build contexts", _program("git")),
    "busybox-static": Need("a static busybox", _program("busybox")),
    "disk": Need("a temporary directory on a block device", _on_a_disk),
    "slow-disk": Need("the slow disk of scripts/test-cgroup2, with weights", _slow_disk),
    "no-journald": Need("no journal of its own", lambda: not Path("/run/systemd/journal/socket").exists()),
    "package-mirror": Need("apt's configuration of a Debian mirror", lambda: any(_apt_sources())),
}
"""Every need by name. A test that names another one is an error."""


def _apt_sources() -> list[Path]:
    lists = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    return [path for path in lists if path.is_file() and "debian" in path.read_text(errors="replace")]


@functools.cache
def missing(name: str) -> str | None:
    """Why the need is not met here, as a sentence; None when it is. Raises KeyError for an unknown name."""
    need = NEEDS[name]
    return None if need.met() else f"needs {name}: {need.what}"
