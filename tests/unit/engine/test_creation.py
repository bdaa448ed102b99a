"""From a request and an image to a record: what is merged, filled in and refused, as the real engine does."""

import os
import socket
from typing import Any

import pytest

from cove.engine.containers import creation
from cove.engine.containers.record import Record
from cove.errors import InvalidArgument
from cove.oci import image as oci
from cove.wire.config import HealthConfig
from cove.wire.containers import ContainerCreate
from cove.wire.host_config import HostConfig, LogConfig, PortBinding, RestartPolicy, Ulimit
from cove.wire.networks import EndpointSettings, NetworkingConfig

PROBE = 5_000_000
"""Nanoseconds between probes."""

IMAGE = oci.Config(
    entrypoint=["/ep", "i"],
    cmd=["c1", "c2"],
    env=["PATH=/bin", "A=1", "B=2"],
    labels={"x": "1", "y": "2"},
    user="1:2",
    working_dir="/w",
    volumes={"/v": {}},
    exposed_ports={"80/tcp": {}},
    stop_signal="SIGINT",
    healthcheck=oci.Healthcheck(["CMD-SHELL", "true"], interval=PROBE, retries=7),
)


def create(
    image: oci.Config | None = IMAGE, host: dict[str, Any] | None = None, networks: Any = None, **request: Any
) -> Record:
    asked = ContainerCreate(
        **request, host_config=HostConfig(**(host or {})), networking_config=networks or NetworkingConfig()
    )
    config = oci.ImageConfig("amd64", "linux", oci.RootFS(), config=image)
    return creation.record(asked, name="n", image_id="sha256:1", image=config, image_name="img")


def refusal(image: oci.Config | None = IMAGE, host: dict[str, Any] | None = None, **request: Any) -> str:
    with pytest.raises(InvalidArgument) as refused:
        create(image, host, **request)
    return refused.value.message


@pytest.mark.parametrize(
    ("request_", "entrypoint", "command", "arguments"),
    [
        ({}, ["/ep", "i"], ["c1", "c2"], ["/ep", "i", "c1", "c2"]),
        ({"cmd": ["a", "b"]}, ["/ep", "i"], ["a", "b"], ["/ep", "i", "a", "b"]),
        ({"entrypoint": ["/o"]}, ["/o"], None, ["/o"]),
        ({"entrypoint": ["/o"], "cmd": ["a"]}, ["/o"], ["a"], ["/o", "a"]),
        ({"entrypoint": [""], "cmd": ["x"]}, None, ["x"], ["x"]),
        ({"entrypoint": [], "cmd": ["x"]}, [], ["x"], ["x"]),
        ({"cmd": []}, ["/ep", "i"], ["c1", "c2"], ["/ep", "i", "c1", "c2"]),
    ],
)
def test_the_program(request_: dict[str, Any], entrypoint: Any, command: Any, arguments: list[str]) -> None:
    made = create(**request_)
    assert (made.config.entrypoint, made.config.cmd, made.arguments) == (entrypoint, command, arguments)


@pytest.mark.parametrize("image", [None, oci.Config(), oci.Config(cmd=[])])
def test_no_program(image: oci.Config | None) -> None:
    assert refusal(image) == "no command specified"
    assert refusal(entrypoint=[""]) == "no command specified"


def test_what_the_image_says_holds() -> None:
    config = create().config
    assert config.env == ["PATH=/bin", "A=1", "B=2"] and config.labels == {"x": "1", "y": "2"}
    assert (config.user, config.working_dir, config.stop_signal) == ("1:2", "/w", "SIGINT")
    assert config.volumes == {"/v": {}} and config.exposed_ports == {"80/tcp": {}}
    assert config.healthcheck == HealthConfig(test=["CMD-SHELL", "true"], interval=PROBE, retries=7)


def test_what_the_request_says_wins() -> None:
    config = create(
        env=["A", "B=3", "C=4"],
        labels={"y": "3", "z": ""},
        user="5",
        working_dir="/z",
        volumes={"/q": {}},
        exposed_ports={"90/udp": {}},
        stop_signal="KILL",
    ).config
    assert config.env == ["A", "B=3", "C=4", "PATH=/bin"]
    assert config.labels == {"x": "1", "y": "3", "z": ""}
    assert (config.user, config.working_dir, config.stop_signal) == ("5", "/z", "KILL")
    assert config.volumes == {"/q": {}, "/v": {}} and config.exposed_ports == {"80/tcp": {}, "90/udp": {}}


@pytest.mark.parametrize(
    ("asked", "merged"),
    [
        ({"test": ["CMD-SHELL", "false"]}, {"test": ["CMD-SHELL", "false"], "interval": PROBE, "retries": 7}),
        ({"test": ["NONE"]}, {"test": ["NONE"], "interval": PROBE, "retries": 7}),
        ({"retries": 9}, {"test": ["CMD-SHELL", "true"], "interval": PROBE, "retries": 9}),
        ({"test": []}, {"test": ["CMD-SHELL", "true"], "interval": PROBE, "retries": 7}),
    ],
)
def test_health_probes(asked: dict[str, Any], merged: dict[str, Any]) -> None:
    assert create(healthcheck=HealthConfig(**asked)).config.healthcheck == HealthConfig(**merged)
    assert create(oci.Config(cmd=["x"]), healthcheck=HealthConfig(**asked)).config.healthcheck == HealthConfig(**asked)


