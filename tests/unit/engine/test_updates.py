"""What an update makes of a container's settings, and what it is refused for."""

from typing import Any

import pytest

from cove.engine.containers.updates import resources, updated
from cove.errors import Conflict, CoveError, InvalidArgument
from cove.wire.containers import ContainerUpdate
from cove.wire.host_config import HostConfig, RestartPolicy

MEBI = 1 << 20


def test_what_is_not_given_stays() -> None:
    host = HostConfig(memory=64 * MEBI, memory_swap=128 * MEBI, cpu_shares=5, pids_limit=7)
    made = updated(host, ContainerUpdate(cpu_shares=9))
    assert (made.memory, made.memory_swap, made.cpu_shares, made.pids_limit) == (64 * MEBI, 128 * MEBI, 9, 7)
    assert made.restart_policy == host.restart_policy
    assert host.cpu_shares == 5, "the settings are a copy: an update that fails later has changed nothing"


def test_memory_and_swap() -> None:
    host = HostConfig(memory=64 * MEBI, memory_swap=128 * MEBI)
    assert updated(host, ContainerUpdate(memory=32 * MEBI)).memory_swap == 128 * MEBI
    assert updated(host, ContainerUpdate(memory_swap=256 * MEBI)).memory == 64 * MEBI
    request = ContainerUpdate(memory=512 * MEBI, memory_swap=-1)
    applied = resources(updated(host, request), request)
    assert applied["memory"] == {"limit": 512 * MEBI, "swap": -1}
    assert "devices" not in applied, "what it may open stays as it is"


def test_processes() -> None:
    host = HostConfig(pids_limit=7)
    assert resources(updated(host, ContainerUpdate(pids_limit=9)), ContainerUpdate(pids_limit=9))["pids"] == {
        "limit": 9
    }
    for without in (0, -1):
        request = ContainerUpdate(pids_limit=without)
        made = updated(host, request)
        assert made.pids_limit is None
        assert resources(made, request)["pids"] == {"limit": -1}


def test_cpus_become_a_quota() -> None:
    request = ContainerUpdate(nano_cpus=500_000_000)
    assert resources(updated(HostConfig(), request), request)["cpu"] == {"period": 100_000, "quota": 50_000}


@pytest.mark.parametrize(
    ("host", "request_", "kind", "words"),
    [
        ({"nano_cpus": 1}, {"cpu_quota": 20_000}, Conflict, "CPU Quota cannot be updated as NanoCPUs has already been"),
        ({"nano_cpus": 1}, {"cpu_period": 20_000}, Conflict, "CPU Period cannot be updated as NanoCPUs has already"),
        ({"cpu_quota": 2000}, {"nano_cpus": 9}, Conflict, "Nano CPUs cannot be updated as CPU Quota has already"),
        ({}, {"memory": 64 * MEBI}, Conflict, "Memory limit should be smaller than already set memoryswap limit"),
        ({"auto_remove": True}, {"restart_policy": RestartPolicy(name="always")}, Conflict, "AutoRemove is enabled"),
        ({}, {"restart_policy": RestartPolicy(name="bogus")}, InvalidArgument, "bogus"),
        ({}, {"memory": 1}, InvalidArgument, "Minimum memory limit allowed is 6MB"),
        ({"memory": 64 * MEBI, "memory_swap": -1}, {"memory_swap": MEBI}, InvalidArgument, "Minimum memoryswap limit"),
        ({}, {"cpuset_cpus": "99999"}, InvalidArgument, "Requested CPUs are not available"),
    ],
)
def test_refused(host: dict[str, Any], request_: dict[str, Any], kind: type[CoveError], words: str) -> None:
    with pytest.raises(kind, match=words):
        updated(HostConfig(**host), ContainerUpdate(**request_))
