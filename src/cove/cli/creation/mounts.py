"""``--volume`` and ``--mount``: their two grammars."""

from __future__ import annotations

import os

from cove.cli.humanize import parse_memory
from cove.flags import Kind, parse_bool, parse_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Mount = dict[str, Any]

_RECURSION = {"enabled": {}, "disabled": {"NonRecursive": True}, "writable": {"ReadOnlyNonRecursive": True}}
_RECURSION["readonly"] = {"ReadOnlyForceRecursive": True}
_OPTIONS_OF = {"VolumeOptions": "volume", "ImageOptions": "image", "BindOptions": "bind", "TmpfsOptions": "tmpfs"}


def split_volumes(specs: list[str]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """``-v`` values as the API's Binds, and its Volumes for those that name only a place in the container."""
    binds: list[str] = []
    anonymous: dict[str, dict[str, str]] = {}
    for spec in dict.fromkeys(specs):
        source = _volume_source(spec)
        if not source:
            anonymous[spec] = {}
        elif source.startswith(".") and not os.path.isabs(source):
            binds.append(f"{os.path.abspath(source)}:{spec.partition(':')[2]}")
        else:
            binds.append(spec)
    return binds, anonymous


def _volume_source(spec: str) -> str:
    """What is mounted, "" when only the place is named. Raises ValueError."""
    if not spec:
        raise ValueError("invalid empty volume spec")
    if len(spec) <= 2:
        return ""
    parts = spec.split(":")
    for place, part in enumerate(parts):
        if not part:
            raise ValueError(f"invalid spec: {spec}: empty section between colons")
        if place == 2 and len(parts) > 3:
            raise ValueError(f"invalid spec: {spec}: too many colons")
    return parts[0] if len(parts) > 1 else ""


def parse_mount(text: str) -> Mount:
    """One ``--mount`` value as the API's Mount. Raises ValueError."""
    mount: Mount = {"Type": "volume"}
    for field in parse_fields(text):
        key, equals, value = field.partition("=")
        key = key.lower()
        if not equals:
            _bare(mount, key, field)
        else:
            _pair(mount, key, value, field)
    _check(mount)
    return mount


def _bare(mount: Mount, key: str, field: str) -> None:
    if key in ("readonly", "ro"):
        mount["ReadOnly"] = True
    elif key == "volume-nocopy":
        _volume_options(mount)["NoCopy"] = True
    elif key == "bind-nonrecursive":
        mount.setdefault("BindOptions", {})["NonRecursive"] = True
    elif key == "bind-create-src":
        mount.setdefault("BindOptions", {})["CreateMountpoint"] = True
    else:
        raise ValueError(f"invalid field '{field}' must be a key=value pair")


def _pair(mount: Mount, key: str, value: str, field: str) -> None:
    if key == "type":
        mount["Type"] = value.lower()
    elif key in ("source", "src"):
        relative = value.startswith(".") and not os.path.isabs(value)
        mount["Source"] = os.path.abspath(value) if relative else value
    elif key in ("target", "dst", "destination"):
        mount["Target"] = value
    elif key in ("readonly", "ro"):
        _set(mount, "ReadOnly", _boolean(key, value))
    elif key == "consistency":
        mount["Consistency"] = value.lower()
    elif key.startswith("bind-"):
        _bind_pair(mount.setdefault("BindOptions", {}), key, value, field)
    elif key.startswith("volume-"):
        _volume_pair(mount, key, value, field)
    elif key == "image-subpath":
        mount.setdefault("ImageOptions", {})["Subpath"] = value
    elif key.startswith("tmpfs-"):
        _tmpfs_pair(mount.setdefault("TmpfsOptions", {}), key, value, field)
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _bind_pair(options: Mount, key: str, value: str, field: str) -> None:
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        _set(options, "NonRecursive", _boolean(key, value))
    elif key == "bind-recursive":
        if value not in _RECURSION:
            choices = '"enabled", "disabled", "writable", or "readonly"'
            raise ValueError(f"invalid value for {key}: {value} (must be {choices})")
        options.update(_RECURSION[value])
    elif key == "bind-create-src":
        _set(options, "CreateMountpoint", _boolean(key, value))
    elif key == "bind-idmap":
        options["IDMap"] = value
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _volume_pair(mount: Mount, key: str, value: str, field: str) -> None:
    options = _volume_options(mount)
    name, _, setting = value.partition("=")
    if key == "volume-subpath":
        options["Subpath"] = value
    elif key == "volume-nocopy":
        _set(options, "NoCopy", _boolean(key, value))
    elif key == "volume-label":
        options.setdefault("Labels", {}).update({name: setting} if name else {})
    elif key == "volume-driver":
        options["DriverConfig"]["Name"] = value
    elif key == "volume-opt":
        options["DriverConfig"].setdefault("Options", {}).update({name: setting} if name else {})
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _tmpfs_pair(options: Mount, key: str, value: str, field: str) -> None:
    try:
        if key == "tmpfs-size":
            options["SizeBytes"] = parse_memory(value)
            return
        if key == "tmpfs-mode":
            options["Mode"] = int(value, 8)
            return
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None
    raise ValueError(f"unexpected key '{key}' in '{field}'")


def _volume_options(mount: Mount) -> Mount:
    options: Mount = mount.setdefault("VolumeOptions", {"DriverConfig": {}})
    return options


def _set(options: Mount, name: str, on: bool) -> None:
    """The API leaves false out."""
    if on:
        options[name] = True
    else:
        options.pop(name, None)


def _boolean(key: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _check(mount: Mount) -> None:
    kind = mount["Type"]
    if not kind:
        raise ValueError("type is required")
    if not mount.get("Target"):
        raise ValueError("target is required")
    for options, owner in _OPTIONS_OF.items():
        if options in mount and kind != owner:
            raise ValueError(f"cannot mix '{owner}-*' options with mount type '{kind}'")
    bind = mount.get("BindOptions", {})
    needs = "to be specified in conjunction"
    for option, name in (("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")):
        if bind.get(option) and not mount.get("ReadOnly"):
            raise ValueError(f"option 'bind-recursive={name}' requires 'readonly' {needs}")
    if bind.get("ReadOnlyForceRecursive") and bind.get("Propagation") != "rprivate":
        raise ValueError(f"option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' {needs}")


MOUNT = Kind("mount", parse_mount, [], "append")