def test_an_image_is_not_changed_by_its_containers() -> None:
    create(labels={"new": "1"}, env=["A=9"], healthcheck=HealthConfig(retries=1))
    assert create().config.labels == {"x": "1", "y": "2"} and IMAGE.env == ["PATH=/bin", "A=1", "B=2"]


def test_the_host_name() -> None:
    made = create()
    assert made.config.hostname == made.id[:12] and len(made.id) == 64
    assert create(hostname="web").config.hostname == "web"
    assert create(host={"network_mode": "host"}).config.hostname == socket.gethostname()
    assert create(host={"network_mode": "host"}, hostname="web").config.hostname == "web"
    assert create(host={"uts_mode": "host"}).config.hostname == ""


def test_what_a_request_leaves_open_is_shown() -> None:
    host = create().host_config
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode) == ("bridge", "private", "private")
    assert (host.shm_size, host.restart_policy.name, host.log_config.type) == (64 << 20, "no", "json-file")
    assert host.masked_paths and "/proc/kcore" in host.masked_paths and host.readonly_paths
    assert create(host={"privileged": True}).host_config.masked_paths == []
    assert create(host={"memory": 10 << 20}).host_config.memory_swap == 20 << 20
    assert create(host={"memory": 10 << 20, "memory_swap": -1}).host_config.memory_swap == -1


def test_settings_of_the_default_network_are_for_the_network_of_the_mode() -> None:
    asked = EndpointSettings(aliases=["a"])
    made = create(networks=NetworkingConfig(endpoints_config={"default": asked}))
    assert made.networking.endpoints_config == {"bridge": asked}


MEMORY = 10 << 20


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
        ({"memory_reservation": 1}, "Minimum memory reservation allowed is 6MB"),
        (
            {"memory": MEMORY, "memory_reservation": 2 * MEMORY},
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            {"memory_swap": MEMORY},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            {"memory": MEMORY, "memory_swap": MEMORY - 1},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        ({"memory_swappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
        (
            {"nano_cpus": 999 * 10**9},
            f"Range of CPUs is from 0.01 to {os.cpu_count()}.00, as there are only {os.cpu_count()} CPUs available",
        ),
        ({"nano_cpus": 10**9, "cpu_period": 1000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (
            {"cpu_period": 10},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_quota": 10}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
        ({"cpuset_mems": "0-"}, "Invalid value 0- for cpuset mems: invalid format: 0-"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"oom_score_adj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"ulimits": [Ulimit(name="nope", soft=1, hard=1)]}, "invalid ulimit type: nope"),
        (
            {"ulimits": [Ulimit(name="nofile", soft=2, hard=1)]},
            "invalid ulimit nofile: soft limit 2 exceeds hard limit 1",
        ),
        (
            {"restart_policy": RestartPolicy(name="nope")},
            "invalid restart policy: unknown policy 'nope'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'",
        ),
        (
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=-1)},
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            {"restart_policy": RestartPolicy(name="always"), "auto_remove": True},
            "can't create 'AutoRemove' container with restart policy",
        ),
        ({"cap_add": ["NOPE"]}, 'invalid CapAdd: unknown capability: "CAP_NOPE"'),
        ({"log_config": LogConfig(type="nope")}, 'error looking up logging plugin nope: plugin "nope" not found'),
        ({"ipc_mode": "nope"}, "invalid IPC mode: nope"),
        ({"pid_mode": "private"}, "invalid PID mode: private"),
        ({"uts_mode": "container:x"}, "invalid UTS mode: container:x"),
        ({"cgroupns_mode": "nope"}, "invalid cgroup namespace mode: nope"),
        (
            {"port_bindings": {"80": [PortBinding()]}, "network_mode": "container:x"},
            "conflicting options: port publishing and the container type network mode",
        ),
    ],
)
def test_host_settings_that_cannot_be(host: dict[str, Any], message: str) -> None:
    assert refusal(host=host) == message


@pytest.mark.parametrize(
    ("field", "lists"),
    [("cpuset_cpus", "4096"), ("cpuset_cpus", "0,4000-4001"), ("cpuset_mems", "4096")],
)
def test_processors_and_nodes_that_are_not_there(field: str, lists: str) -> None:
    assert f"are not available - requested {lists}, available: 0" in refusal(host={field: lists})
    create(host={field: "0"})


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"working_dir": "rel"}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({"stop_signal": "NOPE"}, "invalid signal: NOPE"),
        ({"env": ["=x"]}, "invalid environment variable: =x"),
        ({"env": [""]}, "invalid environment variable: "),
        ({"env": ["A=\0"]}, "invalid value for Env[0]: it has a NUL character"),
        ({"exposed_ports": {"x/tcp": {}}}, 'invalid port specification: "x"'),
        ({"exposed_ports": {"0": {}}}, 'invalid port specification: "0"'),
        ({"exposed_ports": {"65536/tcp": {}}}, 'invalid port specification: "65536"'),
        ({"exposed_ports": {"80/icmp": {}}}, "invalid port specification: '80/icmp': unknown protocol"),
        ({"hostname": "x" * 65}, f"invalid hostname: '{'x' * 65}' is longer than 64 characters"),
    ],
)
def test_settings_that_cannot_be(request_: dict[str, Any], message: str) -> None:
    assert refusal(**request_) == message


def test_two_containers_have_nothing_in_common() -> None:
    first, second = create(), create()
    assert first.id != second.id and first.created <= second.created
    assert first.host_config.masked_paths is not second.host_config.masked_paths
