"""What chosen devices change in the OCI configuration of a start."""

import os
import stat
from collections.abc import Iterable
from typing import NamedTuple, cast

from cove.cdi import document
from cove.cdi.document import ContainerEdits
from cove.errors import Internal, Unimplemented
from cove.oci.runtime import Device, DeviceRule, Hook, Hooks, Mount, Process, Spec

_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}


class Edits(NamedTuple):
    """Of all devices of a container, with the numbers that the host's nodes have now.

    ``hooks``: with their names. ``places``: of nodes, where they are on the host, by their paths in the container.
    """

    env: list[str]
    nodes: list[Device]
    rules: list[DeviceRule]
    mounts: list[Mount]
    hooks: list[tuple[str, Hook]]
    gids: list[int]
    places: dict[str, str]


def resolve(wanted: Iterable[tuple[str, ContainerEdits]]) -> Edits:
    """Look up the host's devices. Each of ``wanted`` comes with its place, for errors.

    Raises Internal for a node that is not there, Unimplemented for what this engine cannot give.
    """
    made = Edits([], [], [], [], [], [], {})
    for place, edits in wanted:
        _refuse(place, edits)
        made.env.extend(edits.env)
        for index, node in enumerate(edits.device_nodes):
            device = _device(f"{place}.deviceNodes[{index}]", node)
            made.nodes.append(device)
            made.places[node.path] = node.host_path or node.path
            made.rules.extend(_rules(device, node.permissions))
        made.mounts.extend(_mount(mount) for mount in edits.mounts)
        made.hooks.extend((hook.hook_name, _hook(hook)) for hook in edits.hooks)
        made.gids.extend(gid for gid in edits.additional_gids if gid)
    return made


def apply(spec: Spec, edits: Edits) -> None:
    """Change a configuration. Pure but for that.

    In a user namespace nobody can make a node, so the host's are bound, and directories of the host are mapped.
    """
    process = spec["process"]
    names = {entry.partition("=")[0]: entry for entry in [*process.get("env", []), *edits.env]}
    process["env"] = list(names.values())
    if edits.gids:
        user = process.setdefault("user", {})
        user["additionalGids"] = list(dict.fromkeys([*user.get("additionalGids", []), *edits.gids]))
    mapped = bool(spec.get("linux", {}).get("uidMappings"))
    _apply_devices(spec, edits, bound=mapped)
    mounts = spec.setdefault("mounts", [])
    wanted = [_mapped(mount) for mount in edits.mounts] + _bound(edits) if mapped else edits.mounts
    for mount in sorted(wanted, key=lambda mount: os.path.normpath(mount["destination"]).count("/")):
        _place(mounts, mount)
    if edits.hooks:
        hooks = cast(dict[str, list[Hook]], spec.setdefault("hooks", Hooks()))
        for name, hook in edits.hooks:
            hooks.setdefault(name, []).append(hook)


def _mapped(mount: Mount) -> Mount:
    options = mount.get("options", [])
    return {**mount, "options": [*options, "idmap"]} if mount.get("type") == "bind" else mount


def _bound(edits: Edits) -> list[Mount]:
    options = ["bind", "nosuid", "noexec"]
    return [
        {"destination": path, "source": place, "type": "bind", "options": options}
        for path, place in edits.places.items()
    ]


def _apply_devices(spec: Spec, edits: Edits, *, bound: bool) -> None:
    if not edits.nodes:
        return
    linux = spec.setdefault("linux", {})
    linux.setdefault("resources", {}).setdefault("devices", []).extend(edits.rules)
    if bound:
        return
    nodes = {node["path"]: node for node in linux.get("devices", [])}
    for node in edits.nodes:
        nodes.pop(node["path"], None)
        nodes[node["path"]] = cast(Device, {**_owner(spec["process"]), **node})
    linux["devices"] = list(nodes.values())


def _owner(process: Process) -> dict[str, int]:
    """A node belongs to the program's user unless its file says otherwise; a name is not known outside the root."""
    words = process.get("user", {}).get("username", "").partition(":")
    return {key: int(word) for key, word in (("uid", words[0]), ("gid", words[2])) if word.isdecimal()}


def _place(mounts: list[Mount], mount: Mount) -> None:
    """Put it in the place of one with the same destination, else before the first that it would hide, else last."""
    path = os.path.normpath(mount["destination"])
    mounts[:] = [each for each in mounts if os.path.normpath(each["destination"]) != path]
    below = (index for index, each in enumerate(mounts) if each["destination"].startswith(f"{path}/"))
    mounts.insert(next(below, len(mounts)), mount)


def _refuse(place: str, edits: ContainerEdits) -> None:
    if edits.intel_rdt is not None:
        raise Unimplemented(f"{place}.intelRdt: allocation of caches (resctrl) is not supported")
    if edits.net_devices:
        raise Unimplemented(f"{place}.netDevices: moving network devices into containers is not supported")


def _device(place: str, node: document.DeviceNode) -> Device:
    made: Device = {"path": node.path, "type": node.type, "major": node.major, "minor": node.minor}
    if not node.type or (node.type != "p" and not node.major):
        _look_up(place, node, made)
    for key in ("uid", "gid"):
        if (value := getattr(node, key)) is not None:
            made[key] = value
    if node.file_mode is not None:
        made["fileMode"] = node.file_mode
    return made


def _look_up(place: str, node: document.DeviceNode, made: Device) -> None:
    """Fill in type and number from the host's node."""
    host_path = node.host_path or node.path
    try:
        found = os.stat(host_path)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise Internal(f'{place}: failed to stat CDI host device "{host_path}": {reason}') from None
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "")
    if not kind:
        raise Internal(f'{place}: CDI host device "{host_path}" is not a device node')
    if node.type and ("c" if node.type == "u" else node.type) != kind:
        words = f'CDI device ("{node.path}", "{host_path}"), host type mismatch ({node.type}, {kind})'
        raise Internal(f"{place}.type: {words}")
    made["type"] = node.type or kind
    made["major"], made["minor"] = os.major(found.st_rdev), os.minor(found.st_rdev)


def _rules(device: Device, permissions: str) -> list[DeviceRule]:
    if device["type"] == "p" or permissions == "none":
        return []
    return [
        {
            "allow": True,
            "type": "b" if device["type"] == "b" else "c",
            "major": device["major"],
            "minor": device["minor"],
            "access": "".join(letter for letter in "rwm" if letter in (permissions or "rwm")),
        }
    ]


def _mount(mount: document.Mount) -> Mount:
    bind = mount.type in ("", "bind", "none")
    options = list(mount.options)
    if bind and not {"bind", "rbind"} & set(options):
        options.insert(0, "rbind")
    return {
        "destination": mount.container_path,
        "source": mount.host_path,
        "type": "bind" if bind else mount.type,
        "options": options,
    }


def _hook(hook: document.Hook) -> Hook:
    made: Hook = {"path": hook.path}
    if hook.args:
        made["args"] = list(hook.args)
    if hook.env:
        made["env"] = list(hook.env)
    if hook.timeout:
        made["timeout"] = hook.timeout
    return made
