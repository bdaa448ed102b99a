"""What departs from least privilege: every row of the table has something that it finds."""

from typing import Any

import pytest

from cove.engine.containers.record import MountPoint, Record
from cove.engine.doctor.check import SEVERITIES, examine
from cove.engine.doctor.containers import CHECKS, Subject
from cove.wire.config import Config, HealthConfig
from cove.wire.host_config import DeviceMapping, HostConfig, PortBinding
from cove.wire.networks import NetworkingConfig

GOOD_CONFIG: dict[str, Any] = {"user": "1000:1000", "healthcheck": HealthConfig(test=["CMD", "true"])}
GOOD_HOST: dict[str, Any] = {
    "memory": 1 << 26,
    "pids_limit": 100,
    "readonly_rootfs": True,
    "security_opt": ["no-new-privileges"],
}


def subject(
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    mounts: list[MountPoint] | None = None,
    **more: Any,
) -> Subject:
    """A container with which nothing is wrong, but for what is given."""
    record = Record(
        id="c" * 64,
        name="box",
        created=1,
        image="sha256:0",
        image_name="busybox",
        config=Config(**{**GOOD_CONFIG, **(config or {})}),
        host_config=HostConfig(**{**GOOD_HOST, **(host or {})}),
        networking=NetworkingConfig(),
        mounts=mounts or [],
    )
    return Subject(record, **more)


def found(thing: Subject) -> dict[str, str]:
    return {finding.id: finding.evidence for finding in examine(CHECKS, thing, "container box")}


def bind(source: str, *, writable: bool = True, propagation: str = "") -> list[MountPoint]:
    return [MountPoint("bind", "/x", source, writable=writable, propagation=propagation)]


HARDENED = ["no-new-privileges"]
SELINUX = {"modules": ("selinux",)}
CASES: list[tuple[str, Subject, str]] = [
    ("privileged", subject(host={"privileged": True}), "--privileged"),
    ("engine-socket", subject(mounts=bind("/run/docker.sock")), "/run/docker.sock on /x"),
    ("engine-socket", subject(mounts=bind("/srv/api.sock"), own=("/srv/api.sock",)), "/srv/api.sock on /x"),
    ("engine-socket", subject(mounts=bind("/srv/data/volumes"), own=("/srv/data",)), "/srv/data/volumes on /x"),
    ("sensitive-bind", subject(mounts=bind("/")), "/ on /x"),
    ("sensitive-bind", subject(mounts=bind("/etc")), "/etc on /x"),
    ("sensitive-bind", subject(mounts=bind("/proc/sys")), "/proc/sys on /x"),
    ("sensitive-bind-readonly", subject(mounts=bind("/etc", writable=False)), "/etc on /x"),
    ("mount-propagation", subject(mounts=bind("/srv", propagation="rshared")), "/srv on /x"),
    ("powerful-capabilities", subject(host={"cap_add": ["cap_sys_admin", "CHOWN"]}), "SYS_ADMIN"),
    ("powerful-capabilities", subject(host={"cap_add": ["ALL"]}), "ALL"),
    ("capabilities-added", subject(host={"cap_add": ["SYS_NICE"]}), "SYS_NICE"),
    ("device-access", subject(host={"devices": [DeviceMapping(path_on_host="/dev/sda")]}), "/dev/sda"),
    ("device-access", subject(host={"device_cgroup_rules": ["c 1:3 rwm"]}), "c 1:3 rwm"),
    ("seccomp-unconfined", subject(host={"security_opt": [*HARDENED, "seccomp=unconfined"]}), "unconfined"),
    ("seccomp-unconfined", subject(seccomp="unconfined"), "unconfined"),
    (
        "apparmor-unconfined",
        subject(host={"security_opt": [*HARDENED, "apparmor=unconfined"]}, modules=("apparmor",)),
        "unconfined",
    ),
    ("selinux-disabled", subject(host={"security_opt": [*HARDENED, "label=disable"]}, **SELINUX), "label=disable"),
    ("system-paths", subject(host={"masked_paths": []}), "systempaths=unconfined"),
    ("host-pid", subject(host={"pid_mode": "host"}), "host"),
    ("host-network", subject(host={"network_mode": "host"}), "host"),
    ("host-ipc", subject(host={"ipc_mode": "host"}), "host"),
    ("host-uts", subject(host={"uts_mode": "host"}), "host"),
    ("host-cgroupns", subject(host={"cgroupns_mode": "host"}), "host"),
    ("host-userns", subject(host={"userns_mode": "host"}, remapped=True), "host"),
    ("writable-cgroups", subject(host={"security_opt": [*HARDENED, "writable-cgroups=true"]}), "writable-cgroups=true"),
    ("secrets-in-environment", subject({"env": ["A=1", "DB_PASSWORD=hunter2", "API_KEY=x"]}), "DB_PASSWORD, API_KEY"),
    ("runs-as-root", subject({"user": ""}), "user root"),
    ("runs-as-root", subject({"user": "0:1000"}), "user 0"),
    ("no-memory-limit", subject(host={"memory": 0}), "none"),
    ("no-pids-limit", subject(host={"pids_limit": -1}), "none"),
    ("no-pids-limit", subject(host={"pids_limit": None}), "none"),
    ("out-of-memory", subject(host={"oom_score_adj": -500}), "--oom-score-adj -500"),
    ("new-privileges", subject(host={"security_opt": None}), "no-new-privileges is off"),
    (
        "ports-on-all-addresses",
        subject(host={"port_bindings": {"80/tcp": [PortBinding(host_port="8080")]}}),
        "0.0.0.0:8080 → 80/tcp",
    ),
    ("ports-on-all-addresses", subject(host={"publish_all_ports": True}), "--publish-all"),
    ("writable-root", subject(host={"readonly_rootfs": False}), "read-write"),
    ("no-health-check", subject({"healthcheck": HealthConfig(test=["NONE"])}), "none"),
    ("no-health-check", subject({"healthcheck": None}), "none"),
]


