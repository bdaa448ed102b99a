"""SELinux's labels of containers: which ones a container has. In Docker's words. ``relabelling`` puts them on files.

A container's program has a type that the policy holds to files of the container's type, and a pair of categories of its
own, by which it is held to its own files. The host's policy says which types these are.
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from cove.engine.bundle import security
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig

CONFIGURATION = Path("/etc/selinux")
OF_CONTAINER = "container:"
SHARED_LEVEL = "s0"
"""Without categories: the files of all containers."""

_CATEGORIES = 1024
_PAIRS = _CATEGORIES * (_CATEGORIES - 1) // 2
_OPTIONS = ("user", "role", "type", "level")
_VALID = "user, role, level, type, filetype"


class Labels(NamedTuple):
    """Of the program, and of the file systems and files that are the container's; "" for none."""

    process: str = ""
    mount: str = ""


NONE = Labels()
DEFAULTS = Labels("system_u:system_r:container_t:s0", "system_u:object_r:container_file_t:s0")


class Labelling:
    """The labels of new containers. ``defaults``: without categories; None: containers have none."""

    def __init__(self, defaults: Labels | None) -> None:
        self.defaults = defaults
        self._pair = secrets.randbelow(_PAIRS)

    def choose(self, host: HostConfig, taken: Iterable[str], label_of: Callable[[str], str]) -> Labels:
        """``taken``: the programs' labels that there are, read when one is chosen.
        ``label_of``: that of a container, by its id.

        Raises InvalidArgument, in Docker's words, for an option that there is not.
        """
        if self.defaults is None or host.privileged:
            return NONE
        options = security.parse(host.security_opt or []).labels or _of_joined(host, label_of)
        _check(options)
        if "disable" in options:
            return NONE
        level = self._unused_level({level_of(label) for label in taken})
        process, mount = (with_part(label, "level", level) for label in self.defaults)
        for option in options:
            key, _, value = option.partition(":")
            if key != "filetype":
                process = with_part(process, key, value)
            if key in ("filetype", "level", "user"):
                mount = with_part(mount, "type" if key == "filetype" else key, value)
        return Labels(process, mount)

    def _unused_level(self, taken: Collection[str]) -> str:
        """One after the other from one by chance on, so that two that are made at once have not the same."""
        for _ in range(_PAIRS):
            self._pair = (self._pair + 1) % _PAIRS
            if (level := _level(self._pair)) not in taken:
                return level
        raise InvalidArgument("SELinux: all pairs of categories are taken")


def defaults(configuration: Path = CONFIGURATION) -> Labels:
    """What the host's policy has for containers (selabel's ``lxc_contexts``), or what most have."""
    found = dict(zip(("process", "file"), DEFAULTS, strict=True))
    kind = _settings(configuration / "config").get("SELINUXTYPE", "targeted")
    found |= _settings(configuration / kind / "contexts" / "lxc_contexts")
    return Labels(found["process"], found["file"])


def level_of(label: str) -> str:
    """The level of a label, "" for none."""
    return label.split(":", 3)[3] if label.count(":") >= 3 else ""


def with_part(label: str, part: str, value: str) -> str:
    """A label with another user, role, type or level."""
    parts = [*label.split(":", 3), ""][:4]
    parts[_OPTIONS.index(part)] = value
    return ":".join(filter(None, parts))


def shared(label: str) -> str:
    """The label of files that all containers may use."""
    return with_part(label, "level", SHARED_LEVEL)


def _check(options: Sequence[str]) -> None:
    for option in options:
        key, colon, _ = option.partition(":")
        if not colon and option != "disable":
            raise InvalidArgument(
                f"bad label option \"{option}\", valid options 'disable' or \n'{_VALID}' followed by ':' and a value"
            )
        if colon and key not in (*_OPTIONS, "filetype"):
            raise InvalidArgument(f"bad label option \"{key}\", valid options 'disable, {_VALID}'")


def _of_joined(host: HostConfig, label_of: Callable[[str], str]) -> tuple[str, ...]:
    """Who shares processes or IPC with the host has no label, who does with another container has that one's."""
    modes = [mode for mode in (host.ipc_mode, host.pid_mode) if mode == "host" or mode.startswith(OF_CONTAINER)]
    if "host" in modes:
        return ("disable",)
    found = {label_of(mode.removeprefix(OF_CONTAINER)) for mode in modes}
    if len(found) > 1:
        raise InvalidArgument("--ipc and --pid containers SELinux labels aren't the same")
    label = next(iter(found), None)
    if label is None:
        return ()
    return tuple(f"{part}:{value}" for part, value in zip(_OPTIONS, label.split(":", 3), strict=False) if value) or (
        "disable",
    )


def _level(pair: int) -> str:
    """The pair of categories of this number: ``s0:c1,c2``."""
    low = 0
    for low in range(_CATEGORIES - 1):
        width = _CATEGORIES - 1 - low
        if pair < width:
            break
        pair -= width
    return f"s0:c{low},c{low + 1 + pair}"


def _settings(path: Path) -> dict[str, str]:
    """The lines ``name = value`` of a file, which need not be there."""
    if not path.is_file():
        return {}
    lines = (line.partition("=") for line in path.read_text(errors="replace").splitlines() if line[:1] != "#")
    return {name.strip(): value.strip().strip('"') for name, equals, value in lines if equals}
