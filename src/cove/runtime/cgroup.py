"""A container's control groups: made with its limits, changed while it runs, removed after it.

Init calls ``create``: what that writes to goes with its memory, while the shim's would stay (130 KiB of each). The shim
calls ``Cgroup.remove`` when the last process is gone.
"""

import errno
import os

from cove.kernel import bpf, cgroup_tree, cgroups
from cove.kernel.cgroups import Cgroup
from cove.lean import TYPE_CHECKING, Iterator, suppress
from cove.oci.runtime import DeviceRule, MemoryLimits, Resources
from cove.runtime import device_filter, limits
from cove.runtime.limits import Setting

if TYPE_CHECKING:
    from cove.runtime.scope import Scope


def create(cgroup: Cgroup, resources: Resources) -> None:
    """Make the control groups of a container in every hierarchy and apply its limits.

    Those of a unit of systemd have the calling process in them from the start. Raises OSError with the file that
    refused, ValueError when a limit cannot be; then nothing is left behind, but that a unit goes with the process.
    """
    settings = _settings(cgroup, resources)
    if cgroup.unit:
        _scope(cgroup).start(resources)
    try:
        if cgroup.layout.unified:
            cgroup_tree.create(cgroup, _controllers(settings))
        else:
            cgroup.create()
        _write_all(cgroup, settings, resources)
    except (OSError, ValueError):
        if not cgroup.unit:
            with suppress(OSError):
                cgroup.remove()
        raise


def load(path: str) -> Cgroup:
    """The control groups of a container, which need not exist yet. Raises ValueError when the path cannot be.

    ``path``: ``/<parent>/<id>`` from the root of the hierarchies, or ``slice:prefix:name`` for a scope of systemd
    (``linux.cgroupsPath``).
    """
    if path.startswith("/"):
        return Cgroup(cgroups.layout(), path)
    from cove.runtime.scope import Scope

    return Scope(path)


def load_watched(path: str) -> Cgroup:
    """``load``, for the shim: what counts the kills of a container that may begin now, to its end."""
    cgroup = load(path)
    if cgroup.unit:
        _scope(cgroup).remember_kills()
    return cgroup


def _scope(cgroup: Cgroup) -> "Scope":
    from cove.runtime.scope import Scope

    assert isinstance(cgroup, Scope)
    return cgroup


def update(cgroup: Cgroup, resources: Resources) -> None:
    """Apply the limits that ``resources`` has; those that it has not stay as they are. Raises OSError, ValueError."""
    _check_usage(cgroup, resources.get("memory", {}))
    settings = _settings(cgroup, resources)
    if cgroup.unit:
        _scope(cgroup).change(resources)
    _write_all(cgroup, settings, resources)


def _settings(cgroup: Cgroup, resources: Resources) -> list[Setting]:
    return limits.version2(resources) if cgroup.layout.unified else limits.version1(resources)


def _write_all(cgroup: Cgroup, settings: list[Setting], resources: Resources) -> None:
    _apply(cgroup, settings)
    if not cgroup.layout.unified:
        _apply_devices(cgroup, resources.get("devices", []))
    elif "devices" in resources:
        _apply_filter(cgroup, resources["devices"])


def _controllers(settings: list[Setting]) -> frozenset[str]:
    """Those that are needed; "cgroup" stands for files that every group has."""
    return frozenset(setting.controller for setting in settings if not setting.optional) - {"cgroup"}


def _check_usage(cgroup: Cgroup, memory: MemoryLimits) -> None:
    limit = memory.get("limit", 0)
    if limit <= 0 or not memory.get("checkBeforeUpdate"):
        return
    used = cgroup.read("memory", "memory.current" if cgroup.layout.unified else "memory.usage_in_bytes")
    if used and int(used) > limit:
        raise ValueError(f"memory.limit: {limit} is below what is used now, {used}")


def _apply(cgroup: Cgroup, settings: list[Setting]) -> None:
    """Write all of them; what is refused gets another chance after the others.

    The limit of memory may not pass that of memory and swap, a quota not its burst, and so on: which of two goes first
    depends on whether they grow.
    """
    refused: list[Setting] = []
    for setting in settings:
        try:
            _write(cgroup, setting)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY) or len(settings) == 1:
                raise
            refused.append(setting)
    for setting in refused:
        _write(cgroup, setting)


def _write(cgroup: Cgroup, setting: Setting) -> None:
    try:
        _write_either(cgroup, setting)
    except FileNotFoundError:
        if not setting.optional:
            raise


def _write_either(cgroup: Cgroup, setting: Setting) -> None:
    try:
        cgroup.write(setting.controller, setting.file, setting.value)
    except FileNotFoundError:
        if setting.otherwise is None:
            raise
        cgroup.write(setting.controller, *setting.otherwise)


def _apply_filter(cgroup: Cgroup, rules: list[DeviceRule]) -> None:
    """Of version 2. A group that may do all needs no program, unless it had one."""
    (directory,) = cgroup.directories
    if device_filter.allows_all(rules) and not bpf.has_program(directory):
        return
    program = bpf.load(bpf.CGROUP_DEVICE_PROGRAM, device_filter.assemble(rules))
    try:
        bpf.replace(directory, program)
    finally:
        os.close(program)  # the group holds it


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
