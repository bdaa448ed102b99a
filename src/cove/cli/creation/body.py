"""The body of a container create request, from the options and the words after them."""

from __future__ import annotations

import json
from operator import itemgetter

from cove.cli.creation.key_value_files import read_pairs
from cove.cli.creation.mounts import split_volumes
from cove.cli.creation.networks import endpoints, network_mode
from cove.cli.creation.ports import exposed, publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.flags import Values

    Body = dict[str, Any]

_VALID_DEVICE_MODE = frozenset("rwm")


def build(values: Values, image: str, command: list[str]) -> Body:
    """Raises ValueError, in Docker's words, for options that cannot be used or do not go together."""
    body = _config(values, image, command)
    host = _host_config(values)
    body["HostConfig"] = host
    body["ExposedPorts"] = {port: {} for port in [*host["PortBindings"], *exposed(values.many("expose"))]}
    if not body["ExposedPorts"]:
        del body["ExposedPorts"]
    if values.on("rm") and host["RestartPolicy"]["Name"] not in ("no", ""):
        raise ValueError("conflicting options: cannot specify both --restart and --rm")
    body["NetworkingConfig"] = {"EndpointsConfig": endpoints(values)}
    host["Binds"], body["Volumes"] = _volumes(values)
    return body


def _volumes(values: Values) -> tuple[list[str] | None, dict[str, dict[str, str]]]:
    binds, anonymous = split_volumes(values.many("volume"))
    return binds or None, anonymous


# The container's own configuration


def _config(values: Values, image: str, command: list[str]) -> Body:
    streams = values.many("attach")
    stdin = values.on("interactive")
    attach_stdin = stdin or "stdin" in streams
    config = {
        "Hostname": values.text("hostname"),
        "Domainname": values.text("domainname"),
        "User": values.text("user"),
        "AttachStdin": attach_stdin,
        "AttachStdout": not streams or "stdout" in streams,
        "AttachStderr": not streams or "stderr" in streams,
        "Tty": values.on("tty"),
        "OpenStdin": stdin,
        "StdinOnce": stdin and attach_stdin,
        "Env": _environment(values) or None,
        "Cmd": command or None,
        "Image": image,
        "WorkingDir": values.text("workdir"),
        "Entrypoint": _entrypoint(values),
        "OnBuild": None,
        "Labels": _labels(values),
    }
    config.update(_optional_config(values))
    return config


def _optional_config(values: Values) -> Body:
    found: Body = {}
    if values.text("mac-address"):
        found["MacAddress"] = _mac_address(values.text("mac-address"))
    if values.text("stop-signal"):
        found["StopSignal"] = values.text("stop-signal")
    if values.changed("stop-timeout"):
        found["StopTimeout"] = values.number("stop-timeout")
    if health := _health(values):
        found["Healthcheck"] = health
    return found


def _entrypoint(values: Values) -> list[str] | None:
    """An empty ``--entrypoint=`` takes the image's away."""
    return [values.text("entrypoint")] if values.changed("entrypoint") else None


def _environment(values: Values) -> list[str]:
    found = []
    for path in values.many("env-file"):
        found += read_pairs(path, from_environment=True)
    return [*found, *values.many("env")]


def _labels(values: Values) -> dict[str, str]:
    found = []
    for path in values.many("label-file"):
        found += read_pairs(path, from_environment=False)
    return dict(label.partition("=")[::2] for label in [*found, *values.many("label")])


def _mac_address(text: str) -> str:
    text = text.strip()
    parts = text.replace("-", ":").split(":")
    if len(parts) not in (6, 8, 20) or not all(len(part) == 2 and _is_hex(part) for part in parts):
        raise ValueError(f"{text} is not a valid mac address")
    return text


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in text)


_HEALTH = (
    ("health-interval", "Interval"),
    ("health-timeout", "Timeout"),
    ("health-start-period", "StartPeriod"),
    ("health-start-interval", "StartInterval"),
    ("health-retries", "Retries"),
)


def _health(values: Values) -> Body | None:
    command = values.text("health-cmd")
    given = {key: values.number(flag) for flag, key in _HEALTH if values.number(flag)}
    if values.on("no-healthcheck"):
        if command or given:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for flag, _ in _HEALTH:
        if values.number(flag) < 0:
            raise ValueError(f"--{flag} cannot be negative")
    if not command and not given:
        return None
    return {**({"Test": ["CMD-SHELL", command]} if command else {}), **given}


