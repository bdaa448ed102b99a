"""What a list and an inspection say of a container's state."""

import asyncio
import time
from typing import Any

import pytest

from cove.engine.containers import views
from cove.engine.containers.record import MountPoint
from unit.engine.containers import container

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("state", "ago", "line"),
    [
        ({"status": "created"}, {}, "Created"),
        ({"status": "running"}, {"started_at": 5}, "Up 5 seconds"),
        ({"status": "running"}, {"started_at": 0}, "Up Less than a second"),
        ({"status": "paused"}, {"started_at": 7200}, "Up 2 hours (Paused)"),
        ({"status": "restarting", "exit_code": 3}, {"finished_at": 2}, "Restarting (3) 2 seconds ago"),
        ({"status": "exited", "exit_code": 137}, {"finished_at": 90}, "Exited (137) About a minute ago"),
        ({"status": "created", "exit_code": 127, "error": "not found"}, {}, "Created"),
        ({"status": "dead"}, {"finished_at": 1}, "Dead"),
    ],
)
def test_the_status_of_a_list(state: dict[str, Any], ago: dict[str, float], line: str) -> None:
    async def run() -> str:
        moments = {name: time.time_ns() - int(seconds * SECOND) for name, seconds in ago.items()}
        return views.status_line(container(state={**state, **moments}))

    assert asyncio.run(run()) == line


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        ("created", set()),
        ("running", {"running"}),
        ("paused", {"running", "paused"}),
        ("restarting", {"running", "restarting"}),
        ("exited", set()),
        ("dead", {"dead"}),
    ],
)
def test_the_state_of_an_inspection(status: str, flags: set[str]) -> None:
    async def run() -> None:
        shown = views.state(
            container(state={"status": status, "exit_code": 4, "oom_killed": True, "started_at": SECOND + 123456789})
        )
        assert {name for name in ("running", "paused", "restarting", "dead") if getattr(shown, name)} == flags
        assert (shown.status, shown.exit_code, shown.oom_killed) == (status, 4, True)
        assert (shown.started_at, shown.finished_at) == ("1970-01-01T00:00:01.123456789Z", "0001-01-01T00:00:00Z")

    asyncio.run(run())


def test_mounts_of_an_inspection_leave_out_those_of_the_tmpfs_flag() -> None:
    async def run() -> None:
        mounts = [
            MountPoint("volume", "/v", source="/d", name="n", driver="local", mode="z", writable=False),
            MountPoint("tmpfs", "/t"),
            MountPoint("tmpfs", "/m"),
        ]
        shown = views.mounts(container(mounts=mounts, host={"tmpfs": {"/t": ""}}))
        assert [(mount.type, mount.destination, mount.rw) for mount in shown] == [
            ("volume", "/v", False),
            ("tmpfs", "/m", True),
        ]

    asyncio.run(run())
