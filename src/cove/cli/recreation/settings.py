"""What of a container is not a default: each with its words of ``run`` and its keys of a compose service."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Found = dict[str, Any]

DEFAULT_SHM = 64 << 20


class Setting:
    """``words``: of the command line. ``keys``: of a compose service; lists and mappings of one key are joined."""

    __slots__ = ("keys", "words")

    def __init__(self, words: list[str], keys: Found | None = None) -> None:
        self.words = words
        self.keys = keys or {}


def settings(found: Found, image: Found) -> Iterator[Setting]:
    """``found``: an inspection; ``image``: the ``Config`` of its image, {} when that is gone."""
    config, host = found["Config"], found["HostConfig"]
    yield from _identity(found, config, image)
    yield from _process(config, image)
    yield from _health(config, host, image)
    yield from _plain(host)
    yield from _switches(config, host)
    yield from _lists(host)
    yield from _mappings(host)
    yield from _limits(host)
    yield from _devices(host)
    yield from _restart_and_log(host)


def program(found: Found, image: Found) -> tuple[list[str] | None, list[str]]:
    """The entry point, None when it is the image's, and the command, [] when it is the image's."""
    config = found["Config"]
    entrypoint, command = config.get("Entrypoint") or [], config.get("Cmd") or []
    if entrypoint != (image.get("Entrypoint") or []):
        return entrypoint or [""], command
    return None, [] if command == (image.get("Cmd") or []) else command


def _identity(found: Found, config: Found, image: Found) -> Iterator[Setting]:
    name = found["Name"].removeprefix("/")
    yield Setting(["--name", name], {"container_name": name})
    host_mode = found["HostConfig"]["NetworkMode"]
    shared = host_mode == "host" or host_mode.startswith("container:") or found["HostConfig"].get("UTSMode") == "host"
    if config.get("Hostname") and config["Hostname"] != found["Id"][:12] and not shared:
        yield _one("hostname", config["Hostname"])
    if config.get("Domainname"):
        yield _one("domainname", config["Domainname"])
    for flag, key, mine in (("user", "user", "User"), ("workdir", "working_dir", "WorkingDir")):
        if config.get(mine) and config[mine] != image.get(mine):
            yield _one(flag, config[mine], key)
    labels = image.get("Labels") or {}
    for key, value in (config.get("Labels") or {}).items():
        if labels.get(key) != value:
            yield Setting(["--label", f"{key}={value}"], {"labels": {key: value}})


def _process(config: Found, image: Found) -> Iterator[Setting]:
    inherited = image.get("Env") or []
    for entry in config.get("Env") or []:
        if entry not in inherited:
            yield _of_list("env", entry, "environment")
    if config.get("StopSignal") and config["StopSignal"] != image.get("StopSignal"):
        yield _one("stop-signal", config["StopSignal"], "stop_signal")
    if config.get("StopTimeout") is not None:
        timeout = config["StopTimeout"]
        yield Setting(["--stop-timeout", str(timeout)], {"stop_grace_period": f"{timeout}s"})
    if config.get("MacAddress"):
        yield _one("mac-address", config["MacAddress"], "mac_address")


_TIMES = (
    ("health-interval", "interval", "Interval"),
    ("health-timeout", "timeout", "Timeout"),
    ("health-start-period", "start_period", "StartPeriod"),
    ("health-start-interval", "start_interval", "StartInterval"),
)


def _health(config: Found, host: Found, image: Found) -> Iterator[Setting]:
    probe, inherited = config.get("Healthcheck") or {}, image.get("Healthcheck") or {}
    test = probe.get("Test") or []
    if test == ["NONE"]:
        yield Setting(["--no-healthcheck"], {"healthcheck": {"disable": True}})
        return
    if test and test != inherited.get("Test"):
        import shlex

        command = test[1] if test[0] == "CMD-SHELL" else shlex.join(test[1:])
        yield Setting(["--health-cmd", command], {"healthcheck": {"test": test}})
    for flag, key, mine in _TIMES:
        if probe.get(mine) and probe[mine] != inherited.get(mine):
            text = f"{probe[mine]}ns"
            yield Setting([f"--{flag}", text], {"healthcheck": {key: f"{probe[mine] // 1000}us"}})
    if probe.get("Retries") and probe["Retries"] != inherited.get("Retries"):
        retries = probe["Retries"]
        yield Setting(["--health-retries", str(retries)], {"healthcheck": {"retries": retries}})
    if host.get("HealthOnFailure"):
        yield Setting(
            ["--health-on-failure", host["HealthOnFailure"]], {"x-health-on-failure": host["HealthOnFailure"]}
        )


_PLAIN = (
    ("cgroup-parent", "cgroup_parent", "CgroupParent", ("",)),
    ("cgroupns", "cgroup", "CgroupnsMode", ("", "private")),
    ("cpuset-cpus", "cpuset", "CpusetCpus", ("",)),
    ("cpuset-mems", "", "CpusetMems", ("",)),
    ("ipc", "ipc", "IpcMode", ("", "private")),
    ("isolation", "isolation", "Isolation", ("", "default")),
    ("pid", "pid", "PidMode", ("",)),
    ("runtime", "runtime", "Runtime", ("", "cove", "runc")),
    ("userns", "userns_mode", "UsernsMode", ("",)),
    ("uts", "uts", "UTSMode", ("",)),
    ("volume-driver", "", "VolumeDriver", ("",)),
)


def _plain(host: Found) -> Iterator[Setting]:
    for flag, key, mine, defaults in _PLAIN:
        if host.get(mine) and host[mine] not in defaults:
            yield Setting([f"--{flag}", host[mine]], {key: host[mine]} if key else {})


def _switches(config: Found, host: Found) -> Iterator[Setting]:
    for flag, key, on in (
        ("--interactive", "stdin_open", config.get("OpenStdin")),
        ("--tty", "tty", config.get("Tty")),
        ("--rm", "", host.get("AutoRemove")),
        ("--privileged", "privileged", host.get("Privileged")),
        ("--read-only", "read_only", host.get("ReadonlyRootfs")),
        ("--publish-all", "", host.get("PublishAllPorts")),
        ("--oom-kill-disable", "oom_kill_disable", host.get("OomKillDisable")),
    ):
        if on:
            yield Setting([flag], {key: True} if key else {})
    if host.get("Init") is not None:
        yield Setting(["--init" if host["Init"] else "--init=false"], {"init": host["Init"]})


_LISTS = (
    ("add-host", "extra_hosts", "ExtraHosts"),
    ("cap-add", "cap_add", "CapAdd"),
    ("cap-drop", "cap_drop", "CapDrop"),
    ("device-cgroup-rule", "device_cgroup_rules", "DeviceCgroupRules"),
    ("dns", "dns", "Dns"),
    ("dns-option", "dns_opt", "DnsOptions"),
    ("dns-search", "dns_search", "DnsSearch"),
    ("group-add", "group_add", "GroupAdd"),
    ("link", "external_links", "Links"),
)


def _lists(host: Found) -> Iterator[Setting]:
    for flag, key, mine in _LISTS:
        for value in host.get(mine) or []:
            yield _of_list(flag, value, key)
    for value in host.get("VolumesFrom") or []:
        yield Setting(["--volumes-from", value], {"volumes_from": [f"container:{value}"]})
    for value in host.get("SecurityOpt") or []:
        yield Setting(["--security-opt", value], {"security_opt": [value]})
    if host.get("MaskedPaths") == [] and not host.get("Privileged"):
        yield Setting(["--security-opt", "systempaths=unconfined"], {"security_opt": ["systempaths=unconfined"]})
    for limit in host.get("Ulimits") or []:
        soft, hard = limit["Soft"], limit["Hard"]
        words = ["--ulimit", f"{limit['Name']}={soft}:{hard}"]
        yield Setting(words, {"ulimits": {limit["Name"]: {"soft": soft, "hard": hard}}})


def _mappings(host: Found) -> Iterator[Setting]:
    for flag, key, mine in (
        ("annotation", "annotations", "Annotations"),
        ("storage-opt", "storage_opt", "StorageOpt"),
        ("sysctl", "sysctls", "Sysctls"),
    ):
        for name, value in (host.get(mine) or {}).items():
            yield Setting([f"--{flag}", f"{name}={value}"], {key: {name: value}})


_NUMBERS = (
    ("blkio-weight", "", "BlkioWeight", (0,)),
    ("cpu-period", "cpu_period", "CpuPeriod", (0,)),
    ("cpu-quota", "cpu_quota", "CpuQuota", (0,)),
    ("cpu-rt-period", "cpu_rt_period", "CpuRealtimePeriod", (0,)),
    ("cpu-rt-runtime", "cpu_rt_runtime", "CpuRealtimeRuntime", (0,)),
    ("cpu-shares", "cpu_shares", "CpuShares", (0,)),
    ("memory", "mem_limit", "Memory", (0,)),
    ("memory-reservation", "mem_reservation", "MemoryReservation", (0,)),
    ("memory-swappiness", "mem_swappiness", "MemorySwappiness", (None, -1)),
    ("oom-score-adj", "oom_score_adj", "OomScoreAdj", (0,)),
    ("pids-limit", "pids_limit", "PidsLimit", (None, 0)),
    ("shm-size", "shm_size", "ShmSize", (0, DEFAULT_SHM)),
)


def _limits(host: Found) -> Iterator[Setting]:
    for flag, key, mine, defaults in _NUMBERS:
        value = host.get(mine)
        if value is not None and value not in defaults:
            yield Setting([f"--{flag}", str(value)], {key: value} if key else {})
    swap = host.get("MemorySwap") or 0
    if swap not in (0, 2 * (host.get("Memory") or 0)):
        yield Setting(["--memory-swap", str(swap)], {"memswap_limit": swap})
    if host.get("NanoCpus"):
        whole, part = divmod(host["NanoCpus"], 10**9)
        text = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
        yield Setting(["--cpus", text], {"cpus": text})


def _devices(host: Found) -> Iterator[Setting]:
    for device in host.get("Devices") or []:
        spec = ":".join((device["PathOnHost"], device["PathInContainer"], device["CgroupPermissions"]))
        yield _of_list("device", spec, "devices")
    for request in host.get("DeviceRequests") or []:
        if request.get("Driver") == "cdi":
            yield from (_of_list("device", name, "devices") for name in request.get("DeviceIDs") or [])
        else:
            yield _gpus(request)
    for flag, mine in (
        ("blkio-weight-device", "BlkioWeightDevice"),
        ("device-read-bps", "BlkioDeviceReadBps"),
        ("device-read-iops", "BlkioDeviceReadIOps"),
        ("device-write-bps", "BlkioDeviceWriteBps"),
        ("device-write-iops", "BlkioDeviceWriteIOps"),
    ):
        for rate in host.get(mine) or []:
            yield Setting([f"--{flag}", f"{rate['Path']}:{rate.get('Rate', rate.get('Weight'))}"])


def _gpus(request: Found) -> Setting:
    """``--gpus`` and its words, and the same as a service's."""
    names, count, driver = request.get("DeviceIDs"), request.get("Count") or 0, request.get("Driver")
    wanted = [name for name in (request.get("Capabilities") or [[]])[0] if name != "gpu"]
    given = {"device_ids": names} if names else {"count": "all" if count < 0 else count}
    words = [f"driver={driver}"] if driver else []
    words.append(f"device={','.join(names)}" if names else f"count={given['count']}")
    words += [f"capabilities={','.join(wanted)}"] if wanted else []
    options = request.get("Options") or {}
    words += ["options=" + ",".join(f"{key}={value}" for key, value in options.items())] if options else []
    text = ",".join(f'"{word}"' if "," in word else word for word in words)
    service = {**({"driver": driver} if driver else {}), **given, **({"options": options} if options else {})}
    return Setting(["--gpus", text], {"gpus": [{**service, **({"capabilities": wanted} if wanted else {})}]})


def _restart_and_log(host: Found) -> Iterator[Setting]:
    policy = host.get("RestartPolicy") or {}
    if policy.get("Name") not in (None, "", "no"):
        tries = f":{policy['MaximumRetryCount']}" if policy.get("MaximumRetryCount") else ""
        yield _one("restart", policy["Name"] + tries)
    log = host.get("LogConfig") or {}
    if log.get("Type") not in (None, "", "json-file"):
        yield Setting(["--log-driver", log["Type"]], {"logging": {"driver": log["Type"]}})
    for key, value in (log.get("Config") or {}).items():
        yield Setting(["--log-opt", f"{key}={value}"], {"logging": {"options": {key: value}}})


def _one(flag: str, value: str, key: str = "") -> Setting:
    return Setting([f"--{flag}", value], {key or flag: value})


def _of_list(flag: str, value: str, key: str) -> Setting:
    return Setting([f"--{flag}", value], {key: [value]})