# What the host gives it


def _host_config(values: Values) -> Body:
    security, masked, read_only = _security(values)
    host: Body = {
        "ContainerIDFile": values.text("cidfile"),
        "LogConfig": _logging(values),
        "NetworkMode": network_mode(values),
        "PortBindings": publish(values.many("publish")),
        "RestartPolicy": restart_policy(values.text("restart")),
        "AutoRemove": values.on("rm"),
        "VolumeDriver": values.text("volume-driver"),
        "VolumesFrom": values.many("volumes-from") or None,
        "ConsoleSize": [0, 0],
        "CapAdd": _capabilities(values.many("cap-add")),
        "CapDrop": _capabilities(values.many("cap-drop")),
        "Dns": values.many("dns"),
        "DnsOptions": values.many("dns-option"),
        "DnsSearch": values.many("dns-search"),
        "ExtraHosts": values.many("add-host") or None,
        "GroupAdd": values.many("group-add") or None,
        "Cgroup": "",
        "Links": values.many("link") or None,
        "OomScoreAdj": values.number("oom-score-adj"),
        "Privileged": values.on("privileged"),
        "PublishAllPorts": values.on("publish-all"),
        "ReadonlyRootfs": values.on("read-only"),
        "SecurityOpt": security if values.many("security-opt") else None,
        "ShmSize": values["shm-size"],
        "Isolation": values.text("isolation"),
        "MaskedPaths": masked,
        "ReadonlyPaths": read_only,
        **_modes(values),
        **_resources(values),
    }
    host.update(_optional_host(values))
    return host


def _optional_host(values: Values) -> Body:
    found = {
        "Annotations": dict(values.many("annotation")),
        "StorageOpt": _pairs(values.many("storage-opt"), "invalid storage option"),
        "Tmpfs": dict(text.partition(":")[::2] for text in values.many("tmpfs")),
        "Sysctls": dict(values.many("sysctl")),
        "Runtime": values.text("runtime"),
        "Mounts": values.many("mount"),
        "KernelMemory": values["kernel-memory"],
        "Egress": values.text("egress"),
        "HealthOnFailure": values.text("health-on-failure"),
    }
    found = {key: value for key, value in found.items() if value}
    if values.changed("init"):
        found["Init"] = values.on("init")
    return found


def _capabilities(names: list[str]) -> list[str] | None:
    """Upper case, with their prefix, sorted: ``net_admin`` → ``CAP_NET_ADMIN``."""
    upper = {name.strip().upper() for name in names}
    return sorted(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in upper) or None


_MODES = (
    # flag, key, what is allowed beside "" and container:…, the words when it is not
    ("pid", "PidMode", ("host",), True, "--pid: invalid PID mode"),
    ("uts", "UTSMode", ("host",), False, "--uts: invalid UTS mode"),
    ("userns", "UsernsMode", ("host",), False, "--userns: invalid USER mode"),
    ("cgroupns", "CgroupnsMode", ("host", "private"), False, "--cgroupns: invalid CGROUP mode"),
)


def _modes(values: Values) -> Body:
    found: Body = {"IpcMode": values.text("ipc")}
    for flag, key, allowed, shared, words in _MODES:
        value = values.text(flag)
        if value and value not in allowed and not (shared and value.startswith("container:") and value[10:]):
            raise ValueError(words)
        found[key] = value
    return found


