"""Kills for want of memory, as the kernel tells of them."""

import os
import select
from collections.abc import Callable, Iterator

import pytest

from cove.kernel import cgroups, kernel_log
from cove.kernel.cgroups import Cgroup
from cove.runtime import cgroup
from cove.runtime.loop import Loop
from cove.runtime.oom import OutOfMemory

_PARENT = f"/cove-test-oom-{os.getpid()}"
_LINE = (
    "6,100,200,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
    "oom_memcg=/a.slice/b.scope,task_memcg={},task=dd,pid=7,uid=0\n"
)


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (_LINE.format("/a.slice/b.scope"), True),
        (_LINE.format("/a.slice/b.scope/below"), True),
        (_LINE.format("/a.slice/b.scope2"), False),
        (_LINE.format("/a.slice"), False),
        ("6,100,200,-;cgroup: /a.slice/b.scope\n", False),
    ],
)
def test_whose_kill_a_line_of_the_log_tells(record: str, named: bool) -> None:
    assert kernel_log.names_kill(record, "/a.slice/b.scope") == named


class Turns(Loop):
    """Gives no turn by itself: who watches is called when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[tuple[int, Callable[[int], None]]] = []

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        super().watch(fd, events, callback)
        self.watched.append((fd, callback))


@pytest.fixture
def turns() -> Iterator[Turns]:
    loop = Turns()
    yield loop
    loop.close()


@pytest.mark.root
@pytest.mark.needs("cgroup-memory", "cgroup-v1")
def test_a_group_that_somebody_removed_is_no_kill(turns: Turns) -> None:
    group = cgroup.load(f"{_PARENT}/box")
    cgroup.create(group, {"memory": {"limit": 32 << 20}})
    told: list[bool] = []
    watching = OutOfMemory(turns, group, lambda: told.append(True))
    group.remove()
    ((counter, on_counter),) = turns.watched
    assert select.select([counter], [], [], 10)[0], "the kernel counts the removal"
    on_counter(select.EPOLLIN)
    watching.close()
    Cgroup(cgroups.layout(), _PARENT).remove()
    assert not told and not watching.seen
