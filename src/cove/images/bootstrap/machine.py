"""What this machine is and how its apt is set up: the release, the architecture, apt.conf."""

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self

from cove.errors import Unimplemented

_SETTING = re.compile(r'^(\S+) "(.*)";$')
_TRUE = frozenset({"yes", "true", "with", "on", "enable", "1"})
_FALSE = frozenset({"no", "false", "without", "off", "disable", "0"})


class ImagePlatform(NamedTuple):
    """A Debian architecture as image configurations name it."""

    architecture: str
    variant: str = ""


PLATFORMS = {
    "amd64": ImagePlatform("amd64"),
    "arm64": ImagePlatform("arm64", "v8"),
    "armhf": ImagePlatform("arm", "v7"),
    "armel": ImagePlatform("arm", "v5"),
    "i386": ImagePlatform("386"),
    "loong64": ImagePlatform("loong64"),
    "mips64el": ImagePlatform("mips64le"),
    "ppc64el": ImagePlatform("ppc64le"),
    "riscv64": ImagePlatform("riscv64"),
    "s390x": ImagePlatform("s390x"),
}

_UNAME = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "i686": "i386",
    "loongarch64": "loong64",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def debian_architecture(name: str, variant: str = "") -> str:
    """Debian's name for a processor that is named as images do, or so already; "" for one that Debian has not."""
    if name in PLATFORMS:
        return name
    fitting = [
        debian for debian, known in PLATFORMS.items() if known.architecture == name and variant in ("", known.variant)
    ]
    return fitting[0] if fitting else ""


@dataclass(frozen=True)
class Machine:
    """``etc``: the directory that holds ``apt/``. ``codename``: of the running release, "" if it has none.

    ``architecture``: Debian's name. ``settings``: apt.conf, names in lower case.
    """

    etc: Path
    codename: str
    architecture: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def detect(cls) -> Self:
        """The machine that this process runs on. Raises Unimplemented for an architecture Debian does not have."""
        settings = apt_settings()
        return cls(Path("/etc"), _codename(), settings.get("apt::architecture") or _architecture(), settings)

    def flag(self, name: str) -> bool | None:
        """A yes-or-no setting of apt.conf, None when it is not set."""
        return boolean(self.settings.get(name.lower(), ""))


def boolean(word: str) -> bool | None:
    """apt's words for yes and no; None for any other."""
    return True if word.lower() in _TRUE else False if word.lower() in _FALSE else None


def apt_settings() -> dict[str, str]:
    """apt.conf as ``apt-config dump`` prints it; empty on a machine without apt."""
    if not shutil.which("apt-config"):
        return {}
    dump = subprocess.run(
        ["apt-config", "dump"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30
    )
    return parse_settings(dump.stdout.decode(errors="replace"))


def parse_settings(dump: str) -> dict[str, str]:
    """``Name "value";`` lines, names in lower case. Of a list the last item is kept."""
    found = (_SETTING.match(line) for line in dump.splitlines())
    return {match[1].lower(): match[2] for match in found if match}


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _UNAME:
        raise Unimplemented(f"Debian has no packages for this machine's architecture: {machine}")
    return _UNAME[machine]


def _codename() -> str:
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""
