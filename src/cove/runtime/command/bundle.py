"""The bundle: its ``config.json``, read and checked before anything is made."""

import os

from cove.kernel import capabilities
from cove.kernel.namespaces import FLAGS
from cove.lean import Any, json
from cove.oci.runtime import Process, Spec
from cove.runtime import scope_names
from cove.runtime.command.container import Failed
from cove.runtime.command.journal import Journal

_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
_DEFAULT_DEVICES = ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, None))
"""null, zero, full, random, urandom, tty, console, ptmx and terminals."""


def load(directory: str, container_id: str, journal: Journal, *, systemd: bool = False) -> Spec:
    """The configuration of a bundle, with what it leaves open filled in. Raises Failed naming the field.

    ``systemd``: its control group is a unit of systemd.
    """
    path = os.path.join(directory, "config.json")
    try:
        with open(path, "rb") as file:
            spec: Any = json.loads(file.read())
    except FileNotFoundError:
        raise Failed(f"JSON specification file {path} not found") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Failed(f"{path}: {error}") from None
    try:
        _check(spec)
    except (TypeError, AttributeError, KeyError) as error:
        raise Failed(f"{path}: not a configuration: {error}") from None
    _complete(spec, directory)
    path = spec["linux"].get("cgroupsPath") or ""
    spec["linux"]["cgroupsPath"] = (unit if systemd else cgroup_path)(path, container_id)
    grantable(spec["process"], journal)
    checked: Spec = spec
    return checked


def _check(spec: Any) -> None:
    version = str(spec.get("ociVersion") or "")
    if version.split(".")[0] != "1":
        raise Failed(f"ociVersion: {version!r} is not a version 1 of the runtime specification")
    if not spec.get("root", {}).get("path"):
        raise Failed("root.path: there must be a root file system")
    if not spec.get("process"):
        raise Failed("process: process property must not be empty")
    check_process(spec["process"])
    for mount in spec.get("mounts") or []:
        if not mount.get("destination"):
            raise Failed("mounts: a mount without a destination")
    _check_namespaces(spec.get("linux") or {})


def check_process(process: Any) -> None:
    """Raises Failed naming the field."""
    if not process.get("args"):
        raise Failed("process.args: args must not be empty")
    if not str(process.get("cwd") or "").startswith("/"):
        raise Failed("process.cwd: Cwd must be an absolute path")


def _check_namespaces(linux: Any) -> None:
    kinds = [entry["type"] for entry in linux.get("namespaces") or []]
    for kind in kinds:
        if kind not in FLAGS:
            raise Failed(f"linux.namespaces: namespace {kind!r} does not exist")
        if kinds.count(kind) > 1:
            raise Failed(f"linux.namespaces: malformed spec file: duplicated ns {kind!r}")
    if "mount" not in kinds:
        raise Failed("linux.namespaces: a container without a mount namespace of its own is not supported")
    if "user" not in kinds and (linux.get("uidMappings") or linux.get("gidMappings")):
        raise Failed("linux.uidMappings: user namespace mappings specified, but user namespace isn't enabled")
    if linux.get("timeOffsets") and "time" not in kinds:
        raise Failed("linux.timeOffsets: time namespace offsets specified, but time namespace isn't enabled")


def _complete(spec: Any, directory: str) -> None:
    spec["root"]["path"] = os.path.realpath(os.path.join(directory, spec["root"]["path"]))
    if not os.path.isdir(spec["root"]["path"]):
        raise Failed(f"root.path: invalid rootfs: {spec['root']['path']} is not a directory")
    for mount in spec.get("mounts") or []:
        options = mount.get("options") or []
        if mount.get("type") == "bind" or "bind" in options or "rbind" in options:
            mount["source"] = os.path.join(directory, mount.get("source") or "")
    for key in ("mounts", "hooks", "annotations"):
        if spec.get(key) is None:
            spec.pop(key, None)
    linux = spec["linux"] = {key: value for key, value in (spec.get("linux") or {}).items() if value is not None}
    _allow_default_devices(linux)
    spec["process"] = numeric(spec["process"])


def _allow_default_devices(linux: Any) -> None:
    """Whatever the configuration denies, the devices that every container has may be used, and any may be made."""
    resources = linux["resources"] = _without_null(linux.get("resources") or {})
    rules = resources.setdefault("devices", [])
    rules += [{"allow": True, "type": kind, "access": "m"} for kind in ("c", "b")]
    for major, minor in _DEFAULT_DEVICES:
        rule = {"allow": True, "type": "c", "major": major, "access": "rwm"}
        rules.append(rule if minor is None else {**rule, "minor": minor})


def _without_null(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: _without_null(value) for key, value in given.items() if value is not None}
    return given


def numeric(process: Any) -> Any:
    """Without what is null, and with the user by number: names are for another system's configurations."""
    kept = {key: value for key, value in process.items() if value is not None}
    user = kept.get("user") or {}
    kept["user"] = {"uid": user.get("uid", 0), "gid": user.get("gid", 0)}
    kept["user"] |= {key: user[key] for key in ("umask", "additionalGids") if user.get(key) is not None}
    return kept


def cgroup_path(path: str, container_id: str) -> str:
    """``linux.cgroupsPath`` from the root of the hierarchies; a relative one, or none, is taken from there too."""
    if scope_names.is_unit(path):
        raise Failed(f"linux.cgroupsPath: {path!r} is a unit of systemd, which --systemd-cgroup is for")
    return os.path.normpath(f"/{path or container_id}".replace("//", "/"))


def unit(path: str, container_id: str) -> str:
    """``linux.cgroupsPath`` as ``slice:prefix:name``; without one, a scope in the slice of the system's services."""
    path = path or scope_names.cgroups_path("", container_id)
    try:
        scope_names.control_group(path)
    except ValueError:
        raise Failed(
            'linux.cgroupsPath: expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, '
            f"got {path!r} instead"
        ) from None
    return path


def grantable(process: Process, journal: Journal) -> None:
    """Leave out capabilities that do not exist or that we have not got to give, with a warning, as the specification

    has it.
    """
    bounding = capabilities.bounding()
    sets = process.get("capabilities") or {}
    for kind in _SETS:
        names = sets.get(kind)
        if names is None:
            continue
        kept = [name for name in names if _grantable(name, bounding)]  # type: ignore[attr-defined]
        if len(kept) != len(names):  # type: ignore[arg-type]
            missing = sorted(set(names) - set(kept))  # type: ignore[call-overload]
            journal.warning(f"ignoring unknown or unavailable capabilities: {missing}")
        sets[kind] = kept  # type: ignore[literal-required]


def _grantable(name: str, bounding: int) -> bool:
    try:
        bits = capabilities.mask([name])
    except ValueError:
        return False
    return bool(bits & bounding)
