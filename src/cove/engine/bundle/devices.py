"""Devices of the host that a container is given: ``--device``, its cgroup rules, and all of them when privileged.

Looked at when it starts, since a device may come and go, and have another number after a reboot.
"""

import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from cove.errors import Internal, InvalidArgument
from cove.oci.runtime import Device, DeviceRule
from cove.wire.host_config import DeviceMapping, HostConfig

DEV = "/dev"
_RULE = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_NOT_DEVICES = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
"""Directories of /dev that a privileged container has of its own."""


BlockLimits = dict[str, list[dict[str, int]]]
"""The weights and rates of the runtime's ``blockIO``, by its keys."""

_THROTTLES = {
    "throttleReadBpsDevice": "blkio_device_read_bps",
    "throttleWriteBpsDevice": "blkio_device_write_bps",
    "throttleReadIOPSDevice": "blkio_device_read_iops",
    "throttleWriteIOPSDevice": "blkio_device_write_iops",
}


class Given(NamedTuple):
    """Nodes to make, and what the control group is to allow beside the defaults. ``places``: where on the host they

    are, by the paths that they get.
    """

    nodes: list[Device]
    rules: list[DeviceRule]
    places: dict[str, str] = {}  # noqa: RUF012


def given(host: HostConfig) -> Given:
    """What the settings ask for. Raises Internal, in Docker's words, for what is not there or is no device."""
    if host.privileged:
        wanted = [node for mapping in host.devices or [] for node, _place in _mapped(mapping)]
        paths = {node["path"] for node in wanted}
        return Given([*(node for node in _all() if node["path"] not in paths), *wanted], [])
    nodes: list[Device] = []
    rules: list[DeviceRule] = []
    places: dict[str, str] = {}
    for mapping in host.devices or []:
        found = list(_mapped(mapping))
        nodes += [node for node, _place in found]
        places |= {node["path"]: place for node, place in found}
        rules += [_rule_of(node, mapping.cgroup_permissions or "rwm") for node, _place in found]
    return Given(nodes, [*rules, *(rule(text) for text in host.device_cgroup_rules or [])], places)


def rule(text: str) -> DeviceRule:
    """A ``--device-cgroup-rule`` such as ``c 42:* rmw``. Raises InvalidArgument."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    kind, major, minor, access = match.groups()
    made: DeviceRule = {"allow": True, "type": kind, "access": access}
    if major != "*":
        made["major"] = int(major)
    if minor != "*":
        made["minor"] = int(minor)
    return made


def block_limits(host: HostConfig) -> BlockLimits:
    """The limits of single block devices, by their numbers. Raises Internal for a device that is not there."""
    made: BlockLimits = {}
    if host.blkio_weight_device:
        made["weightDevice"] = [_number(each.path) | {"weight": each.weight} for each in host.blkio_weight_device]
    for key, name in _THROTTLES.items():
        if wanted := getattr(host, name):
            made[key] = [_number(each.path) | {"rate": each.rate} for each in wanted]
    return made


def _number(path: str) -> dict[str, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise Internal(f"stat {path}: {os.strerror(error.errno or 0).lower()}") from error
    return {"major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev)}


def node(host_path: str, path: str) -> Device | None:
    """The device at a path of the host as one at ``path`` of a container; None when it is none. Raises OSError."""
    found = os.lstat(host_path)
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
    kind = kinds.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        return None
    return {
        "path": path,
        "type": kind,
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def _mapped(mapping: DeviceMapping) -> Iterator[tuple[Device, str]]:
    """A device, behind a link too; or every device of a directory, below the directory of the container.

    Each with its place on the host.
    """
    place = os.path.realpath(mapping.path_on_host)
    target = mapping.path_in_container or mapping.path_on_host
    reason = "not a device node"
    try:
        found = node(place, target)
    except OSError as error:
        reason, found = os.strerror(error.errno or 0).lower(), None
    below = [(found, place)] if found is not None else list(_below(place, target))
    if not below:
        raise Internal(
            f'error gathering device information while adding custom device "{mapping.path_on_host}": {reason}'
        )
    yield from below


def _below(directory: str, target: str) -> Iterator[tuple[Device, str]]:
    for parent, names, files in os.walk(directory):
        names.sort()
        for name in sorted(files):
            path = f"{parent}/{name}"
            try:
                found = node(path, target + path.removeprefix(directory))
            except OSError:  # gone meanwhile
                continue
            if found is not None:
                yield found, path


def _all() -> Iterator[Device]:
    """Every device of the host, where it is there; its console and its fifos are not for containers."""
    for parent, names, files in os.walk(DEV):
        names[:] = sorted(name for name in names if parent != DEV or name not in _NOT_DEVICES)
        for name in sorted(files):
            path = f"{parent}/{name}"
            try:
                found = node(path, path)
            except OSError:
                continue
            if found is not None and found["type"] != "p" and path != f"{DEV}/console":
                yield found


def _rule_of(device: Device, access: str) -> DeviceRule:
    letters = "".join(letter for letter in "rwm" if letter in access)
    return {
        "allow": True,
        "type": device["type"],
        "major": device.get("major", 0),
        "minor": device.get("minor", 0),
        "access": letters,
    }
