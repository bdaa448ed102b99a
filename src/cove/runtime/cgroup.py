"""A container's control groups: made with its limits, changed while it runs, removed after it.

Init calls ``create``: what that writes to goes with its memory, while the shim's would stay (130 KiB of each). The shim
calls ``Cgroup.remove`` when the last process is gone.
"""

import contextlib
import errno
from collections.abc import Iterator

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import DeviceRule, Resources
from cove.runtime import limits
from cove.runtime.limits import Setting

_LIMIT = "memory.limit_in_bytes"


def create(path: str, resources: Resources) -> Cgroup:
    """Make the control groups of a container in every hierarchy and apply its limits.

    ``path``: ``/<parent>/<id>`` from the root of the hierarchies (``linux.cgroupsPath``). Raises OSError with the
    file that refused, ValueError when the path or a limit cannot be; then nothing is left behind.
    """
    cgroup = load(path)
    try:
        cgroup.create()
        update(cgroup, resources)
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            cgroup.remove()
        raise
    return cgroup


def load(path: str) -> Cgroup:
    """The control groups of a container, which need not exist yet. Raises ValueError when the path cannot be."""
    return Cgroup(cgroups.layout(), path)


def update(cgroup: Cgroup, resources: Resources) -> None:
    """Apply the limits that ``resources`` has; those that it has not stay as they are. Raises OSError, ValueError."""
    if cgroup.layout.unified:
        _apply(cgroup, limits.version2(resources))
        # The device rules of version 2 are a BPF program on the group's directory; it is attached here.
    else:
        _apply(cgroup, limits.version1(resources))
        _apply_devices(cgroup, resources.get("devices", []))


def _apply(cgroup: Cgroup, settings: list[Setting]) -> None:
    for setting in settings:
        try:
            _write(cgroup, setting)
        except OSError as error:
            if setting.file != _LIMIT or error.errno not in (errno.EINVAL, errno.EBUSY):
                raise
            # The limit of memory may not pass that of memory and swap: when both grow, the latter goes first.
            for swap in [other for other in settings if other.file == "memory.memsw.limit_in_bytes"]:
                _write(cgroup, swap)
            _write(cgroup, setting)


def _write(cgroup: Cgroup, setting: Setting) -> None:
    try:
        cgroup.write(setting.controller, setting.file, setting.value)
    except FileNotFoundError:
        if not setting.alternative:
            raise
        cgroup.write(setting.controller, setting.alternative, setting.value)


def _apply_devices(cgroup: Cgroup, rules: list[DeviceRule]) -> None:
    directory = cgroup.directory("devices")
    if directory is None:
        return
    for file, lines in _runs(limits.device_rules(rules)):
        cgroups.write_lines(f"{directory}/{file}", lines)


def _runs(writes: list[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """Neighbours for the same file together, so that it is opened once."""
    lines: list[str] = []
    for number, (file, line) in enumerate(writes):
        lines.append(line)
        if number + 1 == len(writes) or writes[number + 1][0] != file:
            yield file, lines
            lines = []
