"""What is unsafe: on this host, in the daemon's settings, and in containers."""

import json
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "busybox-static", "cove")

HARDENED = ("--user", "1000", "-m", "32m", "--pids-limit", "50", "--read-only", "--security-opt", "no-new-privileges")


def diagnosis(daemon: Engine, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(daemon.cove("doctor", "--format", "json", *words).out)
    return found


def test_the_host_and_the_daemon(daemon: Engine) -> None:
    found = diagnosis(daemon)
    offers = {item["Name"]: item for item in found["Offers"]}
    assert offers["Seccomp"]["Available"] and offers["nftables"]["Available"]
    assert all(item["Value"] if item["Available"] else item["Cost"] for item in offers.values())
    ids = {(item["Subject"], item["Id"]) for item in found["Findings"]}
    assert ("daemon", "no-userns-remap") in ids and found["Containers"] == 0


def test_what_a_container_departs_in(daemon: Engine) -> None:
    daemon.docker("create", "--name", "wild", "--privileged", "--pid", "host", "-v", "/:/host", "busybox")
    daemon.docker("create", "--name", "tame", *HARDENED, "--health-cmd", "true", "busybox", "true")
    found = diagnosis(daemon)
    assert found["Containers"] == 2
    wild = {item["Id"]: item for item in found["Findings"] if item["Subject"] == "container wild"}
    assert {"privileged", "host-pid", "sensitive-bind", "runs-as-root", "no-memory-limit"} <= set(wild)
    assert wild["privileged"]["ContainerID"] == daemon.docker("inspect", "-f", "{{.Id}}", "wild").out.strip()
    assert not [item for item in found["Findings"] if item["Subject"] == "container tame"]
    severities = [item["Severity"] for item in found["Findings"]]
    assert severities == sorted(severities, key=["high", "medium", "low"].index)


def test_of_some_containers_alone(daemon: Engine) -> None:
    daemon.docker("create", "--name", "wild", "--privileged", "busybox")
    daemon.docker("create", "--name", "other", "busybox")
    found = diagnosis(daemon, "wild")
    assert {item["Subject"] for item in found["Findings"]} == {"container wild"} and found["Offers"] == []
    done = daemon.cove("doctor", "nonesuch", check=False)
    assert done.code == 1 and "No such container: nonesuch" in done.err


def test_what_a_person_reads(daemon: Engine) -> None:
    daemon.docker("create", "--name", "wild", "-v", f"{daemon.socket}:/x.sock", "busybox")
    out = daemon.cove("doctor").out
    assert "The host offers:" in out and "Container wild:" in out
    assert f"engine-socket: {daemon.socket} on /x.sock" in out and "do:  give it a scoped socket" in out
    assert "(1 container looked at)" in out


def test_strict_and_severity(daemon: Engine) -> None:
    daemon.docker("create", "--name", "tame", *HARDENED, "busybox", "true")
    assert daemon.cove("doctor", "--strict", "tame", check=False).code == 1, "it has no health check"
    assert daemon.cove("doctor", "--strict", "--severity", "medium", "tame").out.startswith("Findings: 0 high")
    assert daemon.cove("doctor", "--severity", "low", "tame").code == 0
    wrong = daemon.cove("doctor", "--severity", "awful", check=False)
    assert wrong.code == 125 and "invalid severity" in wrong.err


def test_a_template(daemon: Engine) -> None:
    daemon.docker("create", "--name", "wild", "--privileged", "busybox")
    out = daemon.cove("doctor", "--format", "{{range .Findings}}{{.Severity}} {{.Id}}\n{{end}}", "wild").out
    assert "high privileged" in out.splitlines()


def test_a_daemon_with_unsafe_settings(fresh_daemon: Daemon) -> None:
    fresh_daemon.stop()
    fresh_daemon.flags = (
        "--audit-log",
        "none",
        "--insecure-registry",
        "registry.test",
        "--seccomp-profile",
        "unconfined",
    )
    fresh_daemon.start()
    fresh_daemon.data_root.chmod(0o777)
    try:
        found = diagnosis(fresh_daemon)
    finally:
        fresh_daemon.data_root.chmod(0o710)
    ids = {item["Id"]: item["Evidence"] for item in found["Findings"] if item["Subject"] in ("host", "daemon")}
    assert {"audit-log-off", "insecure-registries", "default-seccomp-unconfined", "replaceable-root"} <= set(ids)
    assert str(fresh_daemon.data_root) in ids["replaceable-root"]


def test_a_scoped_socket_is_not_told(daemon: Engine) -> None:
    host = daemon.cove("socket", "create", "--label", "team=a", "team").out.strip()
    done = daemon.cove("-H", host, "doctor", check=False)
    assert done.code == 1 and "not on the socket team" in done.err
    daemon.cove("socket", "rm", "team")
