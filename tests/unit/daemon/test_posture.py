"""What is unsafe in the daemon's settings: every row of the table."""

from typing import Any

import pytest

from cove.daemon.posture import CHECKS
from cove.daemon.settings import Settings
from cove.engine.doctor.check import examine

GOOD: dict[str, Any] = {"userns_remap": "default", "no_new_privileges": True, "icc": False}
TCP = "tcp://0.0.0.0:2375"
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("tcp-without-tls", {"hosts": (TCP,), "allow_unauthenticated_tcp": True}, TCP),
    ("tls-without-verification", {"hosts": (TCP,), "tls": True}, TCP),
    ("default-seccomp-unconfined", {"seccomp_profile": "unconfined"}, "unconfined"),
    ("no-firewall", {"iptables": False}, "iptables is off"),
    ("insecure-registries", {"insecure_registries": ("a:5000", "10.0.0.0/8")}, "a:5000, 10.0.0.0/8"),
    ("insecure-mirrors", {"registry_mirrors": ("http://m/", "https://n/")}, "http://m/"),
    ("audit-log-off", {"audit_log": "none"}, "audit-log is none"),
    ("shareable-ipc", {"default_ipc_mode": "shareable"}, "shareable"),
    ("host-cgroup-namespace", {"default_cgroupns_mode": "host"}, "host"),
    ("no-userns-remap", {"userns_remap": ""}, "off"),
    ("new-privileges-by-default", {"no_new_privileges": False}, "off"),
    ("inter-container-traffic", {"icc": True}, "icc is on"),
    ("metrics-for-all", {"metrics_addr": "0.0.0.0:9323"}, "0.0.0.0:9323"),
]


@pytest.mark.parametrize(("check", "settings", "evidence"), CASES)
def test_a_weak_setting(check: str, settings: dict[str, Any], evidence: str) -> None:
    found = {item.id: item.evidence for item in examine(CHECKS, Settings(**{**GOOD, **settings}), "daemon")}
    assert found == {check: evidence}


def test_every_check_is_tried() -> None:
    assert {check.id for check in CHECKS} == {check for check, _, _ in CASES}
    verified = Settings(**GOOD, hosts=(TCP,), tlsverify=True, metrics_addr="127.0.0.1:9323")
    assert examine(CHECKS, verified, "daemon") == []
