"""The busybox image: one static program, a link to it for each of its applets, and the files that programs expect."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cove.errors import InvalidArgument
from cove.images.bootstrap.deb import Deb
from cove.images.bootstrap.tree import Tree
from cove.oci.image import Config

PACKAGE = "busybox-static"
PACKAGES = (PACKAGE,)
COPYRIGHT = f"usr/share/doc/{PACKAGE}/copyright"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLACES = ("bin/busybox", "usr/bin/busybox")
"""Where Debian installs it: before and after the merge of /bin into /usr/bin."""

DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr/bin": 0o755,
    "usr/local/bin": 0o755,
    "usr/local/sbin": 0o755,
    "usr/sbin": 0o755,
    "var/log": 0o755,
    "var/spool/mail": 0o755,
    "var/tmp": 0o1777,
    "var/www": 0o755,
}

ACCOUNTS = {
    "root": (0, "/root", "/bin/sh"),
    "daemon": (1, "/usr/sbin", "/bin/false"),
    "bin": (2, "/bin", "/bin/false"),
    "sys": (3, "/dev", "/bin/false"),
    "mail": (8, "/var/spool/mail", "/bin/false"),
    "www-data": (33, "/var/www", "/bin/false"),
    "nobody": (65534, "/home", "/bin/false"),
}
"""Debian's numbers (base-passwd): name to uid, home, shell. Each has the group of its number."""

GROUPS = {"tty": 5, "disk": 6, "wheel": 10, "audio": 29, "video": 44, "users": 100}
"""Groups without an account; numbers as in base-passwd, wheel by custom."""

NSSWITCH = "".join(f"{database + ':':<12}files\n" for database in ("passwd", "group", "shadow")) + (
    "hosts:      files dns\n"
)

_TABLE = re.compile(rb"(?:[a-z0-9_.+\[-]{1,32}\0){16,}")
_NAME = re.compile(r"[a-z0-9_+\[][a-z0-9_.+\[-]{0,31}")
_NEVER_LINKED = frozenset({"busybox", "linuxrc"})


def lay_out(tree: Tree, debs: Mapping[str, Deb], work: Path) -> None:
    """Fill an empty tree. ``debs``: by package name. ``work``: a directory for temporary files."""
    tree.unpack(debs[PACKAGE], lambda path: path in (*_PLACES, COPYRIGHT))
    for path, mode in DIRECTORIES.items():
        tree.directory(path, mode)
    _place_program(tree)
    program = work / "busybox"
    tree.extract("bin/busybox", program)
    for applet in applets(program):
        if applet not in _NEVER_LINKED:
            tree.link(f"bin/{applet}", "bin/busybox")
    tree.symlink("usr/bin/env", "../../bin/env")
    for path, content in files().items():
        tree.file(path, content.encode(), 0o640 if path == "etc/shadow" else 0o644)


def config(labels: dict[str, str]) -> Config:
    return Config(env=[f"PATH={PATH}"], cmd=["sh"], labels=labels)


def files() -> dict[str, str]:
    """The configuration files, by path."""
    groups = {("nogroup" if name == "nobody" else name): uid for name, (uid, _, _) in ACCOUNTS.items()} | GROUPS
    return {
        "etc/group": "".join(f"{name}:x:{gid}:\n" for name, gid in sorted(groups.items(), key=lambda item: item[1])),
        "etc/nsswitch.conf": NSSWITCH,
        "etc/passwd": "".join(
            f"{name}:x:{uid}:{uid}:{name}:{home}:{sh}\n" for name, (uid, home, sh) in ACCOUNTS.items()
        ),
        "etc/shadow": "".join(f"{name}:*:::::::\n" for name in ACCOUNTS),
    }


def applets(program: Path) -> list[str]:
    """The applets of a busybox on disk, sorted: asked of itself, or read in it when it is for another processor."""
    names = _asked(program) or applet_table(program.read_bytes())
    if "sh" not in names:
        raise InvalidArgument(f"{PACKAGE} has no list of applets with sh in it")
    return sorted(names)


def _asked(program: Path) -> list[str]:
    program.chmod(0o700)
    try:
        done = subprocess.run(
            [program, "--list"], env={}, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = done.stdout.decode("ascii", "replace").split() if done.returncode == 0 else []
    return [name for name in names if _NAME.fullmatch(name)]


def applet_table(program: bytes) -> list[str]:
    """The applets' names as the program holds them: a long run of sorted strings with "sh" and "busybox" in it."""
    for run in _TABLE.finditer(program):
        names = run[0].decode("ascii").split("\0")[:-1]
        if "sh" in names and "busybox" in names:
            return _sorted_around(names, names.index("busybox"))
    return []


def _sorted_around(names: list[str], middle: int) -> list[str]:
    """The longest sorted stretch that holds ``middle``: other strings may touch the table."""
    first = last = middle
    while first > 0 and names[first - 1] < names[first]:
        first -= 1
    while last + 1 < len(names) and names[last] < names[last + 1]:
        last += 1
    return names[first : last + 1]


def _place_program(tree: Tree) -> None:
    if "usr/bin/busybox" in tree:
        tree.move("usr/bin/busybox", "bin/busybox")
    if "bin/busybox" not in tree:
        raise InvalidArgument(f"{PACKAGE} has no /bin/busybox")