@pytest.mark.parametrize(("check", "thing", "evidence"), CASES)
def test_a_departure(check: str, thing: Subject, evidence: str) -> None:
    assert found(thing)[check] == evidence


def test_nothing_is_wrong_with_a_container_that_does_it_all() -> None:
    assert found(subject()) == {}


def test_every_check_is_tried_and_says_what_to_do() -> None:
    assert {check.id for check in CHECKS} == {check for check, _, _ in CASES}
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert all(check.severity in SEVERITIES and check.why and check.remedy for check in CHECKS)


@pytest.mark.parametrize(
    ("thing", "check"),
    [
        (subject(mounts=[MountPoint("volume", "/x", "/var/lib/cove/volumes/v/_data")]), "engine-socket"),
        (subject(mounts=bind("/etc/localtime")), "sensitive-bind"),
        (subject(mounts=bind("/srv/site")), "sensitive-bind"),
        (subject({"env": ["DB_PASSWORD_FILE=/run/secrets/db", "PWD=/x", "TOKEN="]}), "secrets-in-environment"),
        (subject({"user": ""}, remapped=True), "runs-as-root"),
        (
            subject(host={"port_bindings": {"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port="80")]}}),
            "ports-on-all-addresses",
        ),
        (subject(host={"privileged": True, "cap_add": ["SYS_ADMIN"]}), "powerful-capabilities"),
        (subject(host={"security_opt": ["label=disable"]}), "selinux-disabled"),
    ],
)
def test_what_is_no_departure(thing: Subject, check: str) -> None:
    assert check not in found(thing)


def test_a_secret_is_never_shown() -> None:
    thing = subject({"env": ["DB_PASSWORD=hunter2"]})
    assert "hunter2" not in str(examine(CHECKS, thing, "container box"))
