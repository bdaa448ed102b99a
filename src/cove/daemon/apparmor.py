"""The AppArmor profile that containers get by default, on a kernel that has AppArmor: in effect Docker's, in our words.

It is loaded when a daemon starts (apparmor_parser(8), of the distribution's package), unless it is there. What it
keeps a container from, the masked and read-only paths, the capabilities and the filter keep it from too, for as long as
nobody asks for less of those: it is a second fence. Written by apparmor.d(5).
"""

import logging
import os
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "cove-default"
LOADED = Path("/sys/kernel/security/apparmor/profiles")
ABSTRACTIONS = Path("/etc/apparmor.d/abstractions/base")

_SECONDS = 30

_READ_ONLY = (
    "@{PROC}/* w",  # files of /proc itself, not of processes
    "@{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w",
    "@{PROC}/sys/[^k]** w",  # of kernel/ what is named below stays
    "@{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w",  # all but shm*
    "@{PROC}/sysrq-trigger rwklx",
    "@{PROC}/kcore rwklx",
    "/sys/[^f]*/** wklx",
    "/sys/f[^s]*/** wklx",
    "/sys/fs/[^c]*/** wklx",
    "/sys/fs/c[^g]*/** wklx",
    "/sys/fs/cg[^r]*/** wklx",
    "/sys/firmware/** rwklx",
    "/sys/devices/virtual/powercap/** rwklx",
    "/sys/kernel/security/** rwklx",
)


def profile(*, abstractions: bool = True) -> str:
    """The profile's text. ``abstractions``: the distribution has what every program needs, to be included."""
    rules = [
        "network",
        "capability",
        "file",
        "umount",
        "signal (receive) peer=unconfined",
        f"signal (send, receive) peer={NAME}",
        "deny mount",
        *(f"deny {rule}" for rule in _READ_ONLY),
        f"ptrace (trace, read, tracedby, readby) peer={NAME}",
    ]
    included = ["  include <abstractions/base>"] if abstractions else []
    lines = [*included, *(f"  {rule}," for rule in rules)]
    head = f"profile {NAME} flags=(attach_disconnected, mediate_deleted) {{"
    return "\n".join(["#include <tunables/global>" if abstractions else "@{PROC}=/proc/", head, *lines, "}", ""])


def ensure(modules: Collection[str], *, loaded: Path = LOADED, search: str | None = None) -> str:
    """Have the profile loaded where the kernel has AppArmor; its name, or "" where containers go without it.

    ``search``: where apparmor_parser is looked for, as PATH. Runs a program, for seconds at most.
    """
    if "apparmor" not in modules:
        return ""
    if _is_loaded(loaded):
        return NAME
    program = shutil.which("apparmor_parser", path=search or f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        log.warning("AppArmor is on, and containers go without a profile: there is no apparmor_parser to load one")
        return ""
    text = profile(abstractions=ABSTRACTIONS.exists())
    done = subprocess.run([program, "-Kr"], input=text, capture_output=True, text=True, timeout=_SECONDS)
    if done.returncode:
        log.warning("AppArmor is on, and the profile %s could not be loaded: %s", NAME, done.stderr.strip()[:500])
        return ""
    return NAME


def _is_loaded(loaded: Path) -> bool:
    try:
        return any(line.split(" ")[0] == NAME for line in loaded.read_text().splitlines())
    except OSError:
        return False
