"""A root that the distribution's own dpkg installs, in a container: the variants minbase and slim.

The packages' files are laid out first, so that there is a dpkg and a shell to begin with; then dpkg installs the same
packages, with their scripts, in the order of their needs.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from cove.images.bootstrap.apt_sources import Source
from cove.images.bootstrap.busybox import PATH
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.index import Candidate
from cove.images.bootstrap.tree import Tree
from cove.oci.image import Config
from cove.urls import without_user

WORK = ".cove-bootstrap"
"""A directory of the root, until the end: the packages, and what was said."""

LOG = f"/{WORK}/log"
MERGED = ("bin", "lib", "sbin")
"""Directories that are links to those of the same name below /usr (the usrmerge of Debian 12)."""

_LOADERS = {"amd64": ("lib64",), "i386": (), "arm64": (), "ppc64el": ("lib64",), "s390x": (), "loong64": ("lib64",)}
_FIRST = ("base-passwd", "base-files")
"""Other packages' scripts need users and directories, and do not say so."""

POLICY = "#!/bin/sh\nexit 101\n"
"""No service is started by the installation of its package (invoke-rc.d(8))."""

DPKG = "# An image is written once: there is no need to wait for the disk.\nforce-unsafe-io\n"
APT = (
    "// What apt downloads has no place in an image.\n"
    'APT::Keep-Downloaded-Packages "false";\n'
    'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    'Acquire::Languages "none";\nAcquire::GzipIndexes "true";\n'
)
_SLIM = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/linda/*",
    "/usr/share/lintian/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "/usr/share/groff/*",
)
_SLIM_PATH = re.compile(r"usr/share/(?:doc|info|linda|lintian|locale|man|groff)/.+")
_SLIM_KEPT = re.compile(r"usr/share/(?:doc/[^/]+(?:/copyright)?|locale/locale\.alias)")

_GONE = re.compile(
    rf"{re.escape(WORK)}(?:/.*)?|\.dockerenv|(?:dev|proc|sys|run|tmp|var/tmp)/.+|var/log/.+(?<!/)|var/cache/apt/.+|"
    r"var/lib/apt/lists/.+|var/cache/debconf/.*-old|var/cache/ldconfig/.+|var/lib/dpkg/(?:.*-old|lock.*|triggers/Lock)|"
    r"etc/(?:hostname|hosts|resolv\.conf|mtab|machine-id|.*-|\.pwd\.lock)"
)
_SCRIPT = """
set -e
exec >{log} 2>&1
cd /{work}
[ -e /bin/sh ] || ln -s dash /bin/sh
[ -e /usr/bin/awk ] || {{ [ -e /usr/bin/mawk ] && ln -s mawk /usr/bin/awk; }} || :
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/parts /var/lib/dpkg/triggers /var/log
[ -e /var/lib/dpkg/status ] || : >/var/lib/dpkg/status
[ -e /var/lib/dpkg/available ] || : >/var/lib/dpkg/available
for package in {first}; do dpkg --force-depends --force-unsafe-io --install $package; done
dpkg --force-depends --force-unsafe-io --force-confold --unpack {all}
dpkg --force-confold --configure -a
dpkg --audit
"""


def lay_out(tree: Tree, debs: Mapping[str, Deb], sources: Sequence[Source], *, slim: bool) -> None:
    """Fill an empty tree. ``debs``: by package name, in the order of their needs."""
    architecture = next(
        deb.control()["architecture"] for deb in debs.values() if deb.control()["architecture"] != "all"
    )
    for name in (*MERGED, *_LOADERS.get(architecture, ())):
        tree.directory(f"usr/{name}")
        tree.symlink(name, f"usr/{name}")
    for deb in debs.values():
        tree.unpack(deb)
    for name, deb in debs.items():
        tree.adopt(f"{WORK}/{name}.deb", deb.path)
    tree.file("usr/sbin/policy-rc.d", POLICY.encode(), 0o755)
    tree.file("etc/dpkg/dpkg.cfg.d/cove", (DPKG + (_excludes() if slim else "")).encode())
    tree.file("etc/apt/apt.conf.d/cove", APT.encode())
    tree.file("etc/apt/sources.list", _sources(sources).encode())


def argv(packages: Sequence[Candidate]) -> list[str]:
    """What installs them."""
    names = [candidate.name for candidate in packages]
    first = [name for name in _FIRST if name in names]
    script = _SCRIPT.format(
        log=LOG,
        work=WORK,
        first=" ".join(shlex.quote(f"./{name}.deb") for name in first),
        all=" ".join(shlex.quote(f"./{name}.deb") for name in names if name not in first),
    )
    return ["/bin/dash", "-c", script]


def environment(moment: int) -> list[str]:
    """``moment``: seconds since the epoch, in place of the present."""
    return [
        f"PATH={PATH}",
        "DEBIAN_FRONTEND=noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN=true",
        "LC_ALL=C.UTF-8",
        "PYTHONHASHSEED=0",
        f"SOURCE_DATE_EPOCH={moment}",
    ]


def stays(path: str, *, slim: bool) -> bool:
    """Whether a path is part of the image: not what the run left, and in slim no documents but copyrights."""
    if _GONE.fullmatch(path):
        return False
    return not (slim and _SLIM_PATH.fullmatch(path) and not _SLIM_KEPT.fullmatch(path))


def complete(tree: Tree) -> None:
    """What depends on the day of the run gets the day of the packages."""
    if tree.is_file("etc/shadow"):
        day = str(tree.newest // 86400)
        lines = [line.split(":") for line in tree.read("etc/shadow").decode().splitlines()]
        dated = "".join(":".join([*line[:2], day, *line[3:]]) + "\n" for line in lines)
        tree.rewrite("etc/shadow", dated.encode())
    tree.file("etc/machine-id", b"")


def config(tree: Tree, labels: dict[str, str]) -> Config:
    shell = "bash" if tree.is_file("usr/bin/bash") or tree.is_file("bin/bash") else "sh"
    return Config(env=[f"PATH={PATH}"], cmd=[shell], labels=labels)


def _excludes() -> str:
    lines = [f"path-exclude {pattern}" for pattern in _SLIM]
    return "\n".join(
        [*lines, "path-include /usr/share/doc/*/copyright", "path-include /usr/share/locale/locale.alias", ""]
    )


def _sources(sources: Sequence[Source]) -> str:
    """Where more packages come from; a mirror that is a directory of this machine is none for a container."""
    reached = [source for source in sources if source.uri.startswith(("http://", "https://"))]
    return "".join(f"deb {without_user(each.uri)} {each.suite} main\n" for each in reached)
