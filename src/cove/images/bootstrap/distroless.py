"""The files of a few packages and of what they need: no shell, no package manager, no script is run."""

import re
from collections.abc import Mapping, Sequence

from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.busybox import PATH
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.installed import MERGED
from cove.images.bootstrap.tree import Tree
from cove.oci.image import Config

PACKAGES = ("base-files", "ca-certificates", "netbase", "tzdata")
"""What there is when the user names none."""

FOR_SCRIPTS = frozenset(
    (
        "adduser",
        "awk",
        "debconf",
        "debconf-2.0",
        "dpkg",
        "init-system-helpers",
        "install-info",
        "lsb-base",
        "sysvinit-utils",
        "ucf",
    )
)
"""Packages that others need for their scripts alone. Essential ones, the shell among them, are left out too."""

FOR_SCRIPTS_OF = {"ca-certificates": frozenset({"openssl"}), "tzdata": frozenset({"tzdata-legacy"})}
"""More of them, of single packages."""

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_DIRECTORIES = {
    "dev": 0o755, "etc": 0o755, "home/nonroot": 0o755, "proc": 0o755, "root": 0o700, "run": 0o755, "sys": 0o755,
    "tmp": 0o1777, "var/lib/dpkg/status.d": 0o755, "var/tmp": 0o1777,
}  # fmt: skip
_ACCOUNTS = (("root", 0, "/root"), ("nobody", 65534, "/nonexistent"), ("nonroot", 65532, "/home/nonroot"))
_UNWANTED = re.compile(r"usr/share/(?:info|lintian|locale|man|doc-base|bug)/.+|usr/share/doc/[^/]+/(?!copyright$).+")


def lay_out(tree: Tree, debs: Mapping[str, Deb], sources: Sequence[Source]) -> None:
    """Fill an empty tree. ``debs``: by package name."""
    for name in (*MERGED, "lib64"):
        tree.directory(f"usr/{name}")
        tree.symlink(name, f"usr/{name}")
    for name, deb in debs.items():
        tree.unpack(deb, lambda path: not _UNWANTED.fullmatch(path))
        tree.file(f"var/lib/dpkg/status.d/{name}", _status(deb).encode())
        if sums := deb.control_file("md5sums"):
            tree.file(f"var/lib/dpkg/status.d/{name}.md5sums", sums.encode())
    for path, mode in _DIRECTORIES.items():
        tree.directory(path, mode)
    _accounts(tree)
    _certificates(tree)


def config(tree: Tree, labels: dict[str, str]) -> Config:
    certificates = [f"SSL_CERT_FILE=/{BUNDLE}"] if tree.is_file(BUNDLE) else []
    return Config(env=[f"PATH={PATH}", *certificates], labels=labels)


def _status(deb: Deb) -> str:
    """The record of dpkg that scanners look for: one file for each package."""
    return deb.control_file("control").strip("\n") + "\nStatus: install ok installed\n"


def _accounts(tree: Tree) -> None:
    passwd = "".join(f"{name}:x:{uid}:{uid}:{name}:{home}:/sbin/nologin\n" for name, uid, home in _ACCOUNTS)
    group = "".join(f"{name}:x:{uid}:\n" for name, uid, _ in _ACCOUNTS)
    tree.file("etc/passwd", passwd.encode())
    tree.file("etc/group", group.encode())
    if "etc/nsswitch.conf" not in tree:
        tree.file("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")


def _certificates(tree: Tree) -> None:
    """What the script of ca-certificates makes: all that it has, in one file."""
    found = [path for path in tree.below("usr/share/ca-certificates") if path.endswith(".crt") and tree.is_file(path)]
    if found:
        tree.file(BUNDLE, b"".join(tree.read(path).rstrip(b"\n") + b"\n" for path in found))