def _resources(values: Values) -> Body:
    swappiness = values.number("memory-swappiness")
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise ValueError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    devices, named = _devices(values.many("device"))
    requests = [*values.many("gpus"), *named]
    return {
        **{key: values[flag] for key, flag in _PLAIN_RESOURCES.items()},
        "MemorySwappiness": swappiness,
        "Devices": devices,
        "Ulimits": sorted({limit["Name"]: limit for limit in values.many("ulimit")}.values(), key=itemgetter("Name")),
        "DeviceRequests": requests or None,
        "DeviceCgroupRules": values.many("device-cgroup-rule") or None,
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


_PLAIN_RESOURCES = {
    "CpuShares": "cpu-shares",
    "Memory": "memory",
    "NanoCpus": "cpus",
    "CgroupParent": "cgroup-parent",
    "BlkioWeight": "blkio-weight",
    "BlkioWeightDevice": "blkio-weight-device",
    "BlkioDeviceReadBps": "device-read-bps",
    "BlkioDeviceWriteBps": "device-write-bps",
    "BlkioDeviceReadIOps": "device-read-iops",
    "BlkioDeviceWriteIOps": "device-write-iops",
    "CpuPeriod": "cpu-period",
    "CpuQuota": "cpu-quota",
    "CpuRealtimePeriod": "cpu-rt-period",
    "CpuRealtimeRuntime": "cpu-rt-runtime",
    "CpusetCpus": "cpuset-cpus",
    "CpusetMems": "cpuset-mems",
    "MemoryReservation": "memory-reservation",
    "MemorySwap": "memory-swap",
    "OomKillDisable": "oom-kill-disable",
    "PidsLimit": "pids-limit",
}


def restart_policy(text: str) -> Body:
    """``on-failure:3`` as the API's RestartPolicy. Raises ValueError."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    try:
        return {"Name": name, "MaximumRetryCount": int(count or 0)}
    except ValueError:
        raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None


def _logging(values: Values) -> Body:
    driver, options = values.text("log-driver"), values.many("log-opt")
    if driver == "none" and options:
        raise ValueError(f"invalid logging opts for driver {driver}")
    return {"Type": driver, "Config": dict(option.partition("=")[::2] for option in options)}


def _pairs(texts: list[str], words: str) -> dict[str, str]:
    if any("=" not in text for text in texts):
        raise ValueError(words)
    return dict(text.partition("=")[::2] for text in texts)


def _security(values: Values) -> tuple[list[str], list[str] | None, list[str] | None]:
    """Security options, and the masked and read-only paths when ``systempaths=unconfined`` empties them."""
    options = [_security_option(text) for text in values.many("security-opt")]
    if "systempaths=unconfined" not in options:
        return options, None, None
    return [option for option in options if option != "systempaths=unconfined"], [], []


def _security_option(text: str) -> str:
    key, equals, value = text.partition("=")
    if not equals and key != "no-new-privileges":
        key, equals, value = text.partition(":")
    if key != "no-new-privileges" and not value:
        raise ValueError(f"Invalid --security-opt: {json.dumps(text)}")
    if key != "seccomp" or value in ("builtin", "unconfined"):
        return text
    try:
        with open(value, encoding="utf-8") as file:
            profile = json.load(file)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ValueError(f"opening seccomp profile ({value}) failed: open {value}: {reason}") from None
    except ValueError as error:
        raise ValueError(f"compacting json for seccomp profile ({value}) failed: {error}") from None
    return "seccomp=" + json.dumps(profile, separators=(",", ":"), ensure_ascii=False)


def _devices(specs: list[str]) -> tuple[list[Body], list[Body]]:
    """Device mappings, and a request for those with a CDI name (``vendor.com/class=name``)."""
    named = [spec for spec in specs if _is_cdi_name(spec)]
    mappings = [_device(spec) for spec in specs if spec not in named]
    request = {"Driver": "cdi", "Count": 0, "DeviceIDs": named, "Capabilities": None, "Options": None}
    return mappings, [request] if named else []


def _is_cdi_name(spec: str) -> bool:
    kind, equals, device = spec.partition("=")
    vendor, slash, category = kind.partition("/")
    return bool(equals and slash and vendor and category and device) and not spec.startswith("/")


def _device(spec: str) -> Body:
    import posixpath

    parts = spec.split(":")
    if len(parts) > 3 or not parts[0]:
        raise ValueError(f"bad format for path: {spec}")
    source, inside, mode = parts[0], parts[0], "rwm"
    if len(parts) == 2 and _is_mode(parts[1]):
        mode = parts[1]
        source = inside = posixpath.normpath(source)
    elif len(parts) >= 2:
        inside = parts[1] if len(parts) == 3 else posixpath.normpath(parts[1])
    else:
        source = inside = posixpath.normpath(source)
    if len(parts) == 3:
        mode = parts[2]
        if not _is_mode(mode):
            raise ValueError(f"bad mode specified: {mode}")
    if not inside.startswith("/"):
        raise ValueError(f"{inside} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": inside, "CgroupPermissions": mode}


def _is_mode(text: str) -> bool:
    return bool(text) and set(text) <= _VALID_DEVICE_MODE and len(set(text)) == len(text)
