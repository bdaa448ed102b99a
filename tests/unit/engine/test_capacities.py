"""What the control groups of a machine can limit, and the warnings about what they cannot."""

from pathlib import Path

from cove.engine.bundle.capacities import look, warnings
from cove.kernel.cgroups import Hierarchy, Layout


def test_version_1(tmp_path: Path) -> None:
    for controller, file in (("memory", "memory.limit_in_bytes"), ("cpu", "cpu.shares"), ("pids", "tasks")):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / file).touch()
    found = [Hierarchy(str(tmp_path / name), 1, (name,), "") for name in ("memory", "cpu", "pids")]
    can = look(Layout(tuple(found), unified=False))._replace(forwarding=True)
    assert (can.memory, can.swap, can.cpu_shares, can.cpu_quota, can.cpuset, can.pids) == (
        True,
        False,
        True,
        False,
        False,
        True,
    )
    assert warnings(can, unified=False) == [
        "WARNING: No swap limit support",
        "WARNING: No oom kill disable support",
        "WARNING: No cpu cfs quota support",
        "WARNING: No cpu cfs period support",
        "WARNING: No cpuset support",
    ]


def test_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    can = look(Layout((Hierarchy(str(tmp_path), 2, (), ""),), unified=True))
    assert (can.memory, can.cpu_quota, can.cpuset, can.pids, can.oom_kill_disable) == (True, True, False, False, False)
    assert warnings(can._replace(forwarding=False), unified=True) == [
        "WARNING: No cpuset support",
        "WARNING: IPv4 forwarding is disabled",
    ]
