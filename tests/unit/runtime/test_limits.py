"""Limits as files and values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.oci.runtime import MemoryLimits, Resources
from cove.runtime import limits

_ALL: Resources = {
    "memory": {"limit": 1000, "swap": 1500, "reservation": 700, "swappiness": 10, "disableOOMKiller": True},
    "cpu": {"shares": 1024, "quota": 50_000, "period": 100_000, "cpus": "0-1", "mems": "0"},
    "pids": {"limit": 10},
    "blockIO": {"weight": 500, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}]},
}


def _files(settings: list[limits.Setting]) -> dict[str, str]:
    return {setting.file: setting.value for setting in settings}


def test_version_1() -> None:
    assert _files(limits.version1(_ALL)) == {
        "memory.limit_in_bytes": "1000",
        "memory.memsw.limit_in_bytes": "1500",
        "memory.soft_limit_in_bytes": "700",
        "memory.swappiness": "10",
        "memory.oom_control": "1",
        "cpu.shares": "1024",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "50000",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "pids.max": "10",
        "blkio.weight": "500",
        "blkio.throttle.read_bps_device": "8:0 1024",
    }


def test_version_2() -> None:
    assert _files(limits.version2(_ALL)) == {
        "memory.max": "1000",
        "memory.swap.max": "500",
        "memory.low": "700",
        "cpu.weight": "100",
        "cpu.max": "50000 100000",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "pids.max": "10",
        "io.bfq.weight": "500",
        "io.max": "8:0 rbps=1024",
    }


def test_no_limit_is_no_write() -> None:
    assert limits.version1({}) == limits.version2({}) == []


def test_unlimited() -> None:
    unlimited: Resources = {"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}
    assert _files(limits.version2(unlimited)) == {
        "memory.max": "max",
        "memory.swap.max": "max",
        "pids.max": "max",
        "cpu.max": "max 100000",
    }
    assert _files(limits.version1(unlimited))["memory.memsw.limit_in_bytes"] == "-1"


@pytest.mark.parametrize("memory", [{"swap": 100}, {"limit": 100, "swap": 50}])
def test_swap_that_cannot_be(memory: dict[str, int]) -> None:
    for convert in (limits.version1, limits.version2):
        with pytest.raises(ValueError, match=r"memory\.swap"):
            convert({"memory": memory})  # type: ignore[typeddict-item]


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_weights_are_in_range_and_in_order(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert 1 <= limits.weight_of_shares(low) <= limits.weight_of_shares(high) <= 10_000


def test_device_rules() -> None:
    rules = [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "c", "major": 136, "access": "rwm"},
        {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "r"},
    ]
    assert limits.device_rules(rules) == [  # type: ignore[arg-type]
        ("devices.deny", "a"),
        ("devices.allow", "c *:* m"),
        ("devices.allow", "c 136:* rwm"),
        ("devices.allow", "b 8:0 r"),
    ]


def test_raw_files_stay_in_their_group() -> None:
    assert _files(limits.version2({"unified": {"memory.high": "5"}})) == {"memory.high": "5"}
    with pytest.raises(ValueError, match="unified"):
        limits.version2({"unified": {"../memory.high": "5"}})


def _values(settings: list[limits.Setting]) -> list[tuple[str, str]]:
    return [(setting.file, setting.value) for setting in settings]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({"limit": 100, "swap": 100}, [("memory.swap.max", "0"), ("memory.max", "100")]),
        ({"limit": 100, "swap": -1}, [("memory.swap.max", "max"), ("memory.max", "100")]),
        ({"limit": -1}, [("memory.swap.max", "max"), ("memory.max", "max")]),
        ({"limit": 100}, [("memory.max", "100")]),
        ({"reservation": -1}, [("memory.low", "max")]),
        ({"swappiness": 50, "disableOOMKiller": True, "kernel": 5, "kernelTCP": 5}, []),
    ],
)
def test_memory_of_version_2(memory: MemoryLimits, expected: list[tuple[str, str]]) -> None:
    assert _values(limits.version2({"memory": memory})) == expected


def test_a_machine_without_swap_takes_what_asks_for_none() -> None:
    for memory in ({"limit": 100, "swap": 100}, {"limit": 100, "swap": -1}, {"limit": -1}):
        made = limits.version2({"memory": memory})  # type: ignore[typeddict-item]
        assert made[0].optional or memory.get("swap") == -1


def test_weights_by_scheduler() -> None:
    (whole, device) = limits.version2({"blockIO": {"weight": 500, "weightDevice": [_weight(8, 0, 100)]}})
    assert (whole.file, whole.value, whole.otherwise) == ("io.bfq.weight", "500", ("io.weight", "default 4950"))
    assert (device.value, device.otherwise) == ("8:0 100", ("io.weight", "8:0 910"))
    old, leaf = limits.version1({"blockIO": {"weightDevice": [_weight(8, 0, 100) | {"leafWeight": 20}]}})
    assert (old.file, old.value) == ("blkio.weight_device", "8:0 100")
    assert old.otherwise == ("blkio.bfq.weight_device", "8:0 100")
    assert (leaf.file, leaf.value) == ("blkio.leaf_weight_device", "8:0 20")


def _weight(major: int, minor: int, weight: int) -> dict[str, int]:
    return {"major": major, "minor": minor, "weight": weight}


def test_what_is_rare() -> None:
    resources: Resources = {
        "cpu": {"burst": 0, "idle": 1, "realtimePeriod": 1000, "realtimeRuntime": 500},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4096}],
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
        "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
    }
    assert _values(limits.version1(resources)) == [
        ("cpu.rt_period_us", "1000"),
        ("cpu.rt_runtime_us", "500"),
        ("cpu.cfs_burst_us", "0"),
        ("cpu.idle", "1"),
        ("hugetlb.2MB.limit_in_bytes", "4096"),
        ("hugetlb.2MB.rsvd.limit_in_bytes", "4096"),
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"),
        ("net_cls.classid", "1048577"),
        ("net_prio.ifpriomap", "eth0 500"),
    ]
    assert _values(limits.version2(resources)) == [
        ("cpu.max.burst", "0"),
        ("cpu.idle", "1"),
        ("hugetlb.2MB.max", "4096"),
        ("hugetlb.2MB.rsvd.max", "4096"),
        ("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"),
    ]


def test_raw_files_are_of_version_2() -> None:
    with pytest.raises(ValueError, match="unified"):
        limits.version1({"unified": {"memory.high": "5"}})
    assert _values(limits.version2({"unified": {"memory.high": "5", "misc.max": "sev 3"}})) == [
        ("memory.high", "5"),
        ("misc.max", "sev 3"),
    ]


def test_a_rate_of_nothing_is_no_limit() -> None:
    throttle = {"throttleReadIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}
    assert _values(limits.version2({"blockIO": throttle})) == [("io.max", "8:16 riops=max")]
    assert _values(limits.version1({"blockIO": throttle})) == [("blkio.throttle.read_iops_device", "8:16 0")]
